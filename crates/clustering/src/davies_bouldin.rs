//! The Davies–Bouldin index: mean over clusters of the worst ratio (S_i + S_j) / M_ij, with S the
//! mean Euclidean distance of a cluster's rows to its centroid and M_ij the distance between two
//! centroids (Davies and Bouldin 1979; scikit-learn's `davies_bouldin_score`). Lower is better.
//!
//! The centroids are the fitted ones, because then the sums of the assignment pass suffice.
//! scikit-learn takes the means of the assigned rows: the same after Lloyd's algorithm has
//! converged, and close to it after mini-batches.

use pulp::Arch;
use rayon::prelude::*;

use crate::kernel::squared_distance;
use crate::vectorize::vectorize;

/// The index from centroids (row-major, `width` columns), counts and sums of distances. Empty
/// clusters are left out, as are pairs of coincident centroids; `None` with fewer than two clusters.
pub(crate) fn davies_bouldin(
    centroids: &[f32],
    width: usize,
    counts: &[u64],
    distances: &[f64],
) -> Option<f64> {
    let clusters: Vec<(&[f32], f64)> = centroids
        .chunks_exact(width)
        .zip(counts.iter().zip(distances))
        .filter(|&(_, (&count, _))| count > 0)
        .map(|(centroid, (&count, &sum))| (centroid, sum / count as f64))
        .collect();
    if clusters.len() < 2 {
        return None;
    }
    let worst: Vec<f64> = clusters
        .par_iter()
        .map(|cluster| worst_ratio(*cluster, &clusters))
        .collect();
    Some(worst.iter().sum::<f64>() / worst.len() as f64)
}

/// Of one cluster with any other, each a centroid and its scatter.
fn worst_ratio((centroid, scatter): (&[f32], f64), clusters: &[(&[f32], f64)]) -> f64 {
    vectorize(
        Arch::new(),
        #[inline(always)]
        || {
            let mut worst = 0.0_f64;
            for (other, other_scatter) in clusters {
                // The cluster itself is one of those at no distance.
                let separation = squared_distance(centroid, other).sqrt();
                if separation > 0.0 {
                    worst = worst.max((scatter + other_scatter) / separation);
                }
            }
            worst
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // Three clusters on a line at 0, 4 and 10 with scatters 1, 0.5 and 2: the pairs give
    // 1.5/4 = 0.375, 3/10 = 0.3 and 2.5/6 = 0.41666…
    #[test]
    fn matches_a_hand_computed_example() {
        let centroids = [0.0, 4.0, 10.0];
        let index = davies_bouldin(&centroids, 1, &[2, 4, 3], &[2.0, 2.0, 6.0]).unwrap();
        let expected = (0.375 + 2.0 * (2.5 / 6.0)) / 3.0;
        assert!(
            (index - expected).abs() < 1e-15,
            "{index} instead of {expected}"
        );
    }

    #[test]
    fn leaves_empty_clusters_out() {
        let with_empty = [0.0, 1.0, 4.0];
        let index = davies_bouldin(&with_empty, 1, &[1, 0, 2], &[1.0, 0.0, 2.0]).unwrap();
        assert!((index - 0.5).abs() < 1e-15, "{index}");
        assert_eq!(
            davies_bouldin(&with_empty, 1, &[0, 0, 2], &[0.0, 0.0, 2.0]),
            None
        );
    }

    #[test]
    fn coincident_centroids_do_not_divide_by_zero() {
        let centroids = [1.0, 1.0];
        assert_eq!(
            davies_bouldin(&centroids, 1, &[1, 1], &[1.0, 1.0]),
            Some(0.0)
        );
    }
}
