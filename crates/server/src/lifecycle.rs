//! Where a server stands: what probes and health answer from.
//!
//! Only the server's own steps move it. A call that fails, however it fails, changes nothing here.

use crate::metrics::{MODEL_READY, READY};
use metrics::gauge;
use std::sync::Arc;
use tokio::sync::watch;

/// From the first bound port to the last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The data folder is being opened.
    Starting,
    /// It is open, and not yet a copy of what is published.
    Copying,
    Serving,
    /// Told to stop: still serving, but nobody new should come.
    Draining,
}

/// Whether images can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelPhase {
    Loading,
    /// It could not be opened and is tried again now and then.
    Missing,
    /// A read-only server takes no images.
    Unneeded,
    Ready,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) phase: Phase,
    pub(crate) model: ModelPhase,
}

/// Shared by all that move it or answer from it.
#[derive(Clone, Debug)]
pub(crate) struct Lifecycle(Arc<watch::Sender<Standing>>);

impl Standing {
    /// Whether trainers should be sent here.
    pub(crate) fn reads(self) -> bool {
        self.phase == Phase::Serving
    }

    /// Whether jobs on images should be sent here.
    pub(crate) fn ingests(self) -> bool {
        self.reads() && self.model == ModelPhase::Ready
    }
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        let standing = Standing {
            phase: Phase::Starting,
            model: ModelPhase::Loading,
        };
        Self(Arc::new(watch::channel(standing).0))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.change(|standing| standing.phase = phase);
    }

    pub(crate) fn set_model(&self, model: ModelPhase) {
        self.change(|standing| standing.model = model);
    }

    /// What changes nothing wakes nobody.
    fn change(&self, change: impl FnOnce(&mut Standing)) {
        self.0.send_if_modified(|standing| {
            let before = *standing;
            change(standing);
            gauge!(READY).set(f64::from(standing.reads()));
            gauge!(MODEL_READY).set(f64::from(standing.model == ModelPhase::Ready));
            *standing != before
        });
    }

    pub(crate) fn now(&self) -> Standing {
        *self.0.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Standing> {
        self.0.subscribe()
    }
}
