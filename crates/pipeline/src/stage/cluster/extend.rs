//! New samples in the clusters of a version; its own keep what they have.

use super::{
    super::{Context, StageError},
    drift::{self, drift},
    given::{Given, inertia},
    labels::Labels,
    origins::Origins,
    score_of,
};
use crate::{
    features::Samples,
    fit::{Base, Extension, extend},
    packs::PackSource,
};
use curriculum::{
    difficulty::{FAILED, Range, Yardstick},
    features::{FeatureNormalization, Normalizer},
};
use curriculum_store::{
    Basis, ClusteringRecord, Column, Digest, SampleKind, Store, StoreError, VersionRecord,
};
use ndarray::Array2;
use std::ops::ControlFlow;

/// The columns of the base by sample, 12 bytes each.
struct Columns {
    difficulty: Vec<f32>,
    distance: Vec<f32>,
    cluster: Vec<u32>,
}

pub(super) fn run(
    cx: &mut Context<'_>,
    samples: &Samples<'_>,
    version: Digest,
    base: Digest,
) -> Result<ClusteringRecord, StageError> {
    let gone = || StageError::Failed(format!("version {base}, which is extended, is gone"));
    let base = cx.store.version(base)?.ok_or_else(gone)?;
    let clustering = cx.store.clustering(base.id)?;
    let basis = clustering.basis.clone().ok_or_else(|| {
        StageError::Failed(format!("version {} does not say how to extend it", base.id))
    })?;
    let origins = Origins::find(cx, &base)?;
    let source = PackSource::open(samples, cx.interrupt, |index| origins.is_new(index))?;
    let new = match cx.job.kind {
        SampleKind::Images | SampleKind::Features => {
            fitted(cx, &source, &base, &clustering, &basis)?
        }
        SampleKind::Assignments => given(cx, &source, &base, &basis)?,
    };
    let old = Columns::read(cx.store, &base)?;
    let clusters = clustering.clusters as usize;
    let limits = drift::thresholds(&old.cluster, &old.distance, clusters);
    let kept = origins.kept();
    let drift = drift(base.id, kept, limits, (&new.cluster, &new.distance));
    let merged = old.merge(&origins, &source, &new);
    merged.store(cx.store, version)?;
    copy_centroids(cx.store, &base, version, &clustering)?;
    Ok(ClusteringRecord {
        inertia: inertia(&merged.distance),
        davies_bouldin: None,
        warnings: drift::warning(&drift).into_iter().collect(),
        basis: Some(basis),
        drift: Some(drift),
        ..clustering
    })
}

/// Assigns the new samples by their features.
fn fitted(
    cx: &mut Context<'_>,
    source: &PackSource<'_>,
    base: &VersionRecord,
    clustering: &ClusteringRecord,
    basis: &Basis,
) -> Result<Extension, StageError> {
    let mut names = clustering.labels.clone();
    names.dedup();
    let known = names.len();
    let labels = match base.parameters.by_label {
        true => Some(Labels::read_known(cx, source, names.clone())?),
        false => None,
    };
    if let Some(label) = labels.as_ref().and_then(|labels| labels.names.get(known)) {
        let reason = format!("class `{label}` is not in the version that is extended: refit");
        return Err(StageError::Failed(reason));
    }
    let base = fitted_base(cx, base, clustering, basis, &names)?;
    let classes = labels.as_ref().map(|labels| labels.of_row.as_slice());
    let mut step = None;
    let (reporter, interrupt) = (&mut cx.reporter, cx.interrupt);
    let mut observer = |progress: crate::fit::Progress| {
        if step != Some(progress.step) {
            step = Some(progress.step);
            reporter.begin_anew();
        }
        reporter.report(progress.done, progress.total, progress.activity);
        match super::super::check(interrupt) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let extended = extend(source, &base, classes, &mut observer);
    extended.map_err(|error| super::failure(cx, source, error))
}

fn fitted_base(
    cx: &Context<'_>,
    base: &VersionRecord,
    clustering: &ClusteringRecord,
    basis: &Basis,
    names: &[String],
) -> Result<Base, StageError> {
    let damaged = || StageError::Failed(format!("version {} does not fit together", base.id));
    let (clusters, dimension) = (clustering.clusters as usize, clustering.dimension as usize);
    let values = (clusters * dimension) as u64;
    let centroids = floats(cx.store, base.id, Column::Centroids, values)?;
    let normalizer = match base.parameters.feature_normalization {
        FeatureNormalization::None => None,
        FeatureNormalization::Standard => {
            let normalizer = Normalizer::from_parts(basis.mean.clone(), basis.scale.clone());
            let normalizer = normalizer.filter(|normalizer| normalizer.mean().len() == dimension);
            Some(normalizer.ok_or_else(damaged)?)
        }
    };
    let number = |label: &String| names.iter().position(|name| name == label);
    let classes = clustering
        .labels
        .iter()
        .map(number)
        .map(|n| n.unwrap_or_default() as u32);
    Ok(Base {
        normalizer,
        centroids: Array2::from_shape_vec((clusters, dimension), centroids)
            .map_err(|_| damaged())?,
        open: base
            .summary
            .clusters
            .iter()
            .map(|cluster| cluster.size > 0)
            .collect(),
        classes: classes.collect(),
        normalization: base.parameters.normalization,
        ranges: ranges(basis),
        score: score_of(base.parameters.score),
    })
}

/// Takes the clusters that the new samples came with.
fn given(
    cx: &mut Context<'_>,
    source: &PackSource<'_>,
    base: &VersionRecord,
    basis: &Basis,
) -> Result<Extension, StageError> {
    let given = Given::read(cx, source)?;
    let clusters = basis.ranges.len();
    if let Some(beyond) = given.cluster.iter().find(|k| **k as usize >= clusters) {
        return Err(StageError::Failed(format!(
            "a new sample lies in cluster {beyond}, but the version has {clusters} clusters"
        )));
    }
    let yardstick = Yardstick::new(base.parameters.normalization, ranges(basis));
    let yardstick = yardstick
        .ok_or_else(|| StageError::Failed("ranks cannot be extended: refit".to_owned()))?;
    let scores = given.score(score_of(base.parameters.score));
    let placed = given.cluster.iter().zip(scores);
    let difficulty = placed.map(|(cluster, score)| yardstick.difficulty(*score, *cluster as usize));
    Ok(Extension {
        difficulty: difficulty.collect(),
        distance: given.distance,
        cluster: given.cluster,
    })
}

fn ranges(basis: &Basis) -> Vec<Range> {
    let ends = |ends: &Option<(f64, f64)>| ends.map(|(low, high)| (low as f32, high as f32));
    basis
        .ranges
        .iter()
        .map(|range| Range::new(ends(range)))
        .collect()
}

impl Columns {
    fn read(store: &Store, base: &VersionRecord) -> Result<Self, StoreError> {
        let count = base.summary.sample_count;
        let cluster = store.column(base.id, Column::Cluster, count)?.into_iter();
        Ok(Self {
            difficulty: floats(store, base.id, Column::Difficulty, count)?,
            distance: floats(store, base.id, Column::Distance, count)?,
            cluster: cluster.map(u32::from_le_bytes).collect(),
        })
    }

    fn merge(&self, origins: &Origins, source: &PackSource<'_>, new: &Extension) -> Self {
        let distance = source.by_sample(&new.distance, f32::NAN);
        let cluster = source.by_sample(&new.cluster, u32::MAX);
        let cluster: Vec<u32> = origins.merge(&self.cluster, cluster).collect();
        // A sample without features is as hard as the hardest.
        let difficulty = source.by_sample(&new.difficulty, f32::NAN);
        let mut difficulty: Vec<f32> = origins.merge(&self.difficulty, difficulty).collect();
        let finite = difficulty.iter().copied().filter(|d| d.is_finite());
        let hardest = finite.fold(FAILED, f32::max);
        difficulty
            .iter_mut()
            .filter(|difficulty| difficulty.is_nan())
            .for_each(|difficulty| *difficulty = hardest);
        Self {
            difficulty,
            distance: origins.merge(&self.distance, distance).collect(),
            cluster,
        }
    }

    fn store(&self, store: &Store, version: Digest) -> Result<(), StoreError> {
        let difficulty = self.difficulty.iter().map(|value| value.to_le_bytes());
        let distance = self.distance.iter().map(|value| value.to_le_bytes());
        store.put_column(version, Column::Difficulty, difficulty)?;
        store.put_column(version, Column::Distance, distance)?;
        let cluster = self.cluster.iter().map(|cluster| cluster.to_le_bytes());
        store.put_column(version, Column::Cluster, cluster)
    }
}

fn copy_centroids(
    store: &Store,
    base: &VersionRecord,
    version: Digest,
    clustering: &ClusteringRecord,
) -> Result<(), StoreError> {
    let values = u64::from(clustering.clusters) * u64::from(clustering.dimension);
    let centroids = store.column(base.id, Column::Centroids, values)?;
    store.put_column(version, Column::Centroids, centroids.into_iter())
}

fn floats(
    store: &Store,
    version: Digest,
    column: Column,
    count: u64,
) -> Result<Vec<f32>, StoreError> {
    let values = store.column(version, column, count)?.into_iter();
    Ok(values.map(f32::from_le_bytes).collect())
}
