//! Another try for the samples that failed.

use super::{Pipeline, Submitted};
use crate::PipelineError;
use curriculum_manifest::{Manifest, Source};
use curriculum_store::{Digest, JobRecord, JobState, Stage, Store, StoreError};

use std::ops::ControlFlow;

/// Errors looked at together.
const ERRORS: usize = 4096;

impl Pipeline {
    /// Puts a job that has ended in the queue again, where only the samples that failed are read and
    /// extracted again before the later stages run. If another number of them fails, that makes another
    /// version, although the content may be the same. Lists the source.
    ///
    /// # Errors
    /// When there is no such job, none of its samples failed, the source is not what it was, the queue is
    /// full or the pipeline stops. The job stays as it is then.
    pub fn retry_failed(&self, id: Digest) -> Result<Submitted, PipelineError> {
        let mut job = self.record(id)?;
        if let Some(active) = self.shared.queue().view(id) {
            return Ok(Submitted {
                job: active,
                queued: false,
            });
        }
        if job.state == JobState::Succeeded && job.failed_count == 0 {
            return Err(PipelineError::NothingFailed(id));
        }
        let source: Source = serde_json::from_str(&job.reading)
            .map_err(|_| StoreError::Invalid(format!("the source of job {id} cannot be read")))?;
        let access = &self.shared.options.access;
        let manifest = Manifest::open(&source, access, &mut |_| ControlFlow::Continue(()))?;
        if Digest::from(*manifest.fingerprint()?.as_bytes()) != job.fingerprint {
            return Err(PipelineError::SourceChanged(id));
        }
        forget_failed(&self.shared.store, &job)?;
        let mut queue = self.shared.queue();
        if queue.stopping {
            return Err(PipelineError::Stopping);
        }
        if let Some(active) = queue.view(id) {
            return Ok(Submitted {
                job: active,
                queued: false,
            });
        }
        job.attempt += 1;
        job.setbacks = 0;
        job.stage = Stage::Submitted;
        (job.content, job.version, job.failed_count) = (None, None, 0);
        job.seconds.clear();
        job.warnings.clear();
        self.enqueue(&mut queue, job, Some(manifest))
    }
}

/// Lets the contents of a job that could not be extracted be tried again.
fn forget_failed(store: &Store, job: &JobRecord) -> Result<(), StoreError> {
    let space = store.feature_space(job.model_digest, job.dimension as usize)?;
    let mut after = None;
    loop {
        let errors = store.job_errors(job.id, after, ERRORS)?;
        let Some((last, _)) = errors.last() else {
            return Ok(());
        };
        after = Some(*last);
        let samples = store.samples_at(job.listing, errors.iter().map(|(index, _)| *index))?;
        let contents = samples.values().filter_map(|sample| sample.digest);
        let contents: Vec<Digest> = contents.collect();
        space.forget_samples(&contents)?;
    }
}
