//! Every metric: name, kind, meaning and labels. A test compares it with `deploy/metrics.md`.

use super::Rejection;
use crate::published::KINDS;
use curriculum_extractor::metrics::{BATCH_SAMPLES, BATCH_SECONDS};
use curriculum_pipeline::metrics::{
    INGEST_SAMPLES, JOB_SECONDS, JOBS, JOBS_ENDED, KMEANS_INERTIA, KMEANS_ITERATIONS, STAGE_SECONDS,
};
use curriculum_store::FLUSH_SECONDS;
use metrics::{Label, counter, gauge, histogram};

pub(crate) const BUILD_INFO: &str = "curriculum_build_info";
pub(crate) const READY: &str = "curriculum_ready";
pub(crate) const REQUESTS: &str = "curriculum_grpc_requests_total";
pub(crate) const REQUEST_SECONDS: &str = "curriculum_grpc_request_duration_seconds";
pub(crate) const IN_FLIGHT: &str = "curriculum_grpc_requests_in_flight";
pub(crate) const WAITING: &str = "curriculum_grpc_requests_waiting";
pub(crate) const REJECTED: &str = "curriculum_grpc_rejected_total";
pub(crate) const CONNECTIONS: &str = "curriculum_grpc_connections";
pub(crate) const CONNECTIONS_OPENED: &str = "curriculum_grpc_connections_total";
pub(crate) const STALLED: &str = "curriculum_grpc_stalled_total";
pub(crate) const RELOADS: &str = "curriculum_reloads_total";
pub(crate) const CERTIFICATE_EXPIRY: &str = "curriculum_tls_certificate_expiry_timestamp_seconds";
pub(crate) const REPLICATED: &str = "curriculum_replication_last_success_timestamp_seconds";
pub(crate) const CACHE_REQUESTS: &str = "curriculum_cache_requests_total";
pub(crate) const CACHE_BYTES: &str = "curriculum_cache_bytes";
pub(crate) const WEIGHTS_SECONDS: &str = "curriculum_weights_compute_seconds";
pub(crate) const TEMPERATURE: &str = "curriculum_temperature";
pub(crate) const EFFECTIVE_FRACTION: &str = "curriculum_effective_fraction";
pub(crate) const ITERATION: &str = "curriculum_iteration";
pub(crate) const MODEL_READY: &str = "curriculum_model_ready";
pub(crate) const EXECUTION_PROVIDER: &str = "curriculum_execution_provider";
pub(crate) const GRAPH_NODES: &str = "curriculum_graph_nodes";
pub(crate) const DEVICE_MEMORY: &str = "curriculum_device_memory_bytes";
pub(crate) const STORE_BYTES: &str = "curriculum_store_bytes";
pub(crate) const STORE_FREE: &str = "curriculum_store_free_bytes";

/// Upper bounds of buckets, seconds: of a call and of what it waits for.
const CALL: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// Of a stage: up to a day.
const STAGE: &[f64] = &[
    0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0,
];

const IMAGES: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0,
];

const ITERATIONS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 300.0];

struct Metric {
    name: &'static str,
    kind: Kind,
    meaning: &'static str,
    series: Series,
}

enum Kind {
    Counter,
    Gauge,
    Histogram(&'static [f64]),
}

/// What is there from the start.
enum Series {
    One,
    /// A label, with its values.
    By(&'static str, &'static [&'static str]),
    By2([(&'static str, &'static [&'static str]); 2]),
    /// Whoever knows the labels makes them.
    Elsewhere,
}

use Kind::{Counter, Gauge, Histogram};
use Series::{By, By2, Elsewhere, One};

const ALL: [Metric; 35] = [
    metric(BUILD_INFO, Gauge, Elsewhere, "1, with what was built"),
    metric(READY, Gauge, One, "1 while /readyz says so"),
    metric(REQUESTS, Counter, Elsewhere, "Finished calls"),
    metric(
        REQUEST_SECONDS,
        Histogram(CALL),
        Elsewhere,
        "From the request's headers to the end of the answer",
    ),
    metric(IN_FLIGHT, Gauge, Elsewhere, "Calls that have not ended"),
    metric(WAITING, Gauge, One, "Calls that wait for a place"),
    metric(
        REJECTED,
        Counter,
        By("reason", &Rejection::NAMES),
        "Calls turned away before any work; of uploads without memory, in their middle",
    ),
    metric(CONNECTIONS, Gauge, One, "Open connections"),
    metric(
        CONNECTIONS_OPENED,
        Counter,
        By("outcome", &["accepted", "refused", "displaced", "failed"]),
        "Connections by what became of them",
    ),
    metric(
        STALLED,
        Counter,
        By("what", &["call", "connection"]),
        "Cut off because the client did not read",
    ),
    metric(
        RELOADS,
        Counter,
        By2([
            ("what", &["certificates", "keys"]),
            ("outcome", &["taken", "refused"]),
        ]),
        "Files that changed, by what became of them",
    ),
    metric(
        CERTIFICATE_EXPIRY,
        Gauge,
        Elsewhere,
        "When the first certificate in use expires",
    ),
    metric(
        REPLICATED,
        Gauge,
        Elsewhere,
        "When nothing was left to copy for the last time",
    ),
    metric(
        CACHE_REQUESTS,
        Counter,
        By2([("kind", &KINDS), ("outcome", &["hit", "miss"])]),
        "Look-ups of published versions in memory",
    ),
    metric(
        CACHE_BYTES,
        Gauge,
        By("cache", &["versions", "orders", "weights"]),
        "Bytes of published versions in memory",
    ),
    metric(
        WEIGHTS_SECONDS,
        Histogram(CALL),
        One,
        "Computing the values of one GetWeights answer, without sending them",
    ),
    metric(
        TEMPERATURE,
        Gauge,
        Elsewhere,
        "Temperature of the last answer",
    ),
    metric(
        EFFECTIVE_FRACTION,
        Gauge,
        Elsewhere,
        "Effective fraction of the last answer",
    ),
    metric(ITERATION, Gauge, Elsewhere, "Iteration of the last answer"),
    metric(
        JOBS,
        Gauge,
        By2([
            ("lane", &["extraction", "clustering"]),
            ("state", &["waiting", "running"]),
        ]),
        "Jobs that have not ended",
    ),
    metric(
        JOBS_ENDED,
        Counter,
        By("state", &["succeeded", "failed", "cancelled"]),
        "Jobs that ended",
    ),
    metric(
        JOB_SECONDS,
        Histogram(STAGE),
        By("state", &["succeeded", "failed", "cancelled"]),
        "From a job's submission to its end",
    ),
    metric(
        STAGE_SECONDS,
        Histogram(STAGE),
        By(
            "stage",
            &["enumerate", "extract", "cluster", "score", "publish"],
        ),
        "One run of a stage, finished or not",
    ),
    metric(
        INGEST_SAMPLES,
        Counter,
        By(
            "status",
            &["pushed", "enumerated", "reused", "extracted", "failed"],
        ),
        "Samples of jobs and pushes",
    ),
    metric(
        BATCH_SECONDS,
        Histogram(CALL),
        By("step", &["load", "session"]),
        "One batch of images, by what was done to it",
    ),
    metric(BATCH_SAMPLES, Histogram(IMAGES), One, "Images of a batch"),
    metric(
        KMEANS_ITERATIONS,
        Histogram(ITERATIONS),
        One,
        "Iterations of the run of k-means that was kept, of each fit",
    ),
    metric(
        KMEANS_INERTIA,
        Gauge,
        One,
        "Sum of squared distances of the last fit",
    ),
    metric(MODEL_READY, Gauge, One, "1 while the model can extract"),
    metric(
        EXECUTION_PROVIDER,
        Gauge,
        Elsewhere,
        "1 for the execution provider that runs the model",
    ),
    metric(
        GRAPH_NODES,
        Gauge,
        Elsewhere,
        "Nodes of the model's graph by ONNX Runtime's name of the provider that runs them",
    ),
    metric(
        DEVICE_MEMORY,
        Gauge,
        Elsewhere,
        "Memory of the GPUs that the model runs on, of all processes",
    ),
    metric(
        STORE_BYTES,
        Gauge,
        By(
            "kind",
            &["records", "columns", "samples", "features", "pushed"],
        ),
        "Bytes of the data folder",
    ),
    metric(
        STORE_FREE,
        Gauge,
        One,
        "Bytes free on the file system of the data folder",
    ),
    metric(
        FLUSH_SECONDS,
        Histogram(CALL),
        One,
        "Waiting until records are on disk",
    ),
];

const fn metric(name: &'static str, kind: Kind, series: Series, meaning: &'static str) -> Metric {
    Metric {
        name,
        kind,
        meaning,
        series,
    }
}

/// Upper bounds of the buckets of each histogram.
pub(super) fn buckets() -> impl Iterator<Item = (&'static str, &'static [f64])> {
    ALL.iter().filter_map(|metric| match metric.kind {
        Histogram(buckets) => Some((metric.name, buckets)),
        Counter | Gauge => None,
    })
}

/// Says what there is, and lets every series whose labels are known appear.
pub(super) fn begin() {
    for metric in &ALL {
        metric.describe();
        match metric.series {
            One => metric.appear(Vec::new()),
            By(label, values) => {
                for value in values {
                    metric.appear(vec![Label::from_static_parts(label, value)]);
                }
            }
            By2([(first, firsts), (second, seconds)]) => {
                for one in firsts {
                    for other in seconds {
                        let one = Label::from_static_parts(first, one);
                        metric.appear(vec![one, Label::from_static_parts(second, other)]);
                    }
                }
            }
            Elsewhere => {}
        }
    }
}

impl Metric {
    fn describe(&self) {
        match self.kind {
            Counter => metrics::describe_counter!(self.name, self.meaning),
            Gauge => metrics::describe_gauge!(self.name, self.meaning),
            Histogram(_) => metrics::describe_histogram!(self.name, self.meaning),
        }
    }

    fn appear(&self, labels: Vec<Label>) {
        match self.kind {
            Counter => counter!(self.name, labels).increment(0),
            Gauge => gauge!(self.name, labels).set(0.0),
            Histogram(_) => drop(histogram!(self.name, labels)),
        }
    }
}
