//! Open, listen, drain.

use crate::{
    config::{Config, HttpAddr},
    layers,
    metrics::{self, MetricsError},
    published::Published,
    service::{
        curriculum::{Curricula, LiveExtractor},
        ingest::Ingest,
        push::{MAX_MESSAGE, Receiver},
    },
};
use curriculum_extractor::ExtractorError;
use curriculum_manifest::AccessError;
use curriculum_pipeline::{Pipeline, PipelineOptions, extraction::OnnxExtractor, in_background};
use curriculum_proto::v1::{
    FILE_DESCRIPTOR_SET, curriculum_service_server::CurriculumServiceServer,
    ingest_service_server::IngestServiceServer,
};
use curriculum_store::{
    Digest, Store, StoreError,
    push::{PushLimits, Pushes},
};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::PathBuf,
    process,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::Instant,
};
use tonic::transport::{Server as GrpcServer, server::TcpIncoming};
use tonic_health::ServingStatus;

/// Time that open requests of the side port get once the server has ended.
const SIDE_DRAIN: Duration = Duration::from_secs(1);

/// A client whose machine died in the middle of a push says nothing more: it is asked for a sign of life
/// after so long, and is gone if it gives none for as long again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Connections that wait to be accepted: a thousand trainers may start in the same moment, and the system
/// resets those beyond. It has its own limit, `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Why a server did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model, the library or the execution provider cannot be used.
    #[error(transparent)]
    Extractor(#[from] ExtractorError),
    /// The folder of temporary files cannot be made.
    #[error("cannot create {}: {source}", path.display())]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The allow-list cannot be used.
    #[error("sources.allow: {0}")]
    Access(#[from] AccessError),
    /// Nothing can be counted.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The transport failed.
    #[error("transport: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Reflection could not be set up.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// An open data folder, a loaded model and a running job thread.
pub struct Server {
    store: Arc<Store>,
    pipeline: Arc<Pipeline>,
    pushes: Arc<Pushes>,
    extractor: Arc<LiveExtractor>,
    metrics: PrometheusHandle,
    config: Config,
}

/// The ports of a server.
#[derive(Debug)]
pub struct Listeners {
    /// For the services.
    pub grpc: TcpListener,
    /// For metrics, unless it is switched off.
    pub http: Option<TcpListener>,
}

impl Server {
    /// Opens everything a server needs. Blocks; the model may take seconds to load.
    ///
    /// # Errors
    /// When the data folder is in use, or the model cannot run as configured.
    pub fn open(config: Config) -> Result<Self, ServeError> {
        let storage = &config.storage;
        let store = Arc::new(Store::open_with(&storage.data_dir, storage.options())?);
        let scratch = storage.scratch();
        std::fs::create_dir_all(&scratch).map_err(|source| ServeError::Scratch {
            path: scratch,
            source,
        })?;
        let (model, options) = config.model.load()?;
        let metrics = metrics::install()?;
        // Its threads take on the priority of the one that opens it.
        let extractor = in_background(|| OnnxExtractor::open(&model, &options))?;
        let live = Arc::new(LiveExtractor::new(&extractor, &options));
        metrics::describe(&live);
        let pipeline = Arc::new(Pipeline::start(
            Arc::clone(&store),
            Box::new(extractor),
            PipelineOptions {
                access: config.access()?,
                keep_versions: config.storage.keep_versions,
                ..PipelineOptions::default()
            },
        )?);
        let limits = PushLimits {
            max_samples: config.sources.max_samples,
            min_free_bytes: config.storage.min_free_bytes,
        };
        Ok(Self {
            pushes: Pushes::new(&store, limits),
            store,
            pipeline,
            extractor: live,
            metrics,
            config,
        })
    }

    /// Listens on the configured addresses.
    ///
    /// # Errors
    /// When an address is taken or not ours.
    pub async fn bind(&self) -> Result<Listeners, ServeError> {
        let grpc = listen(self.config.grpc.addr)?;
        let http = match self.config.http.addr {
            HttpAddr::At(addr) => Some(listen(addr)?),
            HttpAddr::Off => None,
        };
        Ok(Listeners { grpc, http })
    }

    /// Serves until `stop` resolves; then refuses new calls, stops the job at its next chunk, lets
    /// open calls finish within the configured time, and flushes.
    ///
    /// # Errors
    /// When the transport or the last flush fails.
    pub async fn serve(
        self,
        listeners: Listeners,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health
            .set_serving::<CurriculumServiceServer<Curricula>>()
            .await;
        health.set_serving::<IngestServiceServer<Ingest>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let published = Arc::new(Published::new(
            Arc::clone(&self.store),
            Arc::clone(&self.pipeline),
            &self.config.storage,
        ));
        let extractor = Arc::clone(&self.extractor);
        let curricula = Curricula::new(published, extractor, instance_id());
        let (stop_pushes, pushes_stop) = watch::channel(false);
        let ingest = Ingest::new(
            Arc::clone(&self.store),
            Arc::clone(&self.pipeline),
            Receiver::new(
                Arc::clone(&self.pushes),
                pushes_stop,
                self.config.grpc.max_concurrent_requests,
            ),
        );

        let (stopping, stopped) = oneshot::channel();
        let pipeline = Arc::clone(&self.pipeline);
        let signal = async move {
            stop.await;
            tracing::info!("stopping");
            health
                .set_service_status("", ServingStatus::NotServing)
                .await;
            health
                .set_not_serving::<CurriculumServiceServer<Curricula>>()
                .await;
            health
                .set_not_serving::<IngestServiceServer<Ingest>>()
                .await;
            let _ = stopping.send(Instant::now());
            // Clients send for as long as they have samples: they are told to come back.
            stop_pushes.send_replace(true);
            // Watchers of jobs are told as the pipeline ends, so their calls end too.
            tokio::task::spawn_blocking(move || pipeline.stop());
        };
        // Without it a message that ends in a small packet waits for the client's delayed
        // acknowledgement: 40 ms.
        let incoming = TcpIncoming::from(listeners.grpc).with_nodelay(Some(true));
        let serving = GrpcServer::builder()
            .http2_keepalive_interval(Some(SIGN_OF_LIFE))
            .http2_keepalive_timeout(Some(SIGN_OF_LIFE))
            .layer(layers::stack(&self.config.grpc))
            .add_service(health_service)
            .add_service(reflection)
            .add_service(CurriculumServiceServer::new(curricula))
            .add_service(IngestServiceServer::new(ingest).max_decoding_message_size(MAX_MESSAGE))
            .serve_with_incoming_shutdown(incoming, signal);
        let side = Side::start(listeners.http, &self.metrics);
        let outcome = self.finish(serving, stopped).await;
        side.end().await;
        outcome
    }

    /// Waits for open calls and the job thread, both within the same time.
    async fn finish(
        &self,
        serving: impl Future<Output = Result<(), tonic::transport::Error>>,
        stopping: oneshot::Receiver<Instant>,
    ) -> Result<(), ServeError> {
        let drain = Duration::from_secs(self.config.grpc.drain_seconds);
        let deadline = async {
            match stopping.await {
                Ok(since) => tokio::time::sleep_until(since + drain).await,
                // The transport failed before any signal came.
                Err(_) => std::future::pending().await,
            }
        };
        let pipeline = Arc::clone(&self.pipeline);
        let finish = async {
            serving.await?;
            let _ = tokio::task::spawn_blocking(move || pipeline.stop()).await;
            Ok(())
        };
        let outcome = tokio::select! {
            outcome = finish => outcome,
            () = deadline => {
                tracing::warn!(seconds = drain.as_secs(), "time to drain is over, the rest is cut off");
                Ok(())
            }
        };
        self.store.flush()?;
        tracing::info!("stopped");
        outcome
    }
}

/// The HTTP side port at work: it answers until calls and job have ended.
struct Side {
    ended: oneshot::Sender<()>,
    serving: Option<JoinHandle<()>>,
}

impl Side {
    fn start(listener: Option<TcpListener>, metrics: &PrometheusHandle) -> Self {
        let (ended, end) = oneshot::channel();
        let serving = listener.map(|listener| {
            let serving = metrics::serve(listener, metrics.clone(), end);
            tokio::spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "the http port failed");
                }
            })
        });
        Self { ended, serving }
    }

    async fn end(self) {
        drop(self.ended);
        if let Some(serving) = self.serving {
            // A client that neither asks nor leaves is cut off.
            let _ = tokio::time::timeout(SIDE_DRAIN, serving).await;
        }
    }
}

fn listen(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    let open = || {
        let socket = match addr {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|source| ServeError::Listen { addr, source })
}

/// Tells this process from any other that answered before it or beside it.
fn instance_id() -> String {
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let id = Digest::of_parts([
        started.to_le_bytes().as_slice(),
        &process::id().to_le_bytes(),
    ]);
    id.to_string()[..16].to_owned()
}
