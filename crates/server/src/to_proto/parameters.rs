//! The parameters of a job, defaults filled in.

use curriculum::{Pacing, difficulty::Normalization, features::FeatureNormalization};
use curriculum_proto::v1;
use curriculum_store::{Clusters, Parameters, ScheduleRecord, Score};

pub(super) fn parameters(parameters: Parameters) -> v1::Parameters {
    v1::Parameters {
        clusters: Some(clusters(parameters.clusters)),
        seed: parameters.seed,
        max_failed_fraction: Some(parameters.max_failed_fraction),
        schedule: Some(schedule(parameters.schedule)),
        by_label: parameters.by_label,
        min_cluster_size: Some(parameters.min_cluster_size),
        normalization: normalization(parameters.normalization).into(),
        score: score(parameters.score).into(),
        feature_normalization: feature_normalization(parameters.feature_normalization).into(),
    }
}

fn clusters(clusters: Clusters) -> v1::Clusters {
    let choice = match clusters {
        Clusters::Fixed(clusters) => Some(v1::clusters::Choice::Fixed(clusters)),
        Clusters::Auto { min, max } => {
            Some(v1::clusters::Choice::Auto(v1::ClusterRange { min, max }))
        }
        Clusters::OneOf(clusters) => {
            Some(v1::clusters::Choice::OneOf(v1::ClusterList { clusters }))
        }
        Clusters::Given => None,
    };
    v1::Clusters { choice }
}

fn normalization(normalization: Normalization) -> v1::Normalization {
    match normalization {
        Normalization::ClusterMinMax => v1::Normalization::ClusterMinMax,
        Normalization::ClusterRank => v1::Normalization::ClusterRank,
        Normalization::GlobalMinMax => v1::Normalization::GlobalMinMax,
        Normalization::None => v1::Normalization::None,
    }
}

fn score(score: Score) -> v1::Score {
    match score {
        Score::Distance => v1::Score::Distance,
        Score::Cosine => v1::Score::Cosine,
        Score::Neighbours => v1::Score::Neighbours,
    }
}

fn feature_normalization(normalization: FeatureNormalization) -> v1::FeatureNormalization {
    match normalization {
        FeatureNormalization::Standard => v1::FeatureNormalization::Standard,
        FeatureNormalization::None => v1::FeatureNormalization::None,
    }
}

fn schedule(schedule: ScheduleRecord) -> v1::Schedule {
    v1::Schedule {
        initial_effective_fraction: Some(schedule.initial),
        warmup_iterations: Some(schedule.warmup),
        pacing: pacing(schedule.pacing).into(),
        min_temperature: schedule.min_temperature,
        max_temperature: schedule.max_temperature,
        max_effective_fraction: Some(schedule.ceiling),
        draws: Some(schedule.draws),
    }
}

/// Its number on the wire.
#[must_use]
pub fn pacing(pacing: Pacing) -> v1::Pacing {
    match pacing {
        Pacing::Linear => v1::Pacing::Linear,
        Pacing::Quadratic => v1::Pacing::Quadratic,
        Pacing::Root => v1::Pacing::Root,
        Pacing::Cosine => v1::Pacing::Cosine,
        Pacing::Exponential => v1::Pacing::Exponential,
        Pacing::Logarithmic => v1::Pacing::Logarithmic,
        Pacing::Step => v1::Pacing::Step,
        Pacing::Geometric => v1::Pacing::Geometric,
        Pacing::Competence => v1::Pacing::Competence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pacing_has_its_number() {
        let numbers = Pacing::ALL.map(|known| i32::from(pacing(known)));
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
