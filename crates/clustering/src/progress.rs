use std::ops::{ControlFlow, RangeInclusive};

use crate::ClusteringError;

/// What the work is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Drawing starting centroids, and for mini-batches refining them.
    Seeding,
    /// Moving centroids.
    Iterating,
    /// Measuring distances to settled centroids.
    Measuring,
}

/// Where a fit stands. A run is one number of clusters from one start; runs advance in lockstep,
/// several at a time, so that one read of the rows serves all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What happens next.
    pub stage: Stage,
    /// Smallest and largest number of clusters among the runs at work.
    pub clusters: RangeInclusive<usize>,
    /// Runs that have settled; while starts are drawn, centroids of each.
    pub done: usize,
    /// All runs of the fit; while starts are drawn, the largest number of clusters.
    pub total: usize,
    /// Iterations the runs at work have finished: passes over the rows, or batches.
    pub iteration: u64,
    /// The iteration at which a run that still moves is stopped.
    pub iteration_limit: u64,
}

/// Called between iterations; `Break` ends the fit with [`ClusteringError::Cancelled`].
pub type Observer<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Reports, and turns a `Break` into the error that ends the fit.
pub(crate) fn report(
    observer: &mut Observer<'_>,
    progress: Progress,
) -> Result<(), ClusteringError> {
    match observer(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ClusteringError::Cancelled),
    }
}
