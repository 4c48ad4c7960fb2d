//! The assignment kernel: one block of rows against the centroids of many runs at once.
//!
//! The product X·Cᵀ is a matrix multiplication in f32, its arg-min taken while the products are
//! still in registers. The arg-min of ‖c‖² − 2x·c is trusted only where the runner-up is farther
//! behind than rounding can explain; the few rows that remain are decided by distances in f64. So
//! the answer is the true nearest centroid, the lowest number on exact ties.

mod nearby;
mod tile;

use std::ops::Range;

use pulp::Arch;

use crate::source::norms;
pub(crate) use nearby::{Nearby, References};
use tile::{Lanes, Panels, scan};
pub(crate) use tile::{PANEL, multiply};

/// Panels scanned before the next, so that they stay in the second-level cache.
const PANELS_PER_SWEEP: usize = 32;

/// Consecutive rows, row-major, and the Euclidean norm of each.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) norms: &'a [f32],
    pub(crate) width: usize,
}

impl<'a> Block<'a> {
    pub(crate) fn len(&self) -> usize {
        self.norms.len()
    }

    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.width)
    }

    pub(crate) fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.width..][..self.width]
    }
}

/// The centroids of several runs.
pub(crate) struct Stack {
    runs: Vec<Run>,
    /// For each run, its clusters' place among all clusters of the stack.
    spans: Vec<Range<usize>>,
    width: usize,
}

/// One run's centroids, row-major and in panels.
struct Run {
    centroids: Vec<f32>,
    panels: Vec<f32>,
    squared_norms: Vec<f32>,
    /// Largest centroid norm: scales the rounding of the scores.
    reach: f32,
}

impl Stack {
    /// Each item is one run's centroids, row-major, `width` columns.
    pub(crate) fn new<'a>(width: usize, runs: impl IntoIterator<Item = &'a [f32]>) -> Self {
        let runs: Vec<Run> = runs.into_iter().map(|run| Run::new(width, run)).collect();
        let mut end = 0;
        let span = |run: &Run| {
            let start = end;
            end += run.centroids.len() / width;
            start..end
        };
        Self {
            spans: runs.iter().map(span).collect(),
            runs,
            width,
        }
    }

    pub(crate) fn spans(&self) -> &[Range<usize>] {
        &self.spans
    }

    pub(crate) fn clusters(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end)
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// A centroid of a run, by its number within the run.
    pub(crate) fn centroid(&self, run: usize, number: u32) -> &[f32] {
        &self.runs[run].centroids[number as usize * self.width..][..self.width]
    }

    /// Appends the nearest cluster of every row, for every run: run by run, numbers counted within
    /// the run.
    pub(crate) fn nearest(&self, block: Block<'_>, nearest: &mut Vec<u32>) {
        self.nearest_with(Arch::new(), block, nearest);
    }

    fn nearest_with(&self, arch: Arch, block: Block<'_>, nearest: &mut Vec<u32>) {
        let mut lanes = vec![Lanes::EMPTY; block.len()];
        for run in &self.runs {
            lanes.fill(Lanes::EMPTY);
            run.scan(arch, block, &mut lanes);
            nearest.extend((0..block.len()).map(|row| {
                let found = Found::among(&lanes[row]);
                match found.is_proven(self.width, block.norms[row], run.reach) {
                    true => found.cluster,
                    false => nearest_exactly(&run.centroids, block.row(row)),
                }
            }));
        }
    }
}

impl Run {
    fn new(width: usize, centroids: &[f32]) -> Self {
        let norms = norms(centroids, width);
        let panels = norms.len().div_ceil(PANEL);
        let mut squared_norms = vec![f32::INFINITY; panels * PANEL];
        for (squared, &norm) in squared_norms.iter_mut().zip(&norms) {
            *squared = (f64::from(norm) * f64::from(norm)) as f32;
        }
        Self {
            centroids: centroids.to_vec(),
            panels: pack(width, centroids),
            squared_norms,
            reach: norms.iter().copied().fold(0.0, f32::max),
        }
    }

    fn scan(&self, arch: Arch, block: Block<'_>, lanes: &mut [Lanes]) {
        let panels = self.panels.chunks(PANELS_PER_SWEEP * PANEL * block.width);
        let norms = self.squared_norms.chunks(PANELS_PER_SWEEP * PANEL);
        for (sweep, (values, squared_norms)) in panels.zip(norms).enumerate() {
            let panels = Panels {
                values,
                squared_norms,
                first: sweep * PANELS_PER_SWEEP,
            };
            scan(arch, block.values, block.width, panels, lanes);
        }
    }
}

/// The lowest two scores of a row.
struct Found {
    cluster: u32,
    best: f32,
    second: f32,
}

impl Found {
    fn among(lanes: &Lanes) -> Self {
        let mut found = Self {
            cluster: 0,
            best: f32::INFINITY,
            second: f32::INFINITY,
        };
        for lane in 0..PANEL {
            let best = lanes.best[lane];
            found.second = found
                .second
                .min(lanes.second[lane])
                .min(best.max(found.best));
            if best < found.best {
                found.best = best;
                found.cluster = lanes.panel[lane] as u32 * PANEL as u32 + lane as u32;
            }
        }
        found
    }

    /// Whether rounding cannot have chosen the winner: a dot product of `width` terms, summed in
    /// any order, is off by at most width · 2⁻²⁴ · ‖x‖‖c‖ (Higham, Accuracy and Stability of
    /// Numerical Algorithms, §3.1), plus what underflow can hide. A gap that is NaN, from scores
    /// beyond f32, is no proof either.
    fn is_proven(&self, width: usize, norm: f32, reach: f32) -> bool {
        let terms = width as f32 + 8.0;
        let rounding =
            2.0 * f32::EPSILON * (reach * reach + terms * norm * reach) + terms * f32::MIN_POSITIVE;
        self.second - self.best > rounding
    }
}

fn nearest_exactly(centroids: &[f32], row: &[f32]) -> u32 {
    let mut best = (0, f64::INFINITY);
    for (number, centroid) in (0..).zip(centroids.chunks_exact(row.len())) {
        let distance = squared_distance(row, centroid);
        if distance < best.1 {
            best = (number, distance);
        }
    }
    best.0
}

/// Centroids, row-major, in panels: column by column, [`PANEL`] side by side, padded with zeros.
pub(crate) fn pack(width: usize, centroids: &[f32]) -> Vec<f32> {
    let clusters = centroids.len() / width;
    let mut panels = vec![0.0; clusters.div_ceil(PANEL) * PANEL * width];
    let rows = centroids.chunks(PANEL * width);
    for (panel, rows) in panels.chunks_exact_mut(PANEL * width).zip(rows) {
        for (lane, row) in rows.chunks_exact(width).enumerate() {
            for (column, &value) in row.iter().enumerate() {
                panel[column * PANEL + lane] = value;
            }
        }
    }
    panels
}

/// ‖x‖², summed like [`squared_distance`].
#[inline(always)]
pub(crate) fn squared_norm(row: &[f32]) -> f64 {
    let (chunks, rest) = row.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for lane in 0..8 {
            let value = f64::from(chunk[lane]);
            sums[lane] += value * value;
        }
    }
    let rest: f64 = rest.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    sums.iter().sum::<f64>() + rest
}

/// ‖a − b‖², in f64 throughout: exactly 0 for identical rows. Eight running sums in a fixed
/// pattern let the compiler vectorise without changing the result between machines.
#[inline(always)]
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

#[cfg(test)]
mod tests;
