//! The handle.

mod retry;

use crate::{
    FeatureExtractor, Hook, JobView, PipelineError, Request, SampleError,
    model::{LoadedModel, Model},
    queue::{Lane, Queue},
    worker::{Shared, count_ended, now_ms, put_job},
};
use curriculum_manifest::{Access, Manifest};
use curriculum_store::{Digest, JobRecord, JobState, Store, StoreError};
use std::{
    ops::ControlFlow,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};
use tokio::sync::watch;

/// Jobs that may wait.
const MAX_WAITING: usize = 256;

/// Settings of a pipeline.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// What sources may be read, and how.
    pub access: Access,
    /// Versions that a curriculum keeps, at least 1; older ones go when a new one is published,
    /// unless an alias holds them. `None` keeps all.
    pub keep_versions: Option<usize>,
    /// Called at every commit point.
    pub hook: Hook,
}

impl Default for PipelineOptions {
    /// Anything may be read, and every version is kept.
    fn default() -> Self {
        Self {
            access: Access::unrestricted(),
            keep_versions: None,
            hook: Hook::default(),
        }
    }
}

/// Which jobs to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only jobs submitted before the one of this sequence number: the last of the page before.
    pub after: Option<u64>,
    /// Jobs, at most.
    pub limit: usize,
}

/// Handle to the lanes. Its methods block on the store: call them off the async workers.
pub struct Pipeline {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
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
    /// Starts both lanes; jobs that had not ended go on from where they stopped, those on images once
    /// there is a model: [`Pipeline::provide`].
    ///
    /// # Errors
    /// When the stored jobs cannot be read.
    pub fn start(store: Arc<Store>, options: PipelineOptions) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            model: Mutex::new(Model::Expected),
            options,
            queue: Mutex::new(unfinished(&store)?),
            wake: Condvar::new(),
            store,
        });
        let pipeline = Self {
            shared,
            threads: Mutex::default(),
        };
        pipeline.open_lane(Lane::Extraction)?;
        pipeline.open_lane(Lane::Clustering)?;
        Ok(pipeline)
    }

    /// Hands over the model, once.
    pub fn provide(&self, extractor: Box<dyn FeatureExtractor>) {
        self.shared
            .set_model(Model::Loaded(LoadedModel::of(&*extractor)));
        self.shared.queue().arriving = Some(extractor);
        self.shared.wake.notify_all();
    }

    /// Says why there is no model. It may be provided later all the same; jobs on images that are in
    /// the queue wait for it, and new ones are refused with this reason.
    pub fn lack_model(&self, reason: String) {
        self.shared.set_model(Model::Missing(reason));
    }

    fn open_lane(&self, lane: Lane) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name(lane.as_str().to_owned())
            .spawn(move || shared.work(lane));
        let thread = thread.map_err(|source| StoreError::Io {
            action: "start a thread for",
            path: self.shared.store.root().to_owned(),
            source,
        })?;
        self.threads().push(thread);
        Ok(())
    }

    /// A list of handles is consistent wherever a panic leaves it, so poison is ignored.
    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a job, or finds the one that does the same work; a job that waits is moved to the
    /// priority asked for. Lists the source.
    ///
    /// # Errors
    /// When the request is invalid or needs a model that is not there, the queue full or the pipeline
    /// stopping.
    pub fn submit(&self, request: &Request) -> Result<Submitted, PipelineError> {
        self.submit_while(request, &mut || ControlFlow::Continue(()))
    }

    /// [`submit`](Self::submit), for as long as `proceed`, asked again and again while the source is
    /// listed, says so.
    ///
    /// # Errors
    /// As `submit`, and [`ManifestError::Interrupted`](curriculum_manifest::ManifestError).
    pub fn submit_while(
        &self,
        request: &Request,
        proceed: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Submitted, PipelineError> {
        let Shared { store, options, .. } = &*self.shared;
        let model = self.shared.model();
        let (fresh, manifest) = request.check(store, &model, &options.access, proceed)?;
        let extended = self.extended_already(&fresh)?;
        let mut queue = self.shared.queue();
        if queue.stopping {
            return Err(PipelineError::Stopping);
        }
        let known = match extended {
            None => self.shared.store.job(fresh.id)?,
            extended => extended,
        };
        match known {
            Some(job) if queue.is_active(job.id) || self.is_published(&job)? => {
                self.find_again(&mut queue, job, fresh.priority)
            }
            // From the first stage, also when an earlier attempt came further: what it finished is
            // found, and what was lost or damaged since is made again.
            earlier => {
                let attempt = earlier.map_or(0, |job| job.attempt) + 1;
                let job = JobRecord { attempt, ..fresh };
                self.enqueue(&mut queue, job, Some(manifest))
            }
        }
    }

    /// The job that made the version to extend, if that extension was of this very listing: `latest`
    /// moves as a job is published, and asking again must not extend the extension by nothing.
    fn extended_already(&self, fresh: &JobRecord) -> Result<Option<JobRecord>, StoreError> {
        let Some(base) = fresh.extends.filter(|_| fresh.salt == 0) else {
            return Ok(None);
        };
        let is_it = |job: &JobRecord| {
            job.version == Some(base)
                && job.extends.is_some()
                && job.state == JobState::Succeeded
                && (&job.curriculum, job.listing) == (&fresh.curriculum, fresh.listing)
        };
        Ok(readable_jobs(&self.shared.store)?.into_iter().find(is_it))
    }

    /// Whether the version that the job made is still there: retention or a person may have dropped it.
    fn is_published(&self, job: &JobRecord) -> Result<bool, StoreError> {
        match job.version.filter(|_| job.state == JobState::Succeeded) {
            Some(version) => Ok(self.shared.store.version(version)?.is_some()),
            None => Ok(false),
        }
    }

    /// A job that is published, or waits or runs. A record that claims to run but does not was cut
    /// off by an error of the store.
    fn find_again(
        &self,
        queue: &mut Queue,
        mut job: JobRecord,
        priority: i32,
    ) -> Result<Submitted, PipelineError> {
        self.shared.point_again(&job)?;
        if !job.state.has_ended() && job.priority != priority {
            job.priority = priority;
            put_job(&self.shared.store, &job)?;
            queue.reorder(&job);
        }
        Ok(Submitted {
            job: queue.view(job.id).unwrap_or_else(|| JobView::of(job)),
            queued: false,
        })
    }

    fn enqueue(
        &self,
        queue: &mut Queue,
        mut job: JobRecord,
        manifest: Option<Manifest>,
    ) -> Result<Submitted, PipelineError> {
        if queue.waiting() >= MAX_WAITING {
            return Err(PipelineError::QueueFull(MAX_WAITING));
        }
        job.sequence = queue.next_sequence;
        job.state = JobState::Queued;
        job.submitted_at_ms = now_ms();
        job.ended_at_ms = None;
        put_job(&self.shared.store, &job)?;
        queue.next_sequence += 1;
        queue.newest.note(&job);
        queue.push(job.clone(), manifest);
        self.shared.wake.notify_all();
        tracing::info!(job = %job.id, curriculum = job.curriculum, samples = job.sample_count, "job queued");
        Ok(Submitted {
            job: JobView::of(job),
            queued: true,
        })
    }

    /// One job.
    ///
    /// # Errors
    /// When there is none of that id, or its record cannot be read.
    pub fn job(&self, id: Digest) -> Result<JobView, PipelineError> {
        // The lock is not held while the record is read: a job that is not active has its last state there.
        let active = self.shared.queue().view(id);
        match active {
            Some(view) => Ok(view),
            None => Ok(JobView::of(self.record(id)?)),
        }
    }

    /// The job that was submitted last for a curriculum, of the 65,536 curricula that jobs were last
    /// submitted for. Costs the same however many jobs there are.
    ///
    /// # Errors
    /// When its record cannot be read.
    pub fn newest_job_of(&self, curriculum: &str) -> Result<Option<JobView>, PipelineError> {
        let newest = self.shared.queue().newest.of(curriculum);
        newest.map(|id| self.job(id)).transpose()
    }

    fn record(&self, id: Digest) -> Result<JobRecord, PipelineError> {
        let record = self.shared.store.job(id)?;
        record.ok_or(PipelineError::UnknownJob(id))
    }

    /// Some jobs, newest first.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn jobs(&self, page: Page) -> Result<Vec<JobView>, PipelineError> {
        let before = page.after.unwrap_or(u64::MAX);
        // All records are read, and the lock is not held meanwhile; what changed since is asked for below.
        let records = readable_jobs(&self.shared.store)?;
        let records = records.into_iter().rev();
        let page = records
            .filter(|record| record.sequence < before)
            .take(page.limit);
        page.map(|record| {
            let active = self.shared.queue().view(record.id);
            match active {
                Some(view) => Ok(view),
                None if record.state.has_ended() => Ok(JobView::of(record)),
                None => Ok(JobView::of(self.record(record.id)?)),
            }
        })
        .collect()
    }

    /// Samples of a job that could not be used, lowest index first: those after sample `after`, at
    /// most `limit` of them.
    ///
    /// # Errors
    /// When there is no such job, or a record cannot be read.
    pub fn sample_errors(
        &self,
        job: Digest,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SampleError>, PipelineError> {
        let record = self.record(job)?;
        let store = &self.shared.store;
        let errors = store.job_errors(job, after, limit)?;
        // The samples of a job that nothing needs any more may have been collected; its errors stay.
        let indices = errors.iter().map(|(index, _)| *index);
        let mut samples = match store.samples_at(record.listing, indices) {
            Err(StoreError::Corrupt { .. }) if record.state.has_ended() => Default::default(),
            samples => samples?,
        };
        let describe = |(index, reason)| SampleError {
            index,
            id: samples
                .remove(&index)
                .map(|sample| sample.id)
                .unwrap_or_default(),
            reason,
        };
        Ok(errors.into_iter().map(describe).collect())
    }

    /// The job now and after each change; the channel closes when it has ended.
    ///
    /// # Errors
    /// When there is none of that id, or its record cannot be read.
    pub fn watch(&self, id: Digest) -> Result<watch::Receiver<JobView>, PipelineError> {
        let active = self.shared.queue().watch(id);
        if let Some(views) = active {
            return Ok(views);
        }
        let record = self.record(id)?;
        // It may have been put in the queue since.
        let active = self.shared.queue().watch(id);
        Ok(active.unwrap_or_else(|| watch::channel(JobView::of(record)).1))
    }

    /// Ends a job at once. A lane that works on it stops at its next sample or iteration and keeps
    /// what it finished.
    ///
    /// # Errors
    /// When there is none of that id, or it has ended.
    pub fn cancel(&self, id: Digest) -> Result<JobView, PipelineError> {
        let mut queue = self.shared.queue();
        if !queue.is_active(id) {
            drop(queue);
            return Err(match self.record(id) {
                Ok(_) => PipelineError::Ended(id),
                Err(error) => error,
            });
        }
        let mut record = self.record(id)?;
        record.state = JobState::Cancelled;
        record.ended_at_ms = Some(now_ms());
        put_job(&self.shared.store, &record)?;
        queue.end(&record);
        count_ended(&record);
        tracing::info!(job = %id, "job cancelled");
        Ok(JobView::of(record))
    }

    /// Stops the running jobs at their next sample or iteration, keeps what they finished, and ends
    /// the threads.
    pub fn stop(&self) {
        self.shared.queue().stop();
        self.shared.wake.notify_all();
        // Held while joining, so that whoever else stops the pipeline waits for the same end.
        for thread in self.threads().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a lane had ended by a panic");
            }
        }
        self.shared.queue().close();
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The jobs that had not ended when the store was last open.
fn unfinished(store: &Store) -> Result<Queue, StoreError> {
    let mut queue = Queue::default();
    for mut job in readable_jobs(store)? {
        queue.next_sequence = job.sequence + 1;
        queue.newest.note(&job);
        if !job.state.has_ended() {
            job.state = JobState::Queued;
            store.put_job(&job)?;
            queue.push(job, None);
        }
    }
    Ok(queue)
}

/// Damaged records are reported and left out: they must not take the others along.
fn readable_jobs(store: &Store) -> Result<Vec<JobRecord>, StoreError> {
    let (jobs, damaged) = store.jobs()?;
    for error in damaged {
        tracing::error!(%error, "left out");
    }
    Ok(jobs)
}
