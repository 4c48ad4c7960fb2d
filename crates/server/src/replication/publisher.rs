//! The writer's side.

use super::{CATALOGUE, ReplicationError, Side, object};
use curriculum_manifest::SharedFolder;
use curriculum_store::{Catalogue, Digest, Store};
use std::sync::Arc;

pub(super) struct Publisher {
    store: Arc<Store>,
    folder: SharedFolder,
    /// The changes to curricula that the folder has, once it has any.
    published: Option<u64>,
}

impl Publisher {
    pub(super) fn new(store: Arc<Store>, folder: SharedFolder) -> Self {
        Self {
            store,
            folder,
            published: None,
        }
    }

    fn publish(&self) -> Result<(), ReplicationError> {
        let mut catalogue = self.store.catalogue()?;
        // Looked at each time: the folder may have been handed over to somebody else.
        let there = self.look(catalogue.owner)?;
        let needed = catalogue.versions();
        let (versions, mut removed) = match &there {
            Some(there) => (there.versions(), there.removed.clone()),
            None => Default::default(),
        };
        for version in needed.difference(&versions) {
            self.upload(*version)?;
        }
        removed.extend(versions);
        catalogue.removed = &removed - &needed;
        if there.as_ref() != Some(&catalogue) {
            self.folder.write(CATALOGUE, catalogue.to_json())?;
            // Another writer that began at the same moment is seen here, by one of both at least.
            self.look(catalogue.owner)?;
        }
        for version in &catalogue.removed {
            self.folder.delete(&object(*version))?;
        }
        Ok(())
    }

    /// What was published here before.
    fn look(&self, owner: Digest) -> Result<Option<Catalogue>, ReplicationError> {
        let Some(content) = self.folder.read_unless(CATALOGUE, None)? else {
            return Ok(None);
        };
        let catalogue = Catalogue::parse(&content.bytes)?;
        match catalogue.owner == owner {
            true => Ok(Some(catalogue)),
            false => Err(ReplicationError::Taken {
                place: self.folder.to_string(),
            }),
        }
    }

    fn upload(&self, version: Digest) -> Result<(), ReplicationError> {
        let mut object = self.folder.upload(&object(version))?;
        self.store
            .export_version(version, &mut object)
            .map_err(|source| ReplicationError::Version { version, source })?;
        object.finish()?;
        tracing::info!(%version, "published for other servers");
        Ok(())
    }
}

impl Side for Publisher {
    fn is_due(&self) -> bool {
        self.published != Some(self.store.changes())
    }

    fn catch_up(&mut self) -> Result<(), ReplicationError> {
        // Counted before it is read: what changes meanwhile is seen the next time.
        let changes = self.store.changes();
        self.publish()?;
        self.published = Some(changes);
        Ok(())
    }
}
