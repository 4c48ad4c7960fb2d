//! Lloyd's algorithm: assign all rows, move every centroid to the mean of its rows, repeat.
//!
//! A run settles when its centroids together move less than linfa's `tolerance` (the Euclidean
//! norm over all of them), or at the iteration limit. A cluster without rows restarts at the row
//! farthest from its own centroid. The rows are read from their source in every iteration; starts
//! are drawn from at most [`POOL_ROWS`] of them in memory, or eight per cluster.

use crate::ClusteringError;
use crate::kernel::{Stack, squared_distance};
use crate::mini_batch::SAMPLE_BYTES;
use crate::params::KMeansParameters;
use crate::pass::{Want, pass};
use crate::progress::{Observer, Stage};
use crate::refill::farthest_rows;
use crate::runs::{Candidates, Reporter, Run};
use crate::selection::{Settled, best_of_starts};
use crate::source::Source;
use crate::starts::{Starts, sample};
use crate::tally::Tally;

/// Rows from which starts are drawn.
const POOL_ROWS: usize = 10_000;

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
    /// How far the centroids together must move, at least.
    pub(crate) tolerance: f64,
    /// By what share of itself the inertia must fall, at least.
    pub(crate) improvement: f64,
}

/// What one move of the centroids did.
struct Step {
    /// Euclidean norm over all centroids.
    shift: f64,
    /// What the inertia lost by it, for unchanged assignments: Σ n‖c' − c‖².
    gain: f64,
    /// What it was before: Σ‖x‖² − Σ n‖c'‖² + gain.
    inertia: f64,
}

/// Fits every candidate from every start, and keeps the best start of each.
pub(crate) fn fit(
    source: &dyn Source,
    candidates: &Candidates,
    params: &KMeansParameters,
    observer: &mut Observer<'_>,
) -> Result<Vec<Settled>, ClusteringError> {
    let largest = candidates.largest();
    let room = SAMPLE_BYTES / (source.width() * size_of::<f32>());
    let amount = POOL_ROWS.max(largest.saturating_mul(8)).min(room);
    let pool = sample(source, amount.max(largest), &mut params.rng().clone())?;
    let starts = Starts::new(pool.all(), params.n_runs(), candidates, params, observer)?;
    let mut reporter = Reporter {
        observer,
        total: candidates.len() * starts.count(),
        finished: 0,
        iteration_limit: params.max_n_iterations(),
    };
    let limits = Limits {
        iterations: params.max_n_iterations(),
        tolerance: f64::from(params.tolerance()),
        improvement: 0.0,
    };
    let mut settled = Vec::new();
    for stack in candidates.stacks(starts.count()) {
        settled.extend(fit_stack(source, &stack, &starts, limits, &mut reporter)?);
        reporter.finished += stack.len();
    }
    best_of_starts(source, settled)
}

fn fit_stack(
    source: &dyn Source,
    stack: &[Run],
    starts: &Starts,
    limits: Limits,
    reporter: &mut Reporter<'_, '_>,
) -> Result<Vec<Settled>, ClusteringError> {
    let start = |run: &Run| Moving::new(starts.centroids(run.start, run.clusters));
    let mut moving: Vec<Moving> = stack.iter().map(start).collect();
    settle(source, &mut moving, limits, |settled, iteration| {
        reporter.report(Stage::Iterating, stack, settled, iteration)
    })?;
    reporter.report(Stage::Measuring, stack, stack.len(), 0)?;
    Ok(moving.into_iter().map(Moving::settle).collect())
}

/// Advances runs together, a pass at a time, until none moves. `report` is told before each pass
/// how many have settled, and how many passes there were.
pub(crate) fn settle(
    source: &dyn Source,
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
        let centroids = moving.iter().map(|run| run.centroids.as_slice());
        let stack = Stack::new(source.width(), source.rows(), centroids);
        let tally = pass(source, &stack, Want::ROW_SUMS, |_| Ok(()))?;
        for (run, span) in moving.iter_mut().zip(stack.spans()) {
            let step = run.update(source, &tally, span.start)?;
            run.iterations += 1;
            run.settled =
                step.shift < limits.tolerance || step.gain <= limits.improvement * step.inertia;
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

    /// Takes it that there are other rows now.
    pub(crate) fn unsettle(&mut self) {
        self.settled = false;
    }

    pub(crate) fn settle(self) -> Settled {
        Settled {
            centroids: self.centroids,
            iterations: self.iterations,
        }
    }

    /// Moves every centroid to the mean of its rows, the clusters of this run beginning at
    /// `first` in the tally.
    fn update(
        &mut self,
        source: &dyn Source,
        tally: &Tally,
        first: usize,
    ) -> Result<Step, ClusteringError> {
        let width = source.width();
        let mut moved = self.centroids.clone();
        let mut empty = Vec::new();
        let (mut gain, mut kept) = (0.0, 0.0);
        let pairs = moved
            .chunks_exact_mut(width)
            .zip(self.centroids.chunks_exact(width));
        for (cluster, (centroid, before)) in pairs.enumerate() {
            let Some(mean) = tally.mean(first + cluster, width) else {
                empty.push(cluster);
                continue;
            };
            let count = tally.counts[first + cluster] as f64;
            for (value, mean) in centroid.iter_mut().zip(mean) {
                *value = mean as f32;
                kept += count * mean * mean;
            }
            gain += count * squared_distance(centroid, before);
        }
        if !empty.is_empty() {
            self.refill(source, &empty, &mut moved)?;
        }
        let shift = squared_distance(&moved, &self.centroids).sqrt();
        self.centroids = moved;
        Ok(Step {
            shift,
            gain: if empty.is_empty() {
                gain
            } else {
                f64::INFINITY
            },
            inertia: tally.energy - kept + gain,
        })
    }

    /// Moves empty clusters to the rows farthest from their centroids.
    fn refill(
        &self,
        source: &dyn Source,
        empty: &[usize],
        moved: &mut [f32],
    ) -> Result<(), ClusteringError> {
        let width = source.width();
        let mut buffer = Vec::new();
        let farthest = farthest_rows(&self.distances(source)?, empty.len());
        for (&cluster, row) in empty.iter().zip(farthest) {
            let row = source.block(row..row + 1, &mut buffer)?;
            moved[cluster * width..][..width].copy_from_slice(row);
        }
        Ok(())
    }

    fn distances(&self, source: &dyn Source) -> Result<Vec<f32>, ClusteringError> {
        let mut distances = Vec::with_capacity(source.rows());
        let stack = Stack::new(source.width(), source.rows(), [self.centroids.as_slice()]);
        pass(source, &stack, Want::DISTANCES, |assigned| {
            distances.extend(assigned.squares.iter().map(|square| square.sqrt() as f32));
            Ok(())
        })?;
        Ok(distances)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayView2, array};

    use super::*;

    fn update(values: ArrayView2<'_, f32>, centroids: Vec<f32>) -> (Vec<f32>, Step) {
        let mut run = Moving::new(centroids);
        let stack = Stack::new(values.ncols(), values.nrows(), [run.centroids.as_slice()]);
        let tally = pass(&values, &stack, Want::ROW_SUMS, |_| Ok(())).unwrap();
        let step = run.update(&values, &tally, 0).unwrap();
        (run.centroids, step)
    }

    #[test]
    fn centroids_move_to_the_means() {
        let values = array![[0.0, 0.0], [2.0, 0.0], [9.0, 4.0]];
        let (centroids, step) = update(values.view(), vec![1.0, 3.0, 9.0, 4.0]);
        assert_eq!(centroids, [1.0, 0.0, 9.0, 4.0]);
        assert_eq!(step.shift, 3.0);
        assert_eq!(step.gain, 18.0);
        // Norms are kept in f32.
        assert!((step.inertia - 20.0).abs() < 1e-4, "{}", step.inertia);
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
        let (centroids, step) = update(values.view(), vec![3.0, 3.0]);
        assert_eq!((centroids, step.shift), (vec![3.0, 3.0], 0.0));
    }
}
