//! The parameters of a job, as they are stored. Their JSON is part of what names a version.

use curriculum::{Pacing, difficulty::Normalization, features::FeatureNormalization};
use serde::{Deserialize, Serialize};

/// Parameters of a job, defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// How many clusters; by label, in each class.
    pub clusters: Clusters,
    /// Seed of every random choice.
    pub seed: u64,
    /// Share of samples in [0, 1] that may fail.
    pub max_failed_fraction: f64,
    /// Whether clusters lie inside classes and scores relate to the class.
    pub by_label: bool,
    /// Samples of smaller clusters are measured against the nearest that is large enough; 1 is off.
    pub min_cluster_size: u32,
    /// What scores are related to.
    #[serde(with = "NormalizationName")]
    pub normalization: Normalization,
    /// What makes a sample hard.
    pub score: Score,
    /// What becomes of features before they are clustered. The default is not written: versions that
    /// are older than this field keep their ids.
    #[serde(
        with = "FeatureNormalizationName",
        default,
        skip_serializing_if = "is_standard"
    )]
    pub feature_normalization: FeatureNormalization,
    /// The schedule that weights follow.
    pub schedule: ScheduleRecord,
}

/// How many clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The number of this list, ascending, with the lowest index; each at least 2.
    OneOf(Vec<u32>),
    /// Those that the samples came with.
    Given,
}

/// What makes a sample hard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// Euclidean distance to the centroid.
    #[default]
    Distance,
    /// Cosine distance to the centroid.
    Cosine,
    /// Mean distance to the nearest neighbours inside the cluster.
    Neighbours,
}

/// The schedule of a version.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// Target effective fraction at iteration 0.
    pub initial: f64,
    /// Iterations until the weights are uniform.
    pub warmup: u64,
    /// How the target grows in between.
    #[serde(with = "PacingName")]
    pub pacing: Pacing,
    /// Lower bound on the temperature during warm-up.
    pub min_temperature: Option<f64>,
    /// Upper bound on the temperature during warm-up.
    pub max_temperature: Option<f64>,
    /// Where the ramp of the target ends.
    pub ceiling: f64,
    /// Draws to which the effective fraction refers.
    pub draws: u64,
}

/// The stored names of [`Pacing`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "Pacing", rename_all = "snake_case")]
enum PacingName {
    Linear,
    Quadratic,
    Root,
    Cosine,
    Exponential,
    Logarithmic,
    Step,
    Geometric,
    Competence,
}

/// The stored names of [`Normalization`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "Normalization", rename_all = "snake_case")]
enum NormalizationName {
    ClusterMinMax,
    ClusterRank,
    GlobalMinMax,
    None,
}

/// The stored names of [`FeatureNormalization`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "FeatureNormalization", rename_all = "snake_case")]
enum FeatureNormalizationName {
    Standard,
    None,
}

fn is_standard(normalization: &FeatureNormalization) -> bool {
    *normalization == FeatureNormalization::Standard
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every field other than its default, and numbers that decimal digits do not hold exactly.
    pub(crate) fn parameters() -> Parameters {
        Parameters {
            clusters: Clusters::OneOf(vec![2, 5]),
            seed: u64::MAX,
            max_failed_fraction: 0.1,
            by_label: true,
            min_cluster_size: 7,
            normalization: Normalization::ClusterRank,
            score: Score::Neighbours,
            feature_normalization: FeatureNormalization::None,
            schedule: ScheduleRecord {
                initial: 0.1 + 0.2,
                warmup: 10,
                pacing: Pacing::Competence,
                min_temperature: Some(1.0 / 3.0),
                max_temperature: None,
                ceiling: -(-1f64).exp_m1(),
                draws: 1 << 60,
            },
        }
    }

    #[test]
    fn parameters_keep_their_bits() {
        let stored = serde_json::to_string(&parameters()).unwrap();
        let read: Parameters = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, parameters());
        assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    }

    /// As before there was the field: neither ids nor stored records change.
    #[test]
    fn features_that_are_normalised_need_no_word() {
        let standard = Parameters {
            feature_normalization: FeatureNormalization::Standard,
            ..parameters()
        };
        let stored = serde_json::to_string(&standard).unwrap();
        assert!(!stored.contains("feature_normalization"), "{stored}");
        let read: Parameters = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, standard);
    }

    /// Stored data and the ids of versions hang on these.
    #[test]
    fn names_are_those_of_the_schema() {
        let stored = serde_json::to_value(parameters()).unwrap();
        assert_eq!(stored["normalization"], "cluster_rank");
        assert_eq!(stored["score"], "neighbours");
        assert_eq!(stored["feature_normalization"], "none");
        assert_eq!(stored["clusters"]["one_of"][1], 5);
        for pacing in Pacing::ALL {
            let mut parameters = parameters();
            parameters.schedule.pacing = pacing;
            let stored = serde_json::to_value(parameters).unwrap();
            assert_eq!(stored["schedule"]["pacing"], pacing.name());
        }
    }
}
