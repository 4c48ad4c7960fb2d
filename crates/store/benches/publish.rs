//! Publication of a large version: difficulty, distance and cluster of every sample, then the record
//! and the pointer; and what it costs to open the folder and to read.
//!
//! `cargo bench -p curriculum-store --bench publish -- [SAMPLES] [FOLDER]`; 10,000,000 samples in a
//! temporary folder by default, 1,000,000 with `--quick`. One line of JSON on standard output.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a measurement"
)]

use curriculum::{Pacing, Sketch, difficulty::Normalization};
use curriculum_store::{
    ClusteringRecord, Clusters, Column, Digest, Parameters, ScheduleRecord, Score, Store,
    SummaryRecord, VersionRecord,
};
use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const CLUSTERS: u32 = 1000;
const DIMENSION: u32 = 384;
const VERSION: [u8; 32] = [7; 32];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    let mut plain = arguments.iter().filter(|a| !a.starts_with('-'));
    let default = if quick { 1_000_000 } else { 10_000_000 };
    let samples = plain
        .next()
        .map_or(default, |n| n.replace('_', "").parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let folder = plain
        .next()
        .map_or(temporary.path().to_owned(), PathBuf::from);
    measure(&folder, samples);
}

fn measure(folder: &Path, samples: u64) {
    let memory = Memory::watch();
    let store = Store::open(folder).unwrap();
    let sketch = sketch();
    let (_, publish) = timed(|| publish(&store, samples, &sketch));
    let peak = memory.peak();
    drop(store);
    let bytes = size(folder);
    let memory = Memory::watch();
    let (store, open) = timed(|| Store::open(folder).unwrap());
    let (record, record_read) = timed(|| store.version(VERSION.into()).unwrap().unwrap());
    let middle = samples / 2..(samples / 2 + 1000).min(samples);
    let (_, range) = timed(|| {
        let values = store.column_range(VERSION.into(), Column::Difficulty, middle);
        black_box(values.unwrap());
    });
    let open_memory = memory.peak();
    let length = record.summary.sample_count;
    let (_, whole) = timed(|| {
        let values = store.column(VERSION.into(), Column::Difficulty, length);
        black_box(values.unwrap());
    });
    println!(
        "{{\"samples\":{samples},\"publish_s\":{publish:.3},\"disk_bytes\":{bytes},\
         \"bytes_per_sample\":{:.2},\"peak_anonymous_mib\":{:.1},\"open_s\":{open:.4},\
         \"record_s\":{record_read:.6},\"thousand_values_s\":{range:.6},\
         \"open_anonymous_mib\":{:.1},\"whole_column_s\":{whole:.3}}}",
        bytes as f64 / samples as f64,
        peak as f64 / 1024.0,
        open_memory as f64 / 1024.0,
    );
}

fn publish(store: &Store, samples: u64, sketch: &Sketch) {
    let id = Digest::from(VERSION);
    let count = samples as usize;
    let values = (0..count).map(|n| value(n as u64).to_le_bytes());
    store
        .put_column(id, Column::Difficulty, values.clone())
        .unwrap();
    store.put_column(id, Column::Distance, values).unwrap();
    let clusters = (0..count).map(|n| (mix(n as u64) as u32 % CLUSTERS).to_le_bytes());
    store.put_column(id, Column::Cluster, clusters).unwrap();
    let centroids = (0..(CLUSTERS * DIMENSION) as usize).map(|n| value(n as u64).to_le_bytes());
    store.put_column(id, Column::Centroids, centroids).unwrap();
    store.put_clustering(id, &clustering()).unwrap();
    store.flush().unwrap();
    store.put_version(&version(samples), sketch).unwrap();
    store.flush().unwrap();
    store.point("large", id).unwrap();
    store.flush().unwrap();
}

/// Of a hundred thousand difficulties: its size does not grow with the samples.
fn sketch() -> Sketch {
    let values: Vec<f32> = (0..100_000).map(value).collect();
    Sketch::new(&values)
}

fn clustering() -> ClusteringRecord {
    ClusteringRecord {
        clusters: CLUSTERS,
        dimension: DIMENSION,
        inertia: 1.0,
        davies_bouldin: Some(1.0),
        candidates: Vec::new(),
        labels: Vec::new(),
        warnings: Vec::new(),
    }
}

fn version(samples: u64) -> VersionRecord {
    let id = Digest::from(VERSION);
    VersionRecord {
        id,
        content: id,
        listing: id,
        source: "bench".to_owned(),
        model: "bench".to_owned(),
        model_digest: id,
        parameters: Parameters {
            clusters: Clusters::Fixed(CLUSTERS),
            seed: 0,
            max_failed_fraction: 0.0,
            by_label: false,
            min_cluster_size: 5,
            normalization: Normalization::ClusterMinMax,
            score: Score::Distance,
            schedule: ScheduleRecord {
                initial: 0.2,
                warmup: 1000,
                pacing: Pacing::Linear,
                min_temperature: None,
                max_temperature: None,
                ceiling: 0.99,
                draws: 1000,
            },
        },
        created_at_ms: 0,
        summary: SummaryRecord {
            sample_count: samples,
            failed_count: 0,
            dimension: DIMENSION,
            inertia: 1.0,
            davies_bouldin: Some(1.0),
            histogram: vec![0; 50],
            clusters: Vec::new(),
            candidates: Vec::new(),
            warnings: Vec::new(),
        },
    }
}

/// In [0, 1), of all its bits: nothing here can be compressed.
fn value(n: u64) -> f32 {
    (mix(n) >> 40) as f32 / (1u64 << 24) as f32
}

/// The finaliser of SplitMix64.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let outcome = work();
    (outcome, started.elapsed().as_secs_f64())
}

/// Bytes of all files below `folder`.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => size(&entry.path()),
        false => entry.metadata().unwrap().len(),
    });
    sizes.sum()
}

/// The highest anonymous memory of this process since the watch began, over what it was then, looked
/// at every two milliseconds.
struct Memory {
    stop: Arc<AtomicBool>,
    watcher: thread::JoinHandle<u64>,
}

impl Memory {
    fn watch() -> Self {
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
    fn peak(self) -> u64 {
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
