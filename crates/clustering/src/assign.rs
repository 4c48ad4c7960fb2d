//! The last pass: every row's cluster and distance, and the index from the same read.

use ndarray::Array2;

use crate::cluster::Clustering;
use crate::davies_bouldin::davies_bouldin;
use crate::kernel::Stack;
use crate::pass::{Want, pass};
use crate::selection::Settled;
use crate::{ClusteringError, Source};

/// Assigns all rows to settled centroids. Without a curve, the index found here is its one point.
pub(crate) fn assign(
    source: &dyn Source,
    settled: Settled,
    mut curve: Vec<(usize, f64)>,
) -> Result<Clustering, ClusteringError> {
    let Settled {
        centroids,
        iterations,
    } = settled;
    let (rows, width) = (source.rows(), source.width());
    let mut assignments = Vec::with_capacity(rows);
    let mut distances = Vec::with_capacity(rows);
    let stack = Stack::new(width, rows, [centroids.as_slice()]);
    let tally = pass(source, &stack, Want::DISTANCES, |assigned| {
        assignments.extend_from_slice(assigned.nearest);
        distances.extend(assigned.squares.iter().map(|square| square.sqrt() as f32));
        Ok(())
    })?;
    let index = davies_bouldin(&centroids, width, &tally.counts, &tally.distances);
    let clusters = tally.counts.len();
    if let (true, Some(index)) = (curve.is_empty(), index) {
        curve.push((clusters, index));
    }
    Ok(Clustering {
        centroids: Array2::from_shape_vec((clusters, width), centroids)
            .map_err(linfa::Error::from)?,
        inertia: tally.squares.iter().sum(),
        sizes: tally.counts,
        assignments,
        distances,
        davies_bouldin: index,
        curve,
        iterations,
    })
}
