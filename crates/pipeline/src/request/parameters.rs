//! Parameters: their ranges, and the defaults for what is left out.

use crate::PipelineError;
use curriculum::{
    CurriculumError, Pacing, Schedule, ScheduleOptions, difficulty::Normalization,
    features::FeatureNormalization,
};
use curriculum_store::{Clusters, Parameters, SampleKind, ScheduleRecord, Score};

const DEFAULT_CLUSTERS: Clusters = Clusters::Auto { min: 2, max: 20 };
const DEFAULT_MAX_FAILED_FRACTION: f64 = 0.01;
const DEFAULT_MIN_CLUSTER_SIZE: u32 = 5;

/// Numbers of clusters in a list, at most.
const MAX_LISTED: usize = 1_000;

/// Parameters, as asked for; `None` stands for the default.
#[derive(Clone, Debug, Default)]
pub struct RequestedParameters {
    /// Default: automatic in 2..=20.
    pub clusters: Option<Clusters>,
    /// Seed of every random choice.
    pub seed: u64,
    /// Default: 0.01.
    pub max_failed_fraction: Option<f64>,
    /// Whether clusters lie inside classes and scores relate to the class.
    pub by_label: bool,
    /// Default: 5. 0 and 1 are off; by label it is always off.
    pub min_cluster_size: Option<u32>,
    /// What scores are related to.
    pub normalization: Normalization,
    /// What makes a sample hard.
    pub score: Score,
    /// What becomes of features before they are clustered.
    pub feature_normalization: FeatureNormalization,
    /// The schedule that weights follow.
    pub schedule: RequestedSchedule,
}

/// A schedule, as asked for; `None` stands for the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestedSchedule {
    /// Default: by dataset size.
    pub initial_effective_fraction: Option<f64>,
    /// Default: by dataset size.
    pub warmup_iterations: Option<u64>,
    /// Growth of the target in between.
    pub pacing: Pacing,
    /// Default: no bound.
    pub min_temperature: Option<f64>,
    /// Default: no bound.
    pub max_temperature: Option<f64>,
    /// Default: the fraction of uniform weights.
    pub max_effective_fraction: Option<f64>,
    /// Default: the number of samples.
    pub draws: Option<u64>,
}

impl RequestedParameters {
    pub(super) fn check(
        &self,
        samples: u64,
        kind: SampleKind,
    ) -> Result<Parameters, PipelineError> {
        let max_failed_fraction = self.checked_max_failed_fraction()?;
        if kind == SampleKind::Assignments {
            return self.check_given(max_failed_fraction, samples);
        }
        let min_cluster_size = match self.by_label {
            true => 1,
            false => self.min_cluster_size.unwrap_or(DEFAULT_MIN_CLUSTER_SIZE),
        };
        Ok(Parameters {
            clusters: self.checked_clusters(samples)?,
            seed: self.seed,
            max_failed_fraction,
            by_label: self.by_label,
            min_cluster_size: min_cluster_size.max(1),
            normalization: self.normalization,
            score: self.score,
            feature_normalization: self.feature_normalization,
            schedule: self.schedule.check(samples)?,
        })
    }

    /// Of samples that come with their clusters.
    fn check_given(
        &self,
        max_failed_fraction: f64,
        samples: u64,
    ) -> Result<Parameters, PipelineError> {
        let given = "the source holds finished clusters";
        let fault = if self.clusters.is_some() {
            Some(("parameters.clusters", "leave it out"))
        } else if self.by_label {
            Some(("parameters.by_label", "they are not fitted inside classes"))
        } else if self.min_cluster_size.is_some_and(|size| size > 1) {
            Some((
                "parameters.min_cluster_size",
                "there is no way to another cluster",
            ))
        } else if self.score == Score::Neighbours {
            Some(("parameters.score", "neighbours are not known"))
        } else if self.feature_normalization != FeatureNormalization::default() {
            Some((
                "parameters.feature_normalization",
                "their features are not known",
            ))
        } else {
            None
        };
        if let Some((field, reason)) = fault {
            return Err(PipelineError::invalid(field, format!("{given}: {reason}")));
        }
        Ok(Parameters {
            clusters: Clusters::Given,
            seed: 0,
            max_failed_fraction,
            by_label: false,
            min_cluster_size: 1,
            normalization: self.normalization,
            score: self.score,
            feature_normalization: self.feature_normalization,
            schedule: self.schedule.check(samples)?,
        })
    }

    /// Of an extension of a version with parameters `base`, which decide all but the schedule and how
    /// many samples may fail.
    pub(super) fn check_extension(
        &self,
        base: &Parameters,
        samples: u64,
    ) -> Result<Parameters, PipelineError> {
        let defaults = Self::default();
        let by_label = self.by_label != defaults.by_label && self.by_label != base.by_label;
        let seed = self.seed != defaults.seed && self.seed != base.seed;
        let normalization = self.normalization != defaults.normalization
            && self.normalization != base.normalization;
        let score = self.score != defaults.score && self.score != base.score;
        let features = self.feature_normalization != defaults.feature_normalization
            && self.feature_normalization != base.feature_normalization;
        let size = self.min_cluster_size.map(|size| size.max(1));
        let differing = [
            (
                "parameters.clusters",
                self.clusters.as_ref().is_some_and(|c| *c != base.clusters),
            ),
            ("parameters.seed", seed),
            ("parameters.by_label", by_label),
            (
                "parameters.min_cluster_size",
                size.is_some_and(|size| size != base.min_cluster_size),
            ),
            ("parameters.normalization", normalization),
            ("parameters.score", score),
            ("parameters.feature_normalization", features),
        ];
        if let Some((field, _)) = differing.into_iter().find(|(_, differs)| *differs) {
            let reason = "an extension keeps that of its base version: leave it out, or refit";
            return Err(PipelineError::invalid(field, reason));
        }
        Ok(Parameters {
            max_failed_fraction: self.checked_max_failed_fraction()?,
            schedule: self.schedule.check(samples)?,
            ..base.clone()
        })
    }

    fn checked_max_failed_fraction(&self) -> Result<f64, PipelineError> {
        let fraction = self
            .max_failed_fraction
            .unwrap_or(DEFAULT_MAX_FAILED_FRACTION);
        if (0.0..=1.0).contains(&fraction) {
            return Ok(fraction);
        }
        let reason = format!("is {fraction}, but must lie in 0..1");
        Err(PipelineError::invalid(
            "parameters.max_failed_fraction",
            reason,
        ))
    }

    /// Equal sets of candidates are stored alike, so that they are one version.
    fn checked_clusters(&self, samples: u64) -> Result<Clusters, PipelineError> {
        let mut clusters = self.clusters.clone().unwrap_or(DEFAULT_CLUSTERS);
        if let Clusters::OneOf(list) = &mut clusters {
            list.sort_unstable();
            list.dedup();
        }
        match clusters_fault(&clusters, samples) {
            None => Ok(clusters),
            Some(reason) => Err(PipelineError::invalid("parameters.clusters", reason)),
        }
    }
}

impl RequestedSchedule {
    fn check(&self, samples: u64) -> Result<ScheduleRecord, PipelineError> {
        let schedule = Schedule::new(
            &ScheduleOptions {
                initial_effective_fraction: self.initial_effective_fraction,
                warmup_iterations: self.warmup_iterations,
                pacing: Some(self.pacing),
                min_temperature: self.min_temperature,
                max_temperature: self.max_temperature,
                max_effective_ratio: self.max_effective_fraction,
                draws: self.draws,
            },
            samples,
        )
        .map_err(schedule_error)?;
        Ok(ScheduleRecord {
            initial: schedule.initial(),
            warmup: schedule.warmup(),
            pacing: schedule.pacing(),
            min_temperature: schedule.min_temperature(),
            max_temperature: schedule.max_temperature(),
            ceiling: schedule.ceiling(),
            draws: schedule.draws(),
        })
    }
}

/// What is wrong with a choice of clusters.
fn clusters_fault(clusters: &Clusters, samples: u64) -> Option<String> {
    let beyond = |k: u32| u64::from(k) > samples;
    match clusters {
        Clusters::Fixed(0) => Some("must be at least 1".to_owned()),
        Clusters::Fixed(k) if beyond(*k) => Some(format!("{k} clusters for {samples} samples")),
        Clusters::Auto { min, max } if *min < 2 || max < min => Some(format!(
            "the range {min}..{max} must start at 2 or more and not end before it starts"
        )),
        Clusters::Auto { min, .. } if u64::from(*min) >= samples => Some(format!(
            "choosing between {min} or more clusters needs more than {samples} samples"
        )),
        Clusters::OneOf(list) if list.is_empty() || list.len() > MAX_LISTED => Some(format!(
            "the list has {} numbers, but must have 1 to {MAX_LISTED}",
            list.len()
        )),
        Clusters::OneOf(list) => list.iter().find(|k| **k < 2 || beyond(**k)).map(|k| {
            format!("{k} in the list must be at least 2 and at most {samples}, the samples")
        }),
        Clusters::Given => Some("the source holds no clusters".to_owned()),
        Clusters::Fixed(_) | Clusters::Auto { .. } => None,
    }
}

/// By the field's name on the wire.
fn schedule_error(error: CurriculumError) -> PipelineError {
    let CurriculumError::ScheduleOutOfRange {
        field,
        value,
        allowed,
    } = error
    else {
        return PipelineError::invalid("parameters.schedule", error.to_string());
    };
    let field = match field {
        "initial_effective_fraction" => "parameters.schedule.initial_effective_fraction",
        "min_temperature" => "parameters.schedule.min_temperature",
        "max_temperature" => "parameters.schedule.max_temperature",
        "max_effective_ratio" => "parameters.schedule.max_effective_fraction",
        "draws" => "parameters.schedule.draws",
        _ => "parameters.schedule",
    };
    PipelineError::invalid(field, format!("is {value}, but must be {allowed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(parameters: &RequestedParameters) -> &'static str {
        match parameters.check(100, SampleKind::Images) {
            Err(PipelineError::Invalid { field, .. }) => field,
            _ => "",
        }
    }

    #[test]
    fn clusters_out_of_range_are_refused() {
        let clusters = |clusters| RequestedParameters {
            clusters: Some(clusters),
            ..Default::default()
        };
        for bad in [
            Clusters::Fixed(0),
            Clusters::Fixed(101),
            Clusters::Auto { min: 1, max: 5 },
            Clusters::Auto { min: 9, max: 5 },
            Clusters::Auto { min: 100, max: 200 },
            Clusters::OneOf(vec![]),
            Clusters::OneOf(vec![5, 1]),
            Clusters::OneOf(vec![5, 101]),
            Clusters::OneOf((2..2_000).collect()),
        ] {
            assert_eq!(
                field(&clusters(bad.clone())),
                "parameters.clusters",
                "{bad:?}"
            );
        }
        let list = clusters(Clusters::OneOf(vec![100, 2, 100]))
            .check(100, SampleKind::Images)
            .unwrap();
        assert_eq!(list.clusters, Clusters::OneOf(vec![2, 100]));
    }

    #[test]
    fn numbers_out_of_range_name_their_field() {
        for bad in [-0.1, 1.1, f64::NAN] {
            let parameters = RequestedParameters {
                max_failed_fraction: Some(bad),
                ..Default::default()
            };
            assert_eq!(field(&parameters), "parameters.max_failed_fraction");
        }
        type Change = fn(&mut RequestedSchedule);
        let cases: [(Change, &str); 8] = [
            (
                |s| s.initial_effective_fraction = Some(0.9),
                "initial_effective_fraction",
            ),
            (
                |s| s.initial_effective_fraction = Some(f64::NAN),
                "initial_effective_fraction",
            ),
            (|s| s.min_temperature = Some(0.0), "min_temperature"),
            (
                |s| s.max_temperature = Some(f64::INFINITY),
                "max_temperature",
            ),
            (
                |s| (s.min_temperature, s.max_temperature) = (Some(0.5), Some(0.4)),
                "max_temperature",
            ),
            (
                |s| s.max_effective_fraction = Some(0.7),
                "max_effective_fraction",
            ),
            (
                |s| s.max_effective_fraction = Some(f64::NAN),
                "max_effective_fraction",
            ),
            (|s| s.draws = Some(0), "draws"),
        ];
        for (change, name) in cases {
            let mut parameters = RequestedParameters::default();
            change(&mut parameters.schedule);
            assert_eq!(field(&parameters), format!("parameters.schedule.{name}"));
        }
    }

    #[test]
    fn defaults_given_outright_are_the_same_parameters() {
        let defaults = RequestedParameters::default()
            .check(100, SampleKind::Images)
            .unwrap();
        assert_eq!(defaults.min_cluster_size, 5);
        let schedule = defaults.schedule;
        let outright = RequestedParameters {
            clusters: Some(Clusters::Auto { min: 2, max: 20 }),
            max_failed_fraction: Some(0.01),
            min_cluster_size: Some(5),
            schedule: RequestedSchedule {
                initial_effective_fraction: Some(0.3),
                warmup_iterations: Some(1_500),
                max_effective_fraction: Some(schedule.ceiling),
                draws: Some(100),
                ..Default::default()
            },
            ..Default::default()
        };
        assert_eq!(outright.check(100, SampleKind::Images).unwrap(), defaults);
    }

    #[test]
    fn off_is_one_whichever_way_it_is_said() {
        let size = |by_label, min_cluster_size| {
            let parameters = RequestedParameters {
                by_label,
                min_cluster_size,
                ..Default::default()
            };
            parameters
                .check(100, SampleKind::Images)
                .unwrap()
                .min_cluster_size
        };
        assert_eq!([size(false, Some(0)), size(false, Some(1))], [1, 1]);
        assert_eq!([size(true, None), size(true, Some(9))], [1, 1]);
        assert_eq!(size(false, Some(9)), 9);
    }
}
