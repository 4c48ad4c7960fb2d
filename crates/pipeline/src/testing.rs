//! Records for unit tests.

use curriculum::{Pacing, difficulty::Normalization, features::FeatureNormalization};
use curriculum_store::{
    Clusters, Digest, Identity, JobRecord, JobState, Parameters, SampleKind, ScheduleRecord, Score,
    Stage,
};

/// A job that waits for its first stage.
pub(crate) fn record(sequence: u64, priority: i32) -> JobRecord {
    let id = Digest::of_parts([sequence.to_le_bytes().as_slice()]);
    let schedule = ScheduleRecord {
        initial: 0.2,
        warmup: 10,
        pacing: Pacing::Linear,
        min_temperature: None,
        max_temperature: None,
        ceiling: 0.6,
        draws: 9,
    };
    JobRecord {
        id,
        sequence,
        curriculum: "c".to_owned(),
        source: "s".to_owned(),
        reading: "{}".to_owned(),
        kind: SampleKind::Features,
        identity: Identity::Bytes,
        fingerprint: id,
        listing: id,
        model: "m".to_owned(),
        model_digest: id,
        dimension: 4,
        parameters: Parameters {
            clusters: Clusters::Fixed(2),
            seed: 0,
            max_failed_fraction: 0.0,
            by_label: false,
            min_cluster_size: 1,
            normalization: Normalization::None,
            score: Score::Distance,
            feature_normalization: FeatureNormalization::Standard,
            schedule,
        },
        priority,
        salt: 0,
        extends: None,
        attempt: 1,
        setbacks: 0,
        state: JobState::Queued,
        stage: Stage::Submitted,
        sample_count: 9,
        failed_count: 0,
        content: None,
        version: None,
        submitted_at_ms: 0,
        ended_at_ms: None,
        seconds: [].into(),
        warnings: Vec::new(),
    }
}
