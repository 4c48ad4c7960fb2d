//! Files that have their name and may not be on disk yet.
//!
//! Packs and chunks of samples are many, each is checked whenever it is read, and what is missing or
//! damaged is made again; so they are put on disk together, by threads at once, before anything is
//! recorded that relies on them ([`crate::Store::flush`]), and not one by one. A killed process loses
//! none of them; a power cut may cost those since the last flush. File systems write what many threads
//! ask for in one commit: on the machine of the benches, ten times as many packs a second.

use crate::{Result, StoreError, files};
use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Files that wait at most: they are what a power cut can cost.
const WAITING: usize = 256;

/// Threads that sync at once.
const THREADS: usize = 16;

/// Shared by all that write such files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsynced(Arc<Mutex<Vec<PathBuf>>>);

impl Unsynced {
    /// Notes a file; syncs all when they have become many.
    pub(crate) fn add(&self, path: PathBuf) -> Result<()> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(path);
        let many = waiting.len() >= WAITING;
        drop(waiting);
        if many { self.sync() } else { Ok(()) }
    }

    /// Returns once all files noted so far are on disk, under their names.
    pub(crate) fn sync(&self) -> Result<()> {
        // Held to the end, so that nobody believes on disk what another thread has yet to sync.
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let folders: BTreeSet<&Path> = waiting.iter().filter_map(|path| path.parent()).collect();
        let folders: Vec<&Path> = folders.into_iter().collect();
        sync_all(&waiting)?;
        sync_all(&folders)?;
        // Those of a sync that failed stay, so that the next one does not pass without them.
        waiting.clear();
        Ok(())
    }
}

/// Files or folders; those that are gone meanwhile need no more.
fn sync_all<P: AsRef<Path> + Sync>(paths: &[P]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            sync(path.as_ref())?;
        }
        Ok(())
    };
    if paths.len() == 1 {
        return work();
    }
    thread::scope(|scope| {
        let threads = (0..THREADS.min(paths.len())).map(|_| scope.spawn(work));
        let threads: Vec<_> = threads.collect();
        let panicked = |_| {
            Err(StoreError::Invalid(
                "a thread that syncs panicked".to_owned(),
            ))
        };
        // The scope waits for all, whatever the first says.
        let mut threads = threads.into_iter();
        threads.try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })
}

fn sync(path: &Path) -> Result<()> {
    let synced = match path.is_dir() {
        true => files::sync_folder(path),
        false => File::open(path).and_then(|file| file.sync_all()),
    };
    match synced {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(StoreError::io("sync", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_gone_are_no_error_and_others_are() {
        let folder = tempfile::tempdir().unwrap();
        let unsynced = Unsynced::default();
        for n in 0..2 * WAITING {
            let path = folder.path().join(n.to_string());
            if n % 3 > 0 {
                std::fs::write(&path, "x").unwrap();
            }
            unsynced.add(path).unwrap();
        }
        assert!(unsynced.0.lock().unwrap().len() < WAITING);
        unsynced.sync().unwrap();
        assert!(unsynced.0.lock().unwrap().is_empty());
        // A file in the place of a folder is neither there nor gone.
        let inside = folder.path().join("1").join("x");
        unsynced.add(inside).unwrap();
        for _ in 0..2 {
            assert!(matches!(unsynced.sync(), Err(StoreError::Io { .. })));
        }
    }
}
