//! What watchers of a job see.

use curriculum_store::JobRecord;
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Errors that a view shows, at most.
const RECENT: usize = 5;

/// The rate is that of so many marks, each [`MARK_EVERY`] after the one before: half a minute.
const MARKS: usize = 30;
const MARK_EVERY: Duration = Duration::from_secs(1);

/// A job and what it is doing right now.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// The record, as stored.
    pub record: JobRecord,
    /// Set while a stage is at work.
    pub progress: Option<Progress>,
    /// The last samples that failed since the job was put in the queue, oldest first, five at most.
    pub recent_errors: Vec<SampleError>,
}

/// A sample that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleError {
    /// Position in the manifest.
    pub index: u64,
    /// Its id.
    pub id: String,
    /// Why, for people.
    pub reason: String,
}

/// Progress of the stage at work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Samples when enumerating, extracting and reading features, k-means runs when clustering.
    pub done: u64,
    /// Of how many; 0 when not known beforehand.
    pub total: u64,
    /// Done per second over the last half minute of this kind of work; 0 until measured. What an
    /// earlier run had done does not count.
    pub rate: f64,
    /// Until this kind of work is done at that rate; none until it is measured.
    pub eta_seconds: Option<f64>,
    /// For people.
    pub activity: String,
}

impl JobView {
    /// A job at which nothing works.
    pub(crate) fn of(record: JobRecord) -> Self {
        Self {
            record,
            progress: None,
            recent_errors: Vec::new(),
        }
    }

    /// A stage has begun or ended.
    pub(crate) fn stand(&mut self, job: &JobRecord) {
        self.record = job.clone();
        self.progress = None;
    }
}

/// Where a lane shows what it does. The channel is the queue's: it closes when the job ends there,
/// even if the lane has not noticed.
#[derive(Clone)]
pub(crate) struct Board(Weak<watch::Sender<JobView>>);

impl Board {
    pub(crate) fn new(views: &Arc<watch::Sender<JobView>>) -> Self {
        Self(Arc::downgrade(views))
    }

    pub(crate) fn show(&self, change: impl FnOnce(&mut JobView)) {
        if let Some(views) = self.0.upgrade() {
            views.send_modify(change);
        }
    }
}

/// Publishes the progress of one run of a stage. Only the latest value is kept.
pub(crate) struct Reporter<'a> {
    board: &'a Board,
    meter: Meter,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(board: &'a Board) -> Self {
        Self {
            board,
            meter: Meter::new(Instant::now()),
        }
    }

    /// Units that an earlier run finished: shown as done, left out of the rate.
    pub(crate) fn skip(&mut self, units: u64) {
        self.meter.skip(units);
    }

    /// From here on units are of another kind: the rate starts from nothing.
    pub(crate) fn begin_anew(&mut self) {
        self.meter = Meter::new(Instant::now());
    }

    pub(crate) fn report(&mut self, done: u64, total: u64, activity: impl Into<String>) {
        let rate = self.meter.rate(Instant::now(), done);
        let left = total.saturating_sub(done) as f64;
        let progress = Progress {
            done,
            total,
            rate,
            eta_seconds: (total > 0 && rate > 0.0).then(|| left / rate),
            activity: activity.into(),
        };
        self.board.show(|view| view.progress = Some(progress));
    }

    /// Failures are counted anew.
    pub(crate) fn forget_errors(&self) {
        self.board.show(|view| view.recent_errors.clear());
    }

    /// A sample that failed, and how many have by now.
    pub(crate) fn failed(&self, error: SampleError, failed: u64) {
        self.board.show(|view| {
            view.record.failed_count = failed;
            if view.recent_errors.len() == RECENT {
                view.recent_errors.remove(0);
            }
            view.recent_errors.push(error);
        });
    }
}

/// The rate of the recent past.
struct Meter {
    /// Points in time with what was done by then, oldest first, never empty.
    marks: VecDeque<(Instant, u64)>,
}

impl Meter {
    fn new(now: Instant) -> Self {
        Self {
            marks: [(now, 0)].into(),
        }
    }

    fn skip(&mut self, units: u64) {
        for (_, done) in &mut self.marks {
            *done += units;
        }
    }

    fn rate(&mut self, now: Instant, done: u64) -> f64 {
        let elapsed = |mark: Option<&(Instant, u64)>| {
            mark.map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
        };
        let before = self.marks.front().map_or(0, |(_, before)| *before);
        let seconds = elapsed(self.marks.front()).as_secs_f64();
        if elapsed(self.marks.back()) >= MARK_EVERY {
            self.marks.push_back((now, done));
            if self.marks.len() > MARKS {
                self.marks.pop_front();
            }
        }
        done.saturating_sub(before) as f64 / seconds.max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_half_minute() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut meter = Meter::new(start);
        meter.skip(1_000);
        // A slow minute, then a fast one.
        for second in 1..=60 {
            assert_eq!(meter.rate(at(second), 1_000 + second), 1.0);
        }
        let mut rate = 0.0;
        for second in 61..=120 {
            rate = meter.rate(at(second), 1_060 + 10 * (second - 60));
        }
        assert_eq!(rate, 10.0);
        assert!(meter.marks.len() <= MARKS);
    }

    #[test]
    fn only_the_last_errors_are_kept() {
        let record = crate::testing::record(1, 0);
        let (views, _) = watch::channel(JobView::of(record));
        let views = Arc::new(views);
        let board = Board::new(&views);
        let reporter = Reporter::new(&board);
        for index in 0..8 {
            let (id, reason) = (format!("s{index}"), "broken".to_owned());
            reporter.failed(SampleError { index, id, reason }, index + 1);
        }
        let view = views.borrow();
        let indices: Vec<u64> = view.recent_errors.iter().map(|e| e.index).collect();
        assert_eq!(
            (indices, view.record.failed_count),
            (vec![3, 4, 5, 6, 7], 8)
        );
    }
}
