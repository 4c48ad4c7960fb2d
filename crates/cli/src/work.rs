//! Progress of work in this process, and its interruption.

use crate::progress::{Display, Progress};
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Shows progress, and ends the work when asked to.
pub(crate) struct Watch {
    display: Display,
    interrupted: Arc<AtomicBool>,
    stage: &'static str,
    /// Of the present stage.
    started: Instant,
}

impl Watch {
    /// Ends the work once `interrupted` is set.
    pub(crate) fn new(interrupted: Arc<AtomicBool>) -> Self {
        Self {
            display: Display::new(),
            interrupted,
            stage: "",
            started: Instant::now(),
        }
    }

    /// `done` of `total` units of `stage`.
    pub(crate) fn report(
        &mut self,
        stage: &'static str,
        activity: &str,
        done: u64,
        total: u64,
    ) -> ControlFlow<()> {
        if self.stage != stage {
            (self.stage, self.started) = (stage, Instant::now());
        }
        self.display.show(&Progress {
            stage,
            activity,
            done,
            total,
            rate: done as f64 / self.started.elapsed().as_secs_f64().max(1e-9),
        });
        match self.interrupted.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// `done` of `total` samples have their features.
    pub(crate) fn extracting(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        self.report("extract", "extracting features", done as u64, total as u64)
    }

    pub(crate) fn finish(&self) {
        self.display.finish();
    }
}

/// Runs blocking work, which ends early on Ctrl-C.
///
/// # Errors
/// That of the work.
pub(crate) async fn interruptible(
    work: impl FnOnce(Watch) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let watch = Watch::new(Arc::clone(&interrupted));
    let mut work = tokio::task::spawn_blocking(move || work(watch));
    tokio::select! {
        outcome = &mut work => return outcome?,
        _ = tokio::signal::ctrl_c() => interrupted.store(true, Ordering::Relaxed),
    }
    work.await?
}
