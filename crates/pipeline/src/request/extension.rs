//! Whether a version can be extended as asked.

use super::RequestedParameters;
use crate::{PipelineError, model::LoadedModel};
use curriculum::difficulty::Normalization;
use curriculum_manifest::Manifest;
use curriculum_store::{Digest, Parameters, Score, Store, VersionRecord};
use std::collections::HashSet;

/// Samples whose labels are looked at together.
const SOME: u64 = 65_536;

/// The version to extend.
pub(super) fn base(store: &Store, id: Digest) -> Result<VersionRecord, PipelineError> {
    let base = store
        .version(id)?
        .ok_or_else(|| refused(format!("there is no version {id}")))?;
    if base.parameters.score == Score::Neighbours {
        let reason =
            "its score is `neighbours`, for which new samples change those of the old: refit";
        return Err(refused(reason));
    }
    if base.parameters.normalization == Normalization::ClusterRank {
        let reason =
            "its normalisation is `cluster_rank`: new samples shift the ranks of the old: refit";
        return Err(refused(reason));
    }
    Ok(base)
}

/// The parameters of the extension, which are those of its base.
pub(super) fn parameters(
    asked: &RequestedParameters,
    base: &VersionRecord,
    model: &LoadedModel,
    samples: u64,
) -> Result<Parameters, PipelineError> {
    if base.model_digest != model.digest {
        return Err(refused(format!(
            "version {} is of model `{}` with other weights or preprocessing than `{}`",
            base.id, base.model, model.name
        )));
    }
    asked.check_extension(&base.parameters, samples)
}

/// By label, a sample of a new class has no cluster to go to.
pub(super) fn check_classes(
    store: &Store,
    base: &VersionRecord,
    manifest: &Manifest,
) -> Result<(), PipelineError> {
    let labels = store.clustering(base.id)?.labels;
    let known: HashSet<&str> = labels.iter().map(String::as_str).collect();
    for first in (0..manifest.len()).step_by(SOME as usize) {
        let samples = manifest.samples(first..first + SOME)?;
        for (index, sample) in (first..).zip(&samples) {
            let label = sample.label.as_deref().unwrap_or_default();
            if !known.contains(label) {
                let id = &sample.id;
                return Err(refused(format!(
                    "sample {index} (`{id}`) is of class `{label}`, which the version does not have: refit"
                )));
            }
        }
    }
    Ok(())
}

fn refused(reason: impl Into<String>) -> PipelineError {
    PipelineError::invalid("extend", reason)
}
