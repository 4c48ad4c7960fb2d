//! Starting centroids: greedy k-means++ (Arthur and Vassilvitskii 2007, §5), as in scikit-learn.
//! One draw per centroid, as in linfa, missed up to three of twenty separated clusters in ten
//! starts.
//!
//! The first k of its rows are a k-means++ start for k clusters, so one chain serves every
//! candidate of automatic k.

use std::borrow::Cow;
use std::ops::Range;

use pulp::Arch;
use rand::Rng;
use rand_xoshiro::Xoshiro256Plus;
use rayon::prelude::*;

use crate::ClusteringError;
use crate::kernel::{PANEL, multiply, pack, squared_distance};
use crate::source::{BLOCK_ROWS, RowSlice, norms};
use crate::vectorize::vectorize;

/// Choices between two looks at whether to go on.
const CHOICES_PER_LOOK: usize = 64;

/// For each generator, `count` row numbers. Each is the best of several rows drawn with probability
/// proportional to the squared distance to the nearest one chosen before: the one that leaves the
/// lowest sum of squares, the earlier of equals. Once every row coincides with a chosen one, the
/// rest are row 0. The chains do not depend on each other; they grow side by side, so that one read
/// of the rows serves a choice of each. `go_on` is told every now and then how long they are.
///
/// # Errors
/// That of `go_on`.
pub(crate) fn plus_plus(
    rows: RowSlice<'_>,
    count: usize,
    generators: &mut [Xoshiro256Plus],
    mut go_on: impl FnMut(usize) -> Result<(), ClusteringError>,
) -> Result<Vec<Vec<usize>>, ClusteringError> {
    let width = rows.width;
    let scaled = ordinary(rows);
    let rows = RowSlice {
        values: &scaled,
        width,
    };
    let pool = Pool::new(rows);
    let mut chains: Vec<Chain<'_>> = generators
        .iter_mut()
        .map(|rng| Chain::new(pool.norms.len(), rng))
        .collect();
    for length in 0..count {
        if length % CHOICES_PER_LOOK == 0 {
            go_on(length)?;
        }
        let drawn: Vec<Vec<usize>> = chains.iter_mut().map(Chain::draw).collect();
        pool.choose(&mut chains, &drawn);
    }
    Ok(chains.into_iter().map(|chain| chain.chosen).collect())
}

/// The rows themselves, or scaled so that the largest norm is 1 where squares would leave f32:
/// choices do not depend on scale.
fn ordinary(rows: RowSlice<'_>) -> Cow<'_, [f32]> {
    let reach = norms(rows.values, rows.width)
        .into_iter()
        .fold(0.0, f32::max);
    if reach == 0.0 || (1e-10..=1e10).contains(&reach) {
        return Cow::Borrowed(rows.values);
    }
    let scale = |value: &f32| (f64::from(*value) / f64::from(reach)) as f32;
    Cow::Owned(rows.values.iter().map(scale).collect())
}

/// scikit-learn's 2 + ln k, with the centroid's own place for k, so that chains share prefixes.
fn trials(place: usize) -> usize {
    2 + (place as f64 + 1.0).ln() as usize
}

/// One start.
struct Chain<'a> {
    rng: &'a mut Xoshiro256Plus,
    chosen: Vec<usize>,
    squares: Squares,
}

/// Squared distance of each row to the nearest chosen row, and its sums.
struct Squares {
    by_row: Vec<f32>,
    by_block: Vec<f64>,
    total: f64,
}

/// The rows to draw from.
struct Pool<'a> {
    rows: RowSlice<'a>,
    norms: Vec<f32>,
    /// Largest norm.
    reach: f32,
}

/// The drawn rows of all chains, one after the other.
struct Drawn {
    rows: Vec<usize>,
    /// Where each chain's begin, and the end of the last.
    starts: Vec<usize>,
    panels: Vec<f32>,
    /// Infinite where a panel has no row.
    squared_norms: Vec<f32>,
}

/// What choosing each of the drawn rows would make of one block's squares.
struct Lowered {
    /// Panel by panel, the block's rows in each.
    by_row: Vec<[f32; PANEL]>,
    totals: Vec<f64>,
}

impl<'a> Chain<'a> {
    fn new(rows: usize, rng: &'a mut Xoshiro256Plus) -> Self {
        Self {
            rng,
            chosen: Vec::new(),
            squares: Squares {
                by_row: vec![f32::INFINITY; rows],
                by_block: Vec::new(),
                total: 0.0,
            },
        }
    }

    fn draw(&mut self) -> Vec<usize> {
        match self.chosen.len() {
            0 => vec![self.rng.gen_range(0..self.squares.by_row.len())],
            place => (0..trials(place))
                .map(|_| self.squares.draw(self.rng.r#gen()))
                .collect(),
        }
    }
}

impl Drawn {
    fn new(pool: &Pool<'_>, by_chain: &[Vec<usize>]) -> Self {
        let rows = by_chain.concat();
        let mut starts = vec![0];
        for drawn in by_chain {
            starts.push(starts[starts.len() - 1] + drawn.len());
        }
        let values: Vec<f32> = rows
            .iter()
            .flat_map(|&row| pool.row(row))
            .copied()
            .collect();
        let mut squared_norms = vec![f32::INFINITY; rows.len().next_multiple_of(PANEL)];
        for (squared, &row) in squared_norms.iter_mut().zip(&rows) {
            *squared = pool.norms[row] * pool.norms[row];
        }
        Self {
            rows,
            starts,
            panels: pack(pool.rows.width, &values),
            squared_norms,
        }
    }

    fn of_chain(&self, chain: usize) -> Range<usize> {
        self.starts[chain]..self.starts[chain + 1]
    }
}

impl<'a> Pool<'a> {
    fn new(rows: RowSlice<'a>) -> Self {
        let norms = norms(rows.values, rows.width);
        Self {
            rows,
            reach: norms.iter().copied().fold(0.0, f32::max),
            norms,
        }
    }

    fn row(&self, row: usize) -> &'a [f32] {
        &self.rows.values[row * self.rows.width..][..self.rows.width]
    }

    /// Adds to each chain that of its drawn rows which leaves the lowest sum of squares.
    fn choose(&self, chains: &mut [Chain<'_>], by_chain: &[Vec<usize>]) {
        let drawn = Drawn::new(self, by_chain);
        let (held, rows) = (&*chains, self.norms.len());
        let blocks: Vec<Lowered> = (0..rows)
            .into_par_iter()
            .step_by(BLOCK_ROWS)
            .map(|first| self.lower(first..rows.min(first + BLOCK_ROWS), held, &drawn))
            .collect();
        let total = |place: usize| blocks.iter().map(|block| block.totals[place]).sum::<f64>();
        for (number, chain) in chains.iter_mut().enumerate() {
            let totals = drawn.of_chain(number).map(|place| (place, total(place)));
            let best = totals.min_by(|a, b| a.1.total_cmp(&b.1));
            let (best, total) = best.unwrap_or_default();
            chain.chosen.push(drawn.rows[best]);
            chain.squares.total = total;
            chain.squares.by_block = blocks.iter().map(|block| block.totals[best]).collect();
            let (panel, lane) = (best / PANEL, best % PANEL);
            let by_block = chain.squares.by_row.chunks_mut(BLOCK_ROWS);
            for (squares, block) in by_block.zip(&blocks) {
                let lowered = &block.by_row[panel * squares.len()..][..squares.len()];
                for (square, lowered) in squares.iter_mut().zip(lowered) {
                    *square = square.min(lowered[lane]);
                }
            }
        }
    }

    fn lower(&self, range: Range<usize>, chains: &[Chain<'_>], drawn: &Drawn) -> Lowered {
        let (width, rows) = (self.rows.width, range.len());
        let values = &self.rows.values[range.start * width..range.end * width];
        let panels = drawn.panels.chunks_exact(PANEL * width);
        let mut by_row = vec![[0.0; PANEL]; panels.len() * rows];
        let mut totals = vec![0.0; drawn.rows.len()];
        for (panel, products) in panels.zip(by_row.chunks_exact_mut(rows)) {
            multiply(Arch::new(), values, width, panel, products);
        }
        vectorize(
            Arch::new(),
            #[inline(always)]
            || {
                for (panel, products) in by_row.chunks_exact_mut(rows).enumerate() {
                    for (row, lanes) in range.clone().zip(products) {
                        self.square(row, drawn, panel * PANEL, lanes);
                    }
                }
                for (number, chain) in chains.iter().enumerate() {
                    for place in drawn.of_chain(number) {
                        let lowered = &by_row[place / PANEL * rows..][..rows];
                        let squares = &chain.squares.by_row[range.clone()];
                        totals[place] = sum_of_lower(squares, lowered, place % PANEL);
                    }
                }
            },
        );
        Lowered { by_row, totals }
    }

    /// Turns products a·b with a panel's rows, which begin at `first`, into ‖a‖² + ‖b‖² − 2a·b, or
    /// sums the differences in f64 where rounding would be a large part.
    #[inline(always)]
    fn square(&self, row: usize, drawn: &Drawn, first: usize, lanes: &mut [f32; PANEL]) {
        let norm = self.norms[row];
        let mut lowest = f32::INFINITY;
        for (lane, squared_norm) in lanes.iter_mut().zip(&drawn.squared_norms[first..]) {
            *lane = norm * norm + squared_norm - 2.0 * *lane;
            lowest = if *lane < lowest { *lane } else { lowest };
        }
        let rounding = 16.0 * (self.rows.width as f32 + 8.0) * f32::EPSILON;
        let reach = norm.max(self.reach);
        let trusted = rounding * reach * reach;
        if lowest > trusted {
            return;
        }
        for (lane, &other) in lanes.iter_mut().zip(&drawn.rows[first..]) {
            let far = *lane > trusted;
            if !far {
                *lane = squared_distance(self.row(row), self.row(other)) as f32;
            }
        }
    }
}

/// The sum of the lower of each row's square and what one lane has for it.
#[inline(always)]
fn sum_of_lower(squares: &[f32], lowered: &[[f32; PANEL]], lane: usize) -> f64 {
    let pairs = squares.iter().zip(lowered);
    pairs
        .map(|(&square, lowered)| f64::from(square.min(lowered[lane])))
        .sum()
}

impl Squares {
    /// The row at which the running sum passes `share` of the total, found by block, then by row.
    fn draw(&self, share: f64) -> usize {
        let mut left = share * self.total;
        let mut last = 0;
        for (block, &sum) in self
            .by_block
            .iter()
            .enumerate()
            .filter(|&(_, &sum)| sum > 0.0)
        {
            if left < sum {
                return self.draw_within(block, left);
            }
            left -= sum;
            last = block;
        }
        // Rounding carried the sum past the end.
        self.draw_within(last, f64::INFINITY)
    }

    /// The row of a block at which the running sum passes `left`, or the last that is not zero.
    fn draw_within(&self, block: usize, mut left: f64) -> usize {
        let first = block * BLOCK_ROWS;
        let squares = self.by_row.iter().enumerate().skip(first).take(BLOCK_ROWS);
        let mut last = first;
        for (row, &square) in squares.filter(|&(_, &square)| square > 0.0) {
            last = row;
            if left < f64::from(square) {
                break;
            }
            left -= f64::from(square);
        }
        last
    }
}

#[cfg(test)]
mod tests;
