//! The threads that run jobs, one for each lane.

use crate::{
    FeatureExtractor,
    advance::{Outcome, Workplace, advance},
    background::lower_priority,
    metrics::{JOB_SECONDS, JOBS_ENDED},
    model::Model,
    pipeline::PipelineOptions,
    queue::{Lane, Queue, Work},
    stage::{Opened, StageError},
};
use curriculum_store::{JobRecord, JobState, SampleKind, Stage, Store, StoreError};
use metrics::{counter, histogram};
use rayon::ThreadPoolBuilder;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// Times that a job goes back to extraction because its features are damaged.
const MAX_SETBACKS: u32 = 3;

/// What the handle and the threads share.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    /// A std mutex: held for a copy.
    pub(crate) model: Mutex<Model>,
    pub(crate) options: PipelineOptions,
    /// Held for queue operations and updates of records, never while a stage works.
    pub(crate) queue: Mutex<Queue>,
    pub(crate) wake: Condvar,
}

/// How a lane leaves a job.
enum Left {
    Ended(JobState),
    /// For the lane of its next stage.
    HandedOver,
    /// For the next start of the server.
    Stopped,
}

impl Shared {
    /// The queue is consistent at every point where a panic could leave it, so poison is ignored.
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn model(&self) -> Model {
        let model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        model.clone()
    }

    pub(crate) fn set_model(&self, model: Model) {
        *self.model.lock().unwrap_or_else(PoisonError::into_inner) = model;
    }

    /// Asking again for what was published before makes it the newest again.
    pub(crate) fn point_again(&self, job: &JobRecord) -> Result<(), StoreError> {
        let published = job.version.filter(|_| job.state == JobState::Succeeded);
        let record = self.store.curriculum(&job.curriculum)?.unwrap_or_default();
        match published {
            Some(version) if record.latest() != Some(version) => {
                self.store.point(&job.curriculum, version)?;
                self.store.flush()
            }
            _ => Ok(()),
        }
    }

    /// Runs the jobs of a lane until the pipeline stops. The extraction lane owns the extractor, once
    /// it is there.
    pub(crate) fn work(&self, lane: Lane) {
        lower_priority();
        let mut extractor = None;
        // The common pool also serves requests, so each lane has one of its own.
        let pool = ThreadPoolBuilder::new().thread_name(move |number| format!("{lane:?}-{number}"));
        let pool = pool
            .build()
            .inspect_err(|error| tracing::error!(%error, "no threads for jobs"));
        while let Some(mut work) = self.next(lane, &mut extractor) {
            let opened = std::mem::take(&mut work.opened);
            // At the level of errors, so that whatever a filter leaves of the log has the id.
            let span = tracing::error_span!("job", job = %work.id, lane = lane.as_str());
            let run = || span.in_scope(|| self.run(&work, opened, extractor.as_deref_mut()));
            let ran = match &pool {
                Ok(pool) => pool.install(run),
                Err(_) => run(),
            };
            if let Err(error) = ran {
                // The record could not be read or written; the job stays as it was stored.
                tracing::error!(job = %work.id, %error, "job record lost");
                self.queue().forget(&work);
            }
        }
    }

    /// Waits for a job; `None` once the pipeline stops.
    fn next(&self, lane: Lane, extractor: &mut Option<Box<dyn FeatureExtractor>>) -> Option<Work> {
        let mut queue = self.queue();
        while !queue.stopping {
            if lane == Lane::Extraction && extractor.is_none() {
                *extractor = queue.arriving.take();
            }
            if let Some(work) = queue.take(lane, extractor.is_some()) {
                return Some(work);
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Data first, marker last: what the stages wrote is on disk before the record says so. Whether
    /// the work is still wanted; if it is not, the record belongs to someone else.
    pub(crate) fn commit(&self, work: &Work, job: &JobRecord) -> Result<bool, StoreError> {
        self.store.flush()?;
        let queue = self.queue();
        let wanted = queue.is_current(work);
        if wanted {
            put_job(&self.store, job)?;
        }
        Ok(wanted)
    }

    fn run(
        &self,
        work: &Work,
        opened: Opened,
        extractor: Option<&mut (dyn FeatureExtractor + 'static)>,
    ) -> Result<(), StoreError> {
        let Some(mut job) = self.store.job(work.id)? else {
            self.queue().forget(work);
            return Ok(());
        };
        job.state = JobState::Running;
        if !self.commit(work, &job)? {
            return Ok(());
        }
        work.board.show(|view| view.stand(&job));
        let left = self.advance(&mut job, work, opened, extractor);
        // A disk that refuses is the job's failure, as long as its record can still be written.
        let left = match self.store.flush() {
            Ok(()) => left,
            Err(error) => Left::Ended(JobState::Failed {
                stage: job.stage,
                reason: error.to_string(),
            }),
        };
        self.settle(work, job, left)
    }

    /// Watchers hear of the new state when it is on disk, and callers see both at once.
    fn settle(&self, work: &Work, mut job: JobRecord, left: Left) -> Result<(), StoreError> {
        let mut queue = self.queue();
        if !queue.is_current(work) {
            return Ok(());
        }
        match left {
            Left::Ended(state) => {
                tracing::info!(job = %job.id, ?state, "job ended");
                (job.state, job.ended_at_ms) = (state, Some(now_ms()));
                count_ended(&job);
                put_job(&self.store, &job)?;
                queue.end(&job);
            }
            Left::HandedOver => {
                job.state = JobState::Queued;
                put_job(&self.store, &job)?;
                queue.hand_over(&job);
                self.wake.notify_all();
            }
            Left::Stopped => {
                job.state = JobState::Queued;
                put_job(&self.store, &job)?;
                queue.end(&job);
            }
        }
        Ok(())
    }

    /// Runs the stages of this lane, and says where that leaves the job.
    fn advance(
        &self,
        job: &mut JobRecord,
        work: &Work,
        opened: Opened,
        extractor: Option<&mut (dyn FeatureExtractor + 'static)>,
    ) -> Left {
        if let Some(loaded) = extractor.as_deref()
            && job.kind == SampleKind::Images
            && job.model_digest != loaded.digest()
        {
            let (submitted, loaded) = (&job.model, loaded.model());
            let reason = format!(
                "submitted for model `{submitted}` with other weights or preprocessing than the loaded `{loaded}`"
            );
            return failed(job.stage, reason);
        }
        let mut place = Workplace {
            shared: self,
            extractor,
            work,
            opened,
        };
        // A panic in a stage is a bug, but one job's bug must not take the other jobs along.
        match catch_unwind(AssertUnwindSafe(|| advance(job, &mut place))) {
            Ok(Ok(Outcome::Published)) => Left::Ended(JobState::Succeeded),
            Ok(Ok(Outcome::ForOtherLane)) => Left::HandedOver,
            Ok(Err((_, StageError::Interrupted))) => Left::Stopped,
            Ok(Err((stage, StageError::Lost))) => extract_again(job, stage),
            Ok(Err((stage, error))) => failed(stage, error.to_string()),
            Err(_) => failed(job.stage, "internal error, see the server's log".to_owned()),
        }
    }
}

/// Features are damaged now and then; if they are again and again, something else is wrong.
fn extract_again(job: &mut JobRecord, stage: Stage) -> Left {
    if job.setbacks >= MAX_SETBACKS {
        let reason = format!("features were damaged {MAX_SETBACKS} times: check the disk");
        return failed(stage, reason);
    }
    job.setbacks += 1;
    job.stage = Stage::Enumerated;
    Left::HandedOver
}

fn failed(stage: Stage, reason: String) -> Left {
    Left::Ended(JobState::Failed { stage, reason })
}

/// The record, on disk.
pub(crate) fn put_job(store: &Store, job: &JobRecord) -> Result<(), StoreError> {
    store.put_job(job)?;
    store.flush()
}

/// Counts a job that is no longer in the queue.
pub(crate) fn count_ended(job: &JobRecord) {
    let state = match &job.state {
        JobState::Succeeded => "succeeded",
        JobState::Failed { .. } => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Queued | JobState::Running => return,
    };
    counter!(JOBS_ENDED, "state" => state).increment(1);
    // The clock may have been put back.
    let lasted = job.ended_at_ms.unwrap_or_default();
    let lasted = lasted.saturating_sub(job.submitted_at_ms);
    histogram!(JOB_SECONDS, "state" => state).record(lasted as f64 / 1e3);
}

/// Milliseconds since 1970 UTC.
pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
