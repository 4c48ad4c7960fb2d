//! The rule for clusters that are too small.
//!
//! A cluster of one row, or of rows that coincide, has all its rows at distance 0: an isolated
//! outlier would pass for a perfect prototype. Rows of such clusters are therefore measured against
//! the nearest cluster that is large enough.

use crate::ClusteringError;
use rayon::prelude::*;

use crate::cluster::Clustering;
use crate::kernel::{Block, Stack, squared_distance};
use crate::source::{Rows, Source, norms, rows_per_block};

/// Moves the rows of clusters with fewer than `min_size` rows to the nearest cluster that has as
/// many; a cluster whose rows all lie at one distance counts as one row. Assignments, sizes and
/// distances follow, centroids and inertia stay as fitted. True for each row that was moved;
/// nothing is moved if no cluster is large enough.
///
/// # Errors
/// If the source cannot be read.
pub fn rehouse(
    source: &dyn Source,
    clustering: &mut Clustering,
    min_size: u64,
) -> Result<Vec<bool>, ClusteringError> {
    let counted = counted_sizes(clustering);
    let large: Vec<u32> = (0..)
        .zip(&counted)
        .filter(|&(_, &size)| size >= min_size)
        .map(|(k, _)| k)
        .collect();
    let is_small = |cluster: u32| counted[cluster as usize] < min_size;
    let mut visitor = vec![false; clustering.assignments.len()];
    if large.is_empty() || large.len() == counted.len() {
        return Ok(visitor);
    }
    let rows = 0..clustering.assignments.len();
    let members: Vec<usize> = rows
        .filter(|&row| is_small(clustering.assignments[row]))
        .collect();
    let centroids: Vec<f32> = large
        .iter()
        .flat_map(|&cluster| clustering.centroids.row(cluster as usize).to_vec())
        .collect();
    let stack = Stack::ungrouped(source.width(), [centroids.as_slice()]);
    let moves: Vec<Vec<(u32, f32)>> = members
        .par_chunks(rows_per_block(source.width()))
        .map(|members| nearest(source, members, &stack))
        .collect::<Result<_, _>>()?;
    for (&member, (number, distance)) in members.iter().zip(moves.into_iter().flatten()) {
        let (from, to) = (clustering.assignments[member], large[number as usize]);
        clustering.sizes[from as usize] -= 1;
        clustering.sizes[to as usize] += 1;
        clustering.assignments[member] = to;
        clustering.distances[member] = distance;
        visitor[member] = true;
    }
    Ok(visitor)
}

/// For each row the nearest centroid and the distance to it.
fn nearest(
    source: &dyn Source,
    members: &[usize],
    stack: &Stack,
) -> Result<Vec<(u32, f32)>, ClusteringError> {
    let rows = Rows::gather(source, members)?;
    let values = rows.all().values;
    let norms = norms(values, source.width());
    let block = Block {
        values,
        norms: &norms,
        width: source.width(),
    };
    let mut nearest = Vec::new();
    stack.nearest(block, &mut nearest);
    let measured = nearest.into_iter().zip(block.rows()).map(|(number, row)| {
        let square = squared_distance(row, stack.centroid(0, number));
        (number, square.sqrt() as f32)
    });
    Ok(measured.collect())
}

/// Rows of each cluster, 1 if they all lie at one distance.
fn counted_sizes(clustering: &Clustering) -> Vec<u64> {
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); clustering.sizes.len()];
    for (&cluster, &distance) in clustering.assignments.iter().zip(&clustering.distances) {
        let (min, max) = &mut ranges[cluster as usize];
        *min = min.min(distance);
        *max = max.max(distance);
    }
    let counted =
        |(&size, (min, max)): (&u64, &(f32, f32))| if min < max { size } else { size.min(1) };
    clustering.sizes.iter().zip(&ranges).map(counted).collect()
}
