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

use crate::{
    Hook, PipelineOptions, extraction::FeatureExtractor, packs::RowError, progress::Reporter,
};
use curriculum_manifest::{Manifest, ManifestError, Source};
use curriculum_store::{Digest, FeatureSpace, JobRecord, Stage, Store, StoreError};
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
    pub(crate) options: &'a PipelineOptions,
    pub(crate) manifest: &'a mut Opened,
}

/// The manifest of a job: handed on by its submission or listed on first use, and kept for the stages
/// of one run.
#[derive(Default)]
pub(crate) struct Opened {
    pub(crate) manifest: Option<Manifest>,
    /// Whether it was compared with what was submitted.
    checked: bool,
}

impl Opened {
    pub(crate) fn handed_on(manifest: Option<Manifest>) -> Self {
        Self {
            manifest,
            checked: false,
        }
    }
}

/// Why a stage did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    /// Asked to stop; nothing is wrong.
    #[error("interrupted")]
    Interrupted,
    /// Features that were extracted are missing or damaged: back to extraction.
    #[error("features are missing or damaged")]
    Lost,
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

/// What is done to reach a stage, in one word.
pub(crate) fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Submitted => "submit",
        Stage::Enumerated => "enumerate",
        Stage::Extracted => "extract",
        Stage::Clustered => "cluster",
        Stage::Scored => "score",
        Stage::Published => "publish",
    }
}

impl Context<'_> {
    /// Returns early when the job was cancelled or the server stops.
    fn check_interrupt(&self) -> Result<(), StageError> {
        check(self.interrupt)
    }

    fn hook(&self) -> &Hook {
        &self.options.hook
    }

    /// The manifest, exactly as it was submitted.
    fn manifest(&mut self) -> Result<&Manifest, StageError> {
        let opened = match self.manifest.manifest.take() {
            Some(manifest) => manifest,
            None => self.list()?,
        };
        if !self.manifest.checked {
            if Digest::from(*opened.fingerprint()?.as_bytes()) != self.job.fingerprint {
                return Err(StageError::Failed(
                    "the source has changed since the job was submitted: submit it again, what is the same is \
                     not extracted again"
                        .to_owned(),
                ));
            }
            self.manifest.checked = true;
        }
        Ok(self.manifest.manifest.insert(opened))
    }

    /// Lists the source again: after a restart, or a long wait.
    fn list(&mut self) -> Result<Manifest, StageError> {
        let source: Source = serde_json::from_str(&self.job.reading)
            .map_err(|error| StageError::Failed(format!("the job's source: {error}")))?;
        let (interrupt, total) = (self.interrupt, self.job.sample_count);
        let reporter = &mut self.reporter;
        let listed = Manifest::open(&source, &self.options.access, &mut |rows| {
            reporter.report(rows, total, "listing the source");
            match interrupt.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        self.reporter.begin_anew();
        listed.map_err(|error| match error {
            ManifestError::Interrupted => StageError::Interrupted,
            other => StageError::Source(other),
        })
    }

    /// Content hash and version, known once enumerated.
    fn identity(&self) -> Result<(Digest, Digest), StageError> {
        let ids = self.job.content.zip(self.job.version);
        ids.ok_or_else(|| StageError::Failed("the job was not enumerated".to_owned()))
    }

    /// Where features of the job's model are.
    fn space(&self) -> Result<FeatureSpace, StoreError> {
        let dimension = self.job.dimension as usize;
        self.store.feature_space(self.job.model_digest, dimension)
    }
}

fn check(interrupt: &AtomicBool) -> Result<(), StageError> {
    match interrupt.load(Ordering::Relaxed) {
        true => Err(StageError::Interrupted),
        false => Ok(()),
    }
}

impl From<RowError> for StageError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Interrupted => Self::Interrupted,
            RowError::Lost => Self::Lost,
            RowError::Store(error) => Self::Store(error),
        }
    }
}
