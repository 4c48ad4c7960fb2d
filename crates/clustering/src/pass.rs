//! One read of the rows: blocks in parallel, their sums added in block order.
//!
//! Every pass serves a whole [`Stack`] of runs, and takes any iterator of blocks, so that a
//! source larger than memory can feed it.

use rayon::prelude::*;

use crate::kernel::{Scratch, Stack, squared_distance};
use crate::rows::Block;

/// Memory for the sums of blocks that wait to be added, unless two per thread need more.
const WAVE_BYTES: usize = 64 << 20;

/// Which sums a pass is read for; counts and nearest clusters always come along.
#[derive(Clone, Copy)]
pub(crate) enum Want {
    /// What moves centroids.
    RowSums,
    /// What judges centroids: inertia, Davies–Bouldin, distance of each row.
    Distances,
    /// Neither: nearest clusters alone.
    Nothing,
    /// Both, for a mini-batch.
    Both,
}

/// Sums per cluster of the stack, all runs one after the other. Those not wanted are empty.
pub(crate) struct Tally {
    pub(crate) counts: Vec<u64>,
    /// Sum of the rows of each cluster, shape (clusters, width).
    pub(crate) row_sums: Vec<f64>,
    /// Sum of Euclidean distances to the centroid.
    pub(crate) distances: Vec<f64>,
    /// Sum of squared distances to the centroid.
    pub(crate) squares: Vec<f64>,
}

/// What one block yields. Per-row values are kept run by run.
pub(crate) struct Outcome {
    /// Number of the nearest cluster within the run.
    pub(crate) nearest: Vec<u32>,
    /// Euclidean distance to it; empty unless wanted.
    pub(crate) distances: Vec<f32>,
    tally: Tally,
}

/// Assigns all rows to the nearest cluster of every run. `sink` sees the blocks in order.
pub(crate) fn pass<'a>(
    blocks: impl IntoIterator<Item = Block<'a>>,
    stack: &Stack,
    want: Want,
    mut sink: impl FnMut(&Outcome),
) -> Tally {
    let mut total = Tally::zeros(stack, want);
    let threads = rayon::current_num_threads();
    let wave = (WAVE_BYTES / total.bytes().max(1)).clamp(2 * threads, 32 * threads);
    let assign = |scratch: &mut Scratch, block| assign_block(block, stack, want, scratch);
    fold_in_order(blocks, wave, assign, |outcome| {
        sink(&outcome);
        total.add(&outcome.tally);
    });
    total
}

/// Maps items in parallel and folds the results in the items' order. Items are taken a wave at a
/// time, so that only so many results wait; the wave's size shows nowhere else.
fn fold_in_order<B: Send, R: Send>(
    items: impl IntoIterator<Item = B>,
    wave: usize,
    map: impl Fn(&mut Scratch, B) -> R + Sync,
    mut fold: impl FnMut(R),
) {
    let mut items = items.into_iter();
    loop {
        let batch: Vec<B> = items.by_ref().take(wave).collect();
        if batch.is_empty() {
            return;
        }
        let results: Vec<R> = batch
            .into_par_iter()
            .map_init(Scratch::default, &map)
            .collect();
        results.into_iter().for_each(&mut fold);
    }
}

fn assign_block(block: Block<'_>, stack: &Stack, want: Want, scratch: &mut Scratch) -> Outcome {
    let nearest = stack.nearest(block, scratch);
    let mut tally = Tally::zeros(stack, want);
    let mut distances = Vec::new();
    for (span, nearest) in stack.spans().iter().zip(nearest.chunks_exact(block.len())) {
        for &number in nearest {
            tally.counts[span.start + number as usize] += 1;
        }
        if want.row_sums() {
            tally.sum_rows(block, span.start, nearest);
        }
        if want.distances() {
            tally.sum_distances(block, stack, span.start, nearest, &mut distances);
        }
    }
    Outcome {
        nearest,
        distances,
        tally,
    }
}

impl Want {
    fn row_sums(self) -> bool {
        matches!(self, Self::RowSums | Self::Both)
    }

    fn distances(self) -> bool {
        matches!(self, Self::Distances | Self::Both)
    }
}

impl Tally {
    fn zeros(stack: &Stack, want: Want) -> Self {
        let clusters = stack.clusters();
        let (summed, measured) = (
            if want.row_sums() {
                clusters * stack.width()
            } else {
                0
            },
            if want.distances() { clusters } else { 0 },
        );
        Self {
            counts: vec![0; clusters],
            row_sums: vec![0.0; summed],
            distances: vec![0.0; measured],
            squares: vec![0.0; measured],
        }
    }

    fn bytes(&self) -> usize {
        size_of::<u64>() * (self.counts.len() + self.row_sums.len() + 2 * self.distances.len())
    }

    fn add(&mut self, other: &Self) {
        self.counts
            .iter_mut()
            .zip(&other.counts)
            .for_each(|(a, b)| *a += b);
        self.row_sums
            .iter_mut()
            .zip(&other.row_sums)
            .for_each(|(a, b)| *a += b);
        self.distances
            .iter_mut()
            .zip(&other.distances)
            .for_each(|(a, b)| *a += b);
        self.squares
            .iter_mut()
            .zip(&other.squares)
            .for_each(|(a, b)| *a += b);
    }

    fn sum_rows(&mut self, block: Block<'_>, first: usize, nearest: &[u32]) {
        for (row, &number) in block.rows().zip(nearest) {
            let sum = &mut self.row_sums[(first + number as usize) * block.width..][..block.width];
            sum.iter_mut()
                .zip(row)
                .for_each(|(sum, &value)| *sum += f64::from(value));
        }
    }

    fn sum_distances(
        &mut self,
        block: Block<'_>,
        stack: &Stack,
        first: usize,
        nearest: &[u32],
        distances: &mut Vec<f32>,
    ) {
        distances.reserve(block.len());
        for (row, &number) in block.rows().zip(nearest) {
            let cluster = first + number as usize;
            let square = squared_distance(row, stack.centroid(cluster));
            let distance = square.sqrt();
            self.squares[cluster] += square;
            self.distances[cluster] += distance;
            distances.push(distance as f32);
        }
    }
}
