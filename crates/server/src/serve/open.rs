//! What a server holds open.

use super::ServeError;
use crate::{
    access::methods::MAX_MESSAGE,
    config::Config,
    lifecycle::{Lifecycle, ModelPhase},
    live::{self, Live},
    metrics::meter,
    published::Published,
    replication::{self, Replication},
    service::{curriculum::Curricula, ingest::Ingest, push::Receiver},
};
use curriculum_pipeline::{Pipeline, PipelineOptions};
use curriculum_proto::v1::{
    curriculum_service_server::CurriculumServiceServer, ingest_service_server::IngestServiceServer,
};
use curriculum_store::{
    Digest, Store,
    push::{PushLimits, Pushes},
};
use std::{
    process,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;
use tonic::{
    Request, Status,
    service::{Routes, interceptor::InterceptedService},
};

const READ_ONLY: &str = "this server is read-only: ask the one that publishes the versions";

/// An open data folder, a running pipeline, and a model or one that is to come.
pub(super) struct Opened {
    pub(super) store: Arc<Store>,
    pipeline: Arc<Pipeline>,
    pushes: Arc<Pushes>,
    live: Live,
    /// True once it has what is published; always, unless it serves copies.
    pub(super) copies: watch::Receiver<bool>,
    /// Ends when it is dropped.
    _replication: Option<Replication>,
    /// True once pushes are to end.
    stopping: watch::Sender<bool>,
}

impl Opened {
    /// Blocks; a required model may take seconds to load.
    ///
    /// # Errors
    /// When the data folder is in use, or the model is required and cannot run as configured.
    pub(super) fn open(config: &Config, lifecycle: &Lifecycle) -> Result<Self, ServeError> {
        let storage = &config.storage;
        let store = Arc::new(Store::open_with(&storage.data_dir, storage.options())?);
        let scratch = storage.scratch();
        std::fs::create_dir_all(&scratch).map_err(|source| ServeError::Scratch {
            path: scratch,
            source,
        })?;
        let read_only = config.versions.read_only;
        let model = match config.model.required && !read_only {
            true => Some(live::open(&config.model)?),
            false => None,
        };
        let (whole, copies) = watch::channel(!read_only);
        let replication = replication::start(&config.versions, &store, whole)?;
        let options = PipelineOptions {
            access: config.access()?,
            keep_versions: storage.keep_versions,
            ..PipelineOptions::default()
        };
        let pipeline = Arc::new(Pipeline::start(Arc::clone(&store), options)?);
        let live = Live::default();
        match model {
            Some(model) => live::provide(model, &live, &pipeline, lifecycle),
            None if read_only => {
                pipeline.lack_model(READ_ONLY.to_owned());
                lifecycle.set_model(ModelPhase::Unneeded);
            }
            None => {
                let (settings, live) = (config.model.clone(), Arc::clone(&live));
                live::open_later(settings, live, &pipeline, lifecycle.clone())
                    .map_err(ServeError::Thread)?;
            }
        }
        meter::start(&store, Arc::clone(&live)).map_err(ServeError::Thread)?;
        let limits = PushLimits {
            max_samples: config.sources.max_samples,
            min_free_bytes: storage.min_free_bytes,
        };
        Ok(Self {
            copies,
            _replication: replication,
            pushes: Pushes::new(&store, limits),
            store,
            pipeline,
            live,
            stopping: watch::channel(false).0,
        })
    }

    /// Adds the services.
    pub(super) fn services(&self, routes: Routes, config: &Config) -> Routes {
        let published = Arc::new(Published::new(
            Arc::clone(&self.store),
            Arc::clone(&self.pipeline),
            &config.storage,
        ));
        let curricula = Curricula::new(published, Arc::clone(&self.live), instance_id());
        let ingest = Ingest::new(
            Arc::clone(&self.store),
            Arc::clone(&self.pipeline),
            Receiver::new(
                Arc::clone(&self.pushes),
                self.stopping.subscribe(),
                config.grpc.max_concurrent_requests,
            ),
        );
        let routes = routes.add_service(CurriculumServiceServer::new(curricula));
        let ingest = IngestServiceServer::new(ingest).max_decoding_message_size(MAX_MESSAGE);
        match config.versions.read_only {
            false => routes.add_service(ingest),
            true => routes.add_service(InterceptedService::new(ingest, refuse)),
        }
    }

    /// Ends pushes; what came is kept.
    pub(super) fn stop_pushes(&self) {
        self.stopping.send_replace(true);
    }

    /// Returns when the job has stopped at its next chunk; it goes on with the next server.
    pub(super) async fn stop_jobs(&self) {
        let pipeline = Arc::clone(&self.pipeline);
        let _ = tokio::task::spawn_blocking(move || pipeline.stop()).await;
    }
}

/// What a server that serves copies says to all that would change something.
fn refuse(_: Request<()>) -> Result<Request<()>, Status> {
    Err(Status::failed_precondition(READ_ONLY))
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
