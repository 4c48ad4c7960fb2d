//! Clusters and difficulty.

use clap::ValueEnum;
use curriculum::{difficulty::Normalization, features::FeatureNormalization};
use curriculum_clustering::{Clusters, Score};
use curriculum_pipeline::fit::Options;
use curriculum_proto::v1::{self, clusters::Choice};
use std::str::FromStr;

/// From features to difficulty.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ClusteringArgs {
    /// Number of clusters: K, `auto` (the one of 2 to 20 with the lowest Davies–Bouldin index),
    /// `auto:MIN-MAX`, or a list to choose from such as `auto:2,5,10`. With --by-label, in each
    /// class.
    #[arg(
        long,
        value_name = "K|auto|auto:MIN-MAX",
        default_value = "auto",
        allow_negative_numbers = true
    )]
    clusters: ClustersArg,
    /// Cluster inside each class, and relate difficulty to the class. A class with fewer samples
    /// than clusters asked for gets difficulty 1 throughout, and a warning.
    #[arg(long)]
    pub(crate) by_label: bool,
    /// Samples of clusters with fewer samples are measured against the nearest cluster that is large
    /// enough, so that an outlier alone in its cluster is no perfect prototype; 1 turns it off, and
    /// --by-label too [default: 5].
    #[arg(long, value_name = "SAMPLES")]
    min_cluster_size: Option<u32>,
    /// What a score is related to [default: cluster-min-max].
    #[arg(long, value_enum)]
    normalization: Option<NormalizationArg>,
    /// What makes a sample hard [default: distance].
    #[arg(long, value_enum)]
    score: Option<ScoreArg>,
    /// What becomes of features before they are clustered [default: standard].
    #[arg(long, value_enum)]
    feature_normalization: Option<FeatureNormalizationArg>,
    /// Seed of every random choice.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NormalizationArg {
    /// The smallest and largest score of the sample's cluster become 0 and 1.
    #[value(alias = "cluster-minmax")]
    ClusterMinMax,
    /// The sample's rank in its cluster, as a share.
    ClusterRank,
    /// The smallest and largest score of all samples become 0 and 1.
    #[value(alias = "global-minmax")]
    GlobalMinMax,
    /// The score itself; it may exceed 1.
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScoreArg {
    /// Euclidean distance to the centroid.
    Distance,
    /// Cosine distance to the centroid.
    Cosine,
    /// Mean distance to the 20 nearest neighbours in the cluster.
    Neighbours,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FeatureNormalizationArg {
    /// Mean 0 and deviation 1 in every dimension over the dataset, then every vector to length 1.
    Standard,
    /// Nothing: they are normalised already, or their scales and lengths mean something.
    None,
}

#[derive(Clone, Debug, PartialEq)]
enum ClustersArg {
    Default,
    Fixed(u32),
    Range(u32, u32),
    /// Ascending, without repetitions.
    List(Vec<u32>),
}

impl ClusteringArgs {
    pub(crate) fn options(&self) -> Options {
        let default = Options::default();
        let clusters = match &self.clusters {
            ClustersArg::Default => default.clusters,
            ClustersArg::Fixed(k) => Clusters::Fixed(*k as usize),
            ClustersArg::Range(min, max) => Clusters::Auto {
                min: *min as usize,
                max: *max as usize,
            },
            ClustersArg::List(list) => Clusters::OneOf(list.iter().map(|k| *k as usize).collect()),
        };
        let min_cluster_size = match self.by_label {
            // A cluster next door may lie in another class.
            true => 1,
            false => self
                .min_cluster_size
                .map_or(default.min_cluster_size, u64::from),
        };
        Options {
            clusters,
            seed: self.seed,
            min_cluster_size: min_cluster_size.max(1),
            normalization: self
                .normalization
                .map_or(default.normalization, |n| n.into()),
            score: self.score.map_or(default.score, |score| score.into()),
            feature_normalization: self
                .feature_normalization
                .map_or(default.feature_normalization, |n| n.into()),
        }
    }

    /// The parameters of a job, except failures and schedule.
    pub(super) fn to_proto(&self) -> v1::Parameters {
        let choice = match &self.clusters {
            ClustersArg::Default => None,
            ClustersArg::Fixed(clusters) => Some(Choice::Fixed(*clusters)),
            ClustersArg::Range(min, max) => Some(Choice::Auto(v1::ClusterRange {
                min: *min,
                max: *max,
            })),
            ClustersArg::List(clusters) => Some(Choice::OneOf(v1::ClusterList {
                clusters: clusters.clone(),
            })),
        };
        let normalization = self.normalization.map(v1::Normalization::from);
        let score = self.score.map(v1::Score::from);
        let features = self
            .feature_normalization
            .map(v1::FeatureNormalization::from);
        v1::Parameters {
            clusters: Some(v1::Clusters { choice }),
            seed: self.seed,
            by_label: self.by_label,
            min_cluster_size: self.min_cluster_size,
            normalization: normalization.unwrap_or_default().into(),
            score: score.unwrap_or_default().into(),
            feature_normalization: features.unwrap_or_default().into(),
            ..v1::Parameters::default()
        }
    }
}

/// As in the flag.
pub(crate) fn normalization_name(normalization: v1::Normalization) -> &'static str {
    match normalization {
        v1::Normalization::Unspecified => "-",
        v1::Normalization::ClusterMinMax => "cluster-min-max",
        v1::Normalization::ClusterRank => "cluster-rank",
        v1::Normalization::GlobalMinMax => "global-min-max",
        v1::Normalization::None => "none",
    }
}

/// As in the flag.
pub(crate) fn score_name(score: v1::Score) -> &'static str {
    match score {
        v1::Score::Unspecified => "-",
        v1::Score::Distance => "distance",
        v1::Score::Cosine => "cosine",
        v1::Score::Neighbours => "neighbours",
    }
}

/// As in the flag.
pub(crate) fn feature_normalization_name(normalization: v1::FeatureNormalization) -> &'static str {
    match normalization {
        v1::FeatureNormalization::Unspecified => "-",
        v1::FeatureNormalization::Standard => "standard",
        v1::FeatureNormalization::None => "none",
    }
}

impl From<NormalizationArg> for Normalization {
    fn from(normalization: NormalizationArg) -> Self {
        match normalization {
            NormalizationArg::ClusterMinMax => Self::ClusterMinMax,
            NormalizationArg::ClusterRank => Self::ClusterRank,
            NormalizationArg::GlobalMinMax => Self::GlobalMinMax,
            NormalizationArg::None => Self::None,
        }
    }
}

impl From<NormalizationArg> for v1::Normalization {
    fn from(normalization: NormalizationArg) -> Self {
        match normalization {
            NormalizationArg::ClusterMinMax => Self::ClusterMinMax,
            NormalizationArg::ClusterRank => Self::ClusterRank,
            NormalizationArg::GlobalMinMax => Self::GlobalMinMax,
            NormalizationArg::None => Self::None,
        }
    }
}

impl From<ScoreArg> for Score {
    fn from(score: ScoreArg) -> Self {
        match score {
            ScoreArg::Distance => Self::Distance,
            ScoreArg::Cosine => Self::Cosine,
            ScoreArg::Neighbours => Self::Neighbours,
        }
    }
}

impl From<ScoreArg> for v1::Score {
    fn from(score: ScoreArg) -> Self {
        match score {
            ScoreArg::Distance => Self::Distance,
            ScoreArg::Cosine => Self::Cosine,
            ScoreArg::Neighbours => Self::Neighbours,
        }
    }
}

impl From<FeatureNormalizationArg> for FeatureNormalization {
    fn from(normalization: FeatureNormalizationArg) -> Self {
        match normalization {
            FeatureNormalizationArg::Standard => Self::Standard,
            FeatureNormalizationArg::None => Self::None,
        }
    }
}

impl From<FeatureNormalizationArg> for v1::FeatureNormalization {
    fn from(normalization: FeatureNormalizationArg) -> Self {
        match normalization {
            FeatureNormalizationArg::Standard => Self::Standard,
            FeatureNormalizationArg::None => Self::None,
        }
    }
}

impl FromStr for ClustersArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!("`{text}` is neither a number, `auto`, `auto:MIN-MAX`, nor a list `auto:K,K,…`")
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| bad());
        let Some(auto) = text.strip_prefix("auto") else {
            return match number(text)? {
                0 => Err("the number of clusters must be at least 1".to_owned()),
                clusters => Ok(Self::Fixed(clusters)),
            };
        };
        if auto.is_empty() {
            return Ok(Self::Default);
        }
        let candidates = auto.strip_prefix(':').ok_or_else(bad)?;
        let (parsed, lowest) = match candidates.split_once('-') {
            Some((min, max)) => {
                let (min, max) = (number(min)?, number(max)?);
                if max < min {
                    return Err(format!("the range {min}-{max} ends before it starts"));
                }
                (Self::Range(min, max), min)
            }
            None => {
                let list: Result<Vec<u32>, String> = candidates.split(',').map(number).collect();
                let mut list = list?;
                list.sort_unstable();
                list.dedup();
                let lowest = list.first().copied().unwrap_or_default();
                (Self::List(list), lowest)
            }
        };
        // The Davies–Bouldin index compares clusters.
        if lowest < 2 {
            return Err("automatic choice starts at 2 clusters".to_owned());
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flags() {
        for flag in NormalizationArg::value_variants() {
            let name = normalization_name((*flag).into());
            assert_eq!(flag.to_possible_value().unwrap().get_name(), name);
        }
        for flag in ScoreArg::value_variants() {
            let name = score_name((*flag).into());
            assert_eq!(flag.to_possible_value().unwrap().get_name(), name);
        }
        for flag in FeatureNormalizationArg::value_variants() {
            let name = feature_normalization_name((*flag).into());
            assert_eq!(flag.to_possible_value().unwrap().get_name(), name);
        }
    }

    #[test]
    fn clusters_take_four_forms() {
        assert_eq!("auto".parse(), Ok(ClustersArg::Default));
        assert_eq!("978".parse(), Ok(ClustersArg::Fixed(978)));
        assert_eq!("auto:2-20".parse(), Ok(ClustersArg::Range(2, 20)));
        assert_eq!("auto:9,2,9".parse(), Ok(ClustersArg::List(vec![2, 9])));
        assert_eq!("auto:7".parse(), Ok(ClustersArg::List(vec![7])));
        for bad in [
            "",
            "-1",
            "0",
            "auto:",
            "auto2-20",
            "auto:a-b",
            "2-20",
            "auto:1-5",
            "auto:5-4",
            "auto:1,2",
            "auto:2,",
            "4294967296",
        ] {
            assert!(bad.parse::<ClustersArg>().is_err(), "{bad}");
        }
    }
}
