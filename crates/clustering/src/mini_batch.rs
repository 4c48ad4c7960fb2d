//! Mini-batch k-means (Sculley 2010): every centroid is the mean of all rows it was given so far.
//!
//! Starts are drawn from subsamples, refined on another by a few iterations of Lloyd's algorithm
//! and judged there; the best of each candidate goes on. Unrefined, the distances to raw rows hide
//! which start has missed a cluster.
//! All candidates of a stack see the same batches, drawn from the seed alone. A run settles when
//! its centroids move less than linfa's `tolerance` in one batch, when its smoothed inertia has
//! not improved for ten batches (scikit-learn's rule), or after as many batches as make
//! `max_n_iterations` passes over the rows.
//!
//! A cluster that got no row while a hundred per cluster went by restarts at the row of the batch
//! farthest from its own centroid, with the weight of the lightest cluster that has one.

mod moving;

use rand_xoshiro::Xoshiro256Plus;

use crate::ClusteringError;
use crate::kernel::Stack;
use crate::lloyd::{self, Limits};
use crate::params::KMeansParameters;
use crate::pass::{Want, pass};
use crate::progress::{Observer, Stage};
use crate::rows::Rows;
use crate::runs::{Candidates, Reporter, Run};
use crate::selection::{Fitted, Selection, measure};
use crate::starts::{Starts, subsample};
use moving::Moving;

/// Rows of a batch: eight blocks, so that a batch occupies several threads.
const BATCH_ROWS: usize = 4096;

/// Rows from which a start is drawn, and on which starts are judged; three per cluster if more.
const POOL_ROWS: usize = 4096;

/// Iterations over the judging rows before starts are compared.
const REFINEMENT: u64 = 5;

/// Fits every candidate from the best of its starts.
pub(crate) fn fit(
    rows: &Rows<'_>,
    candidates: &Candidates,
    params: &KMeansParameters,
    observer: &mut Observer<'_>,
) -> Result<Selection, ClusteringError> {
    let pool = POOL_ROWS
        .max(candidates.largest().saturating_mul(3))
        .min(rows.len());
    let starts = Starts::new(rows, pool, candidates, params, observer)?;
    let mut rng = params.rng().clone();
    rng.long_jump();
    let referees = rows.gather(&subsample(rows.len(), pool, &mut rng));
    let batches_per_pass = rows.len().div_ceil(BATCH_ROWS) as u64;
    let mut reporter = Reporter {
        observer,
        total: candidates.len(),
        finished: 0,
        iteration_limit: params.max_n_iterations().saturating_mul(batches_per_pass),
    };
    let mut selection = Selection::default();
    for stack in candidates.stacks(1) {
        let best = best_starts(rows, &referees, &stack, &starts, &mut reporter)?;
        let width = rows.width();
        let mut runs: Vec<Moving> = best
            .into_iter()
            .map(|run| Moving::new(run, width))
            .collect();
        settle(
            rows,
            &stack,
            &mut runs,
            f64::from(params.tolerance()),
            rng.clone(),
            &mut reporter,
        )?;
        reporter.report(Stage::Measuring, &stack, stack.len(), 0)?;
        let settled = runs.into_iter().map(Moving::settle).collect();
        measure(rows, settled)
            .into_iter()
            .for_each(|fitted| selection.offer(fitted));
        reporter.finished += stack.len();
    }
    Ok(selection)
}

/// For each run of the stack the refined centroids of the start with the lowest inertia on the
/// referees. Given centroids are a single start, and left as they are.
fn best_starts(
    rows: &Rows<'_>,
    referees: &Rows<'_>,
    stack: &[Run],
    starts: &Starts,
    reporter: &mut Reporter<'_, '_>,
) -> Result<Vec<Vec<f32>>, ClusteringError> {
    let from = |start| {
        stack
            .iter()
            .map(move |run| starts.centroids(rows, start, run.clusters))
    };
    if let Starts::Given(_) = starts {
        return Ok(from(0).collect());
    }
    let limits = Limits {
        iterations: REFINEMENT,
        tolerance: 0.0,
    };
    let mut best: Vec<Option<Fitted>> = stack.iter().map(|_| None).collect();
    for start in 0..starts.count() {
        let mut runs: Vec<_> = from(start).map(lloyd::Moving::new).collect();
        lloyd::settle(referees, &mut runs, limits, |_, iteration| {
            reporter.report(Stage::Seeding, stack, 0, iteration)
        })?;
        let settled = runs.into_iter().map(lloyd::Moving::settle).collect();
        for (best, fitted) in best.iter_mut().zip(measure(referees, settled)) {
            if best
                .as_ref()
                .is_none_or(|held| fitted.inertia < held.inertia)
            {
                *best = Some(fitted);
            }
        }
    }
    Ok(best
        .into_iter()
        .flatten()
        .map(|fitted| fitted.centroids)
        .collect())
}

/// Feeds the same batches to all runs of a stack until none moves.
fn settle(
    rows: &Rows<'_>,
    stack: &[Run],
    runs: &mut [Moving],
    tolerance: f64,
    mut rng: Xoshiro256Plus,
    reporter: &mut Reporter<'_, '_>,
) -> Result<(), ClusteringError> {
    let smoothing = (2.0 * BATCH_ROWS as f64 / (rows.len() as f64 + 1.0)).min(1.0);
    for iteration in 0..reporter.iteration_limit {
        let settled = runs.iter().filter(|run| run.settled).count();
        if settled == runs.len() {
            break;
        }
        reporter.report(Stage::Iterating, stack, settled, iteration)?;
        let batch = rows.gather(&subsample(rows.len(), BATCH_ROWS, &mut rng));
        let mut moving: Vec<&mut Moving> = runs.iter_mut().filter(|run| !run.settled).collect();
        let centroids = Stack::new(
            rows.width(),
            moving.iter().map(|run| run.centroids.as_slice()),
        );
        let mut distances = vec![Vec::with_capacity(batch.len()); moving.len()];
        let tally = pass(batch.blocks(), &centroids, Want::Both, |outcome| {
            let rows = outcome.distances.len() / distances.len();
            for (all, block) in distances
                .iter_mut()
                .zip(outcome.distances.chunks_exact(rows))
            {
                all.extend_from_slice(block);
            }
        });
        for ((run, span), distances) in moving.iter_mut().zip(centroids.spans()).zip(&distances) {
            let shift = run.absorb(&tally, span.start, &batch, distances);
            let inertia: f64 = tally.squares[span.clone()].iter().sum();
            let flat = run.plateau.observe(inertia / batch.len() as f64, smoothing);
            run.batches = iteration + 1;
            run.settled = flat || shift < tolerance;
        }
    }
    Ok(())
}
