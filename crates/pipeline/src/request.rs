//! What a caller asks for, and the job record it becomes.

mod parameters;

pub use parameters::{RequestedParameters, RequestedSchedule};

use crate::PipelineError;
use curriculum_manifest::{Access, Manifest, Source};
use curriculum_store::{Digest, Identity, JobRecord, JobState, Parameters, Stage};
use std::{
    ops::ControlFlow,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

const MAX_NAME: usize = 128;

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
    /// Larger runs earlier; 0 is usual.
    pub priority: i32,
    /// Whether equal work is done anew, to a version of its own; features are used again.
    pub force: bool,
}

/// The model that jobs are checked against.
#[derive(Clone, Debug)]
pub(crate) struct LoadedModel {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) dimension: usize,
}

impl Request {
    /// Lists the source, checks every field and fills in the defaults.
    pub(crate) fn check(&self, loaded: &LoadedModel) -> Result<JobRecord, PipelineError> {
        check_name(&self.curriculum)?;
        self.check_model(loaded)?;
        let source = self.source.to_str().filter(|source| !source.is_empty());
        let source =
            source.ok_or_else(|| PipelineError::invalid("source", "must be a path in UTF-8"))?;
        let manifest = Manifest::open(&Source::new(source), &Access::unrestricted(), &mut |_| {
            ControlFlow::Continue(())
        })?;
        let samples = manifest.len();
        let parameters = self.parameters.check(samples)?;
        if parameters.by_label {
            check_labels(&manifest)?;
        }
        let fingerprint = Digest::from(*manifest.fingerprint()?.as_bytes());
        let asked = parameters_json(&parameters);
        let salt = if self.force { fresh_salt() } else { 0 };
        let salt_bytes = salt.to_le_bytes();
        let identity = [
            self.curriculum.as_bytes(),
            source.as_bytes(),
            fingerprint.as_bytes(),
            loaded.digest.as_bytes(),
            asked.as_bytes(),
            &salt_bytes,
        ];
        Ok(JobRecord {
            id: Digest::of_parts(identity),
            sequence: 0,
            curriculum: self.curriculum.clone(),
            source: source.to_owned(),
            identity: Identity::Bytes,
            fingerprint,
            model: loaded.name.clone(),
            model_digest: loaded.digest,
            dimension: u32::try_from(loaded.dimension).unwrap_or(u32::MAX),
            parameters,
            priority: self.priority,
            salt,
            extends: None,
            attempt: 0,
            state: JobState::Queued,
            stage: Stage::Submitted,
            sample_count: samples,
            failed_count: 0,
            content: None,
            version: None,
            submitted_at_ms: 0,
            ended_at_ms: None,
            seconds: [].into(),
            warnings: Vec::new(),
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

/// The version that `content` gives under the job's model and parameters. Names, places and the
/// tolerance for failures do not take part: they do not change a single weight.
pub(crate) fn version_id(job: &JobRecord, content: Digest) -> Digest {
    let parameters = parameters_json(&Parameters {
        max_failed_fraction: 0.0,
        ..job.parameters.clone()
    });
    Digest::of_parts([
        content.as_bytes().as_slice(),
        job.model_digest.as_bytes(),
        parameters.as_bytes(),
        &job.salt.to_le_bytes(),
    ])
}

/// Never 0, and never the same twice: the clock's nanoseconds, scattered.
fn fresh_salt() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = elapsed.unwrap_or_default().as_nanos();
    let digest = Digest::of_parts([nanoseconds.to_le_bytes().as_slice()]);
    let first = digest.as_bytes().first_chunk().copied();
    u64::from_le_bytes(first.unwrap_or_default()) | 1
}

fn parameters_json(parameters: &Parameters) -> String {
    #[expect(
        clippy::expect_used,
        reason = "a plain struct with checked, finite numbers: JSON cannot fail"
    )]
    serde_json::to_string(parameters).expect("parameters serialise")
}

/// By label, every sample needs one.
fn check_labels(manifest: &Manifest) -> Result<(), PipelineError> {
    let Some(index) = manifest.unlabelled() else {
        return Ok(());
    };
    let id = manifest.sample(index).map_or("".into(), |sample| sample.id);
    let reason = format!("needs a label on every sample, but sample {index} (`{id}`) has none");
    Err(PipelineError::invalid("parameters.by_label", reason))
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
}
