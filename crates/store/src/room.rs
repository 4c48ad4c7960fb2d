//! Whether the disk has room. Data stops while records of jobs can still be written, so that a full
//! disk ends in a failed job that says so, and not in a database that cannot write.

use crate::{Result, StoreError};
use std::path::{Path, PathBuf};

/// Guards the free space of the data folder's file system.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    root: PathBuf,
    /// Bytes that data leaves free.
    reserve: u64,
}

impl Room {
    pub(crate) fn new(root: &Path, reserve: u64) -> Self {
        Self {
            root: root.to_owned(),
            reserve,
        }
    }

    /// Refuses to write `bytes` of data if that takes from the reserve.
    pub(crate) fn check(&self, bytes: u64) -> Result<()> {
        let free = self.free()?;
        let needed = self.reserve.saturating_add(bytes);
        if free >= needed {
            Ok(())
        } else {
            Err(StoreError::DiskFull {
                path: self.root.clone(),
                free,
                needed,
            })
        }
    }

    /// Bytes that this process may still write.
    pub(crate) fn free(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|errno| StoreError::io("ask for the room in", &self.root)(errno.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
