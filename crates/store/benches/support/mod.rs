//! What the benches share: arguments, time, bytes on disk, memory.

#![allow(dead_code, reason = "each bench uses a part")]

pub(crate) mod version;

use curriculum_store::{Digest, SAMPLES_PER_CHUNK, SampleRecord, Store};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Number of samples and folder: given, or the first of `defaults` with `--quick`, else the second,
/// and `temporary`.
pub(crate) fn arguments(defaults: [u64; 2], temporary: &Path) -> (u64, PathBuf) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    let mut plain = arguments.iter().filter(|a| !a.starts_with('-'));
    let default = defaults[usize::from(!quick)];
    let samples = plain
        .next()
        .map_or(default, |n| n.replace('_', "").parse().unwrap());
    let folder = plain.next().map_or(temporary.to_owned(), PathBuf::from);
    (samples, folder)
}

pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let outcome = work();
    (outcome, started.elapsed().as_secs_f64())
}

/// Bytes of all files below `folder`.
pub(crate) fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => size(&entry.path()),
        false => entry.metadata().unwrap().len(),
    });
    sizes.sum()
}

/// The highest anonymous memory of this process since the watch began, over what it was then, looked
/// at every two milliseconds.
pub(crate) struct Memory {
    stop: Arc<AtomicBool>,
    watcher: thread::JoinHandle<u64>,
}

impl Memory {
    pub(crate) fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let before = anonymous();
        let watcher = thread::spawn(move || {
            let mut peak = 0;
            while !stopped.load(Ordering::Relaxed) {
                peak = anonymous().saturating_sub(before).max(peak);
                thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        Self { stop, watcher }
    }

    /// KiB.
    pub(crate) fn peak(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}

fn anonymous() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0)
}

/// Lists so many samples, chunk by chunk.
pub(crate) fn list(store: &Store, listing: Digest, samples: u64) {
    for chunk in 0..samples.div_ceil(SAMPLES_PER_CHUNK) {
        let first = chunk * SAMPLES_PER_CHUNK;
        let sample = |n: u64| SampleRecord {
            id: format!("train/n01440764/n01440764_{n:08}.JPEG"),
            digest: Some(digest(n)),
            ..SampleRecord::default()
        };
        let end = samples.min(first + SAMPLES_PER_CHUNK);
        let records: Vec<_> = (first..end).map(sample).collect();
        store.put_sample_chunk(listing, chunk, &records).unwrap();
    }
    store.flush().unwrap();
}

pub(crate) fn digest(n: u64) -> Digest {
    Digest::of_parts([n.to_le_bytes().as_slice()])
}
