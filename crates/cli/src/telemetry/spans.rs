//! The way of spans to a collector: OTLP over gRPC, with TLS or without, as the variables `OTEL_*` say.
//!
//! Spans wait in a bounded queue for a thread of their own: a collector that is away costs spans, and nothing
//! else. `deploy/telemetry.md` lists the variables.

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter as Otlp, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use std::{
    env, fs,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// What spans are said to come from, unless the environment has another name.
pub(super) const SERVICE: &str = "curriculum";

/// What the names of the collector's variables begin with; the first that is set counts.
const PREFIXES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"];

/// Where the collector is.
const ENDPOINT: &str = "ENDPOINT";

/// Our own certificate, for collectors that ask for one, and its key.
const CERTIFICATE: &str = "CLIENT_CERTIFICATE";
const KEY: &str = "CLIENT_KEY";

/// Of an address.
const EXAMPLE: &str = "`http://collector:4317`";

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";

/// To the collector that the environment names, with its queue, sampling and names; `None` if it names none.
///
/// # Errors
/// When the environment asks for what there is not, as a sentence. Addresses are not repeated: they may hold
/// passwords.
pub(super) fn provider() -> Result<Option<SdkTracerProvider>, String> {
    if !is_asked_for()? {
        return Ok(None);
    }
    if let Some((name, protocol)) = first("PROTOCOL").filter(|(_, protocol)| protocol != "grpc") {
        return Err(format!(
            "{name} is `{protocol}`, but they are sent by `grpc` only"
        ));
    }
    let name = first(ENDPOINT).map_or_else(|| EXPORTER.to_owned(), |(name, _)| name);
    let builder = Otlp::builder().with_tonic();
    let builder = match tls()? {
        Some(tls) => builder.with_tls_config(tls),
        None => builder,
    };
    let exporter = builder.build().map_err(|_| {
        format!("{name} is no address such as {EXAMPLE}, or its certificates are of no use")
    })?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(Reporting::of(exporter))
        .with_resource(resource());
    Ok(Some(provider.build()))
}

/// Whom to trust and who we are, where the collector's address is one of `https`.
fn tls() -> Result<Option<ClientTlsConfig>, String> {
    let Some((name, url)) = first(ENDPOINT) else {
        return Ok(None);
    };
    let Some((scheme, _)) = url.split_once("://") else {
        return Err(format!("{name} is no address such as {EXAMPLE}"));
    };
    if !scheme.eq_ignore_ascii_case("https") {
        return Ok(None);
    }
    if first(CERTIFICATE).is_some() != first(KEY).is_some() {
        let [certificate, key] = [CERTIFICATE, KEY].map(|what| format!("{}{what}", PREFIXES[1]));
        return Err(format!("{certificate} and {key} go together"));
    }
    // Authorities that are trusted instead of the system's.
    let tls = match pem("CERTIFICATE", "CERTIFICATE")? {
        Some(authorities) => {
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities))
        }
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    let own = pem(CERTIFICATE, "CERTIFICATE")?.zip(pem(KEY, "KEY")?);
    Ok(Some(match own {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    }))
}

/// The file that a variable of the collector names, which must hold such a block.
fn pem(what: &str, block: &str) -> Result<Option<String>, String> {
    let Some((name, path)) = first(what) else {
        return Ok(None);
    };
    let file = fs::read_to_string(&path)
        .map_err(|error| format!("{name}: cannot read `{path}`: {error}"))?;
    let mut begins = file.lines().filter(|line| line.starts_with("-----BEGIN "));
    match begins.any(|line| line.ends_with(&format!("{block}-----"))) {
        true => Ok(Some(file)),
        false => Err(format!("{name}: `{path}` holds no {block} in PEM")),
    }
}

/// Whether the environment names a collector, and does not switch spans off.
fn is_asked_for() -> Result<bool, String> {
    if set("OTEL_SDK_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    match set(EXPORTER).as_deref() {
        Some("none") => Ok(false),
        Some("otlp") => Ok(true),
        Some(other) => Err(format!(
            "{EXPORTER} is `{other}`, but must be `otlp` or `none`"
        )),
        None => Ok(first(ENDPOINT).is_some()),
    }
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

/// What is set about the collector, with the variable's name.
fn first(what: &str) -> Option<(String, String)> {
    PREFIXES.into_iter().find_map(|prefix| {
        let name = format!("{prefix}{what}");
        set(&name).map(|value| (name, value))
    })
}

/// An empty variable counts as none.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
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
