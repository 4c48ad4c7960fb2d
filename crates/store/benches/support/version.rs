//! A version of any number of samples.

use curriculum::{
    Pacing, Sketch, difficulty::Normalization, features::FeatureNormalization, sketch::Point,
};
use curriculum_store::{
    ClusterRecord, ClusteringRecord, Clusters, Column, Digest, Parameters, ScheduleRecord, Score,
    Store, SummaryRecord, VersionRecord,
};

pub(crate) const VERSION: [u8; 32] = [7; 32];

const CLUSTERS: u32 = 1000;
const DIMENSION: u32 = 384;

/// Columns, then the record, then the pointer, as the stages of a job write them.
pub(crate) fn publish(store: &Store, samples: u64, sketch: &Sketch) {
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

/// Of a hundred thousand difficulties, each for its share of the samples: its size does not grow with
/// them.
pub(crate) fn sketch(samples: u64) -> Sketch {
    const DRAWN: u64 = 100_000;
    let values: Vec<f32> = (0..DRAWN).map(value).collect();
    let share = samples as f64 / DRAWN as f64;
    let points = Sketch::new(&values).points().to_vec();
    let scaled = points.into_iter().map(|point| Point {
        count: point.count * share,
        ..point
    });
    Sketch::from_points(scaled.collect())
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
    let cluster = ClusterRecord {
        size: samples / u64::from(CLUSTERS),
        mean_distance: 0.5,
        nearest: Vec::new(),
        farthest: Vec::new(),
        label: None,
    };
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
            feature_normalization: FeatureNormalization::Standard,
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
            clusters: vec![cluster; CLUSTERS as usize],
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
