//! The only way from an error to a status.
//!
//! Callers get a sentence they can act on; causes inside the server go to the log.

use crate::metrics::Rejection;
use curriculum_manifest::{AccessError, ManifestError};
use curriculum_pipeline::PipelineError;
use curriculum_store::{Stage, StoreError, push::PushError};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Bytes of a status text; details repeat it once more.
const MAX_TEXT: usize = 1024;

/// What can go wrong in a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("{field}: {reason}")]
    Invalid { field: &'static str, reason: String },
    #[error("there is no curriculum `{0}`")]
    UnknownCurriculum(String),
    #[error("curriculum `{curriculum}` has no version `{version}`")]
    UnknownVersion { curriculum: String, version: String },
    #[error(
        "curriculum `{curriculum}` is not published yet: its job is {state} after stage {stage:?}"
    )]
    NotPublished {
        curriculum: String,
        state: &'static str,
        stage: Stage,
    },
    #[error("the version has {samples} samples, but the trainer's dataset has {expected}")]
    OtherSamples { expected: u64, samples: u64 },
    #[error("the client has left")]
    Left,
    #[error("the key does not allow this curriculum")]
    Forbidden,
    #[error("there is no push `{0}`")]
    UnknownPush(String),
    #[error("the samples from {0} on do not match their checksum: send them again")]
    Checksum(u64),
    #[error(transparent)]
    Push(#[from] PushError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a worker thread failed: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

impl ServiceError {
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }
}

/// For a call that is turned away because there are too many, and may come again after a while.
pub(crate) fn overloaded(text: &str, come_back: Duration) -> Status {
    Rejection::Overloaded.count();
    let details = ErrorDetails::with_retry_info(Some(come_back));
    Status::with_error_details(Code::ResourceExhausted, text, details)
}

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        let text = shorten(error.to_string());
        match error {
            ServiceError::Invalid { field, .. } => invalid(field, text),
            ServiceError::UnknownCurriculum(_)
            | ServiceError::UnknownVersion { .. }
            | ServiceError::UnknownPush(_) => Self::not_found(text),
            ServiceError::Left => Self::cancelled(text),
            ServiceError::Forbidden => Self::permission_denied(text),
            ServiceError::Checksum(_) => Self::data_loss(text),
            ServiceError::Push(error) => push_status(error, text),
            ServiceError::NotPublished { .. } | ServiceError::OtherSamples { .. } => {
                Self::failed_precondition(text)
            }
            ServiceError::Pipeline(error) => pipeline_status(error, text),
            ServiceError::Store(error) => store_status(&error),
            ServiceError::Worker(error) => internal(&error),
        }
    }
}

fn pipeline_status(error: PipelineError, text: String) -> Status {
    match error {
        PipelineError::Source(ManifestError::Access(
            AccessError::Refused { .. } | AccessError::Denied { .. },
        )) => {
            let details = ErrorDetails::with_bad_request_violation("source", text.clone());
            Status::with_error_details(Code::PermissionDenied, text, details)
        }
        PipelineError::Source(ManifestError::Interrupted) => Status::cancelled(text),
        PipelineError::Source(_) => invalid("source", text),
        PipelineError::Invalid { field, .. } => invalid(field, text),
        PipelineError::QueueFull(_) => Status::resource_exhausted(text),
        PipelineError::Stopping | PipelineError::ModelNotReady => Status::unavailable(text),
        PipelineError::UnknownJob(_) => Status::not_found(text),
        PipelineError::NoModel(_)
        | PipelineError::Ended(_)
        | PipelineError::NothingFailed(_)
        | PipelineError::SourceChanged(_) => Status::failed_precondition(text),
        PipelineError::Store(error) => store_status(&error),
    }
}

fn push_status(error: PushError, text: String) -> Status {
    match error {
        PushError::Name(_) => invalid("push", format!("push: {text}")),
        PushError::Dimension { .. } => invalid("dimension", format!("dimension: {text}")),
        PushError::Fingerprint(_) => invalid("fingerprint", format!("fingerprint: {text}")),
        PushError::Stopped => Status::cancelled(text),
        PushError::Sample { .. } => invalid("samples", text),
        PushError::Count { .. } => invalid("end.samples", text),
        PushError::Unknown(_) => Status::not_found(text),
        PushError::Busy(_) => Status::aborted(text),
        PushError::Gap { .. } => Status::out_of_range(text),
        PushError::Incomplete { .. }
        | PushError::OtherKind { .. }
        | PushError::OtherSource(_)
        | PushError::Complete(_) => Status::failed_precondition(text),
        PushError::DiskFull { free, needed, .. } => {
            tracing::error!(free, needed, "the disk of the data folder is full");
            Status::resource_exhausted("the disk of the server's data folder is full")
        }
        PushError::Store(error) => store_status(&error),
    }
}

fn store_status(error: &StoreError) -> Status {
    match error {
        StoreError::Corrupt { .. } => {
            tracing::error!(%error, "stored data is damaged");
            Status::data_loss(error.to_string())
        }
        StoreError::DiskFull { .. } => Status::resource_exhausted(error.to_string()),
        StoreError::Held { .. } => Status::failed_precondition(error.to_string()),
        StoreError::NotFound(_) => Status::not_found(error.to_string()),
        StoreError::Invalid(_) => Status::invalid_argument(error.to_string()),
        StoreError::Portable(_) => Status::data_loss(error.to_string()),
        StoreError::InUse { .. }
        | StoreError::Schema { .. }
        | StoreError::Io { .. }
        | StoreError::Database(_) => internal(error),
    }
}

/// A status travels in a header, and clients refuse headers of more than a few KiB; ids and paths
/// in the text may be longer.
fn shorten(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        text.push('…');
    }
    text
}

fn invalid(field: &str, text: String) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, text.clone());
    Status::with_error_details(Code::InvalidArgument, text, details)
}

fn internal(error: &dyn std::error::Error) -> Status {
    tracing::error!(%error, "call failed");
    Status::internal("internal error, see the server's log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let status = Status::from(ServiceError::UnknownCurriculum("ü".repeat(100_000)));
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().len() < MAX_TEXT + 8 && status.message().ends_with('…'));
    }

    #[test]
    fn invalid_fields_are_named_in_the_details() {
        let status = Status::from(ServiceError::invalid("range", "is empty"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.get_details_bad_request().unwrap().field_violations[0].field,
            "range"
        );
    }

    #[test]
    fn causes_inside_the_server_stay_inside() {
        let cause = StoreError::Io {
            action: "write",
            path: "secret".into(),
            source: std::io::Error::other("disk"),
        };
        let status = Status::from(ServiceError::Store(cause));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"));
    }
}
