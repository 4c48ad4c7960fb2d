//! `IngestService`: build a version and watch it being built.

use super::{Messages, blocking};
use crate::{from_proto, to_proto};
use curriculum_pipeline::{JobView, Page, Pipeline};
use curriculum_proto::v1::{self, ingest_service_server::IngestService};
use std::{sync::Arc, time::Duration};
use tokio_stream::{StreamExt, wrappers::WatchStream};
use tonic::{Request, Response, Status};

/// Watchers get at most four messages a second.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

const ALL_JOBS: Page = Page {
    after: None,
    limit: usize::MAX,
};

pub(crate) struct Ingest {
    pipeline: Arc<Pipeline>,
}

impl Ingest {
    pub(crate) fn new(pipeline: Arc<Pipeline>) -> Self {
        Self { pipeline }
    }
}

#[tonic::async_trait]
impl IngestService for Ingest {
    type WatchJobStream = Messages<v1::WatchJobResponse>;

    async fn submit_job(
        &self,
        request: Request<v1::SubmitJobRequest>,
    ) -> Result<Response<v1::SubmitJobResponse>, Status> {
        let request = from_proto::submission(request.into_inner())?;
        let pipeline = Arc::clone(&self.pipeline);
        let submitted = blocking(move || Ok(pipeline.submit(&request)?)).await?;
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
        let v1::GetJobRequest { id, max_errors } = request.into_inner();
        let id = from_proto::digest("id", &id)?;
        let limit = from_proto::max_errors(max_errors)?;
        let pipeline = Arc::clone(&self.pipeline);
        let work = move || {
            let errors = pipeline.sample_errors(id, None, limit)?;
            Ok(v1::GetJobResponse {
                job: Some(to_proto::job(pipeline.job(id)?)),
                errors: errors.into_iter().map(to_proto::sample_error).collect(),
            })
        };
        Ok(Response::new(blocking(work).await?))
    }

    async fn list_jobs(
        &self,
        _: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let pipeline = Arc::clone(&self.pipeline);
        let jobs = blocking(move || Ok(pipeline.jobs(ALL_JOBS)?)).await?;
        Ok(Response::new(v1::ListJobsResponse {
            jobs: jobs.into_iter().map(to_proto::job).collect(),
        }))
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
            .map(message);
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
}

fn message(view: JobView) -> Result<v1::WatchJobResponse, Status> {
    Ok(v1::WatchJobResponse {
        job: Some(to_proto::job(view)),
    })
}
