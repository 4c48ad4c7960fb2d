//! k-means on the normalised features of all samples that have any.

use super::{Context, StageError, extract::CHUNK};
use curriculum::features::Moments;
use curriculum_clustering::{Clustering, ClusteringError, Clusters, Options, Progress, cluster};
use curriculum_store::{
    Candidate, ClusteringRecord, Clusters as AskedClusters, Column, StoreError,
};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use std::ops::ControlFlow;

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (_, version) = cx.identity()?;
    let features = Features::load(cx)?;
    let clustering = fit(cx, features.rows.view())?;
    cx.reporter.report(1, 1, "storing clusters");
    let record = ClusteringRecord {
        clusters: clustering.centroids.nrows() as u32,
        dimension: clustering.centroids.ncols() as u32,
        inertia: clustering.inertia,
        davies_bouldin: clustering.davies_bouldin,
        candidates: clustering
            .curve
            .iter()
            .map(|(k, index)| Candidate {
                clusters: *k as u32,
                davies_bouldin: *index,
            })
            .collect(),
    };
    let (distance, cluster) = features.scatter(&clustering);
    let store = cx.store;
    store.put_column(
        version,
        Column::Distance,
        distance.iter().map(|x| x.to_le_bytes()),
    )?;
    store.put_column(
        version,
        Column::Cluster,
        cluster.iter().map(|x| x.to_le_bytes()),
    )?;
    store.put_column(
        version,
        Column::Centroids,
        clustering.centroids.iter().map(|x| x.to_le_bytes()),
    )?;
    store.put_clustering(version, &record)?;
    Ok(())
}

/// Normalised features of the usable samples.
struct Features {
    rows: Array2<f32>,
    /// Index of each row's sample.
    indices: Vec<usize>,
    samples: usize,
}

impl Features {
    fn load(cx: &Context<'_>) -> Result<Self, StageError> {
        let files = cx.store.features(cx.features_key()?)?;
        let samples = cx.job.sample_count as usize;
        let mut moments = Moments::new(cx.extractor.dimension());
        let mut values = Vec::new();
        let mut indices = Vec::with_capacity(samples);
        for (index, start) in (0..samples).step_by(CHUNK).enumerate() {
            cx.check_interrupt()?;
            let missing = || StoreError::Corrupt {
                what: format!("feature chunk {index}"),
                reason: "missing",
            };
            let chunk = files.read(index)?.ok_or_else(missing)?;
            let failed = |row: usize| chunk.failures.iter().any(|f| f.row as usize == row);
            let usable = || {
                let rows = chunk.features.chunks_exact(chunk.dimension).enumerate();
                rows.filter(|(row, _)| !failed(*row))
            };
            moments.push_block(
                usable()
                    .map(|(_, features)| features)
                    .collect::<Vec<_>>()
                    .into_iter(),
            );
            for (row, features) in usable() {
                indices.push(start + row);
                values.extend_from_slice(features);
            }
            let end = samples.min(start + CHUNK);
            cx.reporter
                .report(end as u64, samples as u64, "loading features");
        }
        let normalizer = moments.finish();
        let dimension = cx.extractor.dimension();
        values
            .par_chunks_exact_mut(dimension)
            .for_each(|row| normalizer.apply(row));
        let rows = Array2::from_shape_vec((indices.len(), dimension), values)
            .map_err(|error| StageError::Failed(error.to_string()))?;
        Ok(Self {
            rows,
            indices,
            samples,
        })
    }

    /// Distance and cluster by sample; NaN and `u32::MAX` for samples without features.
    fn scatter(&self, clustering: &Clustering) -> (Vec<f32>, Vec<u32>) {
        let mut distance = vec![f32::NAN; self.samples];
        let mut cluster = vec![u32::MAX; self.samples];
        for (row, index) in self.indices.iter().enumerate() {
            distance[*index] = clustering.distances[row];
            cluster[*index] = clustering.assignments[row];
        }
        (distance, cluster)
    }
}

fn fit(cx: &Context<'_>, rows: ArrayView2<'_, f32>) -> Result<Clustering, StageError> {
    let clusters = match cx.job.parameters.clusters {
        AskedClusters::Fixed(k) => Clusters::Fixed(k as usize),
        AskedClusters::Auto { min, max } => Clusters::Auto {
            min: min as usize,
            max: max as usize,
        },
    };
    let options = Options {
        clusters,
        seed: cx.job.parameters.seed,
        ..Options::default()
    };
    let mut observer = |progress: Progress| {
        let Progress {
            done,
            total,
            iteration,
            clusters,
            ..
        } = progress;
        let (low, high) = clusters.into_inner();
        let range = if low == high {
            low.to_string()
        } else {
            format!("{low} to {high}")
        };
        let activity = format!("k-means, k = {range}, iteration {iteration}");
        cx.reporter.report(done as u64, total as u64, activity);
        if cx.check_interrupt().is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    cluster(rows, &options, &mut observer).map_err(|error| match error {
        ClusteringError::Cancelled => StageError::Interrupted,
        other => StageError::Failed(other.to_string()),
    })
}
