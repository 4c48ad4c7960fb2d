//! Why a call on the pipeline is refused, and why features could not be fitted. A job that fails
//! later is a state, not an error.

use curriculum_clustering::{ClusteringError, SourceError};
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
    /// Images need the model, which is still being loaded.
    #[error("the model is still being loaded: try again in a moment")]
    ModelNotReady,
    /// Images need the model, which could not be loaded.
    #[error("this server has no model to read images with: {0}")]
    NoModel(String),
    /// The server is going down.
    #[error("the server is stopping")]
    Stopping,
    /// No job has this id.
    #[error("there is no job {0}")]
    UnknownJob(Digest),
    /// Nothing is left to try again.
    #[error("no sample of job {0} failed")]
    NothingFailed(Digest),
    /// A job is tried again on the samples it had.
    #[error(
        "the source of job {0} has changed since it was submitted: submit it again, what is the same is not \
         extracted again"
    )]
    SourceChanged(Digest),
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

/// Why features could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// A feature is NaN or infinite; both count from 0.
    #[error("the features of row {row} are not finite, at column {column}")]
    NotFinite {
        /// The first such row.
        row: usize,
        /// Its first such column.
        column: usize,
    },
    /// Features so large, and not normalised, that distances would not fit single precision.
    #[error("the features of row {row} are too large to be clustered as they are")]
    TooLarge {
        /// One such row, counted from 0.
        row: usize,
    },
    /// There is not one class per row.
    #[error("{given} classes were given for {rows} rows")]
    Classes {
        /// Classes given.
        given: usize,
        /// Rows of the features.
        rows: usize,
    },
    /// The features could not be read.
    #[error("cannot read the features: {0}")]
    Source(#[from] SourceError),
    /// The features cannot be clustered as asked.
    #[error(transparent)]
    Clustering(ClusteringError),
    /// A fit of ranks or of neighbours: a new sample changes what the old ones have.
    #[error("a fit by rank or by neighbours cannot be extended")]
    NotExtensible,
    /// The observer asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl From<ClusteringError> for FitError {
    fn from(error: ClusteringError) -> Self {
        match error {
            ClusteringError::Cancelled => Self::Cancelled,
            ClusteringError::Source(error) => Self::Source(error),
            ClusteringError::TooLarge { row } => Self::TooLarge { row },
            other => Self::Clustering(other),
        }
    }
}
