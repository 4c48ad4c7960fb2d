//! The method on the features of all samples that have any: clusters, distances, difficulties.

mod drift;
mod extend;
mod given;
mod labels;
mod origins;

use super::{Context, StageError};
use crate::{
    FitError,
    features::Samples,
    fit::{self, Fit, Warning, fit},
    packs::{PackSource, RowError},
};
use curriculum::difficulty::{FAILED, Range};
use curriculum_clustering::{Clusters, Score, SourceError};
use curriculum_store::{
    Basis, Candidate, ClusteringRecord, Clusters as AskedClusters, Column, Digest, Parameters,
    SampleKind, Score as AskedScore, StoreError,
};
use labels::Labels;
use std::ops::ControlFlow;

/// Of features that are not normalised: normalised ones have length 1.
const TOO_LARGE: &str = "its features are too large to be clustered as they are";

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (_, version) = cx.identity()?;
    let space = cx.space()?;
    let samples = Samples {
        store: cx.store,
        space: &space,
        listing: cx.job.listing,
        count: cx.job.sample_count,
    };
    let record = match (cx.job.extends, cx.job.kind) {
        (Some(base), _) => extend::run(cx, &samples, version, base)?,
        (None, SampleKind::Assignments) => given::run(cx, &samples, version)?,
        (None, SampleKind::Images | SampleKind::Features) => fit_all(cx, &samples, version)?,
    };
    cx.job.warnings.clone_from(&record.warnings);
    cx.store.put_clustering(version, &record)?;
    Ok(())
}

fn fit_all(
    cx: &mut Context<'_>,
    samples: &Samples<'_>,
    version: Digest,
) -> Result<ClusteringRecord, StageError> {
    let source = PackSource::open(samples, cx.interrupt, |_| true)?;
    let labels = match cx.job.parameters.by_label {
        true => Some(Labels::read(cx, &source)?),
        false => None,
    };
    let classes = labels.as_ref().map(|labels| labels.of_row.as_slice());
    let fitted = fit_watched(cx, &source, classes)?;
    cx.reporter.report(1, 1, "storing clusters");
    let values = Values {
        difficulty: &fitted.difficulty,
        distance: &fitted.distance,
        cluster: &fitted.cluster,
    };
    values.store(cx, version, &source)?;
    let centroids = fitted.centroids.iter().map(|x| x.to_le_bytes());
    cx.store.put_column(version, Column::Centroids, centroids)?;
    Ok(record(&fitted, labels.as_ref()))
}

/// What came of the samples, by row of a source.
struct Values<'a> {
    difficulty: &'a [f32],
    distance: &'a [f32],
    cluster: &'a [u32],
}

impl Values<'_> {
    /// Writes the columns by sample.
    fn store(
        &self,
        cx: &Context<'_>,
        version: Digest,
        source: &PackSource<'_>,
    ) -> Result<(), StoreError> {
        let hardest = self.difficulty.iter().copied().fold(FAILED, f32::max);
        let difficulty = source.by_sample(self.difficulty, hardest);
        let distance = source.by_sample(self.distance, f32::NAN);
        let cluster = source.by_sample(self.cluster, u32::MAX);
        let (difficulty, distance) = (
            difficulty.map(f32::to_le_bytes),
            distance.map(f32::to_le_bytes),
        );
        let put = cx.store;
        put.put_column(version, Column::Difficulty, difficulty)?;
        put.put_column(version, Column::Distance, distance)?;
        put.put_column(version, Column::Cluster, cluster.map(u32::to_le_bytes))
    }
}

fn fit_watched(
    cx: &mut Context<'_>,
    source: &PackSource<'_>,
    classes: Option<&[u32]>,
) -> Result<Fit, StageError> {
    let options = options(&cx.job.parameters);
    let mut step = fit::Step::Statistics;
    let mut observer = |progress: fit::Progress| {
        if progress.step != step {
            step = progress.step;
            cx.reporter.begin_anew();
        }
        cx.reporter
            .report(progress.done, progress.total, progress.activity);
        match cx.check_interrupt() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let fitted = fit(source, classes, &options, &mut observer);
    fitted.map_err(|error| failure(cx, source, error))
}

fn options(parameters: &Parameters) -> fit::Options {
    let clusters = match &parameters.clusters {
        AskedClusters::Fixed(k) => Clusters::Fixed(*k as usize),
        AskedClusters::Auto { min, max } => Clusters::Auto {
            min: *min as usize,
            max: *max as usize,
        },
        // Nothing is fitted then.
        AskedClusters::Given => Clusters::Fixed(1),
        AskedClusters::OneOf(list) => Clusters::OneOf(list.iter().map(|k| *k as usize).collect()),
    };
    fit::Options {
        clusters,
        seed: parameters.seed,
        min_cluster_size: u64::from(parameters.min_cluster_size),
        normalization: parameters.normalization,
        score: score_of(parameters.score),
        feature_normalization: parameters.feature_normalization,
    }
}

/// Names samples instead of rows, and keeps errors of the store apart.
fn failure(cx: &Context<'_>, source: &PackSource<'_>, error: FitError) -> StageError {
    match error {
        FitError::Cancelled => StageError::Interrupted,
        FitError::Source(error) => row_error(error),
        FitError::NotFinite { row, .. } => {
            sample_failure(cx, source, row, "its features are not finite")
        }
        FitError::TooLarge { row } => sample_failure(cx, source, row, TOO_LARGE),
        other @ (FitError::Classes { .. } | FitError::Clustering(_) | FitError::NotExtensible) => {
            StageError::Failed(other.to_string())
        }
    }
}

fn sample_failure(
    cx: &Context<'_>,
    source: &PackSource<'_>,
    row: usize,
    reason: &str,
) -> StageError {
    let index = source.sample(row) as u64;
    let samples = cx.store.some_samples(cx.job.listing, index..index + 1);
    let sample = samples.unwrap_or_default().into_iter().next();
    let id = sample.map_or_else(String::new, |sample| sample.id);
    StageError::Failed(format!("sample {index} (`{id}`): {reason}"))
}

fn record(fitted: &Fit, labels: Option<&Labels>) -> ClusteringRecord {
    let name = |class: u32| labels.map_or("", |labels| labels.name(class));
    let candidate = |(k, index): &(usize, f64)| Candidate {
        clusters: *k as u32,
        davies_bouldin: *index,
    };
    let classes = fitted.cluster_classes.iter();
    let warnings = fitted.warnings.iter();
    let normalizer = fitted.normalizer.as_ref();
    ClusteringRecord {
        clusters: fitted.centroids.nrows() as u32,
        dimension: fitted.centroids.ncols() as u32,
        inertia: fitted.inertia,
        davies_bouldin: fitted.davies_bouldin,
        candidates: fitted.curve.iter().map(candidate).collect(),
        labels: classes.map(|class| name(*class).to_owned()).collect(),
        warnings: warnings.map(|w: &Warning| w.describe(name)).collect(),
        basis: Some(Basis {
            mean: normalizer.map_or_else(Vec::new, |normalizer| normalizer.mean().to_vec()),
            scale: normalizer.map_or_else(Vec::new, |normalizer| normalizer.scale().to_vec()),
            ranges: fitted.ranges.iter().copied().map(stored_range).collect(),
        }),
        drift: None,
    }
}

/// Keeps damage and errors of the store apart.
fn row_error(error: SourceError) -> StageError {
    match error.downcast::<RowError>() {
        Ok(error) => (*error).into(),
        Err(other) => StageError::Failed(other.to_string()),
    }
}

/// As it is stored: f32 fits f64, whose bits survive.
fn stored_range(range: Range) -> Option<(f64, f64)> {
    let (lowest, highest) = range.ends()?;
    Some((f64::from(lowest), f64::from(highest)))
}

fn score_of(score: AskedScore) -> Score {
    match score {
        AskedScore::Distance => Score::Distance,
        AskedScore::Cosine => Score::Cosine,
        AskedScore::Neighbours => Score::Neighbours,
    }
}
