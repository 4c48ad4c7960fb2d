//! All curricula at once, as a server that publishes tells those that serve copies.
//!
//! A catalogue is JSON and small: names, versions, aliases. The versions themselves travel as
//! [`portable`](crate::portable) files. A server adopts a catalogue once it has the versions; what the
//! catalogue does not name any more goes.

use crate::{
    CurriculumRecord, Digest, Result, Store, StoreError,
    curricula::{check_alias, check_name},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    process,
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

/// Raised whenever the form changes incompatibly.
const FORMAT: u32 = 1;

/// Key of the data folder's own id.
const IDENTITY: &[u8] = b"identity";

/// Key that is there while the folder holds copies.
const COPY: &[u8] = b"copy";

/// Curricula by name, and whose they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    format: u32,
    /// Of the data folder that they lie in.
    pub owner: Digest,
    /// By name.
    pub curricula: BTreeMap<String, CurriculumRecord>,
    /// Versions whose files are not needed any more.
    pub removed: BTreeSet<Digest>,
}

impl Catalogue {
    /// All versions that it names.
    #[must_use]
    pub fn versions(&self) -> BTreeSet<Digest> {
        let records = self.curricula.values();
        records
            .flat_map(|record| record.versions.iter().copied())
            .collect()
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[expect(
            clippy::expect_used,
            reason = "maps with text as keys: JSON cannot fail"
        )]
        serde_json::to_vec_pretty(self).expect("a catalogue serialises")
    }

    /// From JSON, which anybody may have written.
    ///
    /// # Errors
    /// [`StoreError::Portable`] says what is wrong.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let wrong = |reason: String| StoreError::Portable(format!("the catalogue: {reason}"));
        let catalogue: Self =
            serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        if catalogue.format != FORMAT {
            let reason = format!("its format is {}, not {FORMAT}", catalogue.format);
            return Err(wrong(reason));
        }
        for (name, record) in &catalogue.curricula {
            check_name(name)?;
            record
                .aliases
                .keys()
                .try_for_each(|alias| check_alias(alias))?;
            let known: BTreeSet<_> = record.versions.iter().collect();
            let held = record.aliases.values().flatten();
            if known.len() != record.versions.len() || record.versions.is_empty() {
                return Err(wrong(format!(
                    "the versions of `{name}` are none, or doubled"
                )));
            }
            if !held.into_iter().all(|version| known.contains(version)) {
                return Err(wrong(format!("an alias of `{name}` points nowhere")));
            }
        }
        Ok(catalogue)
    }
}

impl Store {
    /// What the data folder holds now.
    ///
    /// # Errors
    /// When a record is damaged or the database fails.
    pub fn catalogue(&self) -> Result<Catalogue> {
        let named = |(_, record): &(String, CurriculumRecord)| !record.versions.is_empty();
        Ok(Catalogue {
            format: FORMAT,
            owner: self.identity()?,
            curricula: self.curricula()?.into_iter().filter(named).collect(),
            removed: BTreeSet::new(),
        })
    }

    /// Counts the changes to names, versions and aliases since the folder was opened.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Takes one curriculum over as it is elsewhere; its versions are here. Versions that nothing names
    /// any more go.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when a version is not here: nothing has changed then.
    pub fn adopt(&self, name: &str, record: &CurriculumRecord) -> Result<()> {
        check_name(name)?;
        let _pointing = self.pointing();
        for version in &record.versions {
            if self.version(*version)?.is_none() {
                return Err(StoreError::NotFound(format!("version {version}")));
            }
        }
        let before = self.curriculum(name)?.unwrap_or_default();
        if before == *record {
            return Ok(());
        }
        self.put_curriculum(name, record)?;
        self.flush()?;
        let gone = before.versions.into_iter();
        let gone: Vec<_> = gone.filter(|v| !record.versions.contains(v)).collect();
        self.drop_unreferenced(&gone)
    }

    /// Forgets a curriculum, and its versions that no other names.
    ///
    /// # Errors
    /// When a record is damaged or the database fails.
    pub fn forget(&self, name: &str) -> Result<()> {
        let _pointing = self.pointing();
        let Some(before) = self.curriculum(name)? else {
            return Ok(());
        };
        self.curricula.remove(name)?;
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.flush()?;
        self.drop_unreferenced(&before.versions)
    }

    /// Removes all versions but those in `named` and those that curricula name, for a folder that no job
    /// works on.
    ///
    /// # Errors
    /// When a record is damaged or the database fails.
    pub fn drop_strays(&self, named: &BTreeSet<Digest>) -> Result<()> {
        let ids = self.versions.iter().keys();
        for key in ids {
            let Ok(id) = <[u8; 32]>::try_from(&*key?).map(Digest::from) else {
                continue;
            };
            if !named.contains(&id) {
                self.drop_unreferenced(&[id])?;
            }
        }
        Ok(())
    }

    /// Says whether this folder holds copies, which go as soon as they are not published any more.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it would become one and has curricula or jobs of its own.
    pub fn set_copy(&self, copy: bool) -> Result<()> {
        let database = self.database();
        let was = database.contains_key(COPY)?;
        if copy && !was && !(self.curricula()?.is_empty() && self.jobs()?.0.is_empty()) {
            return Err(StoreError::Invalid(format!(
                "the data folder {} has curricula or jobs of its own: a read-only server needs another",
                self.root().display()
            )));
        }
        match copy {
            true => database.insert(COPY, b"")?,
            false => database.remove(COPY)?,
        };
        match copy == was {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Tells this data folder from any other.
    fn identity(&self) -> Result<Digest> {
        if let Some(stored) = self.database().get(IDENTITY)? {
            let bytes = <[u8; 32]>::try_from(&*stored);
            return bytes.map(Digest::from).map_err(|_| StoreError::Corrupt {
                what: "the data folder's id".to_owned(),
                reason: "not 32 bytes",
            });
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let made = Digest::of_parts([
            now.unwrap_or_default().as_nanos().to_le_bytes().as_slice(),
            &process::id().to_le_bytes(),
            self.root().as_os_str().as_encoded_bytes(),
        ]);
        self.database().insert(IDENTITY, made.as_bytes())?;
        self.flush()?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::tests::put_version;

    fn digest(n: u8) -> Digest {
        Digest::from([n; 32])
    }

    fn store(versions: &[u8]) -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for version in versions {
            put_version(&store, digest(*version));
        }
        (store, folder)
    }

    fn record(versions: &[u8]) -> CurriculumRecord {
        CurriculumRecord {
            versions: versions.iter().copied().map(digest).collect(),
            aliases: BTreeMap::new(),
        }
    }

    #[test]
    fn a_catalogue_reads_back_and_keeps_its_owner() {
        let (store, folder) = store(&[1, 2]);
        store.point("c", digest(1)).unwrap();
        store.point("c", digest(2)).unwrap();
        store.promote("c", "stable", digest(1)).unwrap();
        let catalogue = store.catalogue().unwrap();
        assert_eq!(Catalogue::parse(&catalogue.to_json()).unwrap(), catalogue);
        assert_eq!(catalogue.versions(), [digest(1), digest(2)].into());
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.catalogue().unwrap(), catalogue);
        let (other, _folder) = self::store(&[]);
        assert_ne!(other.catalogue().unwrap().owner, catalogue.owner);
    }

    #[test]
    fn adopting_makes_a_curriculum_what_it_is_elsewhere() {
        let (store, _folder) = store(&[1, 2, 3]);
        store.adopt("c", &record(&[2, 1])).unwrap();
        assert_eq!(store.curriculum("c").unwrap(), Some(record(&[2, 1])));
        store.adopt("d", &record(&[1])).unwrap();

        store.adopt("c", &record(&[3])).unwrap();
        assert!(store.version(digest(1)).unwrap().is_some());
        assert!(store.version(digest(2)).unwrap().is_none());
        let missing = store.adopt("c", &record(&[3, 9])).unwrap_err();
        assert!(matches!(missing, StoreError::NotFound(_)), "{missing}");
        assert_eq!(store.curriculum("c").unwrap(), Some(record(&[3])));

        store.forget("d").unwrap();
        store.forget("d").unwrap();
        assert_eq!(store.curriculum("d").unwrap(), None);
        assert!(store.version(digest(1)).unwrap().is_none());
    }

    #[test]
    fn what_nothing_names_is_dropped() {
        let (store, _folder) = store(&[1, 2, 3]);
        store.adopt("c", &record(&[1])).unwrap();
        store.drop_strays(&[digest(2)].into()).unwrap();
        let kept = [1, 2, 3].map(|n| store.version(digest(n)).unwrap().is_some());
        assert_eq!(kept, [true, true, false]);
    }

    #[test]
    fn a_folder_with_its_own_curricula_does_not_become_a_copy() {
        let (store, _folder) = store(&[1]);
        store.set_copy(true).unwrap();
        store.adopt("c", &record(&[1])).unwrap();
        store.set_copy(true).unwrap();
        // Served as its own once, it is one.
        store.set_copy(false).unwrap();
        let refused = store.set_copy(true).unwrap_err();
        assert!(matches!(refused, StoreError::Invalid(_)), "{refused}");
        assert!(store.version(digest(1)).unwrap().is_some());
    }

    #[test]
    fn other_catalogues_are_refused() {
        let (store, _folder) = store(&[1]);
        store.point("c", digest(1)).unwrap();
        let good = String::from_utf8(store.catalogue().unwrap().to_json()).unwrap();
        let version = digest(1).to_string();
        for (from, to, said) in [
            ("\"format\": 1", "\"format\": 2", "format is 2"),
            ("\"c\"", "\"../c\"", "curriculum must be"),
            ("\"c\"", "\"\"", "curriculum must be"),
            (&*format!("\"{version}\""), "\"x\"", "64 hexadecimal"),
            ("\"aliases\": {}", "\"aliases\": {\"latest\": []}", "latest"),
            ("{", "[", "catalogue"),
        ] {
            assert!(good.contains(from), "{from}");
            let error = Catalogue::parse(good.replacen(from, to, 1).as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{to}: {error}");
        }
        let stray = format!("\"aliases\": {{\"stable\": [\"{}\"]}}", digest(2));
        let error = Catalogue::parse(good.replace("\"aliases\": {}", &stray).as_bytes());
        assert!(error.unwrap_err().to_string().contains("points nowhere"));
        for cut in 0..good.len() {
            assert!(Catalogue::parse(&good.as_bytes()[..cut]).is_err());
        }
    }
}
