//! A job's progress on the terminal: a bar where there is one, plain lines otherwise.

use crate::exit::JobEnded;
use curriculum_proto::v1::{self, JobState, Stage, ingest_service_client::IngestServiceClient};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};
use tonic::transport::Channel;

/// Between two plain lines of the same stage.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

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
            display.show(&job);
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

enum Display {
    Bar(ProgressBar),
    Lines {
        stage: Stage,
        printed: Option<Instant>,
    },
}

impl Display {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines {
                stage: Stage::Unspecified,
                printed: None,
            };
        }
        let bar = ProgressBar::new(0);
        let style =
            ProgressStyle::with_template("{msg:28} {wide_bar:.cyan/blue} {pos}/{len} {prefix}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    fn show(&mut self, job: &v1::Job) {
        let progress = job.progress.clone().unwrap_or_default();
        match self {
            Self::Bar(bar) => {
                bar.set_length(progress.total.max(1));
                bar.set_position(progress.done);
                bar.set_message(describe(job));
                bar.set_prefix(speed(&progress));
            }
            Self::Lines { stage, printed } => {
                let due = printed.is_none_or(|at| at.elapsed() >= LINE_INTERVAL);
                if due || *stage != job.stage() {
                    (*stage, *printed) = (job.stage(), Some(Instant::now()));
                    print_line(job, &progress);
                }
            }
        }
    }

    fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "progress goes to standard error, results to standard output"
)]
fn print_line(job: &v1::Job, progress: &v1::Progress) {
    let v1::Progress { done, total, .. } = progress;
    let count = if *total > 0 {
        format!(" {done}/{total}")
    } else {
        String::new()
    };
    eprintln!(
        "{}: {}{count} {}",
        stage_name(job.stage()),
        describe(job),
        speed(progress)
    );
}

/// Rate and time left.
fn speed(progress: &v1::Progress) -> String {
    if progress.rate <= 0.0 {
        return String::new();
    }
    let left = progress.total.saturating_sub(progress.done) as f64 / progress.rate;
    let left = indicatif::HumanDuration(Duration::from_secs_f64(left.clamp(0.0, 1e9)));
    format!("{:.0}/s, {left:#} left", progress.rate)
}
