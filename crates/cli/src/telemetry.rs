//! Logs of a server, and its spans for a collector if the environment names one.

mod collector;
mod spans;

use crate::exit::BadInput;
use anyhow::Context;
use curriculum_server::config::{Log, LogFormat};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::{io::IsTerminal, time::Duration};
use tracing::{level_filters::LevelFilter, subscriber::with_default};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{Directive, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// What the last spans get to reach the collector when the server ends.
const FLUSH: Duration = Duration::from_secs(3);

/// The crate that sends spans, in filters of the log.
const EXPORTER: &str = "opentelemetry-otlp";

/// Logs and spans at work.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Starts both, for the whole process. Needs tokio's context.
    ///
    /// What the environment asks for and is not there is said, and left out: trainers need no spans.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub(crate) fn start(log: &Log) -> anyhow::Result<Self> {
        // While it is made it warns of variables that it does not understand.
        let making = tracing_subscriber::registry().with(logs(log, LevelFilter::WARN)?);
        let provider = with_default(making, || {
            spans::provider().unwrap_or_else(|reason| {
                tracing::warn!("no spans are sent: {reason}");
                None
            })
        });
        let spans = provider.as_ref().map(|provider| {
            // Ours: those of the exporter's own calls would beget others.
            let ours = Targets::new().with_target(spans::SERVICE, LevelFilter::INFO);
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer(spans::SERVICE))
                .with_location(false)
                .with_threads(false)
                .with_filter(ours)
        });
        // At work it would repeat each failure, with what the collector answered.
        let logs = logs(log, LevelFilter::OFF)?;
        let subscriber = tracing_subscriber::registry().with(logs).with(spans);
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

/// What is wrong with how spans are to be sent, if anything is. Needs tokio's context.
///
/// # Errors
/// As of [`Telemetry::start`].
pub(crate) fn check(log: &Log) -> anyhow::Result<Option<String>> {
    logs(log, LevelFilter::OFF)?;
    Ok(spans::provider().err())
}

/// Lines of the log, with those of the exporter at a level of their own.
fn logs(
    log: &Log,
    exporter: LevelFilter,
) -> anyhow::Result<Box<dyn Layer<Registry> + Send + Sync>> {
    let unreadable = |error| BadInput(format!("log.filter: {error}"));
    let exporter: Directive = format!("{EXPORTER}={exporter}").parse()?;
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(unreadable)?
        .add_directive(exporter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    Ok(match log.format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        // The last of them is in the list of spans.
        LogFormat::Json => lines
            .json()
            .with_current_span(false)
            .with_filter(filter)
            .boxed(),
    })
}
