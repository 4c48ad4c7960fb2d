//! Starting centroids: greedy k-means++ (Arthur and Vassilvitskii 2007, §5), as in scikit-learn.
//! One draw per centroid, as in linfa, missed up to three of twenty separated clusters in ten
//! starts.
//!
//! The first k of its rows are a k-means++ start for k clusters, so one chain serves every
//! candidate of automatic k.

use std::borrow::Cow;

use pulp::Arch;
use rand::Rng;
use rand_xoshiro::Xoshiro256Plus;
use rayon::prelude::*;

use crate::ClusteringError;
use crate::kernel::{PANEL, multiply, pack, squared_distance};
use crate::source::{BLOCK_ROWS, RowSlice, norms};

/// Choices between two looks at whether to go on.
const CHOICES_PER_LOOK: usize = 64;

/// `count` row numbers. Each is the best of several rows drawn with probability proportional to
/// the squared distance to the nearest one chosen before: the one that leaves the lowest sum of
/// squares, the earlier of equals. Once every row coincides with a chosen one, the rest are row 0.
/// `go_on` is asked every now and then.
///
/// # Errors
/// That of `go_on`.
pub(crate) fn plus_plus(
    rows: RowSlice<'_>,
    count: usize,
    rng: &mut Xoshiro256Plus,
    mut go_on: impl FnMut() -> Result<(), ClusteringError>,
) -> Result<Vec<usize>, ClusteringError> {
    let width = rows.width;
    let scaled = ordinary(rows);
    let rows = RowSlice {
        values: &scaled,
        width,
    };
    let pool = Pool::new(rows);
    let first = rng.gen_range(0..pool.norms.len());
    let mut chosen = vec![first];
    let mut squares = Squares::infinite(pool.norms.len());
    pool.lower(&mut squares, &[first]);
    while chosen.len() < count {
        if chosen.len() % CHOICES_PER_LOOK == 0 {
            go_on()?;
        }
        let drawn: Vec<usize> = (0..trials(chosen.len()))
            .map(|_| squares.draw(rng.r#gen()))
            .collect();
        chosen.push(drawn[pool.lower(&mut squares, &drawn)]);
    }
    Ok(chosen)
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
    (2 + (place as f64 + 1.0).ln() as usize).min(PANEL)
}

/// The rows to draw from.
struct Pool<'a> {
    rows: RowSlice<'a>,
    norms: Vec<f32>,
    /// Largest norm.
    reach: f32,
}

/// Drawn rows, at most [`PANEL`].
struct Drawn {
    rows: Vec<usize>,
    panel: Vec<f32>,
    /// Infinite where there is no row.
    squared_norms: [f32; PANEL],
}

impl Drawn {
    fn new(pool: &Pool<'_>, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&row| pool.row(row));
        let mut squared_norms = [f32::INFINITY; PANEL];
        for (squared, &row) in squared_norms.iter_mut().zip(rows) {
            *squared = pool.norms[row] * pool.norms[row];
        }
        Self {
            rows: rows.to_vec(),
            panel: pack(pool.rows.width, &values.copied().collect::<Vec<f32>>()),
            squared_norms,
        }
    }
}

/// Squared distance of each row to the nearest chosen row, and its sums.
struct Squares {
    by_row: Vec<f32>,
    by_block: Vec<f64>,
    total: f64,
}

/// What choosing each of a panel of rows would make of one block's squares.
struct Lowered {
    by_row: Vec<[f32; PANEL]>,
    totals: [f64; PANEL],
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

    /// Chooses the drawn row that leaves the lowest sum of squares; returns its place.
    fn lower(&self, squares: &mut Squares, rows: &[usize]) -> usize {
        let drawn = Drawn::new(self, rows);
        let blocks: Vec<Lowered> = squares
            .by_row
            .par_chunks(BLOCK_ROWS)
            .enumerate()
            .map(|(block, squares)| self.lower_block(block * BLOCK_ROWS, squares, &drawn))
            .collect();
        let total = |lane: usize| blocks.iter().map(|block| block.totals[lane]).sum::<f64>();
        let best = (0..rows.len())
            .min_by(|&a, &b| total(a).total_cmp(&total(b)))
            .unwrap_or_default();
        squares.by_block = blocks.iter().map(|block| block.totals[best]).collect();
        squares.total = squares.by_block.iter().sum();
        let lowered = blocks.iter().flat_map(|block| &block.by_row);
        for (square, lowered) in squares.by_row.iter_mut().zip(lowered) {
            *square = lowered[best];
        }
        best
    }

    fn lower_block(&self, first: usize, squares: &[f32], drawn: &Drawn) -> Lowered {
        let width = self.rows.width;
        let values = &self.rows.values[first * width..][..squares.len() * width];
        let mut by_row = vec![[0.0; PANEL]; squares.len()];
        multiply(Arch::new(), values, width, &drawn.panel, &mut by_row);
        let mut totals = [0.0; PANEL];
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (place, (lanes, &square)) in by_row.iter_mut().zip(squares).enumerate() {
                    self.square(first + place, drawn, lanes);
                    for lane in 0..PANEL {
                        lanes[lane] = if lanes[lane] < square {
                            lanes[lane]
                        } else {
                            square
                        };
                        totals[lane] += f64::from(lanes[lane]);
                    }
                }
            },
        );
        Lowered { by_row, totals }
    }

    /// Turns products a·b into ‖a‖² + ‖b‖² − 2a·b, or sums the differences in f64 where rounding
    /// would be a large part.
    #[inline(always)]
    fn square(&self, row: usize, drawn: &Drawn, lanes: &mut [f32; PANEL]) {
        let norm = self.norms[row];
        let mut lowest = f32::INFINITY;
        for (lane, squared_norm) in lanes.iter_mut().zip(drawn.squared_norms) {
            *lane = norm * norm + squared_norm - 2.0 * *lane;
            lowest = if *lane < lowest { *lane } else { lowest };
        }
        let rounding = 16.0 * (self.rows.width as f32 + 8.0) * f32::EPSILON;
        let reach = norm.max(self.reach);
        let trusted = rounding * reach * reach;
        if lowest > trusted {
            return;
        }
        for (lane, &other) in lanes.iter_mut().zip(&drawn.rows) {
            let far = *lane > trusted;
            if !far {
                *lane = squared_distance(self.row(row), self.row(other)) as f32;
            }
        }
    }
}

impl Squares {
    fn infinite(rows: usize) -> Self {
        Self {
            by_row: vec![f32::INFINITY; rows],
            by_block: Vec::new(),
            total: 0.0,
        }
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
            if left < f64::from(square) {
                break;
            }
            left -= f64::from(square);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::SeedableRng;

    use super::*;

    fn squares(by_row: Vec<f32>, by_block: Vec<f64>) -> Squares {
        let total = by_block.iter().sum();
        Squares {
            by_row,
            by_block,
            total,
        }
    }

    #[test]
    fn draws_in_proportion_to_the_squares() {
        let four = squares(vec![0.0, 1.0, 0.0, 3.0], vec![4.0]);
        assert_eq!(
            [0.0, 0.24, 0.26, 0.999].map(|share| four.draw(share)),
            [1, 1, 3, 3]
        );
        assert_eq!(
            four.draw(1.0),
            3,
            "rounding past the end takes the last row"
        );
        assert_eq!(squares(vec![0.0; 4], vec![0.0]).draw(0.5), 0);
    }

    #[test]
    fn walks_over_blocks() {
        let mut by_row = vec![0.0; 2 * BLOCK_ROWS + 1];
        by_row[3] = 1.0;
        by_row[2 * BLOCK_ROWS] = 1.0;
        let squares = squares(by_row, vec![1.0, 0.0, 1.0]);
        assert_eq!(squares.draw(0.4), 3);
        assert_eq!(squares.draw(0.6), 2 * BLOCK_ROWS);
    }

    #[test]
    fn a_shorter_chain_is_a_prefix_and_rows_are_distinct() {
        let values = Array2::from_shape_fn((700, 2), |(row, column)| (row * (column + 1)) as f32);
        let rows = RowSlice {
            values: values.as_slice().unwrap(),
            width: 2,
        };
        let base = Xoshiro256Plus::seed_from_u64(3);
        let long = plus_plus(rows, 30, &mut base.clone(), || Ok(())).unwrap();
        assert_eq!(
            long[..7],
            plus_plus(rows, 7, &mut base.clone(), || Ok(())).unwrap()
        );
        let distinct: std::collections::BTreeSet<_> = long.iter().collect();
        assert_eq!(distinct.len(), 30);
    }

    // 1000 and 1000 + 2⁻⁹ differ by less than the rounding of their squares.
    #[test]
    fn rows_far_from_the_origin_are_told_apart() {
        let values: Vec<f32> = (0..40)
            .map(|row| 1000.0 + (row / 2) as f32 / 512.0)
            .collect();
        let rows = RowSlice {
            values: &values,
            width: 1,
        };
        let chain = plus_plus(rows, 20, &mut Xoshiro256Plus::seed_from_u64(1), || Ok(())).unwrap();
        let distinct: std::collections::BTreeSet<_> = chain.iter().map(|row| row / 2).collect();
        assert_eq!(distinct.len(), 20);
    }

    #[test]
    fn scale_does_not_matter() {
        let values: Vec<f32> = (0..200)
            .map(|row| (row % 4) as f32 + (row / 4) as f32 * 1e-3)
            .collect();
        let chains = [1.0_f32, 2.0_f32.powi(-80), 2.0_f32.powi(70)].map(|scale| {
            let values: Vec<f32> = values.iter().map(|value| value * scale).collect();
            let rows = RowSlice {
                values: &values,
                width: 1,
            };
            plus_plus(rows, 4, &mut Xoshiro256Plus::seed_from_u64(5), || Ok(())).unwrap()
        });
        let groups = chains.map(|chain| {
            chain
                .into_iter()
                .map(|row| row % 4)
                .collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!(groups.each_ref().map(|groups| groups.len()), [4, 4, 4]);
    }

    #[test]
    fn a_start_of_many_clusters_can_be_stopped() {
        let values: Vec<f32> = (0..1000).map(|row| row as f32).collect();
        let rows = RowSlice {
            values: &values,
            width: 1,
        };
        let rng = &mut Xoshiro256Plus::seed_from_u64(5);
        let stopped = plus_plus(rows, 900, rng, || Err(ClusteringError::Cancelled));
        assert!(matches!(stopped, Err(ClusteringError::Cancelled)));
    }
}
