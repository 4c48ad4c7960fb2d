//! The parameters of a job. Ranges are the pipeline's to check; here only the form is.

use super::{Result, unknown_number};
use curriculum::{Pacing, difficulty::Normalization, features::FeatureNormalization};
use curriculum_pipeline::{RequestedParameters, RequestedSchedule};
use curriculum_proto::v1;
use curriculum_store::{Clusters, Score};

pub(super) fn parameters(parameters: v1::Parameters) -> Result<RequestedParameters> {
    Ok(RequestedParameters {
        clusters: parameters
            .clusters
            .and_then(|clusters| clusters.choice)
            .map(clusters),
        seed: parameters.seed,
        max_failed_fraction: parameters.max_failed_fraction,
        by_label: parameters.by_label,
        min_cluster_size: parameters.min_cluster_size,
        normalization: normalization(parameters.normalization)?,
        score: score(parameters.score)?,
        feature_normalization: feature_normalization(parameters.feature_normalization)?,
        schedule: schedule(parameters.schedule.unwrap_or_default())?,
    })
}

fn clusters(choice: v1::clusters::Choice) -> Clusters {
    match choice {
        v1::clusters::Choice::Fixed(clusters) => Clusters::Fixed(clusters),
        v1::clusters::Choice::Auto(v1::ClusterRange { min, max }) => Clusters::Auto { min, max },
        v1::clusters::Choice::OneOf(list) => Clusters::OneOf(list.clusters),
    }
}

fn normalization(value: i32) -> Result<Normalization> {
    match v1::Normalization::try_from(value) {
        Ok(v1::Normalization::Unspecified | v1::Normalization::ClusterMinMax) => {
            Ok(Normalization::ClusterMinMax)
        }
        Ok(v1::Normalization::ClusterRank) => Ok(Normalization::ClusterRank),
        Ok(v1::Normalization::GlobalMinMax) => Ok(Normalization::GlobalMinMax),
        Ok(v1::Normalization::None) => Ok(Normalization::None),
        Err(_) => Err(unknown_number("parameters.normalization", value)),
    }
}

fn score(value: i32) -> Result<Score> {
    match v1::Score::try_from(value) {
        Ok(v1::Score::Unspecified | v1::Score::Distance) => Ok(Score::Distance),
        Ok(v1::Score::Cosine) => Ok(Score::Cosine),
        Ok(v1::Score::Neighbours) => Ok(Score::Neighbours),
        Err(_) => Err(unknown_number("parameters.score", value)),
    }
}

fn feature_normalization(value: i32) -> Result<FeatureNormalization> {
    match v1::FeatureNormalization::try_from(value) {
        Ok(v1::FeatureNormalization::Unspecified | v1::FeatureNormalization::Standard) => {
            Ok(FeatureNormalization::Standard)
        }
        Ok(v1::FeatureNormalization::None) => Ok(FeatureNormalization::None),
        Err(_) => Err(unknown_number("parameters.feature_normalization", value)),
    }
}

fn schedule(schedule: v1::Schedule) -> Result<RequestedSchedule> {
    Ok(RequestedSchedule {
        initial_effective_fraction: schedule.initial_effective_fraction,
        warmup_iterations: schedule.warmup_iterations,
        pacing: pacing(schedule.pacing)?,
        min_temperature: schedule.min_temperature,
        max_temperature: schedule.max_temperature,
        max_effective_fraction: schedule.max_effective_fraction,
        draws: schedule.draws,
    })
}

fn pacing(value: i32) -> Result<Pacing> {
    match v1::Pacing::try_from(value) {
        Ok(v1::Pacing::Unspecified | v1::Pacing::Linear) => Ok(Pacing::Linear),
        Ok(v1::Pacing::Quadratic) => Ok(Pacing::Quadratic),
        Ok(v1::Pacing::Root) => Ok(Pacing::Root),
        Ok(v1::Pacing::Cosine) => Ok(Pacing::Cosine),
        Ok(v1::Pacing::Exponential) => Ok(Pacing::Exponential),
        Ok(v1::Pacing::Logarithmic) => Ok(Pacing::Logarithmic),
        Ok(v1::Pacing::Step) => Ok(Pacing::Step),
        Ok(v1::Pacing::Geometric) => Ok(Pacing::Geometric),
        Ok(v1::Pacing::Competence) => Ok(Pacing::Competence),
        Err(_) => Err(unknown_number("parameters.schedule.pacing", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ServiceError;

    #[test]
    fn unknown_numbers_name_their_field() {
        type Change = fn(&mut v1::Parameters);
        let cases: [(Change, &str); 4] = [
            (|p| p.normalization = 99, "parameters.normalization"),
            (|p| p.score = -1, "parameters.score"),
            (
                |p| p.feature_normalization = 3,
                "parameters.feature_normalization",
            ),
            (
                |p| p.schedule.get_or_insert_default().pacing = 10,
                "parameters.schedule.pacing",
            ),
        ];
        for (change, expected) in cases {
            let mut wire = v1::Parameters::default();
            change(&mut wire);
            match parameters(wire) {
                Err(ServiceError::Invalid { field, .. }) => assert_eq!(field, expected),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_given_is_the_default() {
        let parameters = parameters(v1::Parameters::default()).unwrap();
        assert_eq!(parameters.normalization, Normalization::ClusterMinMax);
        assert_eq!(parameters.score, Score::Distance);
        let features = parameters.feature_normalization;
        assert_eq!(features, FeatureNormalization::Standard);
        assert_eq!(parameters.schedule.pacing, Pacing::Linear);
        assert!(parameters.clusters.is_none() && !parameters.by_label);
    }

    #[test]
    fn every_pacing_has_a_number() {
        let known = (1..=9).map(|number| pacing(number).unwrap());
        assert_eq!(known.collect::<Vec<_>>(), Pacing::ALL);
    }

    #[test]
    fn lists_of_clusters_arrive_whole() {
        let list = v1::ClusterList {
            clusters: vec![9, 2, 2],
        };
        let choice = v1::clusters::Choice::OneOf(list);
        assert_eq!(clusters(choice), Clusters::OneOf(vec![9, 2, 2]));
    }
}
