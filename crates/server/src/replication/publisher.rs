//! The writer's side.

use super::{CATALOGUE, ReplicationError, Side, object};
use curriculum_manifest::SharedFolder;
use curriculum_store::{Catalogue, Digest, Store};
use std::{collections::BTreeSet, sync::Arc};

pub(super) struct Publisher {
    store: Arc<Store>,
    folder: SharedFolder,
    /// The changes to curricula that the folder has, once it has any.
    published: Option<u64>,
    /// What lies there, once that is known.
    there: Option<There>,
}

struct There {
    versions: BTreeSet<Digest>,
    catalogue: Option<Catalogue>,
}

impl Publisher {
    pub(super) fn new(store: Arc<Store>, folder: SharedFolder) -> Self {
        Self {
            store,
            folder,
            published: None,
            there: None,
        }
    }

    fn publish(&mut self) -> Result<(), ReplicationError> {
        let mut catalogue = self.store.catalogue()?;
        let there = match &mut self.there {
            Some(there) => there,
            None => {
                let found = look(&self.folder, catalogue.owner)?;
                self.there.insert(found)
            }
        };
        let needed = catalogue.versions();
        for version in &needed {
            if !there.versions.contains(version) {
                upload(&self.store, &self.folder, *version)?;
                there.versions.insert(*version);
            }
        }
        catalogue.removed = &there.versions - &needed;
        if there.catalogue.as_ref() != Some(&catalogue) {
            self.folder.write(CATALOGUE, catalogue.to_json())?;
            there.catalogue = Some(catalogue.clone());
        }
        for version in &catalogue.removed {
            self.folder.delete(&object(*version))?;
            there.versions.remove(version);
        }
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
        let published = self.publish();
        if published.is_ok() {
            self.published = Some(changes);
        } else {
            // Somebody else may have been at work there.
            self.there = None;
        }
        published
    }
}

/// What an earlier run left.
fn look(folder: &SharedFolder, owner: Digest) -> Result<There, ReplicationError> {
    let Some(content) = folder.read_unless(CATALOGUE, None)? else {
        return Ok(There {
            versions: BTreeSet::new(),
            catalogue: None,
        });
    };
    let catalogue = Catalogue::parse(&content.bytes)?;
    if catalogue.owner != owner {
        return Err(ReplicationError::Taken {
            place: folder.to_string(),
        });
    }
    Ok(There {
        versions: &catalogue.versions() | &catalogue.removed,
        catalogue: Some(catalogue),
    })
}

fn upload(store: &Store, folder: &SharedFolder, version: Digest) -> Result<(), ReplicationError> {
    let mut object = folder.upload(&object(version))?;
    store
        .export_version(version, &mut object)
        .map_err(|source| ReplicationError::Version { version, source })?;
    object.finish()?;
    tracing::info!(%version, "published for replicas");
    Ok(())
}
