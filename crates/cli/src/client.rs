//! Connecting to a server.

use crate::exit::{BadInput, Unreachable, causes};
use curriculum_proto::v1::{
    curriculum_service_client::CurriculumServiceClient, ingest_service_client::IngestServiceClient,
};
use std::{env, fs, path::PathBuf, time::Duration};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// Lists of jobs and summaries with long ids may outgrow gRPC's default of 4 MiB.
const MAX_MESSAGE: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server whose machine died sends nothing more: a call that waits for its next message finds out by
/// asking for a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// The key itself. There is no flag for it: other users of the machine see those.
const API_KEY: &str = "CURRICULUM_API_KEY";

/// A channel whose calls carry the key, if there is one.
pub(crate) type Connection = InterceptedService<Channel, Key>;

/// Where the server is, and how it knows this client.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// Address of the server: http://HOST:PORT, or https://HOST:PORT. HOST:PORT is https where certificates are
    /// given, as for the Python client.
    #[arg(
        long,
        value_name = "URL",
        env = "CURRICULUM__SERVER",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(crate) server: String,
    /// Authorities of the server's certificate, PEM, for an https address [default: the system's].
    #[arg(long, value_name = "FILE", env = "CURRICULUM_TLS_CA")]
    tls_ca_file: Option<PathBuf>,
    /// This client's certificate, PEM, for servers that ask for one.
    #[arg(
        long,
        value_name = "FILE",
        env = "CURRICULUM_TLS_CERT",
        requires = "tls_key_file"
    )]
    tls_cert_file: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "CURRICULUM_TLS_KEY",
        requires = "tls_cert_file"
    )]
    tls_key_file: Option<PathBuf>,
    /// File with the key that the server asks for [default: the key in CURRICULUM_API_KEY, if any].
    #[arg(long, value_name = "FILE", env = "CURRICULUM_API_KEY_FILE")]
    api_key_file: Option<PathBuf>,
}

/// `authorization: Bearer KEY`, if there is a key.
#[derive(Clone)]
pub(crate) struct Key(Option<MetadataValue<Ascii>>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", header.clone());
        }
        Ok(request)
    }
}

impl ServerArgs {
    /// A server of this machine that asks for nothing.
    pub(crate) fn at(address: &str) -> Self {
        Self {
            server: address.to_owned(),
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            api_key_file: None,
        }
    }

    /// The jobs' side.
    pub(crate) async fn ingest(&self) -> anyhow::Result<IngestServiceClient<Connection>> {
        let client = IngestServiceClient::with_interceptor(self.connect().await?, self.key()?);
        Ok(client.max_decoding_message_size(MAX_MESSAGE))
    }

    /// The trainers' side.
    pub(crate) async fn curricula(&self) -> anyhow::Result<CurriculumServiceClient<Connection>> {
        let client = CurriculumServiceClient::with_interceptor(self.connect().await?, self.key()?);
        Ok(client.max_decoding_message_size(MAX_MESSAGE))
    }

    async fn connect(&self) -> anyhow::Result<Channel> {
        let bad = |error: tonic::transport::Error| {
            BadInput(format!("--server `{}`: {}", self.server, causes(&error)))
        };
        let mut endpoint = Endpoint::from_shared(self.url()).map_err(bad)?;
        if endpoint.uri().scheme_str() == Some("https") {
            endpoint = endpoint.tls_config(self.tls()?).map_err(bad)?;
        }
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(SIGN_OF_LIFE)
            .keep_alive_timeout(SIGN_OF_LIFE);
        let connected = endpoint.connect().await;
        Ok(connected.map_err(|error| Unreachable {
            server: self.server.clone(),
            cause: causes(&error),
        })?)
    }

    fn url(&self) -> String {
        let secured = self.tls_ca_file.is_some() || self.tls_cert_file.is_some();
        match (self.server.contains("://"), secured) {
            (true, _) => self.server.clone(),
            (false, true) => format!("https://{}", self.server),
            (false, false) => format!("http://{}", self.server),
        }
    }

    fn tls(&self) -> anyhow::Result<ClientTlsConfig> {
        let tls = match &self.tls_ca_file {
            Some(file) => ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(read("--tls-ca-file", file)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        Ok(match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => tls.identity(Identity::from_pem(
                read("--tls-cert-file", certificate)?,
                read("--tls-key-file", key)?,
            )),
            _ => tls,
        })
    }

    fn key(&self) -> anyhow::Result<Key> {
        let (from, key) = match &self.api_key_file {
            Some(file) => ("--api-key-file", Some(read("--api-key-file", file)?)),
            None => (API_KEY, env::var(API_KEY).ok()),
        };
        let key = key.as_deref().map(str::trim).filter(|key| !key.is_empty());
        let header = key.map(|key| {
            let header = format!("Bearer {key}").parse::<MetadataValue<Ascii>>();
            header.map_err(|_| BadInput(format!("{from}: no key of printable characters")))
        });
        let mut header = header.transpose()?;
        if let Some(header) = &mut header {
            header.set_sensitive(true);
        }
        Ok(Key(header))
    }
}

fn read(flag: &str, file: &PathBuf) -> Result<String, BadInput> {
    fs::read_to_string(file)
        .map_err(|error| BadInput(format!("{flag}: cannot read {}: {error}", file.display())))
}
