//! Samples that come with their clusters and distances: only the difficulty is worked out.

use super::{super::Context, super::StageError, Values, score_of, stored_range};
use crate::{features::Samples, packs::PackSource};
use curriculum::difficulty::Scores;
use curriculum_clustering::{Score, Source};
use curriculum_store::{Basis, ClusteringRecord, Column, Digest};

/// A summary holds all of them in memory.
const MAX_CLUSTERS: usize = 1_000_000;

/// Rows read at a time.
const ROWS: usize = 4096;

/// What samples came with, by row of their source.
#[derive(Default)]
pub(super) struct Given {
    pub(super) cluster: Vec<u32>,
    /// Euclidean.
    pub(super) distance: Vec<f32>,
    pub(super) cosine: Vec<f32>,
}

pub(super) fn run(
    cx: &mut Context<'_>,
    samples: &Samples<'_>,
    version: Digest,
) -> Result<ClusteringRecord, StageError> {
    let source = PackSource::open(samples, cx.interrupt, |_| true)?;
    let given = Given::read(cx, &source)?;
    let clusters = given.clusters()?;
    let scores = Scores {
        score: given.score(score_of(cx.job.parameters.score)),
        group: &given.cluster,
        groups: clusters,
        visitor: &[],
        uniform: &[],
    };
    let difficulty = scores.difficulty(cx.job.parameters.normalization);
    let values = Values {
        difficulty: &difficulty,
        distance: &given.distance,
        cluster: &given.cluster,
    };
    values.store(cx, version, &source)?;
    let means = given.means(clusters);
    let centroids = means
        .iter()
        .flatten()
        .map(|mean| (*mean as f32).to_le_bytes());
    let centroids: Vec<[u8; 4]> = centroids.collect();
    cx.store
        .put_column(version, Column::Centroids, centroids.into_iter())?;
    Ok(ClusteringRecord {
        clusters: clusters as u32,
        dimension: 3,
        inertia: inertia(&given.distance),
        davies_bouldin: None,
        candidates: Vec::new(),
        labels: Vec::new(),
        warnings: Vec::new(),
        basis: Some(Basis {
            mean: Vec::new(),
            scale: Vec::new(),
            ranges: scores.ranges().into_iter().map(stored_range).collect(),
        }),
        drift: None,
    })
}

impl Given {
    pub(super) fn read(cx: &mut Context<'_>, source: &PackSource<'_>) -> Result<Self, StageError> {
        let (mut given, mut buffer, rows) = (Self::default(), Vec::new(), source.rows());
        for first in (0..rows).step_by(ROWS) {
            cx.reporter
                .report(first as u64, rows as u64, "reading clusters");
            let block = source.block(first..rows.min(first + ROWS), &mut buffer);
            let block = block.map_err(super::row_error)?;
            for row in block.as_chunks::<3>().0 {
                given.cluster.push(row[0] as u32);
                given.distance.push(row[1]);
                given.cosine.push(row[2]);
            }
        }
        Ok(given)
    }

    pub(super) fn score(&self, score: Score) -> &[f32] {
        match score {
            Score::Distance | Score::Neighbours => &self.distance,
            Score::Cosine => &self.cosine,
        }
    }

    fn clusters(&self) -> Result<usize, StageError> {
        let clusters = self
            .cluster
            .iter()
            .max()
            .map_or(0, |last| *last as usize + 1);
        if clusters > MAX_CLUSTERS {
            let last = clusters - 1;
            let reason =
                format!("a sample lies in cluster {last}, but there are at most {MAX_CLUSTERS}");
            return Err(StageError::Failed(reason));
        }
        Ok(clusters)
    }

    /// By cluster, the mean of what its samples came with.
    fn means(&self, clusters: usize) -> Vec<[f64; 3]> {
        let mut sums = vec![([0.0; 3], 0u64); clusters];
        let distances = self.distance.iter().zip(&self.cosine);
        for (cluster, (distance, cosine)) in self.cluster.iter().zip(distances) {
            if let Some((sum, count)) = sums.get_mut(*cluster as usize) {
                let row = [
                    f64::from(*cluster),
                    f64::from(*distance),
                    f64::from(*cosine),
                ];
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                *count += 1;
            }
        }
        let mean = |(sum, count): ([f64; 3], u64)| sum.map(|sum| sum / count.max(1) as f64);
        sums.into_iter().map(mean).collect()
    }
}

/// Sum of squared distances of the samples that have one.
pub(super) fn inertia(distance: &[f32]) -> f64 {
    let finite = distance.iter().filter(|distance| distance.is_finite());
    finite.map(|distance| f64::from(*distance).powi(2)).sum()
}
