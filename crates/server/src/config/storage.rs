//! The data folder.

use curriculum_store::StoreOptions;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The data folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Created if need be; one process at a time.
    pub data_dir: PathBuf,
    /// Bytes of versions in use that are kept in memory, the newest use first: 8 a sample for draws, 4 for
    /// weights. Room for both of 10⁸ samples by default. A quarter is for control orders and for windows
    /// without replacement. What is being made comes on top: up to 24 bytes a sample, for as many calls as
    /// twice the number of cores.
    pub cache_bytes: u64,
    /// Bytes of weights that were sent lately: trainers that ask for the same iteration share them. Few
    /// hundred kilobytes are the least that is of use.
    pub weights_cache_bytes: u64,
    /// Bytes of the disk that data leave free: jobs fail, and pushes are refused, before it is full.
    pub min_free_bytes: u64,
    /// Versions that each curriculum keeps: older ones go when a new one is published, unless an alias
    /// holds them. Not set: all.
    pub keep_versions: Option<usize>,
    /// Folder of temporary files, such as the lists of sources. Not set: `scratch` in the data folder.
    pub scratch: Option<PathBuf>,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("curriculum-data"),
            cache_bytes: 2 << 30,
            weights_cache_bytes: 16 << 20,
            min_free_bytes: StoreOptions::default().min_free_bytes,
            keep_versions: None,
            scratch: None,
        }
    }
}

impl Storage {
    /// Folder of temporary files. Not the system's: that is often memory.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        match &self.scratch {
            Some(folder) => folder.clone(),
            None => self.data_dir.join("scratch"),
        }
    }

    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions {
            min_free_bytes: self.min_free_bytes,
            ..StoreOptions::default()
        }
    }
}
