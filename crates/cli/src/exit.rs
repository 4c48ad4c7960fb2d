//! Exit codes: part of the interface, because pipelines branch on them.

use std::{fmt, process::ExitCode};
use tonic::{Code, Status};

/// Shown below the help text.
pub(crate) const HELP: &str = "\
Exit codes: 0 done; 1 internal error; 2 bad input; 3 the job failed; 4 cancelled, or interrupted; \
5 the server cannot be reached.";

/// Why a job that was waited for gave no version.
#[derive(Debug)]
pub(crate) enum JobEnded {
    Failed { id: String, reason: String },
    Cancelled { id: String },
}

impl fmt::Display for JobEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { id, reason } => write!(f, "job {id} failed: {reason}"),
            Self::Cancelled { id } => write!(f, "job {id} was cancelled"),
        }
    }
}

impl std::error::Error for JobEnded {}

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

impl std::error::Error for Unreachable {}

/// Arguments that cannot be used.
#[derive(Debug)]
pub(crate) struct BadInput(pub(crate) String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Prints `error` and picks the code.
#[expect(
    clippy::print_stderr,
    reason = "the one place where the binary reports why it ends"
)]
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<Status>() {
        Some(status) => eprintln!("error: {} ({:?})", status.message(), status.code()),
        None => eprintln!("error: {error:#}"),
    }
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    if error.is::<BadInput>() {
        return 2;
    }
    if error.is::<Interrupted>() {
        return 4;
    }
    if error.is::<Unreachable>() {
        return 5;
    }
    match (
        error.downcast_ref::<JobEnded>(),
        error.downcast_ref::<Status>().map(Status::code),
    ) {
        (Some(JobEnded::Failed { .. }), _) => 3,
        (Some(JobEnded::Cancelled { .. }), _) => 4,
        (None, Some(Code::Unavailable)) => 5,
        (
            None,
            Some(
                Code::InvalidArgument
                | Code::NotFound
                | Code::FailedPrecondition
                | Code::OutOfRange,
            ),
        ) => 2,
        (None, _) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_code() {
        let id = "1".to_owned();
        let cases: [(anyhow::Error, u8); 8] = [
            (Interrupted.into(), 4),
            (BadInput(String::new()).into(), 2),
            (Status::invalid_argument("").into(), 2),
            (
                JobEnded::Failed {
                    id: id.clone(),
                    reason: String::new(),
                }
                .into(),
                3,
            ),
            (JobEnded::Cancelled { id }.into(), 4),
            (Status::unavailable("").into(), 5),
            (
                Unreachable {
                    server: String::new(),
                    cause: String::new(),
                }
                .into(),
                5,
            ),
            (Status::internal("").into(), 1),
        ];
        for (error, expected) in cases {
            assert_eq!(code(&error), expected, "{error}");
        }
    }
}
