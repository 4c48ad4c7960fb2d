//! The flags of a job.

use curriculum_proto::v1::{self, clusters::Choice};
use std::str::FromStr;

/// Parameters that are not given take the server's defaults.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ParameterArgs {
    /// Number of clusters: K, `auto` (2 to 20), or `auto:MIN-MAX`.
    #[arg(long, value_name = "K|auto|auto:MIN-MAX", default_value = "auto")]
    clusters: ClustersArg,
    /// Seed of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of samples, 0 to 1, that may fail before the job fails [default: 0.01].
    #[arg(long, value_name = "SHARE")]
    max_failed_fraction: Option<f64>,
    /// Effective fraction at iteration 0, between 0 and 0.632 [default: by dataset size].
    #[arg(long, value_name = "FRACTION")]
    initial_effective_percentage: Option<f64>,
    /// Iterations until the weights are uniform [default: by dataset size].
    #[arg(long, value_name = "N")]
    warmup_iterations: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ClustersArg {
    Default,
    Fixed(u32),
    Range(u32, u32),
}

impl FromStr for ClustersArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is neither a number, `auto`, nor `auto:MIN-MAX`");
        match text.strip_prefix("auto") {
            Some("") => Ok(Self::Default),
            Some(range) => {
                let (min, max) = range
                    .strip_prefix(':')
                    .and_then(|range| range.split_once('-'))
                    .ok_or_else(bad)?;
                Ok(Self::Range(
                    min.parse().map_err(|_| bad())?,
                    max.parse().map_err(|_| bad())?,
                ))
            }
            None => Ok(Self::Fixed(text.parse().map_err(|_| bad())?)),
        }
    }
}

impl ParameterArgs {
    pub(crate) fn to_proto(&self) -> v1::Parameters {
        let choice = match self.clusters {
            ClustersArg::Default => None,
            ClustersArg::Fixed(clusters) => Some(Choice::Fixed(clusters)),
            ClustersArg::Range(min, max) => Some(Choice::Auto(v1::ClusterRange { min, max })),
        };
        v1::Parameters {
            clusters: Some(v1::Clusters { choice }),
            seed: self.seed,
            max_failed_fraction: self.max_failed_fraction,
            schedule: Some(v1::Schedule {
                initial_effective_fraction: self.initial_effective_percentage,
                warmup_iterations: self.warmup_iterations,
                pacing: v1::Pacing::Unspecified.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_take_three_forms() {
        assert_eq!("auto".parse(), Ok(ClustersArg::Default));
        assert_eq!("978".parse(), Ok(ClustersArg::Fixed(978)));
        assert_eq!("auto:2-20".parse(), Ok(ClustersArg::Range(2, 20)));
        for bad in ["", "-1", "auto:", "auto:2", "auto2-20", "auto:a-b", "2-20"] {
            assert!(bad.parse::<ClustersArg>().is_err(), "{bad}");
        }
    }
}
