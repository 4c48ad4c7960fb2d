//! The method on the features of all samples that have any: clusters, distances, difficulties.

use super::{Context, StageError};
use crate::{
    FitError,
    features::Samples,
    fit::{self, Fit, Warning, fit},
    packs::{PackSource, RowError},
};
use curriculum::difficulty::FAILED;
use curriculum_clustering::{Clusters, Score, Source};
use curriculum_store::{
    Candidate, ClusteringRecord, Clusters as AskedClusters, Column, Digest, Parameters,
    SampleRecord, Score as AskedScore, StoreError,
};
use std::{collections::HashMap, ops::ControlFlow};

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (_, version) = cx.identity()?;
    let space = cx.space()?;
    let samples = Samples {
        store: cx.store,
        space: &space,
        listing: cx.job.listing,
        count: cx.job.sample_count,
    };
    let source = PackSource::open(&samples, cx.interrupt)?;
    let labels = match cx.job.parameters.by_label {
        true => Some(Labels::read(cx, &source)?),
        false => None,
    };
    let classes = labels.as_ref().map(|labels| labels.of_row.as_slice());
    let fitted = fit_watched(cx, &source, classes)?;
    let record = record(&fitted, labels.as_ref());
    cx.job.warnings.clone_from(&record.warnings);
    cx.reporter.report(1, 1, "storing clusters");
    store_columns(cx, version, &source, &fitted)?;
    cx.store.put_clustering(version, &record)?;
    Ok(())
}

/// Classes of the usable samples.
struct Labels {
    /// Class by row.
    of_row: Vec<u32>,
    /// Label by class, in order of appearance.
    names: Vec<String>,
}

impl Labels {
    fn read(cx: &Context<'_>, source: &PackSource<'_>) -> Result<Self, StageError> {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut names = Vec::new();
        let mut of_row = Vec::with_capacity(source.rows());
        let mut next = 0;
        while next < cx.job.sample_count {
            cx.check_interrupt()?;
            let samples = cx
                .store
                .some_samples(cx.job.listing, next..cx.job.sample_count)?;
            for (index, sample) in (next..).zip(&samples) {
                if of_row.len() == source.rows() || source.sample(of_row.len()) as u64 != index {
                    continue;
                }
                let label = label(sample, index)?;
                let number = numbers.entry(label.to_owned()).or_insert_with(|| {
                    names.push(label.to_owned());
                    names.len() as u32 - 1
                });
                of_row.push(*number);
            }
            next += samples.len() as u64;
        }
        Ok(Self { of_row, names })
    }

    fn name(&self, class: u32) -> &str {
        self.names.get(class as usize).map_or("", String::as_str)
    }
}

fn label(sample: &SampleRecord, index: u64) -> Result<&str, StageError> {
    sample.label.as_deref().ok_or_else(|| {
        let id = &sample.id;
        StageError::Failed(format!("sample {index} (`{id}`) has no label"))
    })
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
    let score = match parameters.score {
        AskedScore::Distance => Score::Distance,
        AskedScore::Cosine => Score::Cosine,
        AskedScore::Neighbours => Score::Neighbours,
    };
    fit::Options {
        clusters,
        seed: parameters.seed,
        min_cluster_size: u64::from(parameters.min_cluster_size),
        normalization: parameters.normalization,
        score,
    }
}

/// Names samples instead of rows, and keeps errors of the store apart.
fn failure(cx: &Context<'_>, source: &PackSource<'_>, error: FitError) -> StageError {
    match error {
        FitError::Cancelled => StageError::Interrupted,
        FitError::Source(error) => match error.downcast::<RowError>() {
            Ok(error) => (*error).into(),
            Err(other) => StageError::Failed(other.to_string()),
        },
        FitError::NotFinite { row, .. } => {
            let index = source.sample(row) as u64;
            let samples = cx.store.some_samples(cx.job.listing, index..index + 1);
            let sample = samples.unwrap_or_default().into_iter().next();
            let id = sample.map_or_else(String::new, |sample| sample.id);
            StageError::Failed(format!(
                "sample {index} (`{id}`): its features are not finite"
            ))
        }
        other @ (FitError::Classes { .. } | FitError::Clustering(_)) => {
            StageError::Failed(other.to_string())
        }
    }
}

fn record(fitted: &Fit, labels: Option<&Labels>) -> ClusteringRecord {
    let name = |class: u32| labels.map_or("", |labels| labels.name(class));
    let candidate = |(k, index): &(usize, f64)| Candidate {
        clusters: *k as u32,
        davies_bouldin: *index,
    };
    let classes = fitted.cluster_classes.iter();
    let warnings = fitted.warnings.iter();
    ClusteringRecord {
        clusters: fitted.centroids.nrows() as u32,
        dimension: fitted.centroids.ncols() as u32,
        inertia: fitted.inertia,
        davies_bouldin: fitted.davies_bouldin,
        candidates: fitted.curve.iter().map(candidate).collect(),
        labels: classes.map(|class| name(*class).to_owned()).collect(),
        warnings: warnings.map(|w: &Warning| w.describe(name)).collect(),
    }
}

fn store_columns(
    cx: &Context<'_>,
    version: Digest,
    source: &PackSource<'_>,
    fitted: &Fit,
) -> Result<(), StoreError> {
    let hardest = fitted.difficulty.iter().copied().fold(FAILED, f32::max);
    let difficulty = source.by_sample(&fitted.difficulty, hardest);
    let distance = source.by_sample(&fitted.distance, f32::NAN);
    let cluster = source.by_sample(&fitted.cluster, u32::MAX);
    let centroids = fitted.centroids.iter().map(|x| x.to_le_bytes());
    let put = cx.store;
    put.put_column(
        version,
        Column::Difficulty,
        difficulty.map(f32::to_le_bytes),
    )?;
    put.put_column(version, Column::Distance, distance.map(f32::to_le_bytes))?;
    put.put_column(version, Column::Cluster, cluster.map(u32::to_le_bytes))?;
    put.put_column(version, Column::Centroids, centroids)
}
