//! A job on the server, followed to its end, over restarts of the server.

use crate::{
    backoff::Backoff,
    client::ServerArgs,
    exit::{Interrupted, JobEnded, Unreachable, is_connection},
    progress::{Display, Progress},
    report::clipped,
};
use curriculum_proto::v1::{self, JobState, Stage};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Failed samples that are shown while a job runs, and how much of each text.
const NOTED: usize = 20;
const NOTED_CHARACTERS: usize = 200;

/// How long to wait for a job, and for a server that is away.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct WaitArgs {
    /// Stop waiting after this time, as in 90s, 15m or 2h, with exit code 6; the job goes on
    /// [default: wait for its end].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timeout: Option<Duration>,
    /// While waiting, give up on a server that was away for this long, with exit code 5; a restart
    /// is waited out.
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "5m")]
    reconnect: Duration,
}

/// A job that is no longer waited for.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) job: v1::Job,
    timed_out: bool,
}

impl WaitArgs {
    /// When to stop waiting, counted from now.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // A time that no clock holds is none.
        self.timeout
            .and_then(|time| Instant::now().checked_add(time))
    }

    /// Pauses between attempts to reach the server.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.reconnect)
    }
}

impl Default for WaitArgs {
    fn default() -> Self {
        Self {
            timeout: None,
            reconnect: Duration::from_secs(300),
        }
    }
}

impl Followed {
    /// Nothing, if the job is published.
    ///
    /// # Errors
    /// [`JobEnded`] when it failed, was cancelled or took too long.
    pub(crate) fn check(&self) -> Result<(), JobEnded> {
        let id = self.job.id.clone();
        match self.job.state() {
            JobState::Succeeded => Ok(()),
            JobState::Failed => Err(JobEnded::Failed {
                id,
                reason: reason(&self.job).to_owned(),
            }),
            JobState::Cancelled => Err(JobEnded::Cancelled { id }),
            JobState::Queued | JobState::Running | JobState::Unspecified => {
                Err(JobEnded::TimedOut { id })
            }
        }
    }

    /// What became of it, in a word.
    pub(crate) fn state(&self) -> &'static str {
        match self.timed_out {
            true => "timed out",
            false => state_name(&self.job),
        }
    }
}

/// Follows `job` to its end, or to `deadline`. A server that goes away, or that closes the stream
/// before the end of the job, is asked again for the same job.
///
/// # Errors
/// [`Unreachable`] when it stays away, [`Interrupted`], or the status of a server that refuses.
pub(crate) async fn follow(
    server: &ServerArgs,
    wait: &WaitArgs,
    deadline: Option<Instant>,
    job: v1::Job,
) -> anyhow::Result<Followed> {
    let mut follower = Follower {
        server,
        display: Display::new(),
        last: job,
        noted: BTreeSet::new(),
    };
    let timed_out = tokio::select! {
        ended = follower.run(wait.backoff()) => {
            ended?;
            false
        }
        () = until(deadline) => true,
        _ = tokio::signal::ctrl_c() => {
            follower.display.finish();
            return Err(Interrupted.into());
        }
    };
    follower.display.finish();
    Ok(Followed {
        job: follower.last,
        timed_out,
    })
}

/// Resolves at `deadline`; without one, never.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

struct Follower<'a> {
    server: &'a ServerArgs,
    display: Display,
    last: v1::Job,
    /// Samples whose errors were shown; a message repeats those of the one before.
    noted: BTreeSet<u64>,
}

impl Follower<'_> {
    async fn run(&mut self, mut backoff: Backoff) -> anyhow::Result<()> {
        while !has_ended(&self.last) {
            let error = match self.watch(&mut backoff).await {
                Ok(()) if has_ended(&self.last) => break,
                Ok(()) => Status::unavailable("the server closed the stream").into(),
                Err(error) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            let note = format!("connection lost, trying again: {}", text(&error));
            let pause = pause(&mut backoff, self.server, error)?;
            self.display.note(&note);
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// One connection, until it ends.
    async fn watch(&mut self, backoff: &mut Backoff) -> anyhow::Result<()> {
        let mut client = self.server.ingest().await?;
        let id = self.last.id.clone();
        let request = v1::WatchJobRequest { id };
        let mut messages = client.watch_job(request).await?.into_inner();
        while let Some(message) = messages.message().await? {
            backoff.heard();
            for error in message.recent_errors {
                self.note_once(&error);
            }
            if let Some(job) = message.job {
                show(&mut self.display, &job);
                self.last = job;
            }
        }
        Ok(())
    }

    /// Shows a sample that failed, up to a number of them: `jobs ID` lists them all.
    fn note_once(&mut self, error: &v1::SampleError) {
        if self.noted.len() < NOTED && self.noted.insert(error.index) {
            let id = clipped(&error.id, NOTED_CHARACTERS);
            let reason = clipped(&error.reason, NOTED_CHARACTERS);
            self.display
                .note(&format!("sample {} (`{id}`) failed: {reason}", error.index));
        }
    }
}

/// Whether to ask again: the connection broke, or the server has too much to do right now.
pub(crate) fn is_passing(error: &anyhow::Error) -> bool {
    let busy = |status: &Status| {
        matches!(
            status.code(),
            Code::ResourceExhausted | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled
        )
    };
    is_connection(error) || error.downcast_ref::<Status>().is_some_and(busy)
}

/// How long to wait after `error` before the next attempt.
///
/// # Errors
/// Once it is time to give up: [`Unreachable`] when the server is away, or what it says itself.
pub(crate) fn pause(
    backoff: &mut Backoff,
    server: &ServerArgs,
    error: anyhow::Error,
) -> anyhow::Result<Duration> {
    if let Some(pause) = backoff.pause(retry_delay(&error)) {
        return Ok(pause);
    }
    Err(match is_connection(&error) {
        true => {
            let (server, cause) = (server.server.clone(), text(&error));
            Unreachable { server, cause }.into()
        }
        // The server is there and refuses: its own words and code say why.
        false => error,
    })
}

/// How long the server wants to be left alone, as its `RetryInfo` says.
pub(crate) fn retry_delay(error: &anyhow::Error) -> Duration {
    let status = error.downcast_ref::<Status>();
    let info = status.and_then(Status::get_details_retry_info);
    info.and_then(|info| info.retry_delay).unwrap_or_default()
}

/// What went wrong, without the metadata that a status carries.
pub(crate) fn text(error: &anyhow::Error) -> String {
    match (
        error.downcast_ref::<Status>(),
        error.downcast_ref::<Unreachable>(),
    ) {
        (Some(status), _) => status.message().to_owned(),
        // Whoever asks says already what could not be reached.
        (None, Some(unreachable)) => unreachable.cause.clone(),
        (None, None) => format!("{error:#}"),
    }
}

fn has_ended(job: &v1::Job) -> bool {
    match job.state() {
        JobState::Succeeded | JobState::Failed | JobState::Cancelled => true,
        JobState::Queued | JobState::Running | JobState::Unspecified => false,
    }
}

/// Why a job failed; empty when it did not.
pub(crate) fn reason(job: &v1::Job) -> &str {
    job.failure
        .as_ref()
        .map_or("", |failure| failure.reason.as_str())
}

/// What a job is doing, in words for people.
pub(crate) fn describe(job: &v1::Job) -> &str {
    match &job.progress {
        Some(progress) if job.state() == JobState::Running => &progress.activity,
        _ => state_name(job),
    }
}

/// The state of a job, in the one word that scripts compare.
pub(crate) fn state_name(job: &v1::Job) -> &'static str {
    match job.state() {
        JobState::Unspecified => "unknown",
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    }
}

/// The version that a job published; empty before.
pub(crate) fn published(job: &v1::Job) -> &str {
    match job.state() {
        JobState::Succeeded => &job.version,
        _ => "",
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
        activity: describe(job),
        done: progress.done,
        total: progress.total,
        rate: progress.rate,
    });
}

/// `90`, `90s`, `15m`, `2h` or `1d`.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match text.get(digits.len()..).unwrap_or_default() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("must be a number with s, m, h or d, such as 90s".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "must be a whole number with s, m, h or d, such as 90s".to_owned())?;
    let seconds = number.checked_mul(seconds);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("5s", 5),
            ("2m", 120),
            ("1h", 3_600),
            ("2d", 172_800),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "-1", "1.5h", "1w", "9999999999999999999d", "1 m"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let passing = [
            Status::unavailable(""),
            Status::resource_exhausted(""),
            Status::from_error(Box::new(std::io::Error::other("reset"))),
        ];
        assert!(passing.into_iter().all(|status| is_passing(&status.into())));
        for status in [
            Status::not_found(""),
            Status::invalid_argument(""),
            Status::data_loss(""),
            Status::internal(""),
        ] {
            assert!(!is_passing(&status.into()));
        }
    }

    #[test]
    fn a_server_says_when_to_come_back() {
        use tonic_types::ErrorDetails;

        let asked = Duration::from_millis(1_500);
        let details = ErrorDetails::with_retry_info(Some(asked));
        let busy = Status::with_error_details(Code::ResourceExhausted, "busy", details);
        assert_eq!(retry_delay(&busy.into()), asked);
        let garbage = Status::with_details(Code::ResourceExhausted, "busy", vec![0xff; 9].into());
        assert_eq!(retry_delay(&garbage.into()), Duration::ZERO);
        assert_eq!(retry_delay(&anyhow::anyhow!("reset")), Duration::ZERO);
    }

    #[test]
    fn who_gives_up_says_what_the_server_said() {
        use clap::Parser as _;

        #[derive(clap::Parser)]
        struct Args {
            #[command(flatten)]
            server: ServerArgs,
        }

        let server = Args::parse_from(["test", "--server", "http://h:1"]).server;
        let give_up = |status: Status| {
            let mut over = Backoff::new(Duration::ZERO);
            pause(&mut over, &server, status.into()).unwrap_err()
        };
        let away = give_up(Status::unavailable("nobody there"));
        assert_eq!(away.to_string(), "cannot reach http://h:1: nobody there");
        let busy = give_up(Status::resource_exhausted("busy"));
        let said = busy.downcast::<Status>().unwrap();
        assert_eq!(
            (said.code(), said.message()),
            (Code::ResourceExhausted, "busy")
        );
        let mut backoff = Backoff::new(Duration::from_secs(60));
        pause(&mut backoff, &server, Status::unavailable("").into()).unwrap();
    }

    #[test]
    fn a_job_that_goes_on_has_timed_out() {
        let followed = |state: JobState| Followed {
            job: v1::Job {
                state: state.into(),
                ..v1::Job::default()
            },
            timed_out: true,
        };
        let running = followed(JobState::Running);
        assert!(matches!(running.check(), Err(JobEnded::TimedOut { .. })));
        assert_eq!(running.state(), "timed out");
        assert!(followed(JobState::Succeeded).check().is_ok());
    }
}
