//! What a pass sums up, per cluster.

use pulp::Arch;
use rayon::prelude::*;

use crate::kernel::Stack;
use crate::pass::{Assigned, Want};
use crate::source::rows_per_block;
use crate::vectorize::vectorize;

/// Sums per cluster of the stack, all runs one after the other. Those not wanted are empty.
pub(crate) struct Tally {
    pub(crate) counts: Vec<u64>,
    /// Sum of the rows of each cluster, shape (clusters, width).
    pub(crate) row_sums: Vec<f64>,
    /// Σ‖x‖² over all rows.
    pub(crate) energy: f64,
    /// Sum of Euclidean distances to the centroid.
    pub(crate) distances: Vec<f64>,
    /// Sum of squared distances to the centroid.
    pub(crate) squares: Vec<f64>,
}

/// The rows of a wave by cluster of one run, in order within each.
struct Buckets {
    /// Where each cluster's rows begin, and the end of the last.
    starts: Vec<usize>,
    rows: Vec<u32>,
}

impl Tally {
    pub(crate) fn zeros(stack: &Stack, want: Want) -> Self {
        let clusters = stack.clusters();
        let summed = if want.row_sums {
            clusters * stack.width()
        } else {
            0
        };
        let measured = if want.distances { clusters } else { 0 };
        Self {
            counts: vec![0; clusters],
            row_sums: vec![0.0; summed],
            energy: 0.0,
            distances: vec![0.0; measured],
            squares: vec![0.0; measured],
        }
    }

    /// Mean of the rows of a cluster, if it has any.
    pub(crate) fn mean(&self, cluster: usize, width: usize) -> Option<impl Iterator<Item = f64>> {
        let count = self.counts[cluster];
        let sums = &self.row_sums[cluster * width..][..width];
        (count > 0).then(|| sums.iter().map(move |sum| sum / count as f64))
    }

    pub(crate) fn add(&mut self, stack: &Stack, want: Want, wave: &[Assigned<'_>]) {
        for (run, span) in stack.spans().iter().enumerate() {
            for assigned in wave {
                let (nearest, squares) = assigned.of_run(run);
                for &number in nearest {
                    self.counts[span.start + number as usize] += 1;
                }
                for (&number, &square) in nearest.iter().zip(squares) {
                    self.squares[span.start + number as usize] += square;
                    self.distances[span.start + number as usize] += square.sqrt();
                }
            }
        }
        for assigned in wave {
            self.energy += assigned.energy;
        }
        if want.row_sums {
            self.add_rows(stack, wave);
        }
    }

    fn add_rows(&mut self, stack: &Stack, wave: &[Assigned<'_>]) {
        let runs: Vec<(usize, Buckets)> = stack
            .spans()
            .par_iter()
            .enumerate()
            .map(|(run, span)| (span.start, Buckets::new(wave, run, span.len())))
            .collect();
        self.row_sums
            .par_chunks_exact_mut(stack.width())
            .with_max_len(stack.clusters().div_ceil(64))
            .enumerate()
            .for_each(|(cluster, sum)| {
                let run = runs.partition_point(|(first, _)| *first <= cluster) - 1;
                let (first, buckets) = &runs[run];
                add_rows(sum, buckets.of(cluster - first), wave);
            });
    }
}

fn add_rows(sum: &mut [f64], rows: &[u32], wave: &[Assigned<'_>]) {
    let block_rows = rows_per_block(sum.len());
    vectorize(
        Arch::new(),
        #[inline(always)]
        || {
            for &row in rows {
                let (block, row) = (row as usize / block_rows, row as usize % block_rows);
                let values = wave[block].block.row(row);
                for (sum, &value) in sum.iter_mut().zip(values) {
                    *sum += f64::from(value);
                }
            }
        },
    );
}

impl Buckets {
    /// Counting sort. Only the last block of a source is shorter than the others.
    fn new(wave: &[Assigned<'_>], run: usize, clusters: usize) -> Self {
        let mut starts = vec![0; clusters + 1];
        let nearest = || {
            wave.iter().enumerate().flat_map(|(block, assigned)| {
                let first = (block * rows_per_block(assigned.block.width)) as u32;
                (first..).zip(assigned.of_run(run).0)
            })
        };
        for (_, &number) in nearest() {
            starts[number as usize + 1] += 1;
        }
        for cluster in 0..clusters {
            starts[cluster + 1] += starts[cluster];
        }
        let mut rows = vec![0; starts[clusters]];
        let mut next = starts.clone();
        for (row, &number) in nearest() {
            let place = &mut next[number as usize];
            rows[*place] = row;
            *place += 1;
        }
        Self { starts, rows }
    }

    fn of(&self, cluster: usize) -> &[u32] {
        &self.rows[self.starts[cluster]..self.starts[cluster + 1]]
    }
}
