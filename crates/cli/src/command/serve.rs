//! `curriculum serve`

use crate::{
    exit::{BadInput, Damaged, chain},
    parameters::ModelArgs,
    table::print,
    telemetry::Telemetry,
};
use curriculum_server::{
    Config, Listeners, Overrides, ServeError,
    config::{HttpAddr, Tls},
    serve,
};
use curriculum_store::StoreError;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_stream::{StreamExt, wrappers::SignalStream};

/// Run the server until SIGTERM or SIGINT; a second one cuts the wait for open calls.
///
/// Every setting can also come from the environment (CURRICULUM__SECTION__KEY) or from a TOML file;
/// flags win over the environment, which wins over the file. `check-config` prints the result.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Settings of the server on the command line.
#[derive(clap::Args)]
pub(crate) struct Settings {
    /// TOML file with settings.
    #[arg(long, value_name = "FILE", env = "CURRICULUM__CONFIG")]
    config: Option<PathBuf>,
    /// Address of the gRPC port; port 0 takes a free one [default: 127.0.0.1:50051].
    #[arg(long, value_name = "HOST:PORT")]
    grpc_addr: Option<SocketAddr>,
    /// Address of the HTTP side port, which serves /livez, /startupz, /readyz, /metrics and /version;
    /// port 0 takes a free one, `off` none [default: 127.0.0.1:9090].
    #[arg(long, value_name = "HOST:PORT")]
    http_addr: Option<HttpAddr>,
    /// Data folder, created if need be [default: curriculum-data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Folder of an object store, such as s3://bucket/folder: versions are published there for other
    /// servers; with --read-only, served from there.
    #[arg(long, value_name = "URL")]
    versions: Option<String>,
    /// Take nothing in and load no model: serve the versions of --versions, as they are published.
    #[arg(long)]
    read_only: bool,
    /// Certificate of the gRPC port, PEM; read again when it changes.
    #[arg(long, value_name = "FILE")]
    tls_cert_file: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    #[arg(long, value_name = "FILE")]
    tls_key_file: Option<PathBuf>,
    /// Authorities of clients' certificates, PEM; clients without one are refused.
    #[arg(long, value_name = "FILE")]
    tls_client_ca_file: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Threads of one run of the model, 0 for one per core [default: 0].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Settings {
    /// Merged with file and environment.
    pub(crate) fn load(&self) -> anyhow::Result<Config> {
        let overrides = Overrides {
            grpc_addr: self.grpc_addr,
            http_addr: self.http_addr,
            tls: Tls {
                cert_file: self.tls_cert_file.clone(),
                key_file: self.tls_key_file.clone(),
                client_ca_file: self.tls_client_ca_file.clone(),
            },
            data_dir: self.data_dir.clone(),
            versions: self.versions.clone(),
            read_only: self.read_only.then_some(true),
            model: self.model.overrides(self.threads),
        };
        let config = Config::load(self.config.as_deref(), &overrides);
        config.map_err(|error| BadInput(error.to_string()).into())
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let config = args.settings.load()?;
    let telemetry = Telemetry::start(&config.log)?;
    let outcome = listen(config).await;
    telemetry.end().await;
    outcome
}

async fn listen(config: Config) -> anyhow::Result<()> {
    let terminate = SignalStream::new(signal(SignalKind::terminate())?);
    let interrupt = SignalStream::new(signal(SignalKind::interrupt())?);
    let listeners = Listeners::bind(&config).map_err(refused)?;
    let grpc = listeners.grpc.local_addr()?;
    let http = listeners.http.as_ref().map(TcpListener::local_addr);
    let http = http.transpose()?;
    tracing::info!(%grpc, http = http.map(tracing::field::display), "bound");
    let scheme = config.scheme();
    let is_open = AtomicBool::new(false);
    let opened = || {
        is_open.store(true, Ordering::Relaxed);
        print(format_args!("listening on {scheme}://{grpc}"));
        if let Some(http) = http {
            print(format_args!("metrics on http://{http}/metrics"));
        }
    };
    let served = serve(config, listeners, terminate.merge(interrupt), opened).await;
    served.map_err(|error| match is_open.load(Ordering::Relaxed) {
        true => error.into(),
        false => refused(error),
    })
}

/// Why a server did not start: settings and files are the operator's.
fn refused(error: ServeError) -> anyhow::Error {
    match error {
        ServeError::Store(StoreError::Corrupt { .. }) => Damaged(error.to_string()).into(),
        ServeError::Store(StoreError::Database(_))
        | ServeError::Metrics(_)
        | ServeError::Reflection(_)
        | ServeError::Thread(_)
        | ServeError::Failed(_) => error.into(),
        ServeError::Store(_)
        | ServeError::Extractor(_)
        | ServeError::Scratch { .. }
        | ServeError::Access(_)
        | ServeError::Versions(_)
        | ServeError::Listen { .. }
        | ServeError::File { .. } => BadInput(chain(&error.into())).into(),
    }
}
