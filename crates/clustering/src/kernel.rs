//! The assignment kernel: one block of rows against the centroids of many runs at once.
//!
//! The product X·Cᵀ is a matrix multiplication in f32. Its arg-min of ‖c‖² − 2x·c is trusted
//! only where the runner-up is farther behind than rounding can explain; the few rows that
//! remain are decided by distances in f64. So the answer is the true nearest centroid, the
//! lowest number on exact ties, whatever instructions the machine multiplies with.

use std::ops::Range;

use crate::rows::{Block, norms};

/// Clusters multiplied at a time: enough to amortise packing the block, while the products of a
/// block stay in the second-level cache.
pub(crate) const PANEL_CLUSTERS: usize = 256;

/// The centroids of several runs, one below the other.
pub(crate) struct Stack {
    centroids: Vec<f32>,
    squared_norms: Vec<f32>,
    spans: Vec<Range<usize>>,
    /// Largest centroid norm of each run: scales the rounding of its scores.
    reaches: Vec<f32>,
    width: usize,
}

/// Buffers of one worker, reused from block to block.
#[derive(Default)]
pub(crate) struct Scratch {
    products: Vec<f32>,
    best: Vec<f32>,
    second: Vec<f32>,
    nearest: Vec<u32>,
}

impl Stack {
    /// Each item is one run's centroids, row-major, `width` columns.
    pub(crate) fn new<'a>(width: usize, runs: impl IntoIterator<Item = &'a [f32]>) -> Self {
        let mut centroids = Vec::new();
        let mut spans = Vec::new();
        for run in runs {
            let start = centroids.len() / width;
            centroids.extend_from_slice(run);
            spans.push(start..centroids.len() / width);
        }
        let norms = norms(&centroids, width);
        let reaches = spans
            .iter()
            .map(|span| norms[span.clone()].iter().copied().fold(0.0, f32::max))
            .collect();
        let squared_norms = norms
            .iter()
            .map(|&norm| (f64::from(norm) * f64::from(norm)) as f32)
            .collect();
        Self {
            centroids,
            squared_norms,
            spans,
            reaches,
            width,
        }
    }

    /// For each run, its clusters' place among all clusters of the stack.
    pub(crate) fn spans(&self) -> &[Range<usize>] {
        &self.spans
    }

    pub(crate) fn clusters(&self) -> usize {
        self.squared_norms.len()
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn centroid(&self, cluster: usize) -> &[f32] {
        &self.centroids[cluster * self.width..][..self.width]
    }

    /// Nearest cluster of every row, for every run: run by run, numbers counted within the run.
    pub(crate) fn nearest(&self, block: Block<'_>, scratch: &mut Scratch) -> Vec<u32> {
        let rows = block.len();
        let mut nearest = vec![0; rows * self.spans.len()];
        for start in (0..self.clusters()).step_by(PANEL_CLUSTERS) {
            let panel = start..self.clusters().min(start + PANEL_CLUSTERS);
            self.multiply(block, panel.clone(), &mut scratch.products);
            for (run, span) in self.spans.iter().enumerate() {
                let part = span.start.max(panel.start)..span.end.min(panel.end);
                if part.is_empty() {
                    continue;
                }
                if part.start == span.start {
                    scratch.reset(rows);
                }
                let products = part.start - panel.start..part.end - panel.start;
                let first = part.start - span.start;
                scratch.scan(products, &self.squared_norms[part.clone()], first);
                if part.end == span.end {
                    self.decide(run, block, scratch, &mut nearest[run * rows..][..rows]);
                }
            }
        }
        nearest
    }

    /// Fills `products[c][row]` = row · centroid for the clusters of the panel.
    fn multiply(&self, block: Block<'_>, panel: Range<usize>, products: &mut Vec<f32>) {
        let centroids = &self.centroids[panel.start * self.width..panel.end * self.width];
        products.resize(panel.len() * block.len(), 0.0);
        multiply_transposed(block.values, centroids, self.width, products);
    }

    /// Takes over the scan's winners, except where rounding could have chosen them.
    fn decide(&self, run: usize, block: Block<'_>, scratch: &Scratch, nearest: &mut [u32]) {
        nearest.copy_from_slice(&scratch.nearest);
        let reach = self.reaches[run];
        for (row, (slot, &norm)) in nearest.iter_mut().zip(block.norms).enumerate() {
            let gap = scratch.second[row] - scratch.best[row];
            // A gap that is NaN, from scores beyond f32, is no proof either.
            let proven = gap > rounding(self.width, norm, reach);
            if !proven {
                let values = &block.values[row * self.width..][..self.width];
                *slot = self.nearest_exactly(run, values);
            }
        }
    }

    fn nearest_exactly(&self, run: usize, row: &[f32]) -> u32 {
        let mut best = (0, f64::INFINITY);
        for (number, cluster) in (0..).zip(self.spans[run].clone()) {
            let distance = squared_distance(row, self.centroid(cluster));
            if distance < best.1 {
                best = (number, distance);
            }
        }
        best.0
    }
}

impl Scratch {
    fn reset(&mut self, rows: usize) {
        for scores in [&mut self.best, &mut self.second] {
            scores.clear();
            scores.resize(rows, f32::INFINITY);
        }
        self.nearest.clear();
        self.nearest.resize(rows, 0);
    }

    /// Keeps the two lowest scores of each row. It vectorises over rows: selecting numbers by mask
    /// keeps the compiler from storing them one by one.
    fn scan(&mut self, products: Range<usize>, squared_norms: &[f32], first: usize) {
        let rows = self.best.len();
        let columns = self.products[products.start * rows..products.end * rows].chunks_exact(rows);
        for ((cluster, &squared_norm), column) in (first as u32..).zip(squared_norms).zip(columns) {
            let scores = self
                .best
                .iter_mut()
                .zip(&mut self.second)
                .zip(&mut self.nearest);
            for (((best, second), nearest), &product) in scores.zip(column) {
                let score = squared_norm - 2.0 * product;
                let wins = u32::from(score < *best).wrapping_neg();
                *nearest = (cluster & wins) | (*nearest & !wins);
                *second = second.min(best.max(score));
                *best = best.min(score);
            }
        }
    }
}

/// ‖a − b‖², in f64 throughout: exactly 0 for identical rows. Eight running sums in a fixed
/// pattern let the compiler vectorise without changing the result between machines.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32, y: f32| {
        let difference = f64::from(x) - f64::from(y);
        difference * difference
    };
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += square(x[lane], y[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&x, &y)| square(x, y)).sum();
    sums.iter().sum::<f64>() + rest
}

/// Upper bound on the rounding in the difference of two scores ‖c‖² − 2x·c: a dot product of
/// `width` terms, summed in any order, is off by at most width · 2⁻²⁴ · ‖x‖‖c‖ (Higham, Accuracy
/// and Stability of Numerical Algorithms, §3.1), plus what underflow can hide.
fn rounding(width: usize, norm: f32, reach: f32) -> f32 {
    let terms = width as f32 + 8.0;
    2.0 * f32::EPSILON * (reach * reach + terms * norm * reach) + terms * f32::MIN_POSITIVE
}

/// `products` = (b × aᵀ): for `a` of shape (m, width) and `b` of shape (n, width), both
/// row-major, the (n, m) matrix of dot products, on the calling thread.
#[expect(
    unsafe_code,
    reason = "gemm takes raw pointers; the lengths are asserted here"
)]
fn multiply_transposed(a: &[f32], b: &[f32], width: usize, products: &mut [f32]) {
    let (m, n) = (a.len() / width, b.len() / width);
    assert_eq!(a.len(), m * width);
    assert_eq!(b.len(), n * width);
    assert_eq!(products.len(), m * n);
    let (row, column) = (width as isize, m as isize);
    // SAFETY: by the assertions every index gemm forms from these strides stays in its slice,
    // and `products` is borrowed mutably, so it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            width,
            products.as_mut_ptr(),
            column,
            1,
            false,
            a.as_ptr(),
            1,
            row,
            b.as_ptr(),
            row,
            1,
            0.0_f32,
            1.0_f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests;
