//! Samples that come after a fit: assigned to its clusters and measured by its ranges, which stay as
//! they are.

use super::{Progress, Step, Watch, normalized::Normalized};
use crate::FitError;
use curriculum::{
    difficulty::{FAILED, Normalization, Range, Yardstick},
    features::Normalizer,
};
use curriculum_clustering::{
    Clustering, Finished, Score, Source, assign_later, score as measure_score,
};
use ndarray::Array2;
use std::ops::ControlFlow;

/// A fit, as far as an extension needs it.
#[derive(Clone, Debug)]
pub struct Base {
    /// Mean and deviation of the fitted features; `None` if they were not normalised.
    pub normalizer: Option<Normalizer>,
    /// Shape (K, D).
    pub centroids: Array2<f32>,
    /// By cluster: whether it kept samples. Those that lost theirs, for being too small, take none.
    pub open: Vec<bool>,
    /// Class of each cluster; empty without classes.
    pub classes: Vec<u32>,
    /// What scores are related to; not [`Normalization::ClusterRank`].
    pub normalization: Normalization,
    /// Range of each cluster, or with classes of each class.
    pub ranges: Vec<Range>,
    /// What makes a sample hard; not [`Score::Neighbours`].
    pub score: Score,
}

/// What new samples get.
#[derive(Clone, Debug, PartialEq)]
pub struct Extension {
    /// By sample, clipped to what the base has; [`FAILED`] where the base has no range.
    pub difficulty: Vec<f32>,
    /// By sample: Euclidean distance to its centroid.
    pub distance: Vec<f32>,
    /// By sample; `u32::MAX` where its class has no cluster.
    pub cluster: Vec<u32>,
}

/// Places raw features, shape (N, D), in the clusters of `base`; with `classes`, a number per sample,
/// in those of its class. A sample that the fit has seen gets what it got there.
///
/// # Errors
/// Features that cannot be read or are not finite; a base of ranks or neighbours
/// ([`FitError::NotExtensible`]); [`FitError::Cancelled`] once the observer breaks.
pub fn extend(
    source: &dyn Source,
    base: &Base,
    classes: Option<&[u32]>,
    observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Extension, FitError> {
    let yardstick = Yardstick::new(base.normalization, base.ranges.clone());
    let Some(yardstick) = yardstick.filter(|_| base.score != Score::Neighbours) else {
        return Err(FitError::NotExtensible);
    };
    let mut watch = Watch {
        observer,
        step: Step::Statistics,
        by_class: classes.is_some(),
    };
    let source = Normalized::with(source, base.normalizer.clone(), &mut watch)?;
    watch.step = Step::Cluster;
    let rows = source.rows() as u64;
    watch.report(0, rows, "assigning new samples")?;
    let finished = Finished {
        centroids: base.centroids.view(),
        open: &base.open,
        classes: &base.classes,
    };
    let (cluster, distance) = assign_later(&source, finished, classes)?;
    watch.step = Step::Score;
    watch.report(0, rows, "scoring")?;
    let score = base.scores(&source, &cluster, &distance)?;
    let group = classes.unwrap_or(&cluster).iter();
    let difficulty = group
        .zip(&score)
        .map(|(group, score)| match score.is_finite() {
            true => yardstick.difficulty(*score, *group as usize),
            false => FAILED,
        });
    Ok(Extension {
        difficulty: difficulty.collect(),
        distance,
        cluster,
    })
}

impl Base {
    fn scores(
        &self,
        source: &dyn Source,
        cluster: &[u32],
        distance: &[f32],
    ) -> Result<Vec<f32>, FitError> {
        let lost = cluster.contains(&u32::MAX);
        if self.score == Score::Distance || source.rows() == 0 || lost {
            return Ok(distance.to_vec());
        }
        let clustering = Clustering {
            centroids: self.centroids.clone(),
            sizes: Vec::new(),
            assignments: cluster.to_vec(),
            distances: distance.to_vec(),
            inertia: 0.0,
            davies_bouldin: None,
            curve: Vec::new(),
            iterations: 0,
        };
        let go_on = &mut |_| ControlFlow::Continue(());
        Ok(measure_score(source, &clustering, &[], self.score, go_on)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{Fit, Options, fit};
    use curriculum::features::FeatureNormalization;
    use curriculum_clustering::Clusters;

    /// Three blobs, and one sample alone in a direction of its own.
    fn rows() -> Array2<f32> {
        let mut rows = Array2::from_shape_fn((301, 4), |(row, column)| {
            let noise = ((row * 4 + column) as f32 * 12.9898).sin() * 43_758.547 % 1.0;
            noise + if column == row % 3 { 10.0 } else { 0.0 }
        });
        rows.row_mut(300)
            .assign(&ndarray::aview1(&[0.0, 0.0, 0.0, 90.0]));
        rows
    }

    fn base(fitted: &Fit, options: &Options) -> Base {
        let clusters = fitted.centroids.nrows() as u32;
        Base {
            normalizer: fitted.normalizer.clone(),
            centroids: fitted.centroids.clone(),
            open: (0..clusters).map(|k| fitted.cluster.contains(&k)).collect(),
            classes: fitted.cluster_classes.clone(),
            normalization: options.normalization,
            ranges: fitted.ranges.clone(),
            score: options.score,
        }
    }

    #[test]
    fn samples_of_the_fit_get_what_they_had() {
        let rows = rows();
        let classes: Vec<u32> = (0..301).map(|row| row % 2).collect();
        let go_on = &mut |_| ControlFlow::Continue(());
        for score in [Score::Distance, Score::Cosine] {
            for normalization in [
                Normalization::ClusterMinMax,
                Normalization::GlobalMinMax,
                Normalization::None,
            ] {
                for (classes, feature_normalization) in [
                    (None, FeatureNormalization::Standard),
                    (None, FeatureNormalization::None),
                    (Some(classes.as_slice()), FeatureNormalization::Standard),
                    (Some(classes.as_slice()), FeatureNormalization::None),
                ] {
                    let options = Options {
                        clusters: Clusters::Fixed(4),
                        score,
                        normalization,
                        feature_normalization,
                        ..Options::default()
                    };
                    let fitted = fit(&rows.view(), classes, &options, go_on).unwrap();
                    let base = base(&fitted, &options);
                    let extended = extend(&rows.view(), &base, classes, go_on).unwrap();
                    assert_eq!(extended.difficulty, fitted.difficulty);
                    assert_eq!(extended.distance, fitted.distance);
                    assert_eq!(extended.cluster, fitted.cluster);
                }
            }
        }
    }

    #[test]
    fn ranks_and_neighbours_cannot_be_extended() {
        let rows = rows();
        let go_on = &mut |_| ControlFlow::Continue(());
        let options = Options::default();
        let fitted = fit(&rows.view(), None, &options, go_on).unwrap();
        let sound = base(&fitted, &options);
        for bad in [
            Base {
                normalization: Normalization::ClusterRank,
                ..sound.clone()
            },
            Base {
                score: Score::Neighbours,
                ..sound
            },
        ] {
            let extended = extend(&rows.view(), &bad, None, go_on);
            assert!(matches!(extended, Err(FitError::NotExtensible)));
        }
    }
}
