//! The side of a server that serves copies.

use super::{CATALOGUE, MAX_PAUSE, ReplicationError, Side, object};
use curriculum_manifest::{AccessError, SharedFolder};
use curriculum_store::{Catalogue, CurriculumRecord, Digest, Store, StoreError};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

pub(super) struct Follower {
    store: Arc<Store>,
    folder: SharedFolder,
    /// Whether all is here that is published.
    whole: watch::Sender<bool>,
    /// Whether there were copies at the start.
    had_copies: bool,
    /// The newest one, and its mark.
    catalogue: Option<Catalogue>,
    etag: Option<String>,
    /// Versions that could not be had.
    failed: BTreeMap<Digest, Failed>,
}

/// When a version is tried again.
struct Failed {
    pause: Duration,
    next: Instant,
    /// Whether that is no fault of the version's own.
    may_come: bool,
}

impl Follower {
    pub(super) fn new(
        store: Arc<Store>,
        folder: SharedFolder,
        whole: watch::Sender<bool>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            had_copies: !store.curricula()?.is_empty(),
            store,
            folder,
            whole,
            catalogue: None,
            etag: None,
            failed: BTreeMap::new(),
        })
    }

    /// Looks for another catalogue; whether there is anything to do.
    fn look(&mut self) -> Result<bool, ReplicationError> {
        match self.folder.read_unless(CATALOGUE, self.etag.as_deref())? {
            Some(content) => {
                let catalogue = Catalogue::parse(&content.bytes)?;
                let named = catalogue.versions();
                self.failed.retain(|version, _| named.contains(version));
                self.catalogue = Some(catalogue);
                self.etag = content.etag;
                Ok(true)
            }
            None if self.catalogue.is_none() => Err(AccessError::NotFound {
                place: format!("{}{CATALOGUE}", self.folder),
            }
            .into()),
            None => Ok(!self.failed.is_empty()),
        }
    }

    /// Makes the data folder what the catalogue says. A version that cannot be had keeps its own
    /// curriculum back, and no other.
    fn adopt(&mut self, catalogue: &Catalogue) -> Result<(), ReplicationError> {
        for (name, record) in &catalogue.curricula {
            if self.has(name, record)? {
                self.store.adopt(name, record)?;
            }
        }
        for (name, _) in self.store.curricula()? {
            if !catalogue.curricula.contains_key(&name) {
                tracing::info!(curriculum = name, "not published any more");
                self.store.forget(&name)?;
            }
        }
        Ok(self.store.drop_strays(&catalogue.versions())?)
    }

    /// Whether all versions of a curriculum are here, once those that were not have been fetched.
    fn has(&mut self, name: &str, record: &CurriculumRecord) -> Result<bool, ReplicationError> {
        let mut all = true;
        for version in &record.versions {
            if self.store.version(*version)?.is_some() {
                continue;
            }
            let waits = self.failed.get(version);
            if waits.is_some_and(|failed| failed.next > Instant::now()) {
                all = false;
            } else if let Err(error) = self.fetch(name, *version) {
                all = false;
                self.fail(*version, &error);
            } else {
                self.failed.remove(version);
            }
        }
        Ok(all)
    }

    fn fetch(&self, name: &str, version: Digest) -> Result<(), ReplicationError> {
        let mut object = self.folder.reader(&object(version))?;
        let taken = self.store.take_version(&mut object);
        let taken = taken.map_err(|source| ReplicationError::Version { version, source })?;
        if taken.version.id != version {
            return Err(ReplicationError::Other {
                version,
                found: taken.version.id,
            });
        }
        let samples = taken.version.summary.sample_count;
        tracing::info!(curriculum = name, %version, samples, "version is here");
        Ok(())
    }

    fn fail(&mut self, version: Digest, error: &ReplicationError) {
        let before = self.failed.get(&version).map(|failed| failed.pause);
        let pause = match before {
            Some(pause) => (pause * 2).min(MAX_PAUSE),
            None => {
                tracing::warn!(%version, %error, "a version cannot be had, and is tried again");
                Duration::from_secs(1)
            }
        };
        let failed = Failed {
            pause,
            next: Instant::now() + pause,
            may_come: may_come(error),
        };
        self.failed.insert(version, failed);
    }
}

impl Side for Follower {
    fn is_due(&self) -> bool {
        true
    }

    fn lacks(&self) -> bool {
        !self.failed.is_empty()
    }

    fn catch_up(&mut self) -> Result<(), ReplicationError> {
        let looked = self.look();
        if looked.is_err() && self.had_copies {
            // They are served on while the store is away.
            self.whole.send_replace(true);
        }
        if looked? && let Some(catalogue) = self.catalogue.take() {
            let adopted = self.adopt(&catalogue);
            if adopted.is_err() {
                self.etag = None;
            }
            self.catalogue = Some(catalogue);
            adopted?;
            // A version that is damaged keeps nobody waiting. One that did not come through is awaited, unless
            // there are copies to serve meanwhile.
            if self.had_copies || !self.failed.values().any(|failed| failed.may_come) {
                self.whole.send_replace(true);
            }
        }
        Ok(())
    }
}

/// Whether a version that could not be had may be sound all the same.
fn may_come(error: &ReplicationError) -> bool {
    match error {
        ReplicationError::Access(error) => !matches!(error, AccessError::NotFound { .. }),
        ReplicationError::Store(_) => true,
        ReplicationError::Version { source, .. } => {
            matches!(source, StoreError::Io { .. } | StoreError::DiskFull { .. })
        }
        ReplicationError::Other { .. } | ReplicationError::Taken { .. } => false,
    }
}
