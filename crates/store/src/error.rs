//! What can go wrong with kept bytes.

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
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sled::Error),
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
