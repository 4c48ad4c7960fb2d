//! What can go wrong with kept bytes.

use crate::Digest;
use std::{io, path::PathBuf};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data folder open; nothing was touched.
    #[error("data folder {} is in use by another process", path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// Written by an incompatible version of this program; nothing was touched.
    #[error("data folder {} has schema version {found}, but this program reads version {expected}", path.display())]
    Schema {
        /// The data folder.
        path: PathBuf,
        /// Version found there.
        found: u32,
        /// Version of this program.
        expected: u32,
    },
    /// A stored value fails its checksum or has the wrong form.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// Which value.
        what: String,
        /// How that was noticed.
        reason: &'static str,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The disk has too little room for data; records of jobs can still be written.
    #[error(
        "too little room in {}: {free} bytes are free, {needed} are needed with the reserve",
        path.display()
    )]
    DiskFull {
        /// The data folder.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that should be: those to write, and the reserve (`min_free_bytes`).
        needed: u64,
    },
    /// A version that something points at is not deleted.
    #[error("version {version} of `{curriculum}` is held by `{alias}`")]
    Held {
        /// Name of the curriculum.
        curriculum: String,
        /// The version.
        version: Digest,
        /// The alias, or `latest`.
        alias: String,
    },
    /// There is no such curriculum, version or alias.
    #[error("there is no {0}")]
    NotFound(String),
    /// A file that was to be imported is damaged, or is no exported version.
    #[error("not a whole exported version: {0}")]
    Portable(String),
    /// What was asked cannot be stored.
    #[error("{0}")]
    Invalid(String),
    /// The database failed. When a write failed it refuses everything until the folder is opened
    /// again, since it cannot know what reached the disk; what was flushed before is kept.
    #[error("database: {0}")]
    Database(#[source] sled::Error),
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } => Self::corrupt("the database", "checksum mismatch"),
            other => Self::Database(other),
        }
    }
}

impl StoreError {
    /// For `map_err` on calls about `path`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>, reason: &'static str) -> Self {
        Self::Corrupt {
            what: what.into(),
            reason,
        }
    }
}
