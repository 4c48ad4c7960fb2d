//! The sketch of the difficulties and the summary: what completes a version.

use super::{Context, StageError};
use crate::worker::now_ms;
use curriculum::{Sketch, difficulty};
use curriculum_store::{
    ClusterRecord, ClusteringRecord, Column, Digest, SampleRecord, Store, StoreError,
    SummaryRecord, SummarySample, VersionRecord,
};
use std::collections::BTreeMap;

/// Bins of the difficulty histogram.
const HISTOGRAM_BINS: usize = 50;

/// Samples listed at each end of a cluster, at most.
const LISTED: usize = 12;

/// Samples listed in all: the summary must fit one message whatever the number of clusters.
const LISTED_IN_ALL: usize = 10_000;

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (content, version) = cx.identity()?;
    cx.reporter.report(0, 1, "scoring");
    let clustering = cx.store.clustering(version)?;
    let scores = Scores::read(
        cx.store,
        version,
        cx.job.sample_count,
        clustering.clusters as usize,
    )?;
    let record = VersionRecord {
        id: version,
        content,
        source: cx.job.source.clone(),
        model: cx.job.model.clone(),
        model_digest: cx.job.model_digest,
        parameters: cx.job.parameters.clone(),
        created_at_ms: now_ms(),
        summary: scores.summary(cx.store, content, clustering)?,
    };
    cx.store
        .put_version(&record, &Sketch::new(&scores.difficulty))?;
    Ok(())
}

struct Scores {
    difficulty: Vec<f32>,
    distance: Vec<f32>,
    /// Indices of the usable samples by cluster, closest to the centroid first.
    members: Vec<Vec<usize>>,
}

impl Scores {
    fn read(
        store: &Store,
        version: Digest,
        samples: u64,
        clusters: usize,
    ) -> Result<Self, StoreError> {
        let values = |column| -> Result<Vec<f32>, StoreError> {
            let values = store.column(version, column, samples)?.into_iter();
            Ok(values.map(f32::from_le_bytes).collect())
        };
        let distance = values(Column::Distance)?;
        let mut members = vec![Vec::new(); clusters];
        for (index, cluster) in store
            .column(version, Column::Cluster, samples)?
            .into_iter()
            .enumerate()
        {
            // Samples without features carry a cluster beyond the last.
            if let Some(members) = members.get_mut(u32::from_le_bytes(cluster) as usize) {
                members.push(index);
            }
        }
        for members in &mut members {
            members.sort_by(|a, b| distance[*a].total_cmp(&distance[*b]).then(a.cmp(b)));
        }
        Ok(Self {
            difficulty: values(Column::Difficulty)?,
            distance,
            members,
        })
    }

    fn summary(
        &self,
        store: &Store,
        content: Digest,
        clustering: ClusteringRecord,
    ) -> Result<SummaryRecord, StoreError> {
        let usable: usize = self.members.iter().map(Vec::len).sum();
        let listed = self
            .members
            .iter()
            .flat_map(|members| self.nearest(members).chain(self.farthest(members)));
        let samples = store.samples_at(content, listed.map(|index| index as u64))?;
        let mut labels = clustering.labels.into_iter();
        let clusters = self
            .members
            .iter()
            .map(|members| self.describe(&samples, members, labels.next()));
        Ok(SummaryRecord {
            sample_count: self.difficulty.len() as u64,
            failed_count: (self.difficulty.len() - usable) as u64,
            dimension: clustering.dimension,
            inertia: clustering.inertia,
            davies_bouldin: clustering.davies_bouldin,
            histogram: difficulty::histogram(&self.difficulty, HISTOGRAM_BINS),
            clusters: clusters.collect(),
            candidates: clustering.candidates,
            warnings: clustering.warnings,
        })
    }

    fn describe(
        &self,
        samples: &BTreeMap<u64, SampleRecord>,
        members: &[usize],
        label: Option<String>,
    ) -> ClusterRecord {
        let sum: f64 = members.iter().map(|i| f64::from(self.distance[*i])).sum();
        let sample = |index: usize| {
            let sample = samples.get(&(index as u64))?.clone();
            let difficulty = self.difficulty[index];
            Some(SummarySample {
                index: index as u64,
                id: sample.id,
                label: sample.label,
                difficulty,
            })
        };
        ClusterRecord {
            size: members.len() as u64,
            mean_distance: sum / members.len().max(1) as f64,
            nearest: self.nearest(members).filter_map(sample).collect(),
            farthest: self.farthest(members).filter_map(sample).collect(),
            label,
        }
    }

    fn nearest<'a>(&self, members: &'a [usize]) -> impl Iterator<Item = usize> + use<'a> {
        members.iter().copied().take(self.listed())
    }

    fn farthest<'a>(&self, members: &'a [usize]) -> impl Iterator<Item = usize> + use<'a> {
        members.iter().rev().copied().take(self.listed())
    }

    fn listed(&self) -> usize {
        (LISTED_IN_ALL / 2 / self.members.len().max(1)).clamp(1, LISTED)
    }
}
