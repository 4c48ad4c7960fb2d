//! What watchers of a job see.

use curriculum_store::JobRecord;
use std::time::Instant;
use tokio::sync::watch;

/// A job and what it is doing right now.
#[derive(Clone, Debug)]
pub struct JobView {
    /// The record, as stored.
    pub record: JobRecord,
    /// Set while a stage is at work.
    pub progress: Option<Progress>,
}

/// Progress of the stage at work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Samples when enumerating, extracting and reading features, k-means runs when clustering.
    pub done: u64,
    /// Of how many; 0 when not known beforehand.
    pub total: u64,
    /// Done per second since this run of the stage, or its present kind of work, began; 0 until
    /// measured.
    pub rate: f64,
    /// For people.
    pub activity: String,
}

/// Publishes the progress of one run of a stage. Only the latest value is kept.
pub(crate) struct Reporter<'a> {
    views: &'a watch::Sender<JobView>,
    started: Instant,
    /// Done before this run, by an earlier one.
    skipped: u64,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(views: &'a watch::Sender<JobView>) -> Self {
        Self {
            views,
            started: Instant::now(),
            skipped: 0,
        }
    }

    /// Units that an earlier run finished: shown as done, left out of the rate.
    pub(crate) fn skip(&mut self, units: u64) {
        self.skipped += units;
    }

    /// From here on units are of another kind: the rate starts from nothing.
    pub(crate) fn begin_anew(&mut self) {
        (self.started, self.skipped) = (Instant::now(), 0);
    }

    pub(crate) fn report(&self, done: u64, total: u64, activity: impl Into<String>) {
        let worked = done.saturating_sub(self.skipped) as f64;
        let rate = worked / self.started.elapsed().as_secs_f64().max(1e-9);
        let progress = Progress {
            done,
            total,
            rate,
            activity: activity.into(),
        };
        self.views
            .send_modify(|view| view.progress = Some(progress));
    }

    /// Samples that failed so far.
    pub(crate) fn failed(&self, failed: u64) {
        self.views
            .send_modify(|view| view.record.failed_count = failed);
    }
}
