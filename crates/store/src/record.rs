//! The records, as they are stored.

use crate::{Digest, Parameters};
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
    /// Cluster, distance and difficulty of every sample stored.
    Clustered,
    /// The version is complete, with its sketch and summary.
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

/// What the bytes of a sample are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// An image, for the model.
    #[default]
    Images,
    /// Its features.
    Features,
    /// Its cluster, and the Euclidean and the cosine distance to the centroid.
    Assignments,
}

/// What stands for the bytes of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Their hash: every sample is read when it is enumerated, and again when it is extracted.
    #[default]
    Bytes,
    /// What the object store says of the object: its bytes are read once, to be extracted. Files are
    /// still hashed.
    Etag,
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
    /// Where the samples are, as submitted, without secrets.
    pub source: String,
    /// The source and how it is read, in the form of whoever reads it.
    pub reading: String,
    /// What the samples' bytes are.
    pub kind: SampleKind,
    /// What stands for a sample's bytes.
    pub identity: Identity,
    /// Hash of the source's listing at submission.
    pub fingerprint: Digest,
    /// Key of the samples: of what was asked to be listed, and of what came of reading it.
    pub listing: Digest,
    /// Name of the model.
    pub model: String,
    /// Content hash of the model and its preprocessing.
    pub model_digest: Digest,
    /// Length of a feature vector.
    pub dimension: u32,
    /// Defaults filled in.
    pub parameters: Parameters,
    /// Larger runs earlier.
    pub priority: i32,
    /// Part of the ids of job and version. 0, unless equal work was to be done anew.
    pub salt: u64,
    /// The version whose clusters new samples are assigned to, instead of a fit.
    pub extends: Option<Digest>,
    /// How often it was put in the queue, this time included.
    pub attempt: u32,
    /// How often in this attempt features were found damaged and had to be extracted again.
    pub setbacks: u32,
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
    /// What the user should know about the version, a sentence each; known from
    /// [`Stage::Clustered`] on.
    pub warnings: Vec<String>,
}

/// One sample of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// Unique in its manifest.
    pub id: String,
    /// If the manifest has labels.
    pub label: Option<String>,
    /// What stands for its bytes: their hash, or one of the etag. None when they could not be read.
    pub digest: Option<Digest>,
    /// Whether the digest is one of the etag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_etag: bool,
    /// Why there is no digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ReadFailure>,
}

/// Why the bytes of a sample could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFailure {
    /// A word for it; part of what the content hash is made of.
    pub kind: String,
    /// For people.
    pub reason: String,
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
    /// None with a single cluster, and by label.
    pub davies_bouldin: Option<f64>,
    /// Every k that was tried.
    pub candidates: Vec<Candidate>,
    /// The class of each cluster, by label; else empty.
    pub labels: Vec<String>,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
    /// What an extension needs; none where there cannot be one.
    pub basis: Option<Basis>,
    /// Set in an extension.
    pub drift: Option<DriftRecord>,
}

/// What samples that come later are measured by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Mean of the features, by dimension. Empty when they were not normalised.
    pub mean: Vec<f64>,
    /// Reciprocal of their deviation, as long.
    pub scale: Vec<f64>,
    /// Lowest and highest score of each cluster, by label of each class in the order of the clusters;
    /// none without native members. As f64, so that their bits survive.
    pub ranges: Vec<Option<(f64, f64)>>,
}

/// How far the samples that a version added lie from those of the version that it extends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftRecord {
    /// The version that was extended.
    pub base: Digest,
    /// Samples of the base that are still there; they kept what they had.
    pub kept: u64,
    /// New samples with features.
    pub added: u64,
    /// New samples that lie beyond the threshold of their cluster; 1 % would, were they like the old.
    pub beyond: u64,
    /// By cluster.
    pub clusters: Vec<ClusterDrift>,
}

/// The new samples of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterDrift {
    /// The 99th percentile of the distances in the base, interpolated; none if it had no samples.
    pub threshold: Option<f64>,
    /// New samples.
    pub added: u64,
    /// Those whose distance is larger than the threshold.
    pub beyond: u64,
}

/// A version: immutable once written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Hash of content, model and parameters.
    pub id: Digest,
    /// Hash of the samples' ids, labels and bytes.
    pub content: Digest,
    /// Key of the samples.
    pub listing: Digest,
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
    /// None with a single cluster, and by label.
    pub davies_bouldin: Option<f64>,
    /// Difficulty in equal bins over [0, 1].
    pub histogram: Vec<u64>,
    /// By cluster.
    pub clusters: Vec<ClusterRecord>,
    /// Every k that was tried.
    pub candidates: Vec<Candidate>,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
    /// Set in an extension.
    pub drift: Option<DriftRecord>,
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
    /// The class in which it lies, by label.
    pub label: Option<String>,
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
    /// In [0, 1], unless nothing was normalised.
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
