//! Why a call on the pipeline is refused. A job that fails later is a state, not an error.

use curriculum_manifest::ManifestError;
use curriculum_store::{Digest, StoreError};

/// An error of a call on [`Pipeline`](crate::Pipeline).
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The source cannot be listed.
    #[error("source: {0}")]
    Source(#[from] ManifestError),
    /// A field is out of its range.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field's name on the wire.
        field: &'static str,
        /// What it must be.
        reason: String,
    },
    /// As many jobs wait as are allowed.
    #[error("{0} jobs are waiting already")]
    QueueFull(usize),
    /// The server is going down.
    #[error("the server is stopping")]
    Stopping,
    /// No job has this id.
    #[error("there is no job {0}")]
    UnknownJob(Digest),
    /// Nothing is left to cancel.
    #[error("job {0} has already ended")]
    Ended(Digest),
    /// Reading or writing the data folder failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PipelineError {
    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }
}
