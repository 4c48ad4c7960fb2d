//! The side of a server that serves copies.

use crate::lifecycle::Lifecycle;

use super::{CATALOGUE, ReplicationError, Side, object};
use curriculum_manifest::{AccessError, SharedFolder};
use curriculum_store::{Catalogue, CurriculumRecord, Store};
use std::sync::Arc;

pub(super) struct Follower {
    store: Arc<Store>,
    folder: SharedFolder,
    /// Of the catalogue that all is here of.
    etag: Option<String>,
    lifecycle: Lifecycle,
}

impl Follower {
    pub(super) fn new(store: Arc<Store>, folder: SharedFolder, lifecycle: Lifecycle) -> Self {
        Self {
            store,
            folder,
            etag: None,
            lifecycle,
        }
    }

    /// One curriculum as the catalogue has it.
    fn adopt(&self, name: &str, record: &CurriculumRecord) -> Result<(), ReplicationError> {
        for version in &record.versions {
            if self.store.version(*version)?.is_some() {
                continue;
            }
            let mut object = self.folder.reader(&object(*version))?;
            let taken = self.store.take_version(&mut object);
            let taken = taken.map_err(|source| ReplicationError::Version {
                version: *version,
                source,
            })?;
            let samples = taken.version.summary.sample_count;
            tracing::info!(curriculum = name, %version, samples, "version is here");
        }
        Ok(self.store.adopt(name, record)?)
    }
}

impl Side for Follower {
    fn is_due(&self) -> bool {
        true
    }

    /// A version that cannot be had keeps its own curriculum back, and no other.
    fn catch_up(&mut self) -> Result<(), ReplicationError> {
        let known = self.etag.as_deref();
        let Some(content) = self.folder.read_unless(CATALOGUE, known)? else {
            return match known {
                Some(_) => Ok(()),
                None => Err(not_published(&self.folder)),
            };
        };
        let catalogue = Catalogue::parse(&content.bytes)?;
        let mut failure = None;
        for (name, record) in &catalogue.curricula {
            if let Err(error) = self.adopt(name, record) {
                failure.get_or_insert(error);
            }
        }
        for (name, _) in self.store.curricula()? {
            if !catalogue.curricula.contains_key(&name) {
                self.store.forget(&name)?;
            }
        }
        match failure {
            Some(error) => Err(error),
            None => {
                self.etag = content.etag;
                self.lifecycle.caught_up();
                Ok(())
            }
        }
    }
}

fn not_published(folder: &SharedFolder) -> ReplicationError {
    AccessError::NotFound {
        place: format!("{folder}{CATALOGUE}"),
    }
    .into()
}
