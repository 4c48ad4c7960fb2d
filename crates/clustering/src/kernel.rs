//! The assignment kernel: one block of rows against the centroids of many runs at once.
//!
//! The product X·Cᵀ is a matrix multiplication in f32, its arg-min taken while the products are
//! still in registers. The arg-min of ‖c‖² − 2x·c is trusted only where the runner-up is farther
//! behind than rounding can explain; the few rows that remain are decided by distances in f64. So
//! the answer is the true nearest centroid, the lowest number on exact ties.

mod grouping;
mod nearby;
mod pruned;
mod tile;

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use crate::source::norms;
use crate::vectorize::vectorize;
pub(crate) use nearby::{Nearby, References};
use pruned::Grouped;
use tile::{Lanes, Panels, scan};
pub(crate) use tile::{PANEL, STRIP, multiply};

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
    runs: Vec<Centroids>,
    /// For each run, its clusters' place among all clusters of the stack.
    spans: Vec<Range<usize>>,
    width: usize,
}

/// One run's centroids, row-major and in panels.
struct Centroids {
    values: Vec<f32>,
    panels: Vec<f32>,
    squared_norms: Vec<f32>,
    /// Largest centroid norm: scales the rounding of the scores.
    reach: f32,
    /// The same centroids in a way that lets rows skip some.
    grouped: Option<Grouped>,
}

impl Stack {
    /// Each item is one run's centroids, row-major, `width` columns, to be compared with so many
    /// `rows`.
    pub(crate) fn new<'a>(
        width: usize,
        rows: usize,
        runs: impl IntoIterator<Item = &'a [f32]>,
    ) -> Self {
        let mut stack = Self::ungrouped(width, runs);
        stack.runs.par_iter_mut().for_each(|run| {
            run.grouped = Grouped::new(width, &run.values, rows);
        });
        stack
    }

    /// As [`Stack::new`], without a way to skip centroids.
    pub(crate) fn ungrouped<'a>(width: usize, runs: impl IntoIterator<Item = &'a [f32]>) -> Self {
        let runs: Vec<Centroids> = runs
            .into_iter()
            .map(|run| Centroids::new(width, run))
            .collect();
        let mut end = 0;
        let span = |run: &Centroids| {
            let start = end;
            end += run.values.len() / width;
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
        &self.runs[run].values[number as usize * self.width..][..self.width]
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
            let grouped = run.grouped.as_ref().filter(|grouped| grouped.pays());
            match grouped {
                Some(grouped) => grouped.scan(arch, block, &mut lanes),
                None => run.scan(arch, block, &mut lanes),
            }
            nearest.extend(lanes.iter().enumerate().map(|(row, lanes)| {
                let cluster = |place| grouped.map_or(place, |grouped| grouped.cluster(place));
                run.decide(arch, lanes, block.row(row), block.norms[row], cluster)
            }));
        }
    }
}

/// Clusters that may be the nearest, one per lane at most.
#[derive(Default)]
struct Contenders {
    clusters: [u32; PANEL],
    count: usize,
}

impl Contenders {
    fn push(&mut self, cluster: u32) {
        self.clusters[self.count] = cluster;
        self.count += 1;
    }

    fn as_slice(&self) -> &[u32] {
        &self.clusters[..self.count]
    }
}

impl Centroids {
    fn new(width: usize, centroids: &[f32]) -> Self {
        let norms = norms(centroids, width);
        let panels = norms.len().div_ceil(PANEL);
        let mut squared_norms = vec![f32::INFINITY; panels * PANEL];
        for (squared, &norm) in squared_norms.iter_mut().zip(&norms) {
            *squared = (f64::from(norm) * f64::from(norm)) as f32;
        }
        Self {
            values: centroids.to_vec(),
            panels: pack(width, centroids),
            squared_norms,
            reach: norms.iter().copied().fold(0.0, f32::max),
            grouped: None,
        }
    }

    /// The nearest of the clusters whose scores are lower than rounding can tell apart. `cluster`
    /// gives the cluster in a panel and lane, numbered through.
    fn decide(
        &self,
        arch: Arch,
        lanes: &Lanes,
        row: &[f32],
        norm: f32,
        cluster: impl Fn(u32) -> u32,
    ) -> u32 {
        let limit = lanes.lowest() + score_error(row.len(), norm, self.reach);
        let mut contenders = Contenders::default();
        for lane in 0..PANEL {
            // A score that is NaN or beyond f32 proves nothing.
            let is_known = lanes.second[lane] > limit;
            if !is_known {
                return self.nearest_of(arch, row, 0..self.clusters(row.len()));
            }
            if lanes.best[lane] <= limit {
                contenders.push(cluster(
                    lanes.panel[lane] as u32 * PANEL as u32 + lane as u32,
                ));
            }
        }
        match contenders.as_slice() {
            [only] => *only,
            several => self.nearest_of(arch, row, several.iter().copied()),
        }
    }

    fn clusters(&self, width: usize) -> u32 {
        (self.values.len() / width) as u32
    }

    /// By distances in f64; the lowest number of equals.
    fn nearest_of(&self, arch: Arch, row: &[f32], mut clusters: impl Iterator<Item = u32>) -> u32 {
        let mut best = (f64::INFINITY, u32::MAX);
        vectorize(
            arch,
            #[inline(always)]
            || {
                for cluster in clusters.by_ref() {
                    let centroid = &self.values[cluster as usize * row.len()..][..row.len()];
                    let distance = squared_distance(row, centroid);
                    if (distance, cluster) < best {
                        best = (distance, cluster);
                    }
                }
            },
        );
        match best.1 {
            u32::MAX => 0,
            cluster => cluster,
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

/// Upper bound on the rounding in the difference of two scores ‖c‖² − 2x·c: a dot product of
/// `width` terms, summed in any order, is off by at most γ‖x‖‖c‖, γ = width·u / (1 − width·u) with
/// u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical Algorithms, §3.1); ‖c‖², rounded three
/// times, by 3u‖c‖²; and what underflow can hide comes on top.
fn score_error(width: usize, norm: f32, reach: f32) -> f32 {
    let terms = width as f32 + 8.0;
    f32::EPSILON * (6.0 * reach * reach + 2.5 * terms * norm * reach) + terms * f32::MIN_POSITIVE
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
