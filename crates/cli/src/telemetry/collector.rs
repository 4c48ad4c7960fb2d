//! The collector that the variables `OTEL_*` name, and the way to it: OTLP over gRPC or HTTP, with TLS or without.

mod http;

use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _, WithTonicConfig as _};
use std::{env, fs, time::Duration};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// What the names of the collector's variables begin with; the first that is set counts.
const PREFIXES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"];

/// Where the collector is.
const ENDPOINT: &str = "ENDPOINT";

/// Our own certificate, for collectors that ask for one, and its key.
const CERTIFICATE: &str = "CLIENT_CERTIFICATE";
const KEY: &str = "CLIENT_KEY";

/// Milliseconds that the collector has for a batch.
const TIMEOUT: &str = "TIMEOUT";
const USUAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Of an address.
const EXAMPLE: &str = "`http://collector:4317`";

const EXPORTER: &str = "OTEL_TRACES_EXPORTER";

/// Whom to trust and who we are, in PEM.
#[derive(Default)]
struct Tls {
    /// Trusted instead of the system's.
    authorities: Option<String>,
    own: Option<Own>,
}

struct Own {
    certificate: String,
    key: String,
}

/// To the collector that the environment names; `None` if it names none. Needs tokio's context.
///
/// # Errors
/// When the environment asks for what there is not, as a sentence. Addresses are not repeated: they may hold
/// passwords.
pub(super) fn exporter() -> Result<Option<SpanExporter>, String> {
    if !is_asked_for()? {
        return Ok(None);
    }
    let tls = tls()?;
    let exporter = match first("PROTOCOL") {
        None => over_grpc(tls),
        Some((_, protocol)) if protocol == "grpc" => over_grpc(tls),
        Some((_, protocol)) if protocol == "http/protobuf" => over_http(tls),
        Some((name, protocol)) => {
            return Err(format!(
                "{name} is `{protocol}`, but must be `grpc` or `http/protobuf`"
            ));
        }
    };
    if exporter.is_none() {
        let name = first(ENDPOINT).map_or_else(|| EXPORTER.to_owned(), |(name, _)| name);
        return Err(format!(
            "{name} is no address such as {EXAMPLE}, or its certificates are of no use"
        ));
    }
    Ok(exporter)
}

/// `None` when the address or the certificates are of no use.
fn over_grpc(tls: Option<Tls>) -> Option<SpanExporter> {
    let builder = SpanExporter::builder().with_tonic();
    let Some(Tls { authorities, own }) = tls else {
        return builder.build().ok();
    };
    let tls = match authorities {
        Some(authorities) => {
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities))
        }
        None => ClientTlsConfig::new().with_enabled_roots(),
    };
    let tls = match own {
        Some(Own { certificate, key }) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    };
    builder.with_tls_config(tls).build().ok()
}

/// As [`over_grpc`].
fn over_http(tls: Option<Tls>) -> Option<SpanExporter> {
    let client = http::Client::new(tls, timeout()).ok()?;
    let builder = SpanExporter::builder().with_http();
    builder.with_http_client(client).build().ok()
}

/// What is no number counts as none, and the exporter says so.
fn timeout() -> Duration {
    let milliseconds = first(TIMEOUT).and_then(|(_, value)| value.parse().ok());
    milliseconds.map_or(USUAL_TIMEOUT, Duration::from_millis)
}

/// Whom to trust and who we are, where the collector's address is one of `https`.
fn tls() -> Result<Option<Tls>, String> {
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
    let certificate = pem(CERTIFICATE, "CERTIFICATE")?;
    let own = certificate.zip(pem(KEY, "KEY")?);
    Ok(Some(Tls {
        authorities: pem("CERTIFICATE", "CERTIFICATE")?,
        own: own.map(|(certificate, key)| Own { certificate, key }),
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

/// What is set about the collector, with the variable's name.
fn first(what: &str) -> Option<(String, String)> {
    PREFIXES.into_iter().find_map(|prefix| {
        let name = format!("{prefix}{what}");
        set(&name).map(|value| (name, value))
    })
}

/// An empty variable counts as none.
pub(super) fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
