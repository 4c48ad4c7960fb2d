//! Starting centroids: greedy k-means++ (Arthur and Vassilvitskii 2007, §5), as in scikit-learn.
//! One draw per centroid, as in linfa, missed up to three of twenty separated clusters in ten
//! starts.
//!
//! The first k of its rows are a k-means++ start for k clusters, so one chain serves every
//! candidate of automatic k, and a candidate starts as it would on its own.

use rand::Rng;
use rand_xoshiro::Xoshiro256Plus;
use rayon::prelude::*;

use crate::kernel::squared_distance;
use crate::rows::{BLOCK_ROWS, Rows};

/// `count` row numbers. Each is the best of several rows drawn with probability proportional to
/// the squared distance to the nearest one chosen before: the one that leaves the lowest sum of
/// squares, the earlier of equals. Once every row coincides with a chosen one, the rest are row 0.
pub(crate) fn plus_plus(rows: &Rows<'_>, count: usize, rng: &mut Xoshiro256Plus) -> Vec<usize> {
    let first = rng.gen_range(0..rows.len());
    let mut chosen = vec![first];
    let mut squares = Squares::infinite(rows.len()).lowered(rows, first);
    while chosen.len() < count {
        let mut best: Option<(usize, Squares)> = None;
        for _ in 0..trials(chosen.len()) {
            let row = squares.draw(rng.r#gen());
            let lowered = squares.lowered(rows, row);
            if best
                .as_ref()
                .is_none_or(|(_, held)| lowered.total < held.total)
            {
                best = Some((row, lowered));
            }
        }
        if let Some((row, lowered)) = best {
            chosen.push(row);
            squares = lowered;
        }
    }
    chosen
}

/// scikit-learn's 2 + ln k, with the centroid's own place for k, so that chains share prefixes.
fn trials(place: usize) -> usize {
    2 + (place as f64 + 1.0).ln() as usize
}

/// Squared distance of each row to the nearest chosen row, and its sums.
struct Squares {
    by_row: Vec<f64>,
    by_block: Vec<f64>,
    total: f64,
}

impl Squares {
    fn infinite(rows: usize) -> Self {
        Self::new(vec![f64::INFINITY; rows], Vec::new())
    }

    fn new(by_row: Vec<f64>, by_block: Vec<f64>) -> Self {
        let total = by_block.iter().sum();
        Self {
            by_row,
            by_block,
            total,
        }
    }

    /// As it would be with `row` chosen too.
    fn lowered(&self, rows: &Rows<'_>, row: usize) -> Self {
        let newest = rows.row(row);
        let mut by_row = self.by_row.clone();
        let blocks: Vec<_> = rows.blocks().collect();
        let by_block = by_row
            .par_chunks_mut(BLOCK_ROWS)
            .zip(blocks)
            .map(|(squares, block)| {
                for (square, row) in squares.iter_mut().zip(block.rows()) {
                    *square = square.min(squared_distance(row, newest));
                }
                squares.iter().sum()
            })
            .collect();
        Self::new(by_row, by_block)
    }

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
            if left < square {
                break;
            }
            left -= square;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn draws_in_proportion_to_the_squares() {
        let squares = Squares::new(vec![0.0, 1.0, 0.0, 3.0], vec![4.0]);
        assert_eq!(
            [0.0, 0.24, 0.26, 0.999].map(|share| squares.draw(share)),
            [1, 1, 3, 3]
        );
        assert_eq!(
            squares.draw(1.0),
            3,
            "rounding past the end takes the last row"
        );
        assert_eq!(Squares::new(vec![0.0; 4], vec![0.0]).draw(0.5), 0);
    }

    #[test]
    fn walks_over_blocks() {
        let mut by_row = vec![0.0; 2 * BLOCK_ROWS + 1];
        by_row[3] = 1.0;
        by_row[2 * BLOCK_ROWS] = 1.0;
        let squares = Squares::new(by_row, vec![1.0, 0.0, 1.0]);
        assert_eq!(squares.draw(0.4), 3);
        assert_eq!(squares.draw(0.6), 2 * BLOCK_ROWS);
    }

    #[test]
    fn a_shorter_chain_is_a_prefix_and_rows_are_distinct() {
        let values = Array2::from_shape_fn((700, 2), |(row, column)| (row * (column + 1)) as f32);
        let rows = Rows::new(values.view()).unwrap();
        let base = Xoshiro256Plus::seed_from_u64(3);
        let long = plus_plus(&rows, 30, &mut base.clone());
        assert_eq!(long[..7], plus_plus(&rows, 7, &mut base.clone()));
        let distinct: std::collections::BTreeSet<_> = long.iter().collect();
        assert_eq!(distinct.len(), 30);
    }
}
