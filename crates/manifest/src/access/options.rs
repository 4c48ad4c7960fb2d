//! What may be read, and how much of it at once.

use std::fmt;
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
    /// How long to wait before the second request; later waits are longer, up to a hundred times as long.
    pub first_backoff: Duration,
    /// How long a request is made again before it fails.
    pub retry_timeout: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a store may be silent in the middle of an answer.
    pub read_timeout: Duration,
    /// How long one sample may take, with all that is tried again.
    pub sample_timeout: Duration,
    /// Settings of object stores, under the names of the vendors' environment variables, which they go before.
    pub settings: Settings,
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
            first_backoff: Duration::from_millis(100),
            retry_timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            sample_timeout: Duration::from_secs(300),
            settings: Settings::default(),
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

/// Names and values, such as `AWS_ENDPOINT_URL` and `http://127.0.0.1:9000`. Values may be secret and are not printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}
