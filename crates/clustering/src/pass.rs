//! One read of the rows: a wave of blocks is assigned in parallel, then summed up cluster by
//! cluster.
//!
//! Every pass serves a whole [`Stack`] of runs. Within a cluster rows are added in their order, so
//! sums depend neither on the number of threads nor on the size of a wave.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use crate::ClusteringError;
use crate::kernel::{Block, Stack, squared_distance};
use crate::source::{Source, check, rows_per_block};
use crate::tally::Tally;
use crate::vectorize::vectorize;

/// Memory for the rows of a wave and what is found for them, unless a block per thread needs more.
const WAVE_BYTES: usize = 24 << 20;

/// Which sums a pass is read for; counts and nearest clusters always come along.
#[derive(Clone, Copy)]
pub(crate) struct Want {
    /// What moves centroids: the sum of each cluster's rows.
    pub(crate) row_sums: bool,
    /// What judges them: inertia, Davies–Bouldin, the distance of each row.
    pub(crate) distances: bool,
}

/// One block of rows, assigned to the clusters of every run. Per-row values are kept run by run.
pub(crate) struct Assigned<'a> {
    pub(crate) block: Block<'a>,
    /// Number of the nearest cluster within the run.
    pub(crate) nearest: &'a [u32],
    /// Squared Euclidean distance to it; empty unless wanted.
    pub(crate) squares: &'a [f64],
    /// Σ‖x‖² of the block.
    pub(crate) energy: f64,
}

/// Buffers of a block, reused from wave to wave.
#[derive(Default)]
struct Slot {
    buffer: Vec<f32>,
    norms: Vec<f32>,
    nearest: Vec<u32>,
    squares: Vec<f64>,
}

impl Want {
    pub(crate) const ROW_SUMS: Self = Self {
        row_sums: true,
        distances: false,
    };
    pub(crate) const DISTANCES: Self = Self {
        row_sums: false,
        distances: true,
    };
}

impl Assigned<'_> {
    /// Nearest clusters and squared distances of one run.
    pub(crate) fn of_run(&self, run: usize) -> (&[u32], &[f64]) {
        let rows = self.block.len();
        let range = run * rows..(run + 1) * rows;
        let squares = self.squares.get(range.clone()).unwrap_or_default();
        (&self.nearest[range], squares)
    }
}

/// Assigns all rows to the nearest cluster of every run. `sink` sees the blocks in order.
pub(crate) fn pass(
    source: &dyn Source,
    stack: &Stack,
    want: Want,
    mut sink: impl FnMut(&Assigned<'_>) -> Result<(), ClusteringError>,
) -> Result<Tally, ClusteringError> {
    let mut tally = Tally::zeros(stack, want);
    let mut slots: Vec<Slot> = Vec::new();
    let (rows, block_rows) = (source.rows(), rows_per_block(source.width()));
    slots.resize_with(blocks_per_wave(source, stack, want), Slot::default);
    for start in (0..rows).step_by(block_rows * slots.len()) {
        let end = rows.min(start + block_rows * slots.len());
        let blocks: Vec<_> = (start..end).step_by(block_rows).collect();
        let wave: Vec<Result<Assigned<'_>, ClusteringError>> = slots
            .par_iter_mut()
            .zip(blocks)
            .map(|(slot, first)| {
                slot.assign(source, first..end.min(first + block_rows), stack, want)
            })
            .collect();
        // In order, so that the first of several bad rows is named.
        let wave = wave.into_iter().collect::<Result<Vec<_>, _>>()?;
        tally.add(stack, want, &wave);
        wave.iter().try_for_each(&mut sink)?;
    }
    Ok(tally)
}

fn blocks_per_wave(source: &dyn Source, stack: &Stack, want: Want) -> usize {
    let square = if want.distances { size_of::<f64>() } else { 0 };
    let found = stack.spans().len() * (size_of::<u32>() + square);
    let block_rows = rows_per_block(source.width());
    let block = block_rows * (source.width() * size_of::<f32>() + found);
    let wave = (WAVE_BYTES / block).max(rayon::current_num_threads());
    wave.min(source.rows().div_ceil(block_rows)).max(1)
}

impl Slot {
    fn assign<'a>(
        &'a mut self,
        source: &'a dyn Source,
        range: Range<usize>,
        stack: &Stack,
        want: Want,
    ) -> Result<Assigned<'a>, ClusteringError> {
        let first = range.start;
        let values = source.block(range, &mut self.buffer)?;
        let squared = check(values, stack.width(), first)?;
        self.norms.clear();
        let norms = squared.iter().map(|square| square.sqrt() as f32);
        self.norms.extend(norms);
        let block = Block {
            values,
            norms: &self.norms,
            width: stack.width(),
        };
        self.nearest.clear();
        stack.nearest(block, &mut self.nearest);
        self.squares.clear();
        if want.distances {
            measure(block, stack, &self.nearest, &mut self.squares);
        }
        Ok(Assigned {
            block,
            nearest: &self.nearest,
            squares: &self.squares,
            energy: squared.iter().sum(),
        })
    }
}

/// Appends each row's squared distance to its cluster, run by run.
fn measure(block: Block<'_>, stack: &Stack, nearest: &[u32], squares: &mut Vec<f64>) {
    vectorize(
        Arch::new(),
        #[inline(always)]
        || {
            for (run, nearest) in nearest.chunks_exact(block.len()).enumerate() {
                for (row, &number) in block.rows().zip(nearest) {
                    squares.push(squared_distance(row, stack.centroid(run, number)));
                }
            }
        },
    );
}
