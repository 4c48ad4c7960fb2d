//! The thread that runs jobs, one at a time, in order of submission.

use crate::{
    FeatureExtractor,
    advance::{Workplace, advance, commit},
    background::lower_priority,
    queue::{Active, Queue},
    request::LoadedModel,
    stage::StageError,
};
use curriculum_store::{Digest, JobRecord, JobState, Store, StoreError};
use rayon::ThreadPoolBuilder;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// What the handle and the thread share.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) model: LoadedModel,
    /// Held for queue operations and record updates by callers, never while a stage works.
    pub(crate) queue: Mutex<Queue>,
    pub(crate) wake: Condvar,
}

impl Shared {
    /// The queue is consistent at every point where a panic could leave it, so poison is ignored.
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asking again for what was published before makes it the newest again.
    pub(crate) fn point_again(&self, job: &JobRecord) -> Result<(), StoreError> {
        let published = job.version.filter(|_| job.state == JobState::Succeeded);
        let newest = self.store.curriculum(&job.curriculum)?.unwrap_or_default();
        match published {
            Some(version) if newest.first() != Some(&version) => {
                self.store.point(&job.curriculum, version)?;
                self.store.flush()
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn work(&self, mut extractor: Box<dyn FeatureExtractor>) {
        lower_priority();
        // The common pool also serves requests, so jobs have one of their own.
        let pool = ThreadPoolBuilder::new().thread_name(|number| format!("jobs-{number}"));
        let pool = pool
            .build()
            .inspect_err(|error| tracing::error!(%error, "no threads for jobs"));
        while let Some((id, active)) = self.next() {
            let mut run = || self.run(id, &active, extractor.as_mut());
            let ran = match &pool {
                Ok(pool) => pool.install(run),
                Err(_) => run(),
            };
            if let Err(error) = ran {
                // The record could not be read or written; the job stays as it was stored.
                tracing::error!(job = %id, %error, "job record lost");
                self.queue().active.remove(&id);
            }
        }
    }

    /// Waits for a job; `None` once the pipeline stops.
    fn next(&self) -> Option<(Digest, Active)> {
        let mut queue = self.queue();
        while !queue.stopping {
            if let Some(id) = queue.waiting.pop_front() {
                return queue.active.get(&id).cloned().map(|active| (id, active));
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    fn run(
        &self,
        id: Digest,
        active: &Active,
        extractor: &mut dyn FeatureExtractor,
    ) -> Result<(), StoreError> {
        let Some(mut job) = self.store.job(id)? else {
            return Ok(());
        };
        job.state = JobState::Running;
        self.store.put_job(&job)?;
        active.views.send_modify(|view| view.record = job.clone());
        job.state = self.advance(&mut job, active, extractor);
        job.ended_at_ms = job.state.has_ended().then(now_ms);
        tracing::info!(job = %job.id, state = ?job.state, "job left the thread");
        // Watchers hear of the end when it is on disk, and callers see both at once.
        let mut queue = self.queue();
        commit(&job, &self.store)?;
        queue.end(&job);
        Ok(())
    }

    /// Runs what is left of `job` and says where that leaves it.
    fn advance(
        &self,
        job: &mut JobRecord,
        active: &Active,
        extractor: &mut dyn FeatureExtractor,
    ) -> JobState {
        if job.model_digest != extractor.digest() {
            let (submitted, loaded) = (&job.model, extractor.model());
            let reason = format!(
                "submitted for model `{submitted}` with other weights or preprocessing than the loaded `{loaded}`"
            );
            return JobState::Failed {
                stage: job.stage,
                reason,
            };
        }
        let mut place = Workplace {
            store: &self.store,
            extractor,
            views: &active.views,
            interrupt: &active.interrupt,
        };
        // A panic in a stage is a bug, but one job's bug must not take the other jobs along.
        match catch_unwind(AssertUnwindSafe(|| advance(job, &mut place))) {
            Ok(Ok(())) => JobState::Succeeded,
            Ok(Err((_, StageError::Interrupted))) if active.cancelled.load(Ordering::Relaxed) => {
                JobState::Cancelled
            }
            Ok(Err((_, StageError::Interrupted))) => JobState::Queued,
            Ok(Err((stage, error))) => JobState::Failed {
                stage,
                reason: error.to_string(),
            },
            Err(_) => JobState::Failed {
                stage: job.stage,
                reason: "internal error, see the server's log".to_owned(),
            },
        }
    }
}

/// Milliseconds since 1970 UTC.
pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
