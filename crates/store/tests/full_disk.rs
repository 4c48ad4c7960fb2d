//! What a full disk leaves behind: nothing half done, nothing lost, and room to say so.
//!
//! The small file systems are tmpfs, which only root may mount; elsewhere those tests say that they
//! were skipped. The limit on a file's size works everywhere.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use curriculum_store::{Column, Digest, FeatureSpace, Pack, Store, StoreError, StoreOptions};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// A tmpfs of so many KiB.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(kib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            Some(Self(folder))
        } else {
            eprintln!("skipped: this user cannot mount a tmpfs");
            None
        }
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Takes what is left.
    fn fill(&self) {
        let block = vec![1; 1 << 12];
        let mut filler = fs::File::create(self.filler()).unwrap();
        while std::io::Write::write_all(&mut filler, &block).is_ok() {}
    }

    fn free(&self) {
        // A process that another test starts may hold the file for a moment, and its room with it.
        let filler = fs::File::options().write(true).open(self.filler());
        filler.unwrap().set_len(0).unwrap();
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that another test starts may still hold files.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.path().display());
        }
    }
}

/// A process that another test starts holds a copy of every open file, the lock's among them, until it
/// runs its own program: a store that was just dropped is in use for that moment.
fn open(root: &Path, min_free_bytes: u64) -> Store {
    let options = StoreOptions {
        min_free_bytes,
        ..StoreOptions::default()
    };
    let began = Instant::now();
    loop {
        match Store::open_with(root, options) {
            Err(StoreError::InUse { .. }) if began.elapsed() < Duration::from_secs(10) => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn digest(n: u64) -> Digest {
    Digest::of_parts([n.to_le_bytes().as_slice()])
}

fn put_column(store: &Store, version: u64, values: u32) -> Result<(), StoreError> {
    let values = (0..values).map(u32::to_le_bytes);
    store.put_column(digest(version), Column::Difficulty, values)
}

fn column_is_whole(store: &Store, version: u64, values: u32) -> bool {
    let read = store.column(digest(version), Column::Difficulty, u64::from(values));
    read.is_ok_and(|read| read.iter().copied().eq((0..values).map(u32::to_le_bytes)))
}

fn pack(n: u64) -> Pack {
    Pack {
        digests: (n * 256..(n + 1) * 256).map(digest).collect(),
        features: vec![n as f32; 256 * 64],
        failures: Vec::new(),
    }
}

/// Packs below `packs` are found and whole, later ones not there at all.
fn check_packs(space: &FeatureSpace, packs: u64) {
    assert_eq!(space.packs(), (0..packs).collect::<Vec<_>>());
    for n in 0..=packs {
        let found = space.find(&pack(n).digests).unwrap();
        assert!(found.iter().all(|found| found.is_some() == (n < packs)));
        assert_eq!(space.read(n).unwrap(), (n < packs).then(|| pack(n)));
    }
}

/// No file anywhere that an interrupted write would leave.
fn nothing_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.starts_with("unfinished"), "{name}");
        if entry.file_type().unwrap().is_dir() {
            nothing_unfinished(&entry.path());
        }
    }
}

#[test]
fn data_stops_at_the_mark_and_records_go_on() {
    let Some(disk) = SmallDisk::new(16 << 10) else {
        return;
    };
    let store = open(&disk.data(), 8 << 20);
    const VALUES: u32 = 300_000;
    let stored = (0..)
        .find(|n| put_column(&store, *n, VALUES).is_err())
        .unwrap();
    assert!((1..8).contains(&stored), "{stored}");
    match put_column(&store, stored, VALUES).unwrap_err() {
        StoreError::DiskFull { free, needed, .. } => {
            assert!(free < needed && needed > 8 << 20 && free > 6 << 20);
        }
        other => panic!("{other}"),
    }
    let space = store.feature_space(digest(0), 4096).unwrap();
    let large = Pack {
        digests: (0..256).map(digest).collect(),
        features: vec![0.0; 256 * 4096],
        failures: Vec::new(),
    };
    assert!(matches!(
        space.append(&large),
        Err(StoreError::DiskFull { .. })
    ));
    assert!(space.packs().is_empty());
    // Records: a thousand of them, and their flush.
    for n in 0..1000 {
        store.put_job_error(digest(1), n, "disk full").unwrap();
    }
    store.flush().unwrap();
    nothing_unfinished(&disk.data());
    assert!((0..stored).all(|n| column_is_whole(&store, n, VALUES)));
    // With room, the same store goes on.
    drop(store);
    fs::remove_dir_all(disk.data().join("columns").join(digest(0).to_string())).unwrap();
    let store = open(&disk.data(), 8 << 20);
    put_column(&store, stored, VALUES).unwrap();
}

#[test]
fn a_write_that_meets_the_end_of_the_disk_leaves_nothing() {
    let Some(disk) = SmallDisk::new(8 << 10) else {
        return;
    };
    let store = open(&disk.data(), 0);
    let space = store.feature_space(digest(0), 64).unwrap();
    for n in 0..5 {
        space.append(&pack(n)).unwrap();
    }
    put_column(&store, 1, 1000).unwrap();
    store.flush().unwrap();
    disk.fill();
    for _ in 0..2 {
        // The mark is at zero, so some of these are refused and some meet the end.
        assert!(space.append(&pack(5)).is_err());
        assert!(put_column(&store, 2, 100_000).is_err());
        nothing_unfinished(&disk.data());
        check_packs(&space, 5);
        assert!(column_is_whole(&store, 1, 1000) && !column_is_whole(&store, 2, 100_000));
    }
    disk.free();
    put_column(&store, 2, 100_000).unwrap();
    assert!(column_is_whole(&store, 2, 100_000));
    let number = space.append(&pack(5)).unwrap();
    assert_eq!(space.read(number).unwrap(), Some(pack(5)));
    drop((space, store));
    let store = open(&disk.data(), 0);
    let space = store.feature_space(digest(0), 64).unwrap();
    assert_eq!(space.read(number).unwrap(), Some(pack(5)));
}

/// The reserve is there so that this does not happen; somebody else may still fill the disk.
#[test]
fn a_database_that_meets_the_end_of_the_disk_keeps_what_it_had() {
    let Some(disk) = SmallDisk::new(8 << 10) else {
        return;
    };
    let store = open(&disk.data(), 0);
    let reason = "r".repeat(4000);
    for n in 0..200 {
        store.put_job_error(digest(1), n, &reason).unwrap();
    }
    store.flush().unwrap();
    disk.fill();
    let mut stored = 200;
    let outcome = loop {
        let put = store.put_job_error(digest(1), stored, &reason);
        match put.and_then(|()| store.flush()) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 10_000, "the disk is not full");
    };
    assert!(matches!(outcome, StoreError::Database(_)), "{outcome}");
    disk.free();
    // The database refuses everything until it is opened again: it cannot know what reached the disk.
    let put = store.put_job_error(digest(1), stored, &reason);
    assert!(put.and_then(|()| store.flush()).is_err());
    drop(store);
    let store = open(&disk.data(), 0);
    let errors = store.job_errors(digest(1), None, 20_000).unwrap();
    assert!(
        errors.len() as u64 >= stored,
        "{} of {stored}",
        errors.len()
    );
    assert!(errors.iter().all(|(_, read)| *read == reason));
    store.put_job_error(digest(1), 10_000, &reason).unwrap();
    store.flush().unwrap();
}

const CHILD: &str = "CURRICULUM_TEST_LIMITED";

/// Runs itself again under a limit of 2 MiB a file, where writes beyond it fail with EFBIG.
#[test]
fn a_limit_on_files_is_an_error_and_leaves_nothing() {
    let Ok(folder) = std::env::var(CHILD) else {
        let folder = tempfile::tempdir().unwrap();
        let test = "a_limit_on_files_is_an_error_and_leaves_nothing";
        let script = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" --exact \"$1\"";
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(CHILD, folder.path())
            .status();
        assert!(child.unwrap().success());
        return;
    };
    let root = Path::new(&folder).join("data");
    let store = open(&root, 0);
    put_column(&store, 1, 1000).unwrap();
    match put_column(&store, 2, 1_000_000).unwrap_err() {
        StoreError::Io { action, source, .. } => {
            assert_eq!(
                (action, source.kind()),
                ("write", std::io::ErrorKind::FileTooLarge)
            );
        }
        other => panic!("{other}"),
    }
    nothing_unfinished(&root);
    assert!(column_is_whole(&store, 1, 1000) && !column_is_whole(&store, 2, 1_000_000));
    store.put_job_error(digest(1), 1, "disk full").unwrap();
    store.flush().unwrap();
}
