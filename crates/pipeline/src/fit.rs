//! The method on a source of raw features: the one path of a job and of a command on a file.
//!
//! Normalise (z-score per dimension, then unit rows) unless asked not to, cluster, score, and turn
//! scores into difficulty. The features are never copied: statistics come from one read, and every later read
//! normalises its block on the way. Same features, classes and options give the same bytes for any
//! number of threads. Work runs in rayon's current pool.
//!
//! | module | holds |
//! |---|---|
//! | `normalized` | the statistics, and the source that normalises |
//! | `groups` | clusters, scores and difficulties |
//! | `extension` | samples that come after the fit |
//! | `classes` | class numbers without gaps, and the warning about small classes |

mod classes;
mod extension;
mod groups;
mod normalized;

use crate::FitError;
use classes::Classes;
pub use classes::Warning;
use curriculum::{
    difficulty::{Normalization, Range},
    features::{FeatureNormalization, Normalizer},
};
use curriculum_clustering::{Clusters, Score, Source};
pub use extension::{Base, Extension, extend};
use groups::Groups;
use ndarray::Array2;
use normalized::Normalized;
use std::{ops::ControlFlow, time::Instant};

/// What a fit depends on besides features and classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How many; with classes, in each class.
    pub clusters: Clusters,
    /// Seed of every random choice.
    pub seed: u64,
    /// Samples of clusters with fewer samples are measured against the nearest cluster that is large
    /// enough, so that an outlier alone in its cluster is no perfect prototype; 0 and 1 turn it off.
    /// It never applies with classes: a cluster next door may lie in another class.
    pub min_cluster_size: u64,
    /// What scores are related to: the clusters, or with classes the classes.
    pub normalization: Normalization,
    /// What makes a sample hard.
    pub score: Score,
    /// What becomes of the features before they are clustered.
    pub feature_normalization: FeatureNormalization,
}

/// A fitted dataset of N samples and K clusters over D dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// By sample, 0 is easiest; in [0, 1] unless nothing was normalised.
    pub difficulty: Vec<f32>,
    /// By sample: Euclidean distance of its features, normalised if asked for, to its centroid.
    pub distance: Vec<f32>,
    /// By sample: number of its cluster, below K.
    pub cluster: Vec<u32>,
    /// Shape (K, D), of the same features. A cluster may have lost its samples to another.
    pub centroids: Array2<f32>,
    /// Class of each cluster; empty without classes.
    pub cluster_classes: Vec<u32>,
    /// Sum of squared distances, each to the nearest centroid.
    pub inertia: f64,
    /// Davies–Bouldin index; `None` with one cluster, and with classes.
    pub davies_bouldin: Option<f64>,
    /// Number of clusters and index of every candidate that was tried, ascending; with classes, on
    /// all samples together.
    pub curve: Vec<(usize, f64)>,
    /// Mean and deviation of the features; `None` where they were left as they are.
    pub normalizer: Option<Normalizer>,
    /// Range of the scores of each cluster's, or with classes each class's, native members.
    pub ranges: Vec<Range>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// Where the time went.
    pub seconds: Seconds,
}

/// Seconds spent in each step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seconds {
    /// Mean and deviation of the features.
    pub statistics: f64,
    /// k-means.
    pub cluster: f64,
    /// Small clusters, scores and difficulties.
    pub score: f64,
}

/// A part of the work, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Mean and deviation of the features.
    Statistics,
    /// k-means.
    Cluster,
    /// Small clusters, scores and difficulties.
    Score,
}

/// Where a fit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The step at work; units begin anew with each.
    pub step: Step,
    /// Rows, or runs of k-means.
    pub done: u64,
    /// Of how many.
    pub total: u64,
    /// What is being done, for people.
    pub activity: String,
}

/// Called between blocks of rows and between iterations; `Break` ends the fit with
/// [`FitError::Cancelled`].
pub type Observer<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Fits raw features, shape (N, D). With `classes`, a number per sample, clusters lie inside classes
/// and scores relate to the class.
///
/// # Errors
/// Features that cannot be read or are not finite, with the first such row; as many classes as
/// samples are needed; whatever keeps the rows from being clustered as asked.
pub fn fit(
    source: &dyn Source,
    classes: Option<&[u32]>,
    options: &Options,
    observer: &mut Observer<'_>,
) -> Result<Fit, FitError> {
    let classes = classes
        .map(|ids| Classes::new(ids, source.rows()))
        .transpose()?;
    let mut watch = Watch {
        observer,
        step: Step::Statistics,
        by_class: classes.is_some(),
    };
    let mut seconds = Seconds::default();
    let started = Instant::now();
    let normalized = Normalized::new(source, options.feature_normalization, &mut watch)?;
    seconds.statistics = started.elapsed().as_secs_f64();

    let started = Instant::now();
    watch.step = Step::Cluster;
    let mut groups = Groups::find(&normalized, classes.as_ref(), options, &mut watch)?;
    seconds.cluster = started.elapsed().as_secs_f64();
    groups.count();

    let started = Instant::now();
    watch.step = Step::Score;
    let scored = groups.score(&normalized, classes.as_ref(), options, &mut watch)?;
    seconds.score = started.elapsed().as_secs_f64();
    let normalizer = normalized.into_normalizer();
    Ok(groups.into_fit(scored, normalizer, classes.as_ref(), seconds))
}

/// Passes progress on, from whichever step.
struct Watch<'a, 'b> {
    observer: &'a mut Observer<'b>,
    step: Step,
    by_class: bool,
}

impl Watch<'_, '_> {
    fn report(&mut self, done: u64, total: u64, activity: &str) -> Result<(), FitError> {
        let progress = Progress {
            step: self.step,
            done,
            total,
            activity: activity.to_owned(),
        };
        match (self.observer)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FitError::Cancelled),
        }
    }

    /// The observer of k-means and of scores.
    fn clustering(&mut self) -> impl FnMut(curriculum_clustering::Progress) -> ControlFlow<()> {
        |progress| {
            let activity = match (self.step, self.by_class) {
                (Step::Score, _) => "measuring neighbours".to_owned(),
                (Step::Statistics | Step::Cluster, true) => k_means("k-means by class", &progress),
                (Step::Statistics | Step::Cluster, false) => k_means("k-means", &progress),
            };
            (self.observer)(Progress {
                step: self.step,
                done: progress.done as u64,
                total: progress.total as u64,
                activity,
            })
        }
    }
}

fn k_means(name: &str, progress: &curriculum_clustering::Progress) -> String {
    let (low, high) = (progress.clusters.start(), progress.clusters.end());
    let iteration = progress.iteration;
    if low == high {
        format!("{name}, k = {low}, iteration {iteration}")
    } else {
        format!("{name}, k = {low} to {high}, iteration {iteration}")
    }
}

impl Default for Options {
    /// Automatic k from 2 to 20, seed 0, clusters of at least 5 samples, difficulty by the range of
    /// the distances in each cluster.
    fn default() -> Self {
        Self {
            clusters: Clusters::Auto { min: 2, max: 20 },
            seed: 0,
            min_cluster_size: 5,
            normalization: Normalization::default(),
            score: Score::Distance,
            feature_normalization: FeatureNormalization::Standard,
        }
    }
}

#[cfg(test)]
mod tests;
