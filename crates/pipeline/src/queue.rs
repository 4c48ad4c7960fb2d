//! Which jobs wait or run.

use crate::JobView;
use curriculum_store::{Digest, JobRecord, JobState};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::AtomicBool},
};
use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) waiting: VecDeque<Digest>,
    pub(crate) active: HashMap<Digest, Active>,
    pub(crate) next_sequence: u64,
    pub(crate) stopping: bool,
}

/// A job that waits or runs.
#[derive(Clone)]
pub(crate) struct Active {
    pub(crate) views: Arc<watch::Sender<JobView>>,
    pub(crate) interrupt: Arc<AtomicBool>,
    pub(crate) cancelled: Arc<AtomicBool>,
}

impl Queue {
    /// Whether asking for `job` again needs no work: it is published, or waits or runs. A record that
    /// claims to run but does not was cut off by an error of the store.
    pub(crate) fn is_done_or_active(&self, job: &JobRecord) -> bool {
        job.state == JobState::Succeeded || self.active.contains_key(&job.id)
    }

    pub(crate) fn push(&mut self, job: JobRecord) {
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
    pub(crate) fn end(&mut self, job: &JobRecord) {
        if let Some(active) = self.active.remove(&job.id) {
            active.views.send_replace(JobView {
                record: job.clone(),
                progress: None,
            });
        }
    }

    /// The live view of an active job, else the record.
    pub(crate) fn view(&self, record: JobRecord) -> JobView {
        match self.active.get(&record.id) {
            Some(active) => active.views.borrow().clone(),
            None => JobView {
                record,
                progress: None,
            },
        }
    }
}
