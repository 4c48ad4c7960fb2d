//! What a caller asks for, and the job record it becomes.

use crate::PipelineError;
use curriculum::{Pacing, Schedule};
use curriculum_manifest::Manifest;
use curriculum_store::{Clusters, Digest, JobRecord, JobState, Parameters, ScheduleRecord, Stage};
use std::path::PathBuf;

const MAX_NAME: usize = 128;
const DEFAULT_CLUSTERS: Clusters = Clusters::Auto { min: 2, max: 20 };
const DEFAULT_MAX_FAILED_FRACTION: f64 = 0.01;

/// A job, as asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name to publish under.
    pub curriculum: String,
    /// Path of the source on this machine.
    pub source: PathBuf,
    /// Name of the model; `None` for the one that is loaded.
    pub model: Option<String>,
    /// With gaps for defaults.
    pub parameters: RequestedParameters,
}

/// Parameters, as asked for; `None` stands for the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestedParameters {
    /// Default: automatic in 2..=20.
    pub clusters: Option<Clusters>,
    /// Seed of every random choice.
    pub seed: u64,
    /// Default: 0.01.
    pub max_failed_fraction: Option<f64>,
    /// Default: by dataset size.
    pub initial_effective_fraction: Option<f64>,
    /// Default: by dataset size.
    pub warmup_iterations: Option<u64>,
}

/// The model that jobs are checked against.
#[derive(Clone, Debug)]
pub(crate) struct LoadedModel {
    pub(crate) name: String,
    pub(crate) digest: Digest,
}

impl Request {
    /// Lists the source, checks every field and fills in the defaults.
    pub(crate) fn check(&self, loaded: &LoadedModel) -> Result<JobRecord, PipelineError> {
        check_name(&self.curriculum)?;
        self.check_model(loaded)?;
        let source = self.source.to_str().filter(|source| !source.is_empty());
        let source =
            source.ok_or_else(|| PipelineError::invalid("source", "must be a path in UTF-8"))?;
        let manifest = Manifest::open(&self.source)?;
        let samples = manifest.len() as u64;
        let parameters = self.parameters.check(samples)?;
        let fingerprint = Digest::from(*manifest.fingerprint().as_bytes());
        let asked = parameters_json(&parameters);
        let identity = [
            self.curriculum.as_bytes(),
            source.as_bytes(),
            fingerprint.as_bytes(),
            loaded.digest.as_bytes(),
            asked.as_bytes(),
        ];
        Ok(JobRecord {
            id: Digest::of_parts(identity),
            sequence: 0,
            curriculum: self.curriculum.clone(),
            source: source.to_owned(),
            fingerprint,
            model: loaded.name.clone(),
            model_digest: loaded.digest,
            parameters,
            state: JobState::Queued,
            stage: Stage::Submitted,
            sample_count: samples,
            failed_count: 0,
            content: None,
            version: None,
            submitted_at_ms: 0,
            ended_at_ms: None,
            seconds: [].into(),
        })
    }

    fn check_model(&self, loaded: &LoadedModel) -> Result<(), PipelineError> {
        match &self.model {
            Some(name) if *name != loaded.name => {
                let reason = format!("`{name}` is not loaded; this server runs `{}`", loaded.name);
                Err(PipelineError::invalid("model", reason))
            }
            _ => Ok(()),
        }
    }
}

impl RequestedParameters {
    fn check(&self, samples: u64) -> Result<Parameters, PipelineError> {
        let clusters = self.clusters.unwrap_or(DEFAULT_CLUSTERS);
        check_clusters(clusters, samples)?;
        let max_failed_fraction = self
            .max_failed_fraction
            .unwrap_or(DEFAULT_MAX_FAILED_FRACTION);
        if !(0.0..=1.0).contains(&max_failed_fraction) {
            let reason = format!("is {max_failed_fraction}, but must lie in 0..1");
            return Err(PipelineError::invalid(
                "parameters.max_failed_fraction",
                reason,
            ));
        }
        let preset = Schedule::preset(samples);
        let initial = self.initial_effective_fraction.unwrap_or(preset.initial());
        let warmup = self.warmup_iterations.unwrap_or(preset.warmup());
        let schedule = Schedule::new(initial, warmup, Pacing::Linear, samples)
            .map_err(|error| PipelineError::invalid("parameters.schedule", error.to_string()))?;
        Ok(Parameters {
            clusters,
            seed: self.seed,
            max_failed_fraction,
            schedule: ScheduleRecord {
                initial: schedule.initial(),
                warmup: schedule.warmup(),
            },
        })
    }
}

/// The version that `content` gives under the job's model and parameters. Names, places and the
/// tolerance for failures do not take part: they do not change a single weight.
pub(crate) fn version_id(job: &JobRecord, content: Digest) -> Digest {
    let parameters = parameters_json(&Parameters {
        max_failed_fraction: 0.0,
        ..job.parameters
    });
    Digest::of_parts([
        content.as_bytes(),
        job.model_digest.as_bytes(),
        parameters.as_bytes(),
    ])
}

fn parameters_json(parameters: &Parameters) -> String {
    #[expect(
        clippy::expect_used,
        reason = "a plain struct with checked, finite numbers: JSON cannot fail"
    )]
    serde_json::to_string(parameters).expect("parameters serialise")
}

fn check_name(name: &str) -> Result<(), PipelineError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty()
        || name.len() > MAX_NAME
        || name.starts_with('.')
        || !name.chars().all(allowed)
    {
        let reason =
            format!("must be 1 to {MAX_NAME} of a-z A-Z 0-9 . _ - and not start with a dot");
        return Err(PipelineError::invalid("curriculum", reason));
    }
    Ok(())
}

fn check_clusters(clusters: Clusters, samples: u64) -> Result<(), PipelineError> {
    let reason = match clusters {
        Clusters::Fixed(0) => "must be at least 1".to_owned(),
        Clusters::Fixed(k) if u64::from(k) > samples => {
            format!("{k} clusters for {samples} samples")
        }
        Clusters::Auto { min, max } if min < 2 || max < min => {
            format!("the range {min}..{max} must start at 2 or more and not end before it starts")
        }
        Clusters::Auto { min, .. } if u64::from(min) >= samples => {
            format!("choosing between {min} or more clusters needs more than {samples} samples")
        }
        Clusters::Fixed(_) | Clusters::Auto { .. } => return Ok(()),
    };
    Err(PipelineError::invalid("parameters.clusters", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(result: Result<impl Sized, PipelineError>) -> &'static str {
        match result {
            Err(PipelineError::Invalid { field, .. }) => field,
            _ => "",
        }
    }

    #[test]
    fn names_that_could_be_paths_are_refused() {
        for name in ["", ".", "..", "a/b", "a b", "ü", &"x".repeat(129)] {
            assert_eq!(field(check_name(name)), "curriculum", "{name}");
        }
        check_name("imagenet-vits16.v2_b").unwrap();
    }

    #[test]
    fn parameters_out_of_range_name_their_field() {
        let check = |parameters: RequestedParameters| field(parameters.check(100));
        let clusters = |clusters| {
            check(RequestedParameters {
                clusters: Some(clusters),
                ..Default::default()
            })
        };
        for bad in [
            Clusters::Fixed(0),
            Clusters::Fixed(101),
            Clusters::Auto { min: 1, max: 5 },
            Clusters::Auto { min: 9, max: 5 },
        ] {
            assert_eq!(clusters(bad), "parameters.clusters");
        }
        for bad in [-0.1, 1.1, f64::NAN] {
            let parameters = RequestedParameters {
                max_failed_fraction: Some(bad),
                ..Default::default()
            };
            assert_eq!(check(parameters), "parameters.max_failed_fraction");
        }
        let parameters = RequestedParameters {
            initial_effective_fraction: Some(0.9),
            ..Default::default()
        };
        assert_eq!(check(parameters), "parameters.schedule");
        assert_eq!(check(RequestedParameters::default()), "");
    }
}
