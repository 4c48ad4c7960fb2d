//! Logs of a server, and its spans for a collector if the environment names one.
//!
//! Spans go out by OTLP over gRPC, as the variables `OTEL_*` say. They wait in a bounded queue for a thread
//! of their own: a collector that is away costs spans, and nothing else.

use crate::exit::BadInput;
use anyhow::Context;
use curriculum_server::config::{Log, LogFormat};
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::{env, io::IsTerminal, time::Duration};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt,
};

/// What the last spans get to reach the collector when the server ends.
const FLUSH: Duration = Duration::from_secs(3);

/// Either says where the collector is.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];

/// What spans are said to come from, unless the environment has another name.
const SERVICE: &str = "curriculum";

/// Logs and spans at work.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Starts both, for the whole process. Needs tokio's context.
    ///
    /// # Errors
    /// When the filter cannot be read, or the environment asks for what there is not.
    pub(crate) fn start(log: &Log) -> anyhow::Result<Self> {
        let provider = match is_asked_for() {
            true => Some(provider()?),
            false => None,
        };
        let spans = provider.as_ref().map(|provider| {
            // Ours: those of the exporter's own calls would beget others.
            let ours = Targets::new().with_target(SERVICE, LevelFilter::INFO);
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer(SERVICE))
                .with_location(false)
                .with_threads(false)
                .with_filter(ours)
        });
        let subscriber = tracing_subscriber::registry().with(logs(log)?).with(spans);
        subscriber.try_init().context("cannot start the log")?;
        Ok(Self(provider))
    }

    /// Sends the last spans, if the collector takes them in time.
    pub(crate) async fn end(self) {
        let Some(provider) = self.0 else { return };
        let flush = move || provider.shutdown_with_timeout(FLUSH);
        match tokio::task::spawn_blocking(flush).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans did not reach the collector"),
            Err(error) => tracing::warn!(%error, "the last spans were not sent"),
        }
    }
}

fn logs(log: &Log) -> anyhow::Result<Box<dyn Layer<Registry> + Send + Sync>> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| BadInput(format!("log.filter: {error}")))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    Ok(match log.format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    })
}

/// Whether the environment names a collector, and does not switch spans off.
fn is_asked_for() -> bool {
    let is = |name: &str, value: &str| set(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    ENDPOINTS.iter().any(|name| set(name).is_some())
        && !is("OTEL_SDK_DISABLED", "true")
        && !is("OTEL_TRACES_EXPORTER", "none")
}

/// To the collector, with the queue, the sampling and the names that the environment asks for.
fn provider() -> anyhow::Result<SdkTracerProvider> {
    if let Some(name) = PROTOCOLS.into_iter().find(|name| set(name).is_some())
        && let Some(protocol) = set(name).filter(|protocol| protocol != "grpc")
    {
        let reason = format!("{name} is `{protocol}`, but spans are sent by `grpc` only");
        return Err(BadInput(reason).into());
    }
    let exporter = SpanExporter::builder().with_tonic().build();
    let exporter = exporter.map_err(|error| BadInput(format!("OTEL_EXPORTER_OTLP_…: {error}")))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource());
    Ok(provider.build())
}

fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    let attributes = set("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    if set("OTEL_SERVICE_NAME").is_some() || attributes.contains("service.name=") {
        return builder.build();
    }
    builder.with_service_name(SERVICE).build()
}

/// An empty variable counts as none.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
