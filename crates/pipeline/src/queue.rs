//! Which jobs wait or run, and in which lane.
//!
//! Two lanes work side by side: one reads samples and owns the model, one clusters what was
//! extracted. A job passes from the first to the second; in each the most urgent goes first, and of
//! equals the oldest.

use crate::{
    FeatureExtractor, JobView, metrics::JOBS, newest::Newest, progress::Board, stage::Opened,
};
use curriculum_manifest::Manifest;
use curriculum_store::{Digest, JobRecord, SampleKind, Stage};
use metrics::gauge;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
};
use tokio::sync::watch;

/// Manifests that are kept open for jobs that wait. Others are listed again: each has files on disk.
const HELD: usize = 8;

/// What a job needs for its next stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// The samples' bytes and the model.
    Extraction,
    /// Features alone.
    Clustering,
}

impl Lane {
    /// In one word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Extraction => "extraction",
            Self::Clustering => "clustering",
        }
    }

    /// The lane of the stage that follows `stage`.
    pub(crate) fn after(stage: Stage) -> Self {
        match stage {
            Stage::Submitted | Stage::Enumerated => Self::Extraction,
            Stage::Extracted | Stage::Clustered | Stage::Scored | Stage::Published => {
                Self::Clustering
            }
        }
    }
}

#[derive(Default)]
pub(crate) struct Queue {
    waiting: BTreeSet<Place>,
    active: HashMap<Digest, Active>,
    runs: u64,
    pub(crate) next_sequence: u64,
    pub(crate) newest: Newest,
    pub(crate) stopping: bool,
    /// The model, until the lane that owns it takes it.
    pub(crate) arriving: Option<Box<dyn FeatureExtractor>>,
}

/// Where a job waits, in the order in which jobs are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    lane: Lane,
    urgency: Reverse<i32>,
    sequence: u64,
    id: Digest,
    /// Whether its samples are for the model to read.
    needs_model: bool,
}

/// A job that waits or runs.
struct Active {
    run: u64,
    views: Arc<watch::Sender<JobView>>,
    interrupt: Arc<AtomicBool>,
    /// Set while it waits.
    place: Option<Place>,
    /// Where it waits or runs.
    lane: Lane,
    /// What its submission listed.
    manifest: Option<Manifest>,
}

/// A job in the hands of a lane.
///
/// A cancelled job leaves the queue at once, although its lane still winds down; it may be back in
/// the queue by the time that the lane notices. The number of the run tells the two apart.
pub(crate) struct Work {
    pub(crate) id: Digest,
    run: u64,
    pub(crate) board: Board,
    pub(crate) interrupt: Arc<AtomicBool>,
    /// What its submission listed, for the stages of this run.
    pub(crate) opened: Opened,
}

impl Queue {
    pub(crate) fn is_active(&self, id: Digest) -> bool {
        self.active.contains_key(&id)
    }

    /// Jobs whose samples are still to be read and that wait.
    pub(crate) fn waiting(&self) -> usize {
        let waits = |place: &&Place| place.lane == Lane::Extraction;
        self.waiting.iter().filter(waits).count()
    }

    /// Lets a job wait for the lane of its next stage, with its manifest if only few are held.
    pub(crate) fn push(&mut self, job: JobRecord, manifest: Option<Manifest>) {
        let held = self.active.values().filter(|job| job.manifest.is_some());
        let manifest = manifest.filter(|_| held.count() < HELD);
        self.runs += 1;
        let place = Place::of(&job);
        let active = Active {
            run: self.runs,
            views: Arc::new(watch::channel(JobView::of(job)).0),
            interrupt: Arc::new(AtomicBool::new(false)),
            place: Some(place),
            lane: place.lane,
            manifest,
        };
        self.active.insert(place.id, active);
        self.waiting.insert(place);
        self.measure();
    }

    /// Tells the recorder, if there is one, how many jobs there are.
    fn measure(&self) {
        for lane in [Lane::Extraction, Lane::Clustering] {
            let jobs = self.active.values().filter(|job| job.lane == lane);
            let (waiting, running): (Vec<_>, Vec<_>) = jobs.partition(|job| job.place.is_some());
            for (state, jobs) in [("waiting", waiting), ("running", running)] {
                let gauge = gauge!(JOBS, "lane" => lane.as_str(), "state" => state);
                gauge.set(jobs.len() as f64);
            }
        }
    }

    /// The next job of a lane; without a model, one that needs none.
    pub(crate) fn take(&mut self, lane: Lane, with_model: bool) -> Option<Work> {
        let suits = |place: &&Place| place.lane == lane && (with_model || !place.needs_model);
        let place = *self.waiting.iter().find(suits)?;
        self.waiting.remove(&place);
        let active = self.active.get_mut(&place.id)?;
        active.place = None;
        let work = Work {
            id: place.id,
            run: active.run,
            board: Board::new(&active.views),
            interrupt: Arc::clone(&active.interrupt),
            opened: Opened::handed_on(active.manifest.take()),
        };
        self.measure();
        Some(work)
    }

    /// Whether the work is still wanted: its job was neither cancelled nor has it ended.
    pub(crate) fn is_current(&self, work: &Work) -> bool {
        let active = self.active.get(&work.id);
        active.is_some_and(|active| active.run == work.run)
    }

    /// Lets a job that a lane has done its part for wait again.
    pub(crate) fn hand_over(&mut self, job: &JobRecord) {
        let place = Place::of(job);
        if let Some(active) = self.active.get_mut(&job.id) {
            (active.place, active.lane) = (Some(place), place.lane);
            active.views.send_modify(|view| view.stand(job));
            self.waiting.insert(place);
        }
        self.measure();
    }

    /// Moves a job that waits to where its new priority belongs.
    pub(crate) fn reorder(&mut self, job: &JobRecord) {
        let Some(active) = self.active.get_mut(&job.id) else {
            return;
        };
        let priority = job.priority;
        active
            .views
            .send_modify(|view| view.record.priority = priority);
        if let Some(place) = &mut active.place {
            self.waiting.remove(place);
            place.urgency = Reverse(priority);
            self.waiting.insert(*place);
        }
    }

    /// Takes a job out, stops the lane that works on it, and tells watchers of the last state; the
    /// channel closes as the sender goes.
    pub(crate) fn end(&mut self, job: &JobRecord) {
        if let Some(active) = self.active.remove(&job.id) {
            active.interrupt.store(true, Ordering::Relaxed);
            if let Some(place) = active.place {
                self.waiting.remove(&place);
            }
            active.views.send_modify(|view| view.stand(job));
        }
        self.measure();
    }

    /// Takes out what a lane lost the record of.
    pub(crate) fn forget(&mut self, work: &Work) {
        if self.is_current(work) {
            self.active.remove(&work.id);
            self.measure();
        }
    }

    /// Stops all lanes at their next look at the interrupt.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        for active in self.active.values() {
            active.interrupt.store(true, Ordering::Relaxed);
        }
    }

    /// Closes the channels of jobs that still wait, which ends their watchers' calls.
    pub(crate) fn close(&mut self) {
        self.waiting.clear();
        self.active.clear();
    }

    pub(crate) fn watch(&self, id: Digest) -> Option<watch::Receiver<JobView>> {
        Some(self.active.get(&id)?.views.subscribe())
    }

    /// The live view of an active job.
    pub(crate) fn view(&self, id: Digest) -> Option<JobView> {
        Some(self.active.get(&id)?.views.borrow().clone())
    }
}

impl Place {
    fn of(job: &JobRecord) -> Self {
        let lane = Lane::after(job.stage);
        Self {
            lane,
            urgency: Reverse(job.priority),
            sequence: job.sequence,
            id: job.id,
            needs_model: lane == Lane::Extraction && job.kind == SampleKind::Images,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;
    use curriculum_store::JobState;

    fn order(queue: &mut Queue, lane: Lane) -> Vec<Digest> {
        std::iter::from_fn(|| queue.take(lane, true))
            .map(|work| work.id)
            .collect()
    }

    #[test]
    fn lanes_take_the_most_urgent_and_of_equals_the_oldest() {
        let mut queue = Queue::default();
        let jobs = [record(1, 0), record(2, 5), record(3, -1), record(4, 5)];
        for job in jobs.clone() {
            queue.push(job, None);
        }
        let mut extracted = record(5, -9);
        extracted.stage = Stage::Extracted;
        queue.push(extracted.clone(), None);
        assert_eq!(queue.waiting(), 4);
        let mut urgent = jobs[2].clone();
        urgent.priority = 6;
        queue.reorder(&urgent);
        assert_eq!(order(&mut queue, Lane::Clustering), [extracted.id]);
        let ids = [2, 1, 3, 0].map(|i: usize| jobs[i].id);
        assert_eq!(order(&mut queue, Lane::Extraction), ids);
    }

    #[test]
    fn without_a_model_only_images_wait() {
        let mut queue = Queue::default();
        let [mut images, features, mut extracted] = [record(1, 9), record(2, 0), record(3, 0)];
        images.kind = SampleKind::Images;
        (extracted.kind, extracted.stage) = (SampleKind::Images, Stage::Extracted);
        for job in [&images, &features, &extracted] {
            queue.push(job.clone(), None);
        }
        let mut take = |lane, with_model| queue.take(lane, with_model).map(|work| work.id);
        assert_eq!(take(Lane::Extraction, false), Some(features.id));
        assert_eq!(take(Lane::Extraction, false), None);
        assert_eq!(take(Lane::Clustering, false), Some(extracted.id));
        assert_eq!(take(Lane::Extraction, true), Some(images.id));
    }

    #[test]
    fn a_cancelled_job_may_be_back_before_its_lane_notices() {
        let mut queue = Queue::default();
        let mut job = record(1, 0);
        queue.push(job.clone(), None);
        let work = queue.take(Lane::Extraction, true).unwrap();
        let mut watcher = queue.watch(job.id).unwrap();
        job.state = JobState::Cancelled;
        queue.end(&job);
        assert!(work.interrupt.load(Ordering::Relaxed) && !queue.is_current(&work));
        assert_eq!(
            watcher.borrow_and_update().record.state,
            JobState::Cancelled
        );
        assert!(watcher.has_changed().is_err(), "the channel is still open");
        job.state = JobState::Queued;
        queue.push(job.clone(), None);
        assert!(!queue.is_current(&work));
        queue.forget(&work);
        let again = queue.take(Lane::Extraction, true).unwrap();
        assert!(queue.is_current(&again) && !again.interrupt.load(Ordering::Relaxed));
    }
}
