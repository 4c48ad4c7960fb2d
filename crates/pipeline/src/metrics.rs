//! Names of what jobs count; the recorder is the server's.

/// Counter: samples by `status`, one of `pushed`, `enumerated`, `reused`, `extracted` and `failed`.
pub const INGEST_SAMPLES: &str = "curriculum_ingest_samples_total";

/// Gauge: jobs that have not ended, by `lane` and `state`.
pub const JOBS: &str = "curriculum_jobs";

/// Counter: jobs that ended, by `state`.
pub const JOBS_ENDED: &str = "curriculum_jobs_ended_total";

/// Histogram: seconds from a job's submission to its end, by `state`.
pub const JOB_SECONDS: &str = "curriculum_job_duration_seconds";

/// Histogram: seconds of one run of a `stage`, finished or not.
pub const STAGE_SECONDS: &str = "curriculum_job_stage_duration_seconds";

/// Histogram: iterations of the run of k-means that was kept, of each fit.
pub const KMEANS_ITERATIONS: &str = "curriculum_kmeans_iterations";

/// Gauge: sum of squared distances of the last fit.
pub const KMEANS_INERTIA: &str = "curriculum_kmeans_inertia";

/// Counts samples.
pub(crate) fn samples(status: &'static str, count: u64) {
    metrics::counter!(INGEST_SAMPLES, "status" => status).increment(count);
}
