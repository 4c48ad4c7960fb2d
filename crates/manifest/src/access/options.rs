//! What may be read, and how much of it at once.

use std::path::PathBuf;
use std::time::Duration;

/// The most bytes one sample may have unless set otherwise: 256 MiB, several times the largest photographs.
pub const MAX_SAMPLE_BYTES: u64 = 256 << 20;

/// How [`Access`](super::Access) reads.
#[derive(Debug, Clone)]
pub struct AccessOptions {
    /// What may be read at all.
    pub allow: Allow,
    /// The most samples a manifest may list.
    pub max_samples: u64,
    /// The most bytes of one sample.
    pub max_sample_bytes: u64,
    /// Remote objects that are fetched at one time, at least one.
    pub concurrency: usize,
    /// Bytes of remote objects that may wait to be used.
    pub prefetch_bytes: u64,
    /// How often a request is made again before it fails.
    pub retries: usize,
    /// How long a request is made again before it fails.
    pub retry_timeout: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a store may be silent in the middle of an answer.
    pub read_timeout: Duration,
    /// The folder of temporary files; the system's own where it is `None`.
    pub scratch: Option<PathBuf>,
}

impl Default for AccessOptions {
    fn default() -> Self {
        Self {
            allow: Allow::Anything,
            max_samples: 1 << 32,
            max_sample_bytes: MAX_SAMPLE_BYTES,
            concurrency: 32,
            prefetch_bytes: 256 << 20,
            retries: 8,
            retry_timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            scratch: None,
        }
    }
}

/// What may be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Allow {
    /// All that the process may read: for commands that act for the user who calls them.
    #[default]
    Anything,
    /// What lies under these: absolute local folders, and URL prefixes such as `s3://bucket/data/`. A prefix covers
    /// whole segments: `s3://bucket/data` does not cover `s3://bucket/data-2`. No entry: nothing.
    Only(Vec<String>),
}
