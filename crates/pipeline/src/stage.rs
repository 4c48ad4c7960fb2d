//! One file per stage, each with a `run` over the job's context.
//!
//! A stage is a plain synchronous function. It reads what it needs from the store, gets no hint
//! about what an earlier run did, and writes its output; the loop in `advance` then writes the
//! marker. Running a stage twice writes the same bytes.

mod cluster;
mod enumerate;
mod extract;
mod publish;
mod score;

pub(crate) use extract::CHUNK;

use crate::{extraction::FeatureExtractor, progress::Reporter};
use curriculum_manifest::{Access, Manifest, ManifestError, Source};
use curriculum_store::{Digest, JobRecord, Stage, Store, StoreError};
use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
};

/// Everything a stage may touch.
pub(crate) struct Context<'a> {
    pub(crate) job: &'a mut JobRecord,
    pub(crate) store: &'a Store,
    /// In the extraction lane.
    pub(crate) extractor: Option<&'a mut (dyn FeatureExtractor + 'static)>,
    pub(crate) reporter: Reporter<'a>,
    pub(crate) interrupt: &'a AtomicBool,
    /// Listed on first use, kept for the stages of one run.
    pub(crate) manifest: &'a mut Option<Manifest>,
}

/// Why a stage did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    /// Asked to stop; nothing is wrong.
    #[error("interrupted")]
    Interrupted,
    /// Work that cannot succeed as it stands.
    #[error("{0}")]
    Failed(String),
    /// The source can no longer be listed.
    #[error("source: {0}")]
    Source(#[from] ManifestError),
    /// Reading or writing the data folder failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Run = fn(&mut Context<'_>) -> Result<(), StageError>;

/// The stage that follows `stage`, with its function; `None` after the last.
pub(crate) fn after(stage: Stage) -> Option<(Stage, Run)> {
    match stage {
        Stage::Submitted => Some((Stage::Enumerated, enumerate::run)),
        Stage::Enumerated => Some((Stage::Extracted, extract::run)),
        Stage::Extracted => Some((Stage::Clustered, cluster::run)),
        Stage::Clustered => Some((Stage::Scored, score::run)),
        Stage::Scored => Some((Stage::Published, publish::run)),
        Stage::Published => None,
    }
}

impl Context<'_> {
    /// Returns early when the job was cancelled or the server stops.
    fn check_interrupt(&self) -> Result<(), StageError> {
        if self.interrupt.load(Ordering::Relaxed) {
            Err(StageError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// The manifest, exactly as it was submitted.
    fn manifest(&mut self) -> Result<&Manifest, StageError> {
        if self.manifest.is_none() {
            let source = Source::new(&*self.job.source);
            let interrupt = self.interrupt;
            let manifest =
                Manifest::open(&source, &Access::unrestricted(), &mut |_| match interrupt
                    .load(Ordering::Relaxed)
                {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                });
            let manifest = manifest.map_err(|error| match error {
                ManifestError::Interrupted => StageError::Interrupted,
                other => StageError::Source(other),
            })?;
            if Digest::from(*manifest.fingerprint()?.as_bytes()) != self.job.fingerprint {
                return Err(StageError::Failed(
                    "the source has changed since the job was submitted".to_owned(),
                ));
            }
            *self.manifest = Some(manifest);
        }
        self.manifest
            .as_ref()
            .ok_or_else(|| StageError::Failed("no manifest".to_owned()))
    }

    /// Content hash and version, known once enumerated.
    fn identity(&self) -> Result<(Digest, Digest), StageError> {
        let ids = self.job.content.zip(self.job.version);
        ids.ok_or_else(|| StageError::Failed("the job was not enumerated".to_owned()))
    }

    /// Key of the features: they depend on the content and the model alone.
    fn features_key(&self) -> Result<Digest, StageError> {
        let (content, _) = self.identity()?;
        Ok(Digest::of_parts([
            content.as_bytes().as_slice(),
            self.job.model_digest.as_bytes(),
        ]))
    }
}
