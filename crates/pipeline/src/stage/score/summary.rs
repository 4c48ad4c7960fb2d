//! A version in numbers, from one look at each sample; memory does not grow with the samples.

use curriculum::difficulty;
use curriculum_store::{
    ClusterRecord, ClusteringRecord, SampleRecord, SummaryRecord, SummarySample,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// Bins of the difficulty histogram.
const HISTOGRAM_BINS: usize = 50;

/// Samples listed at each end of a cluster, at most.
const LISTED: usize = 12;

/// Samples listed in all: the summary must fit one message whatever the number of clusters.
const LISTED_IN_ALL: usize = 10_000;

/// What is known of each cluster so far.
pub(super) struct Summaries {
    clusters: Vec<Members>,
    /// Samples listed at each end of a cluster.
    listed: usize,
}

/// The bits of a distance, which sort as it does since it is not negative, and the sample's index.
type Key = (u32, u64);

#[derive(Clone, Default)]
struct Members {
    size: u64,
    distance: f64,
    /// The largest is the first to go.
    nearest: BinaryHeap<Key>,
    /// The smallest is the first to go.
    farthest: BinaryHeap<Reverse<Key>>,
}

impl Summaries {
    pub(super) fn new(clusters: usize) -> Self {
        Self {
            clusters: vec![Members::default(); clusters],
            listed: (LISTED_IN_ALL / 2 / clusters.max(1)).min(LISTED),
        }
    }

    /// Adds a sample; one without features lies in no cluster.
    pub(super) fn add(&mut self, cluster: u32, index: u64, distance: f32) {
        let Some(members) = self.clusters.get_mut(cluster as usize) else {
            return;
        };
        members.size += 1;
        members.distance += f64::from(distance);
        let key = (distance.to_bits(), index);
        keep(&mut members.nearest, key, self.listed);
        keep(&mut members.farthest, Reverse(key), self.listed);
    }

    /// Indices of the samples that the summary shows.
    pub(super) fn listed(&self) -> Vec<u64> {
        let ends = |members: &Members| {
            let nearest = members.nearest.iter().map(|key| key.1);
            let farthest = members.farthest.iter().map(|key| key.0.1);
            nearest.chain(farthest).collect::<Vec<u64>>()
        };
        self.clusters.iter().flat_map(ends).collect()
    }

    /// The summary, with the records of the samples that it shows.
    pub(super) fn finish(
        self,
        difficulty: &[f32],
        samples: &BTreeMap<u64, SampleRecord>,
        clustering: ClusteringRecord,
    ) -> SummaryRecord {
        let sample = |index: u64| {
            let sample = samples.get(&index)?.clone();
            Some(SummarySample {
                index,
                id: sample.id,
                label: sample.label,
                difficulty: difficulty.get(index as usize).copied()?,
            })
        };
        let usable: u64 = self.clusters.iter().map(|members| members.size).sum();
        let mut labels = clustering.labels.into_iter();
        let describe = |members: Members| {
            let nearest = members.nearest.into_sorted_vec().into_iter();
            let farthest = members.farthest.into_sorted_vec().into_iter();
            ClusterRecord {
                size: members.size,
                mean_distance: members.distance / members.size.max(1) as f64,
                nearest: nearest.filter_map(|key| sample(key.1)).collect(),
                farthest: farthest.filter_map(|key| sample(key.0.1)).collect(),
                label: labels.next(),
            }
        };
        SummaryRecord {
            sample_count: difficulty.len() as u64,
            failed_count: difficulty.len() as u64 - usable,
            dimension: clustering.dimension,
            inertia: clustering.inertia,
            davies_bouldin: clustering.davies_bouldin,
            histogram: difficulty::histogram(difficulty, HISTOGRAM_BINS),
            clusters: self.clusters.into_iter().map(describe).collect(),
            candidates: clustering.candidates,
            warnings: clustering.warnings,
            drift: clustering.drift,
        }
    }
}

/// Keeps the `most` smallest.
fn keep<T: Ord>(heap: &mut BinaryHeap<T>, key: T, most: usize) {
    if heap.len() < most {
        heap.push(key);
    } else if heap.peek().is_some_and(|largest| key < *largest) {
        heap.pop();
        heap.push(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_a_cluster_are_those_of_a_sort() {
        let distance = |i: u64| (i * 7_919 % 100) as f32 / 10.0;
        let mut summaries = Summaries::new(2);
        for index in 0..1_000 {
            let cluster = if index % 10 == 3 { u32::MAX } else { 1 };
            summaries.add(cluster, index, distance(index));
        }
        let mut sorted: Vec<(u32, u64)> = (0..1_000)
            .filter(|index| index % 10 != 3)
            .map(|index| (distance(index).to_bits(), index))
            .collect();
        sorted.sort_unstable();
        let sample = |index| (index, SampleRecord::default());
        let samples = summaries.listed().into_iter().map(sample).collect();
        let clustering = ClusteringRecord {
            clusters: 2,
            dimension: 3,
            inertia: 1.0,
            davies_bouldin: None,
            candidates: Vec::new(),
            labels: Vec::new(),
            warnings: Vec::new(),
            basis: None,
            drift: None,
        };
        let summary = summaries.finish(&[0.5; 1_000], &samples, clustering);
        let cluster = &summary.clusters[1];
        let indices = |some: &[SummarySample]| some.iter().map(|s| s.index).collect::<Vec<_>>();
        let ends = |some: &mut dyn Iterator<Item = &(u32, u64)>| {
            some.take(LISTED).map(|key| key.1).collect::<Vec<_>>()
        };
        assert_eq!(indices(&cluster.nearest), ends(&mut sorted.iter()));
        assert_eq!(indices(&cluster.farthest), ends(&mut sorted.iter().rev()));
        assert_eq!((cluster.size, summary.failed_count), (900, 100));
        let mean: f64 = sorted
            .iter()
            .map(|key| f64::from(f32::from_bits(key.0)))
            .sum();
        assert!((cluster.mean_distance - mean / 900.0).abs() < 1e-9);
    }

    #[test]
    fn with_very_many_clusters_none_is_listed() {
        let mut summaries = Summaries::new(LISTED_IN_ALL);
        summaries.add(0, 0, 0.5);
        assert!(summaries.listed().is_empty());
    }
}
