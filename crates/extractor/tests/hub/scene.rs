//! A hub to pull from, and what is expected of it.

use crate::server::Hub;
use curriculum_extractor::hub::{HubError, HubOptions, Outcome, Pulled, pull};
use curriculum_extractor::{ExtractorError, Model};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// What is pulled.
pub(crate) const NAME: &str = "dino_vits16";

/// A hub, and a cache of one's own.
pub(crate) struct Scene {
    pub(crate) hub: Hub,
    pub(crate) cache: TempDir,
    pub(crate) options: HubOptions,
}

pub(crate) fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Some MiB that no two places of are alike.
pub(crate) fn content(seed: u32) -> Vec<u8> {
    (seed..seed + 700_000).flat_map(u32::to_le_bytes).collect()
}

impl Scene {
    pub(crate) fn new() -> Self {
        let (cache, content) = (tempfile::tempdir().unwrap(), content(0));
        let hub = Hub::start(content.clone(), &sha256(&content));
        let options = HubOptions {
            endpoint: hub.endpoint.clone(),
            cache: cache.path().to_owned(),
            token: None,
            offline: false,
            refresh: false,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(10),
            retries: 2,
            backoff: Duration::ZERO,
        };
        Self {
            hub,
            cache,
            options,
        }
    }

    pub(crate) fn pull(&self) -> Result<Pulled, HubError> {
        pull(NAME, &self.options, &mut |_| {})
    }

    /// Pulls what the hub has, in this way.
    pub(crate) fn pulls(&self, outcome: Outcome) {
        let pulled = self.pull().unwrap();
        assert_eq!(pulled.outcome, outcome);
        let content = self.hub.state().content.clone();
        assert!(fs::read(&pulled.path).unwrap() == content);
        assert_eq!(pulled.pin.sha256, sha256(&content));
        assert_eq!(self.parts(), [""; 0]);
    }

    pub(crate) fn refused(&self, words: &[&str]) -> HubError {
        let error = self.pull().unwrap_err();
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        error
    }

    pub(crate) fn serve(&self, content: Vec<u8>) {
        let mut state = self.hub.state();
        state.sha256 = Some(sha256(&content));
        state.size = content.len() as u64;
        state.content = content;
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.cache.path().join(NAME).join("model.onnx")
    }

    pub(crate) fn parts(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache.path().join(NAME)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".part")).collect()
    }

    pub(crate) fn ranges(&self) -> Vec<Option<String>> {
        let downloads = self.hub.downloads().into_iter();
        downloads.map(|seen| seen.range).collect()
    }

    pub(crate) fn load(&self) -> Result<Model, ExtractorError> {
        Model::resolve_in(NAME, self.cache.path())
    }
}
