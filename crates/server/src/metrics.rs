//! What is counted, as Prometheus reads it.

use crate::live::LiveExtractor;
use curriculum_pipeline::extraction::EXTRACTION_SECONDS;
use metrics::{SetRecorderError, gauge};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::sync::OnceLock;

/// Upper bounds of the buckets of a run of extraction, seconds: a second to a day.
const SECONDS: [f64; 7] = [1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0];

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

/// Starts counting, at the first call in a process.
///
/// # Errors
/// When the process counts with another recorder.
pub(crate) fn install() -> Result<PrometheusHandle, MetricsError> {
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let seconds = Matcher::Full(EXTRACTION_SECONDS.to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &SECONDS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// Which execution provider the model runs on, and the nodes of its graph by provider.
pub(crate) fn describe(extractor: &LiveExtractor) {
    metrics::describe_gauge!(
        "curriculum_execution_provider",
        "1 for the execution provider that runs the model"
    );
    metrics::describe_gauge!(
        "curriculum_graph_nodes",
        "Nodes of the model's graph by ONNX Runtime's name of the provider that runs them"
    );
    let provider = extractor.execution_provider.to_string();
    let model = extractor.model.clone();
    gauge!("curriculum_execution_provider", "provider" => provider, "model" => model).set(1.0);
    for (provider, count) in &extractor.nodes {
        gauge!("curriculum_graph_nodes", "provider" => provider.clone()).set(*count as f64);
    }
}
