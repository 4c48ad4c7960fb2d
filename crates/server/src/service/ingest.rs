//! `IngestService`: build a version and watch it being built.

use super::{Caller, Messages, blocking, push, versions};
use crate::{error::ServiceError, from_proto, to_proto};
use curriculum_pipeline::{Pipeline, PipelineError};
use curriculum_proto::v1::{self, ingest_service_server::IngestService};
use curriculum_store::{Digest, Reference, Store, StoreError};
use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio_stream::{StreamExt, wrappers::WatchStream};
use tonic::{Request, Response, Status, Streaming};

/// Watchers get at most four messages a second.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

pub(crate) struct Ingest {
    store: Arc<Store>,
    pipeline: Arc<Pipeline>,
    pushes: push::Receiver,
    imports: versions::Places,
}

impl Ingest {
    pub(crate) fn new(store: Arc<Store>, pipeline: Arc<Pipeline>, pushes: push::Receiver) -> Self {
        Self {
            store,
            pipeline,
            pushes,
            imports: versions::Places::new(),
        }
    }
}

#[tonic::async_trait]
impl IngestService for Ingest {
    type WatchJobStream = Messages<v1::WatchJobResponse>;

    async fn submit_job(
        &self,
        request: Request<v1::SubmitJobRequest>,
    ) -> Result<Response<v1::SubmitJobResponse>, Status> {
        let request = request.into_inner();
        let (store, pushes) = (Arc::clone(&self.store), Arc::clone(self.pushes.pushes()));
        let pipeline = Arc::clone(&self.pipeline);
        let stopping = self.pushes.stopping().clone();
        let (caller, left) = Caller::new();
        let work = move || {
            // Reading and listing may take minutes, and end early when nobody waits for it.
            let mut proceed = || match left.load(Ordering::Relaxed) || *stopping.borrow() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let pushed = |name: &str| pushes.manifest(name, &mut proceed);
            let resolve =
                |name: &str, version: &Reference| resolve(&store, "extend", name, version);
            let request = from_proto::submission(request, pushed, resolve)?;
            Ok(pipeline.submit_while(&request, &mut proceed)?)
        };
        let submitted = match blocking(work).await {
            // Broken off for this reason or, if not, for a client that is gone.
            Err(_) if *self.pushes.stopping().borrow() => {
                return Err(ServiceError::from(PipelineError::Stopping).into());
            }
            submitted => submitted?,
        };
        drop(caller);
        let job = Some(to_proto::job(submitted.job));
        Ok(Response::new(v1::SubmitJobResponse {
            job,
            created: submitted.queued,
        }))
    }

    async fn get_job(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let request = request.into_inner();
        let id = from_proto::digest("id", &request.id)?;
        let limit = from_proto::max_errors(request.max_errors)?;
        let pipeline = Arc::clone(&self.pipeline);
        let work = move || {
            let view = pipeline.job(id)?;
            // One more than asked for says whether there are more.
            let mut errors = pipeline.sample_errors(id, request.errors_after, limit + 1)?;
            let more_errors = errors.len() > limit;
            errors.truncate(limit);
            Ok(v1::GetJobResponse {
                job: Some(to_proto::job(view)),
                errors: errors.into_iter().map(to_proto::sample_error).collect(),
                more_errors,
            })
        };
        Ok(Response::new(blocking(work).await?))
    }

    async fn list_jobs(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let page = from_proto::page(request.into_inner())?;
        let pipeline = Arc::clone(&self.pipeline);
        let jobs = blocking(move || Ok(pipeline.jobs(page)?)).await?;
        Ok(Response::new(to_proto::jobs(jobs, page)))
    }

    async fn watch_job(
        &self,
        request: Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let id = from_proto::digest("id", &request.into_inner().id)?;
        let pipeline = Arc::clone(&self.pipeline);
        let views = blocking(move || Ok(pipeline.watch(id)?)).await?;
        // The throttle holds back a value only until the next tick, and the channel keeps the latest.
        let messages = WatchStream::new(views)
            .throttle(WATCH_INTERVAL)
            .map(|view| Ok(to_proto::watched(view)));
        Ok(Response::new(Box::pin(messages)))
    }

    async fn cancel_job(
        &self,
        request: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        let id = from_proto::digest("id", &request.into_inner().id)?;
        let pipeline = Arc::clone(&self.pipeline);
        let view = blocking(move || Ok(pipeline.cancel(id)?)).await?;
        Ok(Response::new(v1::CancelJobResponse {
            job: Some(to_proto::job(view)),
        }))
    }

    async fn retry_job(
        &self,
        request: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        let id = from_proto::digest("id", &request.into_inner().id)?;
        let pipeline = Arc::clone(&self.pipeline);
        let submitted = blocking(move || Ok(pipeline.retry_failed(id)?)).await?;
        Ok(Response::new(v1::RetryJobResponse {
            job: Some(to_proto::job(submitted.job)),
            queued: submitted.queued,
        }))
    }

    async fn push_features(
        &self,
        request: Request<Streaming<v1::PushFeaturesRequest>>,
    ) -> Result<Response<v1::PushResponse>, Status> {
        let messages = request.into_inner();
        let pushes = self.pushes.clone();
        let state = push::receive(pushes, messages, from_proto::push::features).await?;
        Ok(Response::new(state))
    }

    async fn push_images(
        &self,
        request: Request<Streaming<v1::PushImagesRequest>>,
    ) -> Result<Response<v1::PushResponse>, Status> {
        let messages = request.into_inner();
        let pushes = self.pushes.clone();
        let state = push::receive(pushes, messages, from_proto::push::images).await?;
        Ok(Response::new(state))
    }

    async fn get_push(
        &self,
        request: Request<v1::GetPushRequest>,
    ) -> Result<Response<v1::PushResponse>, Status> {
        let name = request.into_inner().push;
        let state = push::state(Arc::clone(self.pushes.pushes()), name).await?;
        Ok(Response::new(state))
    }

    async fn promote_version(
        &self,
        request: Request<v1::PromoteVersionRequest>,
    ) -> Result<Response<v1::PromoteVersionResponse>, Status> {
        let request = request.into_inner();
        let (name, version) = from_proto::named(&request.curriculum, &request.version)?;
        let store = Arc::clone(&self.store);
        let work = move || {
            let id = store.resolve(&name, &version)?;
            store.promote(&name, &request.alias, id)?;
            store.flush()?;
            Ok(v1::PromoteVersionResponse {
                version: id.to_string(),
            })
        };
        Ok(Response::new(blocking(work).await?))
    }

    async fn roll_back_alias(
        &self,
        request: Request<v1::RollBackAliasRequest>,
    ) -> Result<Response<v1::RollBackAliasResponse>, Status> {
        let v1::RollBackAliasRequest { curriculum, alias } = request.into_inner();
        let store = Arc::clone(&self.store);
        let work = move || {
            let version = store.roll_back(&curriculum, &alias)?.to_string();
            store.flush()?;
            Ok(v1::RollBackAliasResponse { version })
        };
        Ok(Response::new(blocking(work).await?))
    }

    async fn delete_version(
        &self,
        request: Request<v1::DeleteVersionRequest>,
    ) -> Result<Response<v1::DeleteVersionResponse>, Status> {
        let v1::DeleteVersionRequest {
            curriculum,
            version,
        } = request.into_inner();
        let version = from_proto::digest("version", &version)?;
        let store = Arc::clone(&self.store);
        let work = move || {
            store.delete_version(&curriculum, version)?;
            Ok(store.flush()?)
        };
        blocking(work).await?;
        Ok(Response::new(v1::DeleteVersionResponse {}))
    }

    async fn import_version(
        &self,
        request: Request<Streaming<v1::ImportVersionRequest>>,
    ) -> Result<Response<v1::ImportVersionResponse>, Status> {
        let _sending = self.pushes.begin()?;
        let (store, stopping) = (Arc::clone(&self.store), self.pushes.stopping().clone());
        let incoming = versions::Incoming::new(request.into_inner(), stopping);
        let version = versions::import(store, &self.imports, incoming).await?;
        Ok(Response::new(v1::ImportVersionResponse {
            version: version.to_string(),
        }))
    }
}

/// A version of a curriculum that a field names.
fn resolve(
    store: &Store,
    field: &'static str,
    name: &str,
    version: &Reference,
) -> Result<Digest, ServiceError> {
    store.resolve(name, version).map_err(|error| match error {
        StoreError::NotFound(what) => ServiceError::invalid(field, format!("there is no {what}")),
        other => other.into(),
    })
}
