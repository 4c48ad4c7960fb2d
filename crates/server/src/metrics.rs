//! What is counted, as Prometheus reads it. `deploy/metrics.md` lists it for people.
//!
//! | module | holds |
//! |---|---|
//! | `catalogue` | every metric: name, kind, meaning, labels |
//! | `answers` | temperature and effective fraction by curriculum |
//! | `process` | what the system says about this process |
//! | `meter` | what is measured now and then: the data folder, the GPUs' memory |

pub(crate) mod answers;
mod catalogue;
pub(crate) mod meter;
mod process;

use crate::{
    live::LiveExtractor,
    service::curriculum::API_LEVEL,
    side::{GIT_COMMIT, RUST_VERSION, VERSION},
};
pub(crate) use catalogue::{
    CACHE_BYTES, CACHE_REQUESTS, CERTIFICATE_EXPIRY, CONNECTIONS, CONNECTIONS_OPENED, IN_FLIGHT,
    MODEL_READY, READY, RELOADS, REPLICATED, REQUEST_SECONDS, REQUESTS, STALLED, WAITING,
    WEIGHTS_SECONDS,
};
use metrics::{SetRecorderError, counter, gauge};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::{sync::OnceLock, time::Duration};
use tokio::{task::JoinHandle, time};

/// Values of histograms wait in a list until they are sorted into buckets: so often, or else at the next
/// scrape, which may never come.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder that this process counts with: one, however many servers it runs.
static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Why nothing can be counted.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The process counts with a recorder of somebody else.
    #[error("metrics: {0}")]
    Taken(#[from] SetRecorderError<PrometheusRecorder>),
    /// The buckets cannot be used.
    #[error("metrics: {0}")]
    Buckets(#[from] BuildError),
}

/// Why a call was turned away before any work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// Too many calls at once.
    Overloaded,
    /// The data folder is not open yet.
    Starting,
    /// No valid key.
    Unauthenticated,
    /// A key that may only read.
    PermissionDenied,
    /// No such call.
    Unimplemented,
}

impl Rejection {
    /// All of them.
    pub(crate) const NAMES: [&str; 5] = [
        Self::Overloaded.as_str(),
        Self::Starting.as_str(),
        Self::Unauthenticated.as_str(),
        Self::PermissionDenied.as_str(),
        Self::Unimplemented.as_str(),
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Starting => "starting",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::Unimplemented => "unimplemented",
        }
    }

    /// Counts one.
    pub(crate) fn count(self) {
        counter!(catalogue::REJECTED, "reason" => self.as_str()).increment(1);
    }
}

/// Keeps the histograms small until it is dropped.
pub(crate) struct Upkeep(JoinHandle<()>);

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts counting, at the first call in a process: every series is there, at zero.
///
/// # Errors
/// When the process counts with another recorder.
pub(crate) fn install() -> Result<PrometheusHandle, MetricsError> {
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    process::started();
    catalogue::begin();
    let commit = GIT_COMMIT.unwrap_or_default();
    let build = gauge!(
        catalogue::BUILD_INFO,
        "version" => VERSION, "commit" => commit,
        "rust_version" => RUST_VERSION, "api_level" => API_LEVEL.to_string()
    );
    build.set(1.0);
    Ok(HANDLE.get_or_init(|| handle).clone())
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in catalogue::buckets() {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    Ok(builder.build_recorder())
}

/// Sorts values into buckets now and then. Needs tokio's context.
pub(crate) fn keep_up(handle: PrometheusHandle) -> Upkeep {
    let work = async move {
        let mut ticks = time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            handle.run_upkeep();
        }
    };
    Upkeep(tokio::spawn(work))
}

/// Everything, in the text format.
pub(crate) fn text(handle: &PrometheusHandle) -> String {
    let mut text = handle.render();
    text.push_str(&process::text());
    text
}

/// Which execution provider the model runs on, and the nodes of its graph by provider.
pub(crate) fn describe(extractor: &LiveExtractor) {
    let provider = extractor.execution_provider.to_string();
    let model = extractor.model.clone();
    gauge!(catalogue::EXECUTION_PROVIDER, "provider" => provider, "model" => model).set(1.0);
    for (provider, count) in &extractor.nodes {
        gauge!(catalogue::GRAPH_NODES, "provider" => provider.clone()).set(*count as f64);
    }
}
