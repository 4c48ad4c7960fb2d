//! Whether the database still has what was on disk.
//!
//! sled takes a damaged entry near the end of its log for the torn end of a write that nobody was told of,
//! and forgets it and all that follow: a flipped bit there could lose records that were acknowledged. So
//! each flush is counted in the database and, once it is on disk, in a file beside it. A database that
//! knows of fewer flushes than the file has lost some.

use crate::{Result, StoreError, envelope, files};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const KEY: &[u8] = b"flushes";
const FILE: &str = "FLUSHED";

/// The flushes of a data folder.
#[derive(Debug)]
pub(crate) struct Flushed {
    root: PathBuf,
    /// Flushes so far. Held while one is made, so that the file never counts one that is not done.
    count: Mutex<u64>,
}

impl Flushed {
    /// Compares what database and file say.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when flushes are missing in the database.
    pub(crate) fn open(root: &Path, db: &sled::Db) -> Result<Self> {
        let in_file = read(root)?;
        let in_database = match db.get(KEY)? {
            Some(value) => number(&value)
                .ok_or_else(|| StoreError::corrupt("the database", "its count of flushes"))?,
            None => 0,
        };
        if in_database < in_file {
            return Err(StoreError::corrupt(
                root.join("db").display().to_string(),
                "records that were on disk are missing; restore the folder from a copy, or, to go on with \
                 what is left, delete the file FLUSHED beside it",
            ));
        }
        Ok(Self {
            root: root.to_owned(),
            count: Mutex::new(in_database),
        })
    }

    /// Whether the file can be read.
    pub(crate) fn check(&self) -> Result<()> {
        read(&self.root).map(drop)
    }

    /// Returns once everything written to `db` so far is on disk.
    pub(crate) fn flush(&self, db: &sled::Db) -> Result<()> {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let next = *count + 1;
        db.insert(KEY, &next.to_le_bytes())?;
        db.flush()?;
        *count = next;
        let temporary = self.root.join(format!("{}-flushed", files::UNFINISHED));
        let value = envelope::seal(&next.to_le_bytes());
        files::write_whole(temporary, &self.root.join(FILE), &value)
    }
}

/// What the file says; nothing before the first flush.
fn read(root: &Path) -> Result<u64> {
    let path = root.join(FILE);
    match fs::read(&path) {
        Ok(value) => {
            let what = || path.display().to_string();
            let count = number(envelope::open(&value, what)?);
            count.ok_or_else(|| StoreError::corrupt(what(), "not a number"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StoreError::io("read", &path)(error)),
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use crate::{Store, StoreError, job::tests::job};
    use std::{fs, path::Path};

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
            match path.is_dir() {
                true => copy(&path, &to.join(name)),
                false => drop(fs::copy(path, to.join(name)).unwrap()),
            }
        }
    }

    /// Either nothing is lost, or opening says so.
    #[test]
    fn records_that_a_flipped_bit_lost_are_missed() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("live");
        let store = Store::open(&live).unwrap();
        for n in 0..20 {
            store.put_job(&job(n)).unwrap();
            store.flush().unwrap();
        }
        // As after SIGKILL: what is in the files, and no more.
        let killed = folder.path().join("killed");
        copy(&live, &killed);
        drop(store);
        let log = fs::read(killed.join("db/db")).unwrap();
        let used = log.iter().rposition(|byte| *byte != 0).unwrap();
        let (mut lost, mut tried) = (0, 0);
        for at in (0..used).step_by(used / 40) {
            let damaged = folder.path().join(format!("damaged-{at}"));
            copy(&killed, &damaged);
            let mut bytes = log.clone();
            bytes[at] ^= 4;
            fs::write(damaged.join("db/db"), bytes).unwrap();
            tried += 1;
            match Store::open(&damaged) {
                Err(StoreError::Corrupt { .. }) => lost += 1,
                Err(other) => panic!("{at}: {other}"),
                Ok(store) => match store.jobs() {
                    Ok((jobs, damaged)) => assert_eq!(jobs.len() + damaged.len(), 20, "{at}"),
                    Err(StoreError::Corrupt { .. }) => lost += 1,
                    Err(other) => panic!("{at}: {other}"),
                },
            }
            fs::remove_dir_all(damaged).unwrap();
        }
        assert!(lost > tried / 2, "{lost} of {tried}");
        assert_eq!(Store::open(&killed).unwrap().jobs().unwrap().0.len(), 20);
    }

    #[test]
    fn a_database_that_is_gone_is_missed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.flush().unwrap();
        drop(store);
        fs::remove_dir_all(folder.path().join("db")).unwrap();
        let missed = Store::open(folder.path());
        assert!(matches!(missed, Err(StoreError::Corrupt { .. })));
        fs::remove_file(folder.path().join("FLUSHED")).unwrap();
        fs::remove_dir_all(folder.path().join("db")).unwrap();
        Store::open(folder.path()).unwrap();
    }
}
