//! The handle, the queue and the thread.

use crate::{
    FeatureExtractor, JobView, PipelineError, Request,
    advance::{Workplace, advance, commit},
    request::LoadedModel,
    stage::StageError,
};
use curriculum_store::{Digest, JobRecord, JobState, Store, StoreError};
use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// Jobs that may wait.
const MAX_WAITING: usize = 256;

/// Handle to the job thread. Its methods block on the store: call them off the async workers.
pub struct Pipeline {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A submission that was accepted.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The job.
    pub job: JobView,
    /// Whether this call put it in the queue: it is new, or had failed or been cancelled.
    pub queued: bool,
}

struct Shared {
    store: Arc<Store>,
    model: LoadedModel,
    /// Held for queue operations and record updates by callers, never while a stage works.
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Digest>,
    active: HashMap<Digest, Active>,
    next_sequence: u64,
    stopping: bool,
}

/// A job that waits or runs.
#[derive(Clone)]
struct Active {
    views: Arc<watch::Sender<JobView>>,
    interrupt: Arc<AtomicBool>,
    cancelled: Arc<AtomicBool>,
}

impl Pipeline {
    /// Starts the thread; jobs that had not ended go on from their last finished chunk.
    ///
    /// # Errors
    /// When the stored jobs cannot be read.
    pub fn start(
        store: Arc<Store>,
        extractor: Box<dyn FeatureExtractor>,
    ) -> Result<Self, StoreError> {
        let model = LoadedModel {
            name: extractor.model().to_owned(),
            digest: extractor.digest(),
        };
        let mut queue = Queue::default();
        for mut job in readable_jobs(&store)? {
            queue.next_sequence = job.sequence + 1;
            if !job.state.has_ended() {
                job.state = JobState::Queued;
                store.put_job(&job)?;
                queue.push(job);
            }
        }
        let shared = Arc::new(Shared {
            store,
            model,
            queue: Mutex::new(queue),
            wake: Condvar::new(),
        });
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("jobs".to_owned())
            .spawn(move || worker.work(extractor));
        let thread = thread.map_err(|source| StoreError::Io {
            action: "start a thread for",
            path: shared.store.root().to_owned(),
            source,
        })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Name of the loaded model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.shared.model.name
    }

    /// Registers a job, or finds the one that does the same work. Lists the source.
    ///
    /// # Errors
    /// When the request is invalid, the queue full or the pipeline stopping.
    pub fn submit(&self, request: &Request) -> Result<Submitted, PipelineError> {
        let fresh = request.check(&self.shared.model)?;
        let mut queue = self.shared.queue();
        if queue.stopping {
            return Err(PipelineError::Stopping);
        }
        let known = self.shared.store.job(fresh.id)?;
        if let Some(job) = known.filter(|job| queue.is_done_or_active(job)) {
            self.shared.point_again(&job)?;
            return Ok(Submitted {
                job: queue.view(job),
                queued: false,
            });
        }
        // From the first stage, also when an earlier attempt came further: what it finished is found,
        // and what was lost or damaged since is made again.
        let mut job = fresh;
        if queue.waiting.len() >= MAX_WAITING {
            return Err(PipelineError::QueueFull(MAX_WAITING));
        }
        job.sequence = queue.next_sequence;
        job.state = JobState::Queued;
        job.submitted_at_ms = now_ms();
        job.ended_at_ms = None;
        commit(&job, &self.shared.store)?;
        queue.next_sequence += 1;
        queue.push(job.clone());
        self.shared.wake.notify_one();
        tracing::info!(job = %job.id, curriculum = job.curriculum, samples = job.sample_count, "job queued");
        Ok(Submitted {
            job: JobView {
                record: job,
                progress: None,
            },
            queued: true,
        })
    }

    /// One job.
    ///
    /// # Errors
    /// When there is none of that id, or its record cannot be read.
    pub fn job(&self, id: Digest) -> Result<JobView, PipelineError> {
        let queue = self.shared.queue();
        let record = self
            .shared
            .store
            .job(id)?
            .ok_or(PipelineError::UnknownJob(id))?;
        Ok(queue.view(record))
    }

    /// All jobs, newest first.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn jobs(&self) -> Result<Vec<JobView>, PipelineError> {
        let queue = self.shared.queue();
        Ok(readable_jobs(&self.shared.store)?
            .into_iter()
            .rev()
            .map(|record| queue.view(record))
            .collect())
    }

    /// The job now and after each change; the channel closes when it has ended.
    ///
    /// # Errors
    /// When there is none of that id, or its record cannot be read.
    pub fn watch(&self, id: Digest) -> Result<watch::Receiver<JobView>, PipelineError> {
        let queue = self.shared.queue();
        if let Some(active) = queue.active.get(&id) {
            return Ok(active.views.subscribe());
        }
        let record = self
            .shared
            .store
            .job(id)?
            .ok_or(PipelineError::UnknownJob(id))?;
        Ok(watch::channel(JobView {
            record,
            progress: None,
        })
        .1)
    }

    /// Stops a job at its next chunk or iteration.
    ///
    /// # Errors
    /// When there is none of that id, or it has ended.
    pub fn cancel(&self, id: Digest) -> Result<JobView, PipelineError> {
        let mut queue = self.shared.queue();
        let mut record = self
            .shared
            .store
            .job(id)?
            .ok_or(PipelineError::UnknownJob(id))?;
        let active = queue
            .active
            .get(&id)
            .cloned()
            .ok_or(PipelineError::Ended(id))?;
        active.cancelled.store(true, Ordering::Relaxed);
        active.interrupt.store(true, Ordering::Relaxed);
        let Some(place) = queue.waiting.iter().position(|waiting| *waiting == id) else {
            return Ok(queue.view(record));
        };
        queue.waiting.remove(place);
        record.state = JobState::Cancelled;
        record.ended_at_ms = Some(now_ms());
        commit(&record, &self.shared.store)?;
        queue.end(&record);
        Ok(JobView {
            record,
            progress: None,
        })
    }

    /// Stops the running job at its next chunk, keeps what it finished, and ends the thread.
    pub fn stop(&self) {
        let mut queue = self.shared.queue();
        queue.stopping = true;
        queue
            .active
            .values()
            .for_each(|active| active.interrupt.store(true, Ordering::Relaxed));
        drop(queue);
        self.shared.wake.notify_all();
        // Held while joining, so that whoever else stops the pipeline waits for the same end.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the job thread had ended by a panic");
        }
        // The channels of jobs that still wait close with this, which ends their watchers' calls.
        self.shared.queue().active.clear();
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// The queue is consistent at every point where a panic could leave it, so poison is ignored.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asking again for what was published before makes it the newest again.
    fn point_again(&self, job: &JobRecord) -> Result<(), StoreError> {
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

    fn work(&self, mut extractor: Box<dyn FeatureExtractor>) {
        while let Some((id, active)) = self.next() {
            if let Err(error) = self.run(id, &active, extractor.as_mut()) {
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

/// Damaged records are reported and left out: they must not take the others along.
fn readable_jobs(store: &Store) -> Result<Vec<JobRecord>, StoreError> {
    let (jobs, damaged) = store.jobs()?;
    for error in damaged {
        tracing::error!(%error, "left out");
    }
    Ok(jobs)
}

impl Queue {
    /// Whether asking for `job` again needs no work: it is published, or waits or runs. A record that
    /// claims to run but does not was cut off by an error of the store.
    fn is_done_or_active(&self, job: &JobRecord) -> bool {
        job.state == JobState::Succeeded || self.active.contains_key(&job.id)
    }

    fn push(&mut self, job: JobRecord) {
        let id = job.id;
        let active = Active {
            views: Arc::new(
                watch::channel(JobView {
                    record: job,
                    progress: None,
                })
                .0,
            ),
            interrupt: Arc::new(AtomicBool::new(false)),
            cancelled: Arc::new(AtomicBool::new(false)),
        };
        self.active.insert(id, active);
        self.waiting.push_back(id);
    }

    /// Tells watchers of the last state; the channel closes as the sender goes.
    fn end(&mut self, job: &JobRecord) {
        if let Some(active) = self.active.remove(&job.id) {
            active.views.send_replace(JobView {
                record: job.clone(),
                progress: None,
            });
        }
    }

    /// The live view of an active job, else the record.
    fn view(&self, record: JobRecord) -> JobView {
        match self.active.get(&record.id) {
            Some(active) => active.views.borrow().clone(),
            None => JobView {
                record,
                progress: None,
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
