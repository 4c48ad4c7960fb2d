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

mod support;

use curriculum::{Pacing, Sketch, difficulty::Normalization};
use curriculum_store::{
    ClusteringRecord, Clusters, Column, Digest, Parameters, ScheduleRecord, Score, Store,
    SummaryRecord, VersionRecord,
};
use std::{hint::black_box, path::Path};
use support::{Memory, arguments, size, timed};

const CLUSTERS: u32 = 1000;
const DIMENSION: u32 = 384;
const VERSION: [u8; 32] = [7; 32];

fn main() {
    let temporary = tempfile::tempdir().unwrap();
    let (samples, folder) = arguments([1_000_000, 10_000_000], temporary.path());
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
        basis: None,
        drift: None,
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
            drift: None,
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
