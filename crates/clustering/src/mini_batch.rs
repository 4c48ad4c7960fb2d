//! Mini-batch k-means with nested batches (Newling and Fleuret 2016): each batch holds the one
//! before and is four times as large, and centroids are the means of the rows of the present batch.
//! Early iterations, which only find the rough places, cost little, and no row counts twice.
//!
//! The batches are the beginnings of one random sample in memory, at most [`SAMPLE_BYTES`] large
//! unless a row per cluster is more.
//! Starts are drawn from its beginning. Several starts are refined by a few iterations of Lloyd's
//! algorithm on the same rows and judged there; unrefined, the distances to raw rows hide which
//! start has missed a cluster. The first batch has [`BATCH_ROWS_PER_CLUSTER`] rows per cluster:
//! centroids that settled on fewer stay where they are, at a local minimum up to one percent worse.
//! On every batch a run moves until its inertia falls by less than a thousandth, on the last until
//! less than a ten-thousandth. If the last batch is not all rows and small for the number of
//! clusters, one pass over all rows then moves every centroid to the mean of its rows.
//!
//! A cluster without rows in a batch restarts at the row of the batch farthest from its own
//! centroid; in the pass over all rows it stays.

use crate::ClusteringError;
use crate::kernel::Stack;
use crate::lloyd::{self, Limits, Moving};
use crate::params::KMeansParameters;
use crate::pass::{Want, pass};
use crate::progress::{Observer, Stage};
use crate::runs::{Candidates, Reporter, Run};
use crate::selection::{Settled, best_of_starts};
use crate::source::{Rows, Source};
use crate::starts::{Starts, sample};

/// Memory for the sample, unless a row per cluster needs more.
pub(crate) const SAMPLE_BYTES: usize = 256 << 20;

/// Rows of the sample: this share of all within these limits, and at least so many per cluster of
/// the largest candidate. Where a pass over all rows costs little, it mends what a small sample
/// has missed; where it costs much, the sample is large enough to do without.
const SAMPLE_SHARE: usize = 12;
const FEWEST_SAMPLE_ROWS: usize = 8192;
const MOST_SAMPLE_ROWS: usize = 32_768;
const SAMPLE_ROWS_PER_CLUSTER: usize = 128;

/// Rows per cluster of the last batch from which on the pass over all rows would gain less than
/// one part in as many.
const ENOUGH_ROWS_PER_CLUSTER: usize = 1500;

/// Rows of the first batch per cluster, and how much larger each batch is than the one before.
const BATCH_ROWS_PER_CLUSTER: usize = 50;
const GROWTH: usize = 4;

/// Rows from which a start is drawn: at least, per cluster if starts are to be compared, and per
/// cluster of a start without rivals.
const POOL_ROWS: usize = 2048;
const COMPARED_ROWS_PER_CLUSTER: usize = 20;
const DRAWN_ROWS_PER_CLUSTER: usize = 4;

/// Iterations before starts are compared.
const REFINEMENT: u64 = 4;

/// Clusters of the largest candidate over all its starts: the more clusters there are, the less
/// starts differ and the more they cost.
const STARTED_CLUSTERS: usize = 250;

/// Fits every candidate from the best of its starts.
pub(crate) fn fit(
    source: &dyn Source,
    candidates: &Candidates,
    params: &KMeansParameters,
    observer: &mut Observer<'_>,
) -> Result<Vec<Settled>, ClusteringError> {
    let plan = Plan::new(source, candidates, params);
    let mut rng = params.rng().clone();
    rng.long_jump();
    let rows = sample(source, plan.sample, &mut rng)?;
    let starts = Starts::new(
        rows.prefix(plan.pool),
        plan.starts,
        candidates,
        params,
        observer,
    )?;
    let mut reporter = Reporter {
        observer,
        total: candidates.len(),
        finished: 0,
        iteration_limit: params.max_n_iterations(),
    };
    let mut settled = Vec::new();
    for stack in candidates.stacks(1) {
        let best = plan.best_starts(&rows, &stack, &starts, &mut reporter)?;
        let mut runs = plan.grow(&rows, &stack, best, params, &mut reporter)?;
        if plan.finishes_on_all_rows(source, &stack) {
            reporter.report(Stage::Iterating, &stack, stack.len(), 0)?;
            move_to_means(source, &mut runs)?;
        }
        reporter.report(Stage::Measuring, &stack, stack.len(), 0)?;
        settled.extend(runs);
        reporter.finished += stack.len();
    }
    Ok(settled)
}

/// Sizes, in rows, and the number of starts.
struct Plan {
    sample: usize,
    pool: usize,
    starts: usize,
}

impl Plan {
    fn new(source: &dyn Source, candidates: &Candidates, params: &KMeansParameters) -> Self {
        let largest = candidates.largest();
        let starts = params.n_runs().min((STARTED_CLUSTERS / largest).max(1));
        let drawn = match starts {
            1 => DRAWN_ROWS_PER_CLUSTER,
            _ => COMPARED_ROWS_PER_CLUSTER,
        };
        let room = SAMPLE_BYTES / (source.width() * size_of::<f32>());
        let pool = POOL_ROWS
            .max(largest.saturating_mul(drawn))
            .min(room)
            .max(largest)
            .min(source.rows());
        let share = source.rows() / SAMPLE_SHARE;
        let wanted = share
            .clamp(FEWEST_SAMPLE_ROWS, MOST_SAMPLE_ROWS)
            .max(largest.saturating_mul(SAMPLE_ROWS_PER_CLUSTER));
        Self {
            sample: wanted.min(room).max(pool).min(source.rows()),
            pool,
            starts,
        }
    }

    /// For each run of the stack its best start, refined if it had rivals.
    fn best_starts(
        &self,
        rows: &Rows,
        stack: &[Run],
        starts: &Starts,
        reporter: &mut Reporter<'_, '_>,
    ) -> Result<Vec<Settled>, ClusteringError> {
        let from = |run: &Run, start| Moving::new(starts.centroids(start, run.clusters));
        let all = stack
            .iter()
            .flat_map(|run| (0..starts.count()).map(move |start| from(run, start)));
        let mut runs: Vec<Moving> = all.collect();
        let pool = rows.prefix(self.pool);
        if starts.count() > 1 {
            let limits = Limits {
                iterations: REFINEMENT,
                tolerance: 0.0,
                improvement: 0.0,
            };
            lloyd::settle(&pool, &mut runs, limits, |_, iteration| {
                reporter.report(Stage::Seeding, stack, 0, iteration)
            })?;
        }
        best_of_starts(&pool, runs.into_iter().map(Moving::settle).collect())
    }

    /// Moves runs on ever larger batches.
    fn grow(
        &self,
        rows: &Rows,
        stack: &[Run],
        best: Vec<Settled>,
        params: &KMeansParameters,
        reporter: &mut Reporter<'_, '_>,
    ) -> Result<Vec<Settled>, ClusteringError> {
        let mut runs: Vec<Moving> = best
            .into_iter()
            .map(|run| Moving::new(run.centroids))
            .collect();
        let largest = stack.iter().map(|run| run.clusters).max().unwrap_or(1);
        let mut batch = self
            .pool
            .max(largest.saturating_mul(BATCH_ROWS_PER_CLUSTER))
            .min(rows.len());
        loop {
            let last = batch >= rows.len();
            let limits = Limits {
                iterations: params.max_n_iterations(),
                tolerance: f64::from(params.tolerance()),
                improvement: if last { 1e-4 } else { 1e-3 },
            };
            runs.iter_mut().for_each(Moving::unsettle);
            lloyd::settle(
                &rows.prefix(batch),
                &mut runs,
                limits,
                |settled, iteration| reporter.report(Stage::Iterating, stack, settled, iteration),
            )?;
            if last {
                return Ok(runs.into_iter().map(Moving::settle).collect());
            }
            batch = batch.saturating_mul(GROWTH).min(rows.len());
        }
    }

    fn finishes_on_all_rows(&self, source: &dyn Source, stack: &[Run]) -> bool {
        let clusters = stack.iter().map(|run| run.clusters).max().unwrap_or(1);
        self.sample < source.rows() && self.sample / clusters < ENOUGH_ROWS_PER_CLUSTER
    }
}

/// One pass over all rows, after which every centroid is the mean of the rows it had.
fn move_to_means(source: &dyn Source, runs: &mut [Settled]) -> Result<(), ClusteringError> {
    let width = source.width();
    let stack = Stack::new(
        width,
        source.rows(),
        runs.iter().map(|run| run.centroids.as_slice()),
    );
    let tally = pass(source, &stack, Want::ROW_SUMS, |_| Ok(()))?;
    for (run, span) in runs.iter_mut().zip(stack.spans()) {
        for (cluster, centroid) in span.clone().zip(run.centroids.chunks_exact_mut(width)) {
            let mean = tally.mean(cluster, width).into_iter().flatten();
            centroid
                .iter_mut()
                .zip(mean)
                .for_each(|(value, mean)| *value = mean as f32);
        }
        run.iterations += 1;
    }
    Ok(())
}
