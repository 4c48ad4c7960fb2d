//! From distances to difficulty.
//!
//! Unsupervised difficulty is the distance to the centroid, min–max normalised inside each cluster:
//! (d − min) / (max − min), so that every cluster has a prototype at 0 and a hardest sample at 1.

/// Difficulty of a sample whose features could not be computed: the hardest.
pub const FAILED: f32 = 1.0;

/// Min–max normalises `distance` inside each cluster.
///
/// `distance` and `cluster` have one entry per sample; `cluster` values are below `clusters`. A
/// cluster whose distances are all equal gets 0 throughout.
#[must_use]
pub fn cluster_min_max(distance: &[f32], cluster: &[u32], clusters: usize) -> Vec<f32> {
    let mut range = vec![(f32::INFINITY, f32::NEG_INFINITY); clusters];
    for (d, c) in distance.iter().zip(cluster) {
        let (min, max) = &mut range[*c as usize];
        *min = min.min(*d);
        *max = max.max(*d);
    }
    let normalise = |(d, c): (&f32, &u32)| {
        let (min, max) = range[*c as usize];
        if max > min {
            (d - min) / (max - min)
        } else {
            0.0
        }
    };
    distance.iter().zip(cluster).map(normalise).collect()
}

/// Counts difficulties in `bins` equal bins over [0, 1]; 1 falls in the last.
#[must_use]
pub fn histogram(difficulty: &[f32], bins: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    for d in difficulty {
        let bin = (f64::from(*d) * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cluster_spans_zero_to_one() {
        let difficulty = cluster_min_max(&[1.0, 2.0, 3.0, 10.0, 30.0], &[0, 0, 0, 1, 1], 2);
        assert_eq!(difficulty, [0.0, 0.5, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn equal_distances_are_all_easy() {
        assert_eq!(cluster_min_max(&[2.0, 2.0, 7.0], &[0, 0, 1], 3), [0.0; 3]);
    }

    #[test]
    fn histogram_counts_both_ends() {
        assert_eq!(histogram(&[0.0, 0.24, 0.25, 0.99, 1.0], 4), [2, 1, 0, 2]);
    }
}
