//! What jobs may read, and how.

use super::Config;
use curriculum_manifest::{Access, AccessError, AccessOptions, Allow};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What jobs may read, and how. Credentials and endpoints of object stores come from the environment,
/// as their vendors name them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sources {
    /// Absolute folders and URL prefixes, such as `s3://bucket/data/`, below which jobs may read. Not
    /// set: anything while `grpc.addr` is a loopback address, nothing otherwise.
    pub allow: Option<Vec<String>>,
    /// Samples of one source, and of one push.
    pub max_samples: u64,
    /// Bytes of one sample.
    pub max_sample_bytes: u64,
    /// Remote objects fetched at the same time.
    pub concurrency: usize,
    /// Bytes of remote objects fetched ahead of their use.
    pub prefetch_bytes: u64,
    /// Times that a failed request to a store is made again.
    pub retries: usize,
    /// Seconds for which a failed request is made again.
    pub retry_seconds: u64,
    /// Seconds until a connection to a store is given up.
    pub connect_timeout_seconds: u64,
    /// Seconds that a store may be silent within an answer.
    pub read_timeout_seconds: u64,
}

impl Default for Sources {
    fn default() -> Self {
        let usual = AccessOptions::default();
        Self {
            allow: None,
            max_samples: usual.max_samples,
            max_sample_bytes: usual.max_sample_bytes,
            concurrency: usual.concurrency,
            prefetch_bytes: usual.prefetch_bytes,
            retries: usual.retries,
            retry_seconds: usual.retry_timeout.as_secs(),
            connect_timeout_seconds: usual.connect_timeout.as_secs(),
            read_timeout_seconds: usual.read_timeout.as_secs(),
        }
    }
}

impl Config {
    /// What jobs may read: the list, or what stands for it.
    #[must_use]
    pub fn allow(&self) -> Allow {
        match &self.sources.allow {
            Some(allow) => Allow::Only(allow.clone()),
            None if self.grpc.addr.ip().is_loopback() => Allow::Anything,
            None => Allow::Only(Vec::new()),
        }
    }

    /// The way to sources, with these rules and limits.
    ///
    /// # Errors
    /// When an entry of `sources.allow` is neither an absolute folder nor a URL.
    pub fn access(&self) -> Result<Access, AccessError> {
        let sources = &self.sources;
        Access::new(AccessOptions {
            allow: self.allow(),
            max_samples: sources.max_samples,
            max_sample_bytes: sources.max_sample_bytes,
            concurrency: sources.concurrency,
            prefetch_bytes: sources.prefetch_bytes,
            retries: sources.retries,
            retry_timeout: Duration::from_secs(sources.retry_seconds),
            connect_timeout: Duration::from_secs(sources.connect_timeout_seconds),
            read_timeout: Duration::from_secs(sources.read_timeout_seconds),
            scratch: Some(self.storage.scratch()),
            ..AccessOptions::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Overrides;

    fn load(toml: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        Config::load(Some(file.path()), &Overrides::default()).unwrap()
    }

    #[test]
    fn without_a_list_only_this_machine_may_ask_for_anything() {
        assert_eq!(load("").allow(), Allow::Anything);
        let open = "[grpc]\naddr = \"0.0.0.0:50051\"\n";
        assert_eq!(load(open).allow(), Allow::Only(Vec::new()));
        let listed = format!("{open}[sources]\nallow = [\"/data\", \"s3://b/p/\"]\n");
        let expected = ["/data", "s3://b/p/"].map(str::to_owned);
        assert_eq!(load(&listed).allow(), Allow::Only(expected.to_vec()));
        assert!(load(&listed).access().is_ok());
        let nothing = load("[sources]\nallow = []\n").allow();
        assert_eq!(nothing, Allow::Only(Vec::new()));
    }

    #[test]
    fn entries_that_are_no_places_are_refused() {
        let mut config = Config::default();
        config.sources.allow = Some(vec!["data".to_owned()]);
        let error = config.access().unwrap_err();
        assert!(error.to_string().contains("data"), "{error}");
    }
}
