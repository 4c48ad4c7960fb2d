//! Where versions are published, for servers that serve copies.

use super::ConfigError;
use crate::replication;
use serde::{Deserialize, Serialize};

/// A folder of an object store that several servers share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Versions {
    /// `s3://bucket/folder`, `gs://…` or `az://…`: a writer publishes there. A read-only server serves from
    /// there, or from a copy on a web server. Not set: neither.
    pub url: Option<String>,
    /// Take nothing in and load no model: serve what is at `url`.
    pub read_only: bool,
    /// Milliseconds between two looks of a read-only server.
    pub refresh_milliseconds: u64,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            url: None,
            read_only: false,
            refresh_milliseconds: 1_000,
        }
    }
}

impl Versions {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |reason: &str| Err(ConfigError::Versions(reason.to_owned()));
        let Some(url) = &self.url else {
            return match self.read_only {
                true => wrong("is not set, but a read-only server serves from there"),
                false => Ok(()),
            };
        };
        let folder = replication::folder(url)?;
        match self.read_only || folder.is_writable() {
            true => Ok(()),
            false => wrong("is a web server, which nothing can be published to"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_must_be_one_that_can_be_used() {
        let versions = |url: Option<&str>, read_only| Versions {
            url: url.map(str::to_owned),
            read_only,
            ..Versions::default()
        };
        for (url, read_only) in [
            (None, false),
            (Some("s3://bucket/folder"), false),
            (Some("s3://bucket"), true),
            (Some("https://h.example/versions/"), true),
        ] {
            assert!(
                versions(url, read_only).check().is_ok(),
                "{url:?} {read_only}"
            );
        }
        for (url, read_only, said) in [
            (None, true, "not set"),
            (Some("/data/versions"), false, "s3://"),
            (Some("https://h.example/?sig=SECRET"), true, "s3://"),
            (Some("https://h.example/versions/"), false, "web server"),
        ] {
            let error = versions(url, read_only).check().unwrap_err().to_string();
            assert!(
                error.contains("versions.url") && error.contains(said),
                "{error}"
            );
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
