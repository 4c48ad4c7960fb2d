//! Spans on their way out.
//!
//! They wait in a bounded queue for a thread of their own: a collector that is away costs spans, and nothing else.
//! `deploy/telemetry.md` lists the variables that all of this obeys.

use super::collector::{self, set};
use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// What spans are said to come from, unless the environment has another name.
pub(super) const SERVICE: &str = "curriculum";

/// To the collector that the environment names, with its queue, sampling and names; `None` if it names none.
/// Needs tokio's context.
///
/// # Errors
/// As of [`collector::exporter`].
pub(super) fn provider() -> Result<Option<SdkTracerProvider>, String> {
    let Some(exporter) = collector::exporter()? else {
        return Ok(None);
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(Reporting::of(exporter))
        .with_resource(resource());
    Ok(Some(provider.build()))
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

/// Says once that spans do not arrive, and once that they do again.
#[derive(Debug)]
struct Reporting<E> {
    inner: E,
    are_lost: AtomicBool,
}

impl<E> Reporting<E> {
    fn of(inner: E) -> Self {
        Self {
            inner,
            are_lost: AtomicBool::new(false),
        }
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    /// Never an error: the queue would say each of them.
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.inner.export(batch).await;
        let were_lost = self.are_lost.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Err(error) if !were_lost => {
                tracing::warn!(%error, "spans do not reach the collector and are lost");
            }
            Ok(()) if were_lost => tracing::info!("spans reach the collector again"),
            Ok(()) | Err(_) => {}
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_sdk::error::OTelSdkError;
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };
    use tracing_subscriber::fmt::MakeWriter;

    /// Fails while it is told to.
    #[derive(Debug, Default)]
    struct Away(AtomicBool);

    impl SpanExporter for Away {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            match self.0.load(Ordering::Relaxed) {
                true => Err(OTelSdkError::InternalFailure("nobody there".to_owned())),
                false => Ok(()),
            }
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn a_collector_that_is_away_is_said_once() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .finish();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let exporter = Reporting::of(Away::default());
            for is_away in [false, true, true, true, false, false, true] {
                exporter.inner.0.store(is_away, Ordering::Relaxed);
                runtime.block_on(exporter.export(Vec::new())).unwrap();
            }
        });
        let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let found: Vec<bool> = lines
            .lines()
            .map(|line| line.contains("lost") && line.contains("nobody there"))
            .collect();
        assert_eq!(found, [true, false, true], "{lines}");
    }
}
