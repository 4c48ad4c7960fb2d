//! Exit codes: part of the interface, because pipelines branch on them.

use std::{error::Error, fmt, process::ExitCode};
use tonic::{Code, Status};

/// Shown below the help text.
pub(crate) const HELP: &str = "\
Exit codes: 0 done; 1 internal error; 2 bad input; 3 the job failed, or stored data are damaged; \
4 cancelled, or interrupted; 5 the server cannot be reached; 6 timed out, and the job goes on.";

/// Why a job that was waited for gave no version.
#[derive(Debug)]
pub(crate) enum JobEnded {
    Failed {
        id: String,
        reason: String,
    },
    Cancelled {
        id: String,
    },
    /// Not the job, but the time to wait for it.
    TimedOut {
        id: String,
    },
}

impl fmt::Display for JobEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { id, reason } => write!(f, "job {id} failed: {reason}"),
            Self::Cancelled { id } => write!(f, "job {id} was cancelled"),
            Self::TimedOut { id } => write!(f, "timed out; job {id} goes on"),
        }
    }
}

impl Error for JobEnded {}

/// The server did not answer.
#[derive(Debug)]
pub(crate) struct Unreachable {
    pub(crate) server: String,
    pub(crate) cause: String,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot reach {}: {}", self.server, self.cause)
    }
}

impl Error for Unreachable {}

/// Arguments that cannot be used.
#[derive(Debug)]
pub(crate) struct BadInput(pub(crate) String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BadInput {}

/// Stored data that fail their checks.
#[derive(Debug)]
pub(crate) struct Damaged(pub(crate) String);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Damaged {}

/// Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl Error for Interrupted {}

/// Prints `error` and picks the code.
#[expect(
    clippy::print_stderr,
    reason = "the one place where the binary reports why it ends"
)]
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let text = match error.downcast_ref::<Status>() {
        Some(status) if status.source().is_some() => broken(status),
        Some(status) => format!("{} ({:?})", status.message(), status.code()),
        None => chain(error),
    };
    eprintln!("error: {}", printable(&text));
    ExitCode::from(code(error))
}

/// Ids and labels are the dataset's: a line of theirs must not be taken for a command by a terminal or
/// by a runner of workflows.
fn printable(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => '\u{fffd}',
        false => c,
    };
    let lines = text.trim_end().lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.is_empty());
    let lines: Vec<String> = lines
        .map(|line| line.chars().map(shown).collect())
        .collect();
    lines.join(" ")
}

/// A status that was made here, of a connection that ended: the server may well have said why, below HTTP.
fn broken(status: &Status) -> String {
    format!(
        "the connection to the server broke: {}; is its address http:// or https://, and does it ask for a certificate?",
        causes(status)
    )
}

/// What is behind an error whose own text is only "transport error"; its text if there is nothing.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = anyhow::Chain::new(error).skip(1).map(ToString::to_string);
    let mut causes: Vec<String> = causes.collect();
    causes.dedup();
    match causes.is_empty() {
        true => error.to_string(),
        false => causes.join(": "),
    }
}

/// What happened and why, each said once.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        match text.is_empty() {
            true => text = cause,
            false if text.contains(&cause) => {}
            false => text = format!("{text}: {cause}"),
        }
    }
    text
}

/// Whether the connection failed, rather than the server refusing: asking again may help.
pub(crate) fn is_connection(error: &anyhow::Error) -> bool {
    error.is::<Unreachable>() || error.downcast_ref::<Status>().is_some_and(lost)
}

/// A status that the server sent has no source: one that has, was made here of a broken connection.
fn lost(status: &Status) -> bool {
    status.source().is_some() || status.code() == Code::Unavailable
}

fn code(error: &anyhow::Error) -> u8 {
    if let Some(ended) = error.downcast_ref::<JobEnded>() {
        return match ended {
            JobEnded::Failed { .. } => 3,
            JobEnded::Cancelled { .. } => 4,
            JobEnded::TimedOut { .. } => 6,
        };
    }
    if error.is::<BadInput>() {
        return 2;
    }
    if error.is::<Damaged>() {
        return 3;
    }
    if error.is::<Interrupted>() {
        return 4;
    }
    if is_connection(error) {
        return 5;
    }
    match error.downcast_ref::<Status>().map(Status::code) {
        Some(Code::DataLoss) => 3,
        Some(
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::OutOfRange,
        ) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_code() {
        let id = "1".to_owned();
        let failed = JobEnded::Failed {
            id: id.clone(),
            reason: String::new(),
        };
        let unreachable = Unreachable {
            server: String::new(),
            cause: String::new(),
        };
        let broken = Status::from_error(Box::new(std::io::Error::other("broken pipe")));
        let cases: [(anyhow::Error, u8); 14] = [
            (Interrupted.into(), 4),
            (BadInput(String::new()).into(), 2),
            (Damaged(String::new()).into(), 3),
            (Status::invalid_argument("").into(), 2),
            (Status::permission_denied("").into(), 2),
            (Status::unauthenticated("").into(), 2),
            (Status::data_loss("").into(), 3),
            (failed.into(), 3),
            (JobEnded::Cancelled { id: id.clone() }.into(), 4),
            (JobEnded::TimedOut { id }.into(), 6),
            (Status::unavailable("").into(), 5),
            (broken.into(), 5),
            (unreachable.into(), 5),
            (Status::internal("").into(), 1),
        ];
        for (error, expected) in cases {
            assert_eq!(code(&error), expected, "{error}");
        }
    }
}
