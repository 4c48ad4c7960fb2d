//! The records, as they are stored.

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The last finished stage of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Source listed and checked.
    Submitted,
    /// Bytes of every sample hashed.
    Enumerated,
    /// Features of every sample stored.
    Extracted,
    /// Every sample assigned to a cluster.
    Clustered,
    /// Difficulties stored.
    Scored,
    /// Readable under the curriculum's name.
    Published,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum JobState {
    /// Waits for its turn, or for the next start of the server.
    Queued,
    /// At work on the stage after the last finished one.
    Running,
    /// Published.
    Succeeded,
    /// Ended with a reason.
    Failed {
        /// The stage that was at work.
        stage: Stage,
        /// Why, for people.
        reason: String,
    },
    /// Ended on request.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed { .. } | Self::Cancelled => true,
        }
    }
}

/// How many clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clusters {
    /// Exactly this many.
    Fixed(u32),
    /// The number in `min..=max` with the lowest Davies–Bouldin index.
    Auto {
        /// At least 2.
        min: u32,
        /// At least `min`.
        max: u32,
    },
}

/// The schedule of a version.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// Target effective fraction at iteration 0.
    pub initial: f64,
    /// Iterations until the weights are uniform.
    pub warmup: u64,
}

/// Parameters of a job, defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// How many clusters.
    pub clusters: Clusters,
    /// Seed of every random choice.
    pub seed: u64,
    /// Share of samples in [0, 1] that may fail.
    pub max_failed_fraction: f64,
    /// The schedule that weights follow.
    pub schedule: ScheduleRecord,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Hash of what was asked: equal requests are one job.
    pub id: Digest,
    /// Position in the order of submission.
    pub sequence: u64,
    /// Curriculum to publish under.
    pub curriculum: String,
    /// Where the samples are, as submitted.
    pub source: String,
    /// Hash of the source's listing at submission.
    pub fingerprint: Digest,
    /// Name of the model.
    pub model: String,
    /// Content hash of the model and its preprocessing.
    pub model_digest: Digest,
    /// Defaults filled in.
    pub parameters: Parameters,
    /// Where it stands.
    pub state: JobState,
    /// Last finished stage.
    pub stage: Stage,
    /// Samples in the manifest.
    pub sample_count: u64,
    /// Samples that could not be used, as far as known.
    pub failed_count: u64,
    /// Hash of the samples' ids, labels and bytes; known from [`Stage::Enumerated`] on.
    pub content: Option<Digest>,
    /// The version that is built; known from [`Stage::Enumerated`] on.
    pub version: Option<Digest>,
    /// Milliseconds since 1970 UTC.
    pub submitted_at_ms: u64,
    /// Milliseconds since 1970 UTC, once ended.
    pub ended_at_ms: Option<u64>,
    /// Seconds spent to finish each stage, over all runs.
    pub seconds: BTreeMap<Stage, f64>,
}

/// One sample of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// Unique in its manifest.
    pub id: String,
    /// If the manifest has labels.
    pub label: Option<String>,
    /// Hash of its bytes; none when they could not be read.
    pub digest: Option<Digest>,
}

/// The outcome of clustering, beside the columns of the version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusteringRecord {
    /// Number of clusters.
    pub clusters: u32,
    /// Length of a feature vector.
    pub dimension: u32,
    /// Sum of squared distances to the centroids.
    pub inertia: f64,
    /// None with a single cluster.
    pub davies_bouldin: Option<f64>,
    /// Every k that was tried.
    pub candidates: Vec<Candidate>,
}

/// A version: immutable once written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Hash of content, model and parameters.
    pub id: Digest,
    /// Key of the samples.
    pub content: Digest,
    /// Where the samples were.
    pub source: String,
    /// Name of the model.
    pub model: String,
    /// Content hash of the model and its preprocessing.
    pub model_digest: Digest,
    /// Defaults filled in.
    pub parameters: Parameters,
    /// Milliseconds since 1970 UTC.
    pub created_at_ms: u64,
    /// What people look at first.
    pub summary: SummaryRecord,
}

/// A version in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRecord {
    /// Samples in the manifest.
    pub sample_count: u64,
    /// Samples without features, at the highest difficulty.
    pub failed_count: u64,
    /// Length of a feature vector.
    pub dimension: u32,
    /// Sum of squared distances to the centroids.
    pub inertia: f64,
    /// None with a single cluster.
    pub davies_bouldin: Option<f64>,
    /// Difficulty in equal bins over [0, 1].
    pub histogram: Vec<u64>,
    /// By cluster.
    pub clusters: Vec<ClusterRecord>,
    /// Every k that was tried.
    pub candidates: Vec<Candidate>,
}

/// One cluster of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Samples in it.
    pub size: u64,
    /// Mean distance to the centroid.
    pub mean_distance: f64,
    /// Closest to the centroid, closest first.
    pub nearest: Vec<SummarySample>,
    /// Farthest from the centroid, farthest first.
    pub farthest: Vec<SummarySample>,
}

/// One sample in a summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummarySample {
    /// Position in the manifest.
    pub index: u64,
    /// Its id.
    pub id: String,
    /// If the manifest has labels.
    pub label: Option<String>,
    /// In [0, 1].
    pub difficulty: f32,
}

/// A number of clusters that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Number of clusters.
    pub clusters: u32,
    /// Its Davies–Bouldin index; lower is better.
    pub davies_bouldin: f64,
}
