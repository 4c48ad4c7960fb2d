//! How far new samples lie from those of the version that they are added to.

use curriculum_store::{ClusterDrift, Digest, DriftRecord};

/// Of the distances in the base.
const PERCENTILE: f64 = 0.99;

/// Share of new samples beyond the percentile, and their number, from which on there is a warning.
const LARGE_SHARE: f64 = 0.05;
const FEWEST: u64 = 5;

/// By cluster, the 99th percentile of the distances, interpolated as numpy does; none for a cluster
/// without samples. Memory is 4 bytes a sample.
pub(super) fn thresholds(cluster: &[u32], distance: &[f32], clusters: usize) -> Vec<Option<f64>> {
    let mut members = vec![Vec::new(); clusters];
    for (cluster, distance) in cluster.iter().zip(distance) {
        if let Some(members) = members.get_mut(*cluster as usize) {
            members.push(*distance);
        }
    }
    members.into_iter().map(percentile).collect()
}

fn percentile(mut values: Vec<f32>) -> Option<f64> {
    values.sort_unstable_by(f32::total_cmp);
    let place = values.len().checked_sub(1)? as f64 * PERCENTILE;
    let low = f64::from(*values.get(place as usize)?);
    let high = values
        .get(place as usize + 1)
        .map_or(low, |high| f64::from(*high));
    Some(low + (high - low) * place.fract())
}

/// Counts the new samples, by their clusters and distances, against the thresholds.
pub(super) fn drift(
    base: Digest,
    kept: u64,
    thresholds: Vec<Option<f64>>,
    (cluster, distance): (&[u32], &[f32]),
) -> DriftRecord {
    let none = |threshold| ClusterDrift {
        threshold,
        added: 0,
        beyond: 0,
    };
    let mut clusters: Vec<ClusterDrift> = thresholds.into_iter().map(none).collect();
    for (cluster, distance) in cluster.iter().zip(distance) {
        if let Some(cluster) = clusters.get_mut(*cluster as usize) {
            let beyond = cluster
                .threshold
                .is_none_or(|limit| f64::from(*distance) > limit);
            cluster.added += 1;
            cluster.beyond += u64::from(beyond);
        }
    }
    DriftRecord {
        base,
        kept,
        added: clusters.iter().map(|cluster| cluster.added).sum(),
        beyond: clusters.iter().map(|cluster| cluster.beyond).sum(),
        clusters,
    }
}

/// A sentence when new samples are unlike the old.
pub(super) fn warning(drift: &DriftRecord) -> Option<String> {
    let share = drift.beyond as f64 / drift.added.max(1) as f64;
    (drift.beyond >= FEWEST && share > LARGE_SHARE).then(|| {
        format!(
            "drift: {:.1} % of the {} new samples lie beyond the 99th percentile of their cluster in version {}, where 1 % is expected: consider a refit",
            share * 100.0,
            drift.added,
            drift.base
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.percentile([...], 99)`.
    #[test]
    fn percentiles_are_those_of_numpy() {
        let cases: [(&[f32], f64); 4] = [
            (&[3.0], 3.0),
            (&[1.0, 2.0], 1.99),
            (&[4.0, 1.0, 3.0, 2.0, 5.0], 4.96),
            (&[0.0; 7], 0.0),
        ];
        for (values, expected) in cases {
            let found = percentile(values.to_vec()).unwrap();
            assert!((found - expected).abs() < 1e-12, "{values:?}: {found}");
        }
        assert_eq!(percentile(Vec::new()), None);
        let hundred: Vec<f32> = (0..101).map(|i| i as f32).collect();
        assert_eq!(percentile(hundred), Some(99.0));
    }

    #[test]
    fn samples_beyond_are_counted_by_cluster() {
        let cluster: Vec<u32> = (0..200).map(|i| i % 2).collect();
        let distance: Vec<f32> = (0..200).map(|i| (i / 2) as f32).collect();
        let limits = thresholds(&cluster, &distance, 3);
        assert!((limits[0].unwrap() - 98.01).abs() < 1e-9 && limits[2].is_none());
        let new = (
            [0, 0, 1, 1, 1, u32::MAX],
            [98.0, 99.0, 1.0, 100.0, 200.0, f32::INFINITY],
        );
        let drift = drift(Digest::from([1; 32]), 7, limits, (&new.0, &new.1));
        assert_eq!((drift.kept, drift.added, drift.beyond), (7, 5, 3));
        let of = |k: usize| (drift.clusters[k].added, drift.clusters[k].beyond);
        assert_eq!([of(0), of(1), of(2)], [(2, 1), (3, 2), (0, 0)]);
        assert_eq!(warning(&drift), None, "too few to tell");
        let many = DriftRecord {
            beyond: 60,
            added: 1_000,
            ..drift.clone()
        };
        assert!(warning(&many).unwrap().contains("6.0 % of the 1000"));
        assert_eq!(warning(&DriftRecord { beyond: 40, ..many }), None);
    }
}
