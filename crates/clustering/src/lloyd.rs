//! Lloyd's algorithm: assign all rows, move every centroid to the mean of its rows, repeat.
//!
//! A run settles when its centroids together move less than linfa's `tolerance` (the Euclidean
//! norm over all of them), or at the iteration limit. A cluster without rows restarts at the row
//! farthest from its own centroid. A pass over the settled centroids then measures the run.

use crate::ClusteringError;
use crate::kernel::{Stack, squared_distance};
use crate::params::KMeansParameters;
use crate::pass::{Tally, Want, pass};
use crate::progress::{Observer, Stage};
use crate::refill::farthest_rows;
use crate::rows::Rows;
use crate::runs::{Candidates, Reporter};
use crate::selection::{Selection, Settled, measure};
use crate::starts::Starts;

/// Centroids on their way, row-major.
pub(crate) struct Moving {
    centroids: Vec<f32>,
    iterations: u64,
    settled: bool,
}

/// When a run is done at the latest, and when it counts as at rest.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) iterations: u64,
    pub(crate) tolerance: f64,
}

/// Fits every candidate from every start.
pub(crate) fn fit(
    rows: &Rows<'_>,
    candidates: &Candidates,
    params: &KMeansParameters,
    observer: &mut Observer<'_>,
) -> Result<Selection, ClusteringError> {
    let starts = Starts::new(rows, rows.len(), candidates, params, observer)?;
    let mut reporter = Reporter {
        observer,
        total: candidates.len() * starts.count(),
        finished: 0,
        iteration_limit: params.max_n_iterations(),
    };
    let limits = Limits {
        iterations: params.max_n_iterations(),
        tolerance: f64::from(params.tolerance()),
    };
    let mut selection = Selection::default();
    for stack in candidates.stacks(starts.count()) {
        let mut moving: Vec<Moving> = stack
            .iter()
            .map(|run| Moving::new(starts.centroids(rows, run.start, run.clusters)))
            .collect();
        settle(rows, &mut moving, limits, |settled, iteration| {
            reporter.report(Stage::Iterating, &stack, settled, iteration)
        })?;
        reporter.report(Stage::Measuring, &stack, stack.len(), 0)?;
        let settled = moving.into_iter().map(Moving::settle).collect();
        measure(rows, settled)
            .into_iter()
            .for_each(|fitted| selection.offer(fitted));
        reporter.finished += stack.len();
    }
    Ok(selection)
}

/// Advances runs together, a pass at a time, until none moves. `report` is told before each pass
/// how many have settled, and how many passes there were.
pub(crate) fn settle(
    rows: &Rows<'_>,
    runs: &mut [Moving],
    limits: Limits,
    mut report: impl FnMut(usize, u64) -> Result<(), ClusteringError>,
) -> Result<(), ClusteringError> {
    for iteration in 0..limits.iterations {
        let settled = runs.iter().filter(|run| run.settled).count();
        if settled == runs.len() {
            break;
        }
        report(settled, iteration)?;
        let mut moving: Vec<&mut Moving> = runs.iter_mut().filter(|run| !run.settled).collect();
        let centroids = Stack::new(
            rows.width(),
            moving.iter().map(|run| run.centroids.as_slice()),
        );
        let tally = pass(rows.blocks(), &centroids, Want::RowSums, |_| {});
        for (run, span) in moving.iter_mut().zip(centroids.spans()) {
            let shift = run.update(rows, &tally, span.start);
            run.iterations = iteration + 1;
            run.settled = shift < limits.tolerance;
        }
    }
    Ok(())
}

impl Moving {
    pub(crate) fn new(centroids: Vec<f32>) -> Self {
        Self {
            centroids,
            iterations: 0,
            settled: false,
        }
    }

    pub(crate) fn settle(self) -> Settled {
        Settled {
            centroids: self.centroids,
            iterations: self.iterations,
        }
    }

    /// Moves every centroid to the mean of its rows, the clusters of this run beginning at
    /// `first` in the tally; returns how far they moved together.
    fn update(&mut self, rows: &Rows<'_>, tally: &Tally, first: usize) -> f64 {
        let width = rows.width();
        let mut moved = self.centroids.clone();
        let mut empty = Vec::new();
        for (cluster, centroid) in moved.chunks_exact_mut(width).enumerate() {
            match tally.counts[first + cluster] {
                0 => empty.push(cluster),
                count => {
                    let sums = &tally.row_sums[(first + cluster) * width..][..width];
                    centroid
                        .iter_mut()
                        .zip(sums)
                        .for_each(|(c, sum)| *c = (sum / count as f64) as f32);
                }
            }
        }
        if !empty.is_empty() {
            let farthest = farthest_rows(&self.distances(rows), empty.len());
            for (cluster, row) in empty.into_iter().zip(farthest) {
                moved[cluster * width..][..width].copy_from_slice(rows.row(row));
            }
        }
        let shift = squared_distance(&moved, &self.centroids).sqrt();
        self.centroids = moved;
        shift
    }

    /// Every row's distance to its centroid, for the rare pass that left a cluster empty.
    fn distances(&self, rows: &Rows<'_>) -> Vec<f32> {
        let mut distances = Vec::with_capacity(rows.len());
        let stack = Stack::new(rows.width(), [self.centroids.as_slice()]);
        pass(rows.blocks(), &stack, Want::Distances, |outcome| {
            distances.extend_from_slice(&outcome.distances);
        });
        distances
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn update(values: ndarray::ArrayView2<'_, f32>, centroids: Vec<f32>) -> (Vec<f32>, f64) {
        let rows = Rows::new(values).unwrap();
        let mut run = Moving::new(centroids);
        let stack = Stack::new(rows.width(), [run.centroids.as_slice()]);
        let tally = pass(rows.blocks(), &stack, Want::RowSums, |_| {});
        let shift = run.update(&rows, &tally, 0);
        (run.centroids, shift)
    }

    #[test]
    fn centroids_move_to_the_means() {
        let values = array![[0.0, 0.0], [2.0, 0.0], [9.0, 4.0]];
        let (centroids, shift) = update(values.view(), vec![1.0, 3.0, 9.0, 4.0]);
        assert_eq!(centroids, [1.0, 0.0, 9.0, 4.0]);
        assert_eq!(shift, 3.0);
    }

    #[test]
    fn empty_clusters_restart_at_the_farthest_rows() {
        let values = array![[0.0], [1.0], [-8.0], [8.0], [2.0]];
        let (centroids, _) = update(values.view(), vec![0.0, 100.0, 200.0]);
        assert_eq!(centroids, [0.6, -8.0, 8.0]);
    }

    #[test]
    fn with_fewer_distinct_rows_than_clusters_the_rest_stays() {
        let values = array![[3.0], [3.0], [3.0]];
        let (centroids, shift) = update(values.view(), vec![3.0, 3.0]);
        assert_eq!((centroids, shift), (vec![3.0, 3.0], 0.0));
    }
}
