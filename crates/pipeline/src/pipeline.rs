//! The handle.

use crate::{
    FeatureExtractor, JobView, PipelineError, Request,
    advance::commit,
    queue::Queue,
    request::LoadedModel,
    worker::{Shared, now_ms},
};
use curriculum_store::{Digest, JobRecord, JobState, Store, StoreError};
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, atomic::Ordering},
    thread::{self, JoinHandle},
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

/// Damaged records are reported and left out: they must not take the others along.
fn readable_jobs(store: &Store) -> Result<Vec<JobRecord>, StoreError> {
    let (jobs, damaged) = store.jobs()?;
    for error in damaged {
        tracing::error!(%error, "left out");
    }
    Ok(jobs)
}
