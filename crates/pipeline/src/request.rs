//! What a caller asks for, and the job record it becomes.

mod extension;
mod parameters;

pub use parameters::{RequestedParameters, RequestedSchedule};

use crate::{
    PipelineError, extraction,
    model::{LoadedModel, Model},
};
use curriculum_manifest::{Access, Kind, Manifest, Source, redacted};
use curriculum_store::{
    Digest, Identity, JobRecord, JobState, Parameters, SampleKind, Stage, Store,
};
use serde::Serialize;
use std::{
    ops::ControlFlow,
    time::{SystemTime, UNIX_EPOCH},
};

const MAX_NAME: usize = 128;

/// A job, as asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name to publish under.
    pub curriculum: String,
    /// Where the samples are, and how they are read.
    pub source: Source,
    /// What people are told the samples came from, where it is not the source's URI.
    pub shown_source: Option<String>,
    /// What stands for a sample's bytes.
    pub identity: Identity,
    /// Name of the model; `None` for the one that is loaded, or for none if the source holds features.
    pub model: Option<String>,
    /// With gaps for defaults.
    pub parameters: RequestedParameters,
    /// Larger runs earlier; 0 is usual.
    pub priority: i32,
    /// Whether equal work is done anew, to a version of its own; features are used again.
    pub force: bool,
    /// A version whose clusters new samples are assigned to, while its own samples keep what they
    /// have, instead of a fit.
    pub extend: Option<Digest>,
}

impl Request {
    /// Lists the source, checks every field and fills in the defaults. The manifest comes along, so
    /// that the job need not list it again.
    pub(crate) fn check(
        &self,
        store: &Store,
        loaded: &Model,
        access: &Access,
        proceed: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(JobRecord, Manifest), PipelineError> {
        check_name(&self.curriculum)?;
        if self.source.uri.is_empty() {
            return Err(PipelineError::invalid("source", "is missing"));
        }
        let base = self
            .extend
            .map(|id| extension::base(store, id))
            .transpose()?;
        let manifest = Manifest::open(&self.source, access, &mut |_| proceed())?;
        let samples = manifest.len();
        let model = self.model(manifest.kind(), loaded)?;
        let kind = sample_kind(manifest.kind());
        let parameters = match &base {
            None => self.parameters.check(samples, kind)?,
            Some(base) => extension::parameters(&self.parameters, base, &model, samples)?,
        };
        if parameters.by_label {
            check_labels(&manifest)?;
        }
        if let Some(base) = base.filter(|base| base.parameters.by_label) {
            extension::check_classes(store, &base, &manifest)?;
        }
        let fingerprint = Digest::from(*manifest.fingerprint()?.as_bytes());
        let job = self.record(&model, parameters, (samples, kind), fingerprint);
        Ok((job, manifest))
    }

    fn record(
        &self,
        model: &LoadedModel,
        parameters: Parameters,
        (samples, kind): (u64, SampleKind),
        fingerprint: Digest,
    ) -> JobRecord {
        let reading = json(&self.source);
        let identity = json(&self.identity);
        let listing = [
            reading.as_bytes(),
            fingerprint.as_bytes(),
            identity.as_bytes(),
        ];
        let listing = Digest::of_parts(listing);
        let salt = if self.force { fresh_salt() } else { 0 };
        let id = Digest::of_parts([
            self.curriculum.as_bytes(),
            listing.as_bytes(),
            model.digest.as_bytes(),
            json(&parameters).as_bytes(),
            &salt.to_le_bytes(),
            json(&self.extend).as_bytes(),
        ]);
        JobRecord {
            id,
            sequence: 0,
            curriculum: self.curriculum.clone(),
            source: match &self.shown_source {
                Some(shown) => shown.clone(),
                None => redacted(&self.source.uri),
            },
            reading,
            kind,
            identity: self.identity,
            fingerprint,
            listing,
            model: model.name.clone(),
            model_digest: model.digest,
            dimension: u32::try_from(model.dimension).unwrap_or(u32::MAX),
            parameters,
            priority: self.priority,
            salt,
            extends: self.extend,
            attempt: 0,
            setbacks: 0,
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
        }
    }

    /// What turns the bytes of the samples into features.
    fn model(&self, kind: Kind, loaded: &Model) -> Result<LoadedModel, PipelineError> {
        let model = match kind {
            Kind::Images => loaded.loaded()?.clone(),
            Kind::Features { dimension } => extraction::parsed_features(dimension),
            Kind::Assignments => extraction::parsed_assignments(),
        };
        match &self.model {
            Some(name) if *name != model.name => {
                let reason = match kind {
                    Kind::Images => {
                        format!("`{name}` is not loaded; this server runs `{}`", model.name)
                    }
                    Kind::Features { .. } | Kind::Assignments => {
                        format!("the source holds {kind}, which no model reads: leave `{name}` out")
                    }
                };
                Err(PipelineError::invalid("model", reason))
            }
            _ => Ok(model),
        }
    }
}

fn sample_kind(kind: Kind) -> SampleKind {
    match kind {
        Kind::Images => SampleKind::Images,
        Kind::Features { .. } => SampleKind::Features,
        Kind::Assignments => SampleKind::Assignments,
    }
}

/// The version that `content` gives under the job's model and parameters. Names, places and the
/// tolerance for failures do not take part: they do not change a single weight.
pub(crate) fn version_id(job: &JobRecord, content: Digest) -> Digest {
    let parameters = json(&Parameters {
        max_failed_fraction: 0.0,
        ..job.parameters.clone()
    });
    Digest::of_parts([
        content.as_bytes().as_slice(),
        job.model_digest.as_bytes(),
        parameters.as_bytes(),
        &job.salt.to_le_bytes(),
        json(&job.extends).as_bytes(),
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

fn json(value: &impl Serialize) -> String {
    #[expect(
        clippy::expect_used,
        reason = "plain structs and enums with checked, finite numbers: JSON cannot fail"
    )]
    serde_json::to_string(value).expect("plain values serialise")
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
