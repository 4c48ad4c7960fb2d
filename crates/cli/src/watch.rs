//! A job on the server, followed to its end.

use crate::{
    exit::JobEnded,
    progress::{Display, Progress},
};
use curriculum_proto::v1::{self, JobState, Stage, ingest_service_client::IngestServiceClient};
use tonic::transport::Channel;

/// Follows `job` to its end.
///
/// # Errors
/// [`JobEnded`] when it ends without a version; the server's status when the stream breaks.
pub(crate) async fn follow(
    client: &mut IngestServiceClient<Channel>,
    job: v1::Job,
) -> anyhow::Result<v1::Job> {
    let mut display = Display::new();
    let mut last = job;
    let request = v1::WatchJobRequest {
        id: last.id.clone(),
    };
    let mut messages = client.watch_job(request).await?.into_inner();
    while let Some(message) = messages.message().await? {
        if let Some(job) = message.job {
            show(&mut display, &job);
            last = job;
        }
    }
    display.finish();
    match last.state() {
        JobState::Succeeded => Ok(last),
        JobState::Failed => {
            let reason = last
                .failure
                .map(|failure| failure.reason)
                .unwrap_or_default();
            Err(JobEnded::Failed {
                id: last.id,
                reason,
            }
            .into())
        }
        JobState::Cancelled => Err(JobEnded::Cancelled { id: last.id }.into()),
        JobState::Queued | JobState::Running | JobState::Unspecified => Err(
            tonic::Status::unavailable("the server stopped; the job goes on when it is back")
                .into(),
        ),
    }
}

/// What a job is doing, in a word.
pub(crate) fn describe(job: &v1::Job) -> String {
    match job.state() {
        JobState::Unspecified => "unknown".to_owned(),
        JobState::Queued => "queued".to_owned(),
        JobState::Running => job
            .progress
            .as_ref()
            .map_or_else(|| "running".to_owned(), |p| p.activity.clone()),
        JobState::Succeeded => "succeeded".to_owned(),
        JobState::Failed => "failed".to_owned(),
        JobState::Cancelled => "cancelled".to_owned(),
    }
}

/// The name of a stage.
pub(crate) fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Unspecified => "-",
        Stage::Submitted => "submitted",
        Stage::Enumerated => "enumerated",
        Stage::Extracted => "extracted",
        Stage::Clustered => "clustered",
        Stage::Scored => "scored",
        Stage::Published => "published",
    }
}

fn show(display: &mut Display, job: &v1::Job) {
    let progress = job.progress.clone().unwrap_or_default();
    display.show(&Progress {
        stage: stage_name(job.stage()),
        activity: &describe(job),
        done: progress.done,
        total: progress.total,
        rate: progress.rate,
    });
}
