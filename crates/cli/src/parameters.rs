//! The flags of the method, defined once for every command that takes them.
//!
//! | module | holds |
//! |---|---|
//! | `clustering` | clusters, scores and normalisation: `fit` and `submit` |
//! | `schedule` | how temperature follows from the iteration: `weights` and `submit` |
//! | `model` | the model, its layer, and where it runs: `extract`, `fit` and `serve` |
//! | `order` | which end comes first: `weights` |

mod clustering;
mod model;
mod order;
mod schedule;

pub(crate) use clustering::{
    ClusteringArgs, feature_normalization_name, normalization_name, score_name,
};
pub(crate) use model::ModelArgs;
pub(crate) use order::OrderArgs;
pub(crate) use schedule::{ScheduleArgs, pacing_name};

use curriculum_proto::v1;

const MAX_THREADS: usize = 1024;

/// `--threads`; 0 is one per core.
pub(crate) fn parse_threads(text: &str) -> Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| *threads <= MAX_THREADS);
    threads.ok_or_else(|| format!("must be a number, 0 to {MAX_THREADS}"))
}

/// Share of samples that may fail, where nobody says otherwise.
pub(crate) const MAX_FAILED_FRACTION: f64 = 0.01;

/// The parameters of a job. What is not given takes the server's default.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ParameterArgs {
    #[command(flatten)]
    clustering: ClusteringArgs,
    #[command(flatten)]
    failures: FailureArgs,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

/// What happens to samples that cannot be used.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct FailureArgs {
    /// Share of samples, 0 to 1, that may fail before all is given up [default: 0.01].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = share)]
    pub(crate) max_failed_fraction: Option<f64>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Ok(_) => Err("must lie in 0..1".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl ParameterArgs {
    pub(crate) fn to_proto(&self) -> v1::Parameters {
        v1::Parameters {
            max_failed_fraction: self.failures.max_failed_fraction,
            schedule: Some(self.schedule.to_proto()),
            ..self.clustering.to_proto()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches as _};

    fn parsed(flags: &[&str]) -> v1::Parameters {
        let command = ParameterArgs::augment_args(clap::Command::new("submit"));
        let flags = ["submit"].iter().chain(flags);
        let matches = command.try_get_matches_from(flags).unwrap();
        ParameterArgs::from_arg_matches(&matches)
            .unwrap()
            .to_proto()
    }

    #[test]
    fn what_is_not_given_is_left_to_the_server() {
        let expected = v1::Parameters {
            clusters: Some(v1::Clusters { choice: None }),
            schedule: Some(v1::Schedule::default()),
            ..v1::Parameters::default()
        };
        assert_eq!(parsed(&[]), expected);
    }

    #[test]
    fn every_flag_has_its_field() {
        let flags = "--clusters auto:9,2 --by-label --min-cluster-size 3 --normalization none \
                     --score cosine --feature-normalization none --seed 7 --max-failed-fraction 0.5 \
                     --initial-effective-percentage 0.25 --warmup-iterations 10 --pacing root \
                     --min-temperature 0.1 --max-temperature 2 --max-effective-ratio 0.5 --draws 99";
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let list = v1::ClusterList {
            clusters: vec![2, 9],
        };
        let expected = v1::Parameters {
            clusters: Some(v1::Clusters {
                choice: Some(v1::clusters::Choice::OneOf(list)),
            }),
            seed: 7,
            max_failed_fraction: Some(0.5),
            schedule: Some(v1::Schedule {
                initial_effective_fraction: Some(0.25),
                warmup_iterations: Some(10),
                pacing: v1::Pacing::Root.into(),
                min_temperature: Some(0.1),
                max_temperature: Some(2.0),
                max_effective_fraction: Some(0.5),
                draws: Some(99),
            }),
            by_label: true,
            min_cluster_size: Some(3),
            normalization: v1::Normalization::None.into(),
            score: v1::Score::Cosine.into(),
            feature_normalization: v1::FeatureNormalization::None.into(),
        };
        assert_eq!(parsed(&flags), expected);
    }
}
