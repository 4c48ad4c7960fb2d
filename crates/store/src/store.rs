//! Opening a data folder.

use crate::{
    Result, StoreError,
    features::Spaces,
    files::{self, NewFile, NewFolder},
    flushed::Flushed,
    room::Room,
    unsynced::Unsynced,
};
use metrics::histogram;
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Metric: a histogram of the seconds that flushes take.
pub const FLUSH_SECONDS: &str = "curriculum_store_flush_duration_seconds";

/// Raised whenever a stored form changes incompatibly.
const SCHEMA_VERSION: u32 = 3;

/// What can be chosen when a data folder is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of the file system that data leaves free, so that records can always be written.
    pub min_free_bytes: u64,
    /// Bytes of memory for the database's cache.
    pub cache_bytes: u64,
}

impl Default for StoreOptions {
    /// 256 MiB free, 64 MiB of cache.
    fn default() -> Self {
        Self {
            min_free_bytes: 256 << 20,
            cache_bytes: 64 << 20,
        }
    }
}

/// An open data folder. One process at a time holds it.
#[derive(Debug)]
pub struct Store {
    pub(crate) jobs: sled::Tree,
    pub(crate) job_errors: sled::Tree,
    pub(crate) versions: sled::Tree,
    pub(crate) curricula: sled::Tree,
    pub(crate) sketches: sled::Tree,
    pub(crate) clusterings: sled::Tree,
    /// Held while a curriculum's record is read and replaced.
    pub(crate) pointing: Mutex<()>,
    /// Of curricula, since the folder was opened.
    pub(crate) changes: AtomicU64,
    /// Held while an imported version takes its place.
    pub(crate) importing: Mutex<()>,
    pub(crate) spaces: Mutex<Spaces>,
    root: PathBuf,
    room: Room,
    unsynced: Unsynced,
    /// Tells temporary files of this process apart.
    temporaries: AtomicU64,
    db: sled::Db,
    flushed: Flushed,
    /// Released when the process ends, however it ends.
    _lock: File,
}

impl Store {
    /// [`Store::open_with`] the default options.
    ///
    /// # Errors
    /// See there.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_with(root, StoreOptions::default())
    }

    /// Opens, and creates if need be, the data folder at `root`.
    ///
    /// # Errors
    /// [`StoreError::InUse`] and [`StoreError::Schema`] before anything is touched; [`StoreError::Corrupt`]
    /// when the database lost records that were on disk.
    pub fn open_with(root: &Path, options: StoreOptions) -> Result<Self> {
        fs::create_dir_all(root).map_err(StoreError::io("create", root))?;
        let lock = lock(root)?;
        check_schema(root)?;
        for folder in ["", "columns", "samples"] {
            files::remove_unfinished(&root.join(folder))?;
        }
        let db = open_database(
            &sled::Config::new()
                .path(root.join("db"))
                .cache_capacity(options.cache_bytes),
        )?;
        Ok(Self {
            jobs: db.open_tree("jobs")?,
            job_errors: db.open_tree("job_errors")?,
            versions: db.open_tree("versions")?,
            curricula: db.open_tree("curricula")?,
            sketches: db.open_tree("sketches")?,
            clusterings: db.open_tree("clusterings")?,
            pointing: Mutex::default(),
            changes: AtomicU64::default(),
            importing: Mutex::default(),
            spaces: Mutex::default(),
            root: root.to_owned(),
            room: Room::new(root, options.min_free_bytes),
            unsynced: Unsynced::default(),
            temporaries: AtomicU64::default(),
            flushed: Flushed::open(root, &db)?,
            db,
            _lock: lock,
        })
    }

    /// As [`Store::open_with`], of a folder that is there.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is no data folder; then see there.
    pub fn open_existing(root: &Path, options: StoreOptions) -> Result<Self> {
        if !root.join("SCHEMA").is_file() {
            let what = format!("data folder at {}", root.display());
            return Err(StoreError::NotFound(what));
        }
        Self::open_with(root, options)
    }

    /// Returns once everything written so far is on disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn flush(&self) -> Result<()> {
        let begun = Instant::now();
        self.unsynced.sync()?;
        self.flushed.flush(&self.db)?;
        histogram!(FLUSH_SECONDS).record(begun.elapsed());
        Ok(())
    }

    /// A temporary file in a folder of the data folder that exists.
    pub(crate) fn new_file(&self, folder: &str) -> Result<NewFile> {
        self.new_file_in(&self.root.join(folder))
    }

    pub(crate) fn new_file_in(&self, folder: &Path) -> Result<NewFile> {
        NewFile::create(folder.join(self.temporary_name()))
    }

    /// A temporary folder in a folder of the data folder, which is created.
    pub(crate) fn new_folder(&self, folder: &str) -> Result<NewFolder> {
        let folder = self.root.join(folder);
        files::create_folder(&folder)?;
        NewFolder::create(folder.join(self.temporary_name()))
    }

    fn temporary_name(&self) -> String {
        let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", files::UNFINISHED)
    }

    /// Creates `parent`, a folder of the data folder, and `folder` in it.
    pub(crate) fn create_below(&self, parent: &str, folder: &Path) -> Result<()> {
        if folder.exists() {
            return Ok(());
        }
        files::create_folder(&self.root.join(parent))?;
        files::create_folder(folder)
    }

    pub(crate) fn database(&self) -> &sled::Db {
        &self.db
    }

    pub(crate) fn flushed(&self) -> &Flushed {
        &self.flushed
    }

    pub(crate) fn unsynced(&self) -> &Unsynced {
        &self.unsynced
    }

    pub(crate) fn room(&self) -> Room {
        self.room.clone()
    }

    /// The data folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Own lock, taken before the database is opened: sled creates files before it finds its lock taken.
fn lock(root: &Path) -> Result<File> {
    let path = root.join("LOCK");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: root.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(StoreError::Io {
            action: "lock",
            path,
            source,
        }),
    }
}

/// Opens the database. Its threads may hold its own lock for a moment after a store of this process
/// was dropped; ours is held by now, so nobody else can.
fn open_database(config: &sled::Config) -> Result<sled::Db> {
    const TRIES: u32 = 200;
    for _ in 0..TRIES {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("acquire lock") => {
                thread::sleep(Duration::from_millis(20));
            }
            other => return Ok(other?),
        }
    }
    Ok(config.open()?)
}

/// A plain file, read before the database is opened: opening alone may write to it.
fn check_schema(root: &Path) -> Result<()> {
    let path = root.join("SCHEMA");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(SCHEMA_VERSION) => Ok(()),
            Ok(found) => Err(StoreError::Schema {
                path: root.to_owned(),
                found,
                expected: SCHEMA_VERSION,
            }),
            Err(_) => Err(StoreError::corrupt(
                path.display().to_string(),
                "not a number",
            )),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("{SCHEMA_VERSION}\n");
            files::write_whole(root.join(files::UNFINISHED), &path, text.as_bytes())
        }
        Err(source) => Err(StoreError::Io {
            action: "read",
            path,
            source,
        }),
    }
}

#[cfg(test)]
pub(crate) fn temporary() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::open(folder.path()).unwrap(), folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_and_left_alone() {
        let (store, folder) = temporary();
        let before = fs::read_dir(folder.path()).unwrap().count();
        assert!(matches!(
            Store::open(folder.path()),
            Err(StoreError::InUse { .. })
        ));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
        drop(store);
        Store::open(folder.path()).unwrap();
    }

    #[test]
    fn another_schema_is_refused() {
        let (store, folder) = temporary();
        drop(store);
        fs::write(folder.path().join("SCHEMA"), "99").unwrap();
        assert!(matches!(
            Store::open(folder.path()),
            Err(StoreError::Schema { found: 99, .. })
        ));
    }
}
