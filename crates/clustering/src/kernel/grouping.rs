//! Groups of centroids that lie near each other: k-means++ and a few iterations of Lloyd's algorithm
//! among themselves.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;

use super::{Block, Stack, squared_distance};
use crate::seeding::plus_plus;
use crate::source::{RowSlice, norms};

/// Centroids per group, on average; half a panel.
const GROUP_SIZE: usize = 8;

/// Iterations that group the centroids.
const ITERATIONS: usize = 4;

/// A group is wide if its squared radius is as many times that of the median group.
const WIDE: f64 = 2.0;

/// Centres of groups, row-major, and the group of each centroid.
pub(super) fn group(width: usize, centroids: &[f32]) -> (Vec<f32>, Vec<u32>) {
    let clusters = centroids.len() / width;
    let groups = clusters.div_ceil(GROUP_SIZE);
    let norms = norms(centroids, width);
    let block = Block {
        values: centroids,
        norms: &norms,
        width,
    };
    let rows = RowSlice {
        values: centroids,
        width,
    };
    let mut generators = [Xoshiro256Plus::seed_from_u64(0)];
    let chosen = plus_plus(rows, groups, &mut generators, |_| Ok(())).unwrap_or_default();
    let mut centres: Vec<f32> = chosen
        .into_iter()
        .flatten()
        .flat_map(|row| block.row(row))
        .copied()
        .collect();
    let (mut nearest, mut usual) = (Vec::new(), None);
    for _ in 0..ITERATIONS {
        assign(block, &centres, &mut nearest);
        move_to_means(&mut centres, block, &nearest);
        split_wide(&mut centres, block, &nearest, &mut usual);
    }
    assign(block, &centres, &mut nearest);
    (centres, nearest)
}

fn assign(block: Block<'_>, centres: &[f32], nearest: &mut Vec<u32>) {
    nearest.clear();
    Stack::ungrouped(block.width, [centres]).nearest(block, nearest);
}

/// Adds a centre at the farthest member of every group that reaches much farther than most did at
/// first: a wide group is near to everything, and nothing could skip it.
fn split_wide(centres: &mut Vec<f32>, block: Block<'_>, nearest: &[u32], usual: &mut Option<f64>) {
    let mut farthest = vec![(0.0, 0); centres.len() / block.width];
    for (row, &group) in nearest.iter().enumerate() {
        let centre = &centres[group as usize * block.width..][..block.width];
        let square = squared_distance(block.row(row), centre);
        if square > farthest[group as usize].0 {
            farthest[group as usize] = (square, row);
        }
    }
    let usual = *usual.get_or_insert_with(|| {
        let mut squares: Vec<f64> = farthest.iter().map(|(square, _)| *square).collect();
        squares.sort_by(f64::total_cmp);
        squares[squares.len() / 2]
    });
    for (_, row) in farthest
        .into_iter()
        .filter(|(square, _)| *square > WIDE * usual)
    {
        centres.extend_from_slice(block.row(row));
    }
}

fn move_to_means(centres: &mut [f32], block: Block<'_>, nearest: &[u32]) {
    let mut sums = vec![0.0; centres.len()];
    let mut counts = vec![0.0; centres.len() / block.width];
    for (row, &group) in block.rows().zip(nearest) {
        counts[group as usize] += 1.0;
        let sum = &mut sums[group as usize * block.width..][..block.width];
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let means = sums.chunks_exact(block.width).zip(counts);
    for (centre, (sum, count)) in centres.chunks_exact_mut(block.width).zip(means) {
        if count > 0.0 {
            centre
                .iter_mut()
                .zip(sum)
                .for_each(|(value, sum)| *value = (sum / count) as f32);
        }
    }
}
