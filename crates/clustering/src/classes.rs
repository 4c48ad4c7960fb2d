//! Supervised clustering: k-means inside every class.
//!
//! One number of clusters serves all classes. If it is automatic, it is the one that suits all rows
//! best, sought up to the number of classes. Classes up to [`FULL_LLOYD_LIMIT`] rows are fitted side
//! by side, one thread each; larger ones one after the other, by all threads.

use std::ops::ControlFlow;

use ndarray::{Array2, Axis, concatenate};
use rayon::prelude::*;

use crate::ClusteringError;
use crate::cluster::{Clustering, Clusters, FULL_LLOYD_LIMIT, Options, cluster};
use crate::progress::{Observer, Progress, Stage, report};
use crate::search::search;
use crate::source::{Rows, Source, check_shape};
use crate::subset::{Groups, Subset};

/// Classes fitted between two reports.
const WAVE: usize = 64;

/// Clusters of all classes, numbered class by class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassClustering {
    /// Its index is `None`; its curve is that of the search for the number of clusters.
    pub clustering: Clustering,
    /// The class of each cluster, ascending.
    pub classes: Vec<u32>,
    /// Classes with fewer rows than clusters were asked for; each is one cluster.
    pub small: Vec<u32>,
}

/// Clusters the rows of each class on their own; `classes` holds each row's, numbered without large
/// gaps: memory grows with the largest number.
///
/// # Errors
/// Those of [`cluster()`], and a number of `classes` that is not the number of rows.
pub fn cluster_classes(
    source: &dyn Source,
    classes: &[u32],
    options: &Options,
    observer: &mut Observer<'_>,
) -> Result<ClassClustering, ClusteringError> {
    check_shape(source)?;
    options.check()?;
    let (given, rows) = (classes.len(), source.rows());
    if given != rows {
        return Err(ClusteringError::ClassesLength { given, rows });
    }
    let count = classes.iter().max().map_or(0, |&last| last as usize + 1);
    let groups = Groups::new(classes, count);
    let (clusters, curve) = clusters_per_class(source, count, options, observer)?;
    let fits = Fits {
        source,
        groups: &groups,
        clusters,
        options,
    };
    let fitted = fits.run(observer)?;
    let small = (0..count).filter(|&class| (1..clusters).contains(&groups.of(class).len()));
    let small = small.map(|class| class as u32).collect();
    join(&groups, fitted, curve, small, rows)
}

/// The number of clusters for every class, with the curve if it was sought.
fn clusters_per_class(
    source: &dyn Source,
    classes: usize,
    options: &Options,
    observer: &mut Observer<'_>,
) -> Result<(usize, Vec<(usize, f64)>), ClusteringError> {
    let clusters = match &options.clusters {
        Clusters::Fixed(0) => return Err(ClusteringError::NoClusters),
        Clusters::Fixed(clusters) => return Ok((*clusters, Vec::new())),
        Clusters::Auto { min, max } => Clusters::Auto {
            min: *min,
            max: (*max).min(classes.max(*min)),
        },
        list @ Clusters::OneOf(_) => list.clone(),
    };
    let options = Options {
        clusters,
        ..options.clone()
    };
    let (settled, curve) = search(source, &options, observer)?;
    Ok((settled.centroids.len() / source.width(), curve))
}

struct Fits<'a> {
    source: &'a dyn Source,
    groups: &'a Groups,
    clusters: usize,
    options: &'a Options,
}

impl Fits<'_> {
    /// One clustering per class; none for a class without rows.
    fn run(&self, observer: &mut Observer<'_>) -> Result<Vec<Option<Clustering>>, ClusteringError> {
        let count = self.groups.count();
        let mut fitted: Vec<Option<Clustering>> = vec![None; count];
        for first in (0..count).step_by(WAVE) {
            let classes = first..count.min(first + WAVE);
            report(observer, self.progress(first))?;
            let is_small = |class: &usize| self.groups.of(*class).len() <= FULL_LLOYD_LIMIT;
            let small: Vec<_> = classes.clone().filter(is_small).collect();
            let unwatched = |class: &usize| self.fit(*class, &mut |_| ControlFlow::Continue(()));
            let found: Vec<_> = small.par_iter().map(unwatched).collect::<Result<_, _>>()?;
            for (class, clustering) in small.into_iter().zip(found) {
                fitted[class] = clustering;
            }
            for class in classes.filter(|class| !is_small(class)) {
                let mut watched = |progress: Progress| {
                    observer(Progress {
                        done: class,
                        total: count,
                        ..progress
                    })
                };
                fitted[class] = self.fit(class, &mut watched)?;
            }
        }
        Ok(fitted)
    }

    fn progress(&self, done: usize) -> Progress {
        Progress {
            stage: Stage::Iterating,
            clusters: self.clusters..=self.clusters,
            done,
            total: self.groups.count(),
            iteration: 0,
            iteration_limit: self.options.max_iterations,
        }
    }

    fn fit(
        &self,
        class: usize,
        observer: &mut Observer<'_>,
    ) -> Result<Option<Clustering>, ClusteringError> {
        let members = self.groups.of(class);
        if members.is_empty() {
            return Ok(None);
        }
        let clusters = if members.len() < self.clusters {
            1
        } else {
            self.clusters
        };
        let options = Options {
            clusters: Clusters::Fixed(clusters),
            ..self.options.clone()
        };
        let found = if members.len() <= FULL_LLOYD_LIMIT {
            let rows = Rows::gather(self.source, members)?;
            cluster(&rows.all(), &options, observer)
        } else {
            let subset = Subset {
                source: self.source,
                members,
            };
            cluster(&subset, &options, observer)
        };
        found.map(Some).map_err(|error| error.of_rows(members))
    }
}

/// Numbers the clusters of all classes one after the other.
fn join(
    groups: &Groups,
    fitted: Vec<Option<Clustering>>,
    curve: Vec<(usize, f64)>,
    small: Vec<u32>,
    rows: usize,
) -> Result<ClassClustering, ClusteringError> {
    let (mut assignments, mut distances) = (vec![0; rows], vec![0.0; rows]);
    let (mut sizes, mut classes) = (Vec::new(), Vec::new());
    let (mut inertia, mut iterations) = (0.0, 0);
    for (class, found) in fitted.iter().enumerate() {
        let Some(found) = found else { continue };
        let first = sizes.len() as u32;
        let per_row = found.assignments.iter().zip(&found.distances);
        for (&row, (&cluster, &distance)) in groups.of(class).iter().zip(per_row) {
            assignments[row] = first + cluster;
            distances[row] = distance;
        }
        sizes.extend_from_slice(&found.sizes);
        classes.extend(found.sizes.iter().map(|_| class as u32));
        inertia += found.inertia;
        iterations = iterations.max(found.iterations);
    }
    let centroids: Vec<_> = fitted
        .iter()
        .flatten()
        .map(|found| found.centroids.view())
        .collect();
    let centroids: Array2<f32> = concatenate(Axis(0), &centroids).map_err(linfa::Error::from)?;
    Ok(ClassClustering {
        clustering: Clustering {
            centroids,
            sizes,
            assignments,
            distances,
            inertia,
            davies_bouldin: None,
            curve,
            iterations,
        },
        classes,
        small,
    })
}
