//! Clusters, scores and difficulties.

use super::{Fit, Options, Seconds, Warning, Watch, classes::Classes, normalized::Normalized};
use crate::{
    FitError,
    metrics::{KMEANS_INERTIA, KMEANS_ITERATIONS},
};
use curriculum::{
    difficulty::{Range, Scores},
    features::Normalizer,
};
use curriculum_clustering::{
    ClassClustering, Clustering, Options as ClusteringOptions, Score, Source, cluster,
    cluster_classes, rehouse, score,
};
use metrics::{gauge, histogram};

/// Clusters, and which samples are compared with which.
pub(super) struct Groups {
    clustering: Clustering,
    /// Number of the class of each cluster; empty without classes.
    cluster_classes: Vec<u32>,
    /// Numbers of the classes that were too small to be clustered.
    small: Vec<u32>,
    warnings: Vec<Warning>,
}

/// How little centroids may move, for rows of this spread. The default is meant for unit rows: a fit of
/// rows a million times as small would end where it began.
fn tolerance(spread: f64) -> f32 {
    let tolerance = f64::from(ClusteringOptions::default().tolerance) * spread;
    (tolerance as f32).clamp(f32::MIN_POSITIVE, f32::MAX)
}

impl Groups {
    pub(super) fn find(
        source: &Normalized<'_>,
        classes: Option<&Classes>,
        options: &Options,
        watch: &mut Watch<'_, '_>,
    ) -> Result<Self, FitError> {
        let k_means = ClusteringOptions {
            clusters: options.clusters.clone(),
            seed: options.seed,
            tolerance: tolerance(source.spread()),
            ..ClusteringOptions::default()
        };
        let observer = &mut watch.clustering();
        let Some(classes) = classes else {
            return Ok(Self {
                clustering: cluster(source, &k_means, observer)?,
                cluster_classes: Vec::new(),
                small: Vec::new(),
                warnings: Vec::new(),
            });
        };
        let ClassClustering {
            clustering,
            classes: cluster_classes,
            small,
        } = cluster_classes(source, &classes.of_row, &k_means, observer)?;
        Ok(Self {
            clustering,
            cluster_classes,
            warnings: classes.warn(&small).into_iter().collect(),
            small,
        })
    }

    /// Tells the recorder, if there is one, how k-means went.
    pub(super) fn count(&self) {
        histogram!(KMEANS_ITERATIONS).record(self.clustering.iterations as f64);
        gauge!(KMEANS_INERTIA).set(self.clustering.inertia);
    }

    /// Difficulty by row, and the range of scores of each group.
    pub(super) fn score(
        &mut self,
        source: &Normalized<'_>,
        classes: Option<&Classes>,
        options: &Options,
        watch: &mut Watch<'_, '_>,
    ) -> Result<(Vec<f32>, Vec<Range>), FitError> {
        let rows = source.rows() as u64;
        watch.report(0, rows, "scoring")?;
        let visitor = match classes {
            None => self.rehouse(source, options.min_cluster_size)?,
            Some(_) => Vec::new(),
        };
        let measured = match options.score {
            Score::Distance => None,
            other => Some(score(
                source,
                &self.clustering,
                &visitor,
                other,
                &mut watch.clustering(),
            )?),
        };
        let score = measured.as_deref().unwrap_or(&self.clustering.distances);
        let scores = match classes {
            None => Scores {
                score,
                group: &self.clustering.assignments,
                groups: self.clustering.centroids.nrows(),
                visitor: &visitor,
                uniform: &[],
            },
            Some(classes) => Scores {
                score,
                group: &classes.of_row,
                groups: classes.ids.len(),
                visitor: &[],
                uniform: &classes.mask(&self.small),
            },
        };
        let difficulty = scores.difficulty(options.normalization);
        watch.report(rows, rows, "scoring")?;
        Ok((difficulty, scores.ranges()))
    }

    /// Applies the rule of the smallest cluster; true for samples that are measured elsewhere.
    fn rehouse(
        &mut self,
        source: &Normalized<'_>,
        min_cluster_size: u64,
    ) -> Result<Vec<bool>, FitError> {
        if min_cluster_size <= 1 {
            return Ok(Vec::new());
        }
        let visitor = rehouse(source, &mut self.clustering, min_cluster_size)?;
        let sizes = &self.clustering.sizes;
        let largest = sizes.iter().copied().max().unwrap_or_default();
        if largest < min_cluster_size {
            self.warnings.push(Warning::NoLargeCluster {
                min_cluster_size,
                largest,
            });
        }
        Ok(visitor)
    }

    pub(super) fn into_fit(
        self,
        (difficulty, ranges): (Vec<f32>, Vec<Range>),
        normalizer: Option<Normalizer>,
        classes: Option<&Classes>,
        seconds: Seconds,
    ) -> Fit {
        let class = |number: &u32| classes.map_or(*number, |classes| classes.id(*number));
        Fit {
            difficulty,
            cluster_classes: self.cluster_classes.iter().map(class).collect(),
            distance: self.clustering.distances,
            cluster: self.clustering.assignments,
            centroids: self.clustering.centroids,
            inertia: self.clustering.inertia,
            davies_bouldin: self.clustering.davies_bouldin,
            curve: self.clustering.curve,
            normalizer,
            ranges,
            warnings: self.warnings,
            seconds,
        }
    }
}
