//! Why a push is refused.

use super::PushKind;
use crate::StoreError;
use std::{io, path::PathBuf};

/// An error of a push. Whatever was durable before it stays.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// A name that could be a path, or is too long.
    #[error("must be 1 to {0} of a-z A-Z 0-9 . _ - and not start with a dot")]
    Name(usize),
    /// A feature vector of no length, or of an absurd one.
    #[error("is {dimension}, but must be 1 to {max}")]
    Dimension {
        /// As given.
        dimension: u32,
        /// The most it may be.
        max: u32,
    },
    /// A fingerprint that is too long.
    #[error("must have at most {0} bytes")]
    Fingerprint(usize),
    /// Nobody has begun a push of this name.
    #[error("there is no push `{0}`")]
    Unknown(String),
    /// Its client has not said yet that it is all.
    #[error("push `{name}` is not finished: {samples} samples have arrived so far")]
    Incomplete {
        /// The push.
        name: String,
        /// Durable samples.
        samples: u64,
    },
    /// Another client writes it right now.
    #[error("push `{0}` is being written by another call")]
    Busy(String),
    /// It was begun with other samples.
    #[error("push `{name}` was begun as {present}")]
    OtherKind {
        /// The push.
        name: String,
        /// What it holds.
        present: PushKind,
    },
    /// It was begun with samples from elsewhere.
    #[error(
        "push `{0}` was begun with the samples of another source, or of one that changed since"
    )]
    OtherSource(String),
    /// The caller broke off.
    #[error("interrupted")]
    Stopped,
    /// Samples are missing between what is there and what was sent.
    #[error("samples were sent from {offset} on, but {expected} is the next one expected")]
    Gap {
        /// Number of the first sample sent.
        offset: u64,
        /// Number of the next sample.
        expected: u64,
    },
    /// A sample that cannot be taken; all before it were.
    #[error("sample {at}: {reason}")]
    Sample {
        /// Its number.
        at: u64,
        /// Why.
        reason: String,
    },
    /// A finished push takes no more samples.
    #[error("push `{0}` is complete and takes no more samples")]
    Complete(String),
    /// A push without samples, or with another number of them than its client sent.
    #[error("push `{name}` cannot be finished with {claimed} samples: it has {taken}")]
    Count {
        /// The push.
        name: String,
        /// What the client says.
        claimed: u64,
        /// What was taken.
        taken: u64,
    },
    /// Below the mark of free space.
    #[error("{} has {free} bytes free, but {needed} are needed", path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes needed, with those that must stay free.
        needed: u64,
    },
    /// Reading or writing the data folder failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PushError {
    /// For `map_err` on calls about `path`; a disk that is full is an error of its own.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull {
                path,
                free: 0,
                needed: 1,
            },
            _ => Self::Store(StoreError::Io {
                action,
                path,
                source,
            }),
        }
    }

    pub(super) fn damaged(what: impl Into<String>, reason: &'static str) -> Self {
        Self::Store(StoreError::corrupt(what, reason))
    }
}
