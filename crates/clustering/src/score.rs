//! Scores of rows within their clusters, besides the Euclidean distance to the centroid.
//!
//! - cosine: 1 − x·c / (‖x‖‖c‖), in [0, 2]; 1 where either vector is zero.
//! - neighbours: mean Euclidean distance to the [`NEIGHBOURS`] nearest other rows of the cluster, or
//!   to all of them if there are fewer; 0 for a row alone. Its inverse is the typicality of
//!   Hacohen, Dekel and Weinshall (2022). The cost is quadratic in the size of a cluster.

use rayon::prelude::*;

use crate::ClusteringError;
use crate::cluster::Clustering;
use crate::kernel::{Nearby, References, squared_norm};
use crate::progress::{Observer, Progress, Stage, report};
use crate::source::{Rows, Source, rows_per_block};
use crate::subset::{Groups, Subset};

/// Neighbours whose distances are averaged.
pub const NEIGHBOURS: usize = 20;

/// Rows compared with all rows of their cluster at a time.
const REFERENCES: usize = 4096;

/// What makes a sample hard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Score {
    /// Euclidean distance to the centroid.
    #[default]
    Distance,
    /// Cosine distance to the centroid.
    Cosine,
    /// Mean distance to the nearest neighbours inside the cluster.
    Neighbours,
}

/// The score of every row. A `visitor`, as [`rehouse()`](crate::rehouse()) returns them, is measured
/// like the others, but is nobody's neighbour; the slice may be empty.
///
/// # Errors
/// If the source cannot be read; [`ClusteringError::Cancelled`] once the observer breaks.
pub fn score(
    source: &dyn Source,
    clustering: &Clustering,
    visitor: &[bool],
    score: Score,
    observer: &mut Observer<'_>,
) -> Result<Vec<f32>, ClusteringError> {
    match score {
        Score::Distance => Ok(clustering.distances.clone()),
        Score::Cosine => cosine(source, clustering),
        Score::Neighbours => neighbours(source, clustering, visitor, observer),
    }
}

fn cosine(source: &dyn Source, clustering: &Clustering) -> Result<Vec<f32>, ClusteringError> {
    let mut scores = vec![0.0; source.rows()];
    let (width, centroids) = (source.width(), clustering.centroids.as_standard_layout());
    let centroids = centroids.as_slice().unwrap_or_default();
    let block_rows = rows_per_block(width);
    scores
        .par_chunks_mut(block_rows)
        .zip(clustering.assignments.par_chunks(block_rows))
        .enumerate()
        .try_for_each_init(Vec::new, |buffer, (block, (scores, clusters))| {
            let first = block * block_rows;
            let values = source.block(first..first + scores.len(), buffer)?;
            let rows = values.chunks_exact(width);
            for ((score, row), &cluster) in scores.iter_mut().zip(rows).zip(clusters) {
                let centroid = &centroids[cluster as usize * width..][..width];
                *score = cosine_distance(row, centroid);
            }
            Ok::<_, ClusteringError>(())
        })?;
    Ok(scores)
}

fn cosine_distance(a: &[f32], b: &[f32]) -> f32 {
    let dot: f64 = a
        .iter()
        .zip(b)
        .map(|(&x, &y)| f64::from(x) * f64::from(y))
        .sum();
    let norms = (squared_norm(a) * squared_norm(b)).sqrt();
    if norms > 0.0 {
        (1.0 - dot / norms).clamp(0.0, 2.0) as f32
    } else {
        1.0
    }
}

fn neighbours(
    source: &dyn Source,
    clustering: &Clustering,
    visitor: &[bool],
    observer: &mut Observer<'_>,
) -> Result<Vec<f32>, ClusteringError> {
    let clusters = clustering.sizes.len();
    let groups = Groups::new(&clustering.assignments, clusters);
    let is_visitor = |row: usize| visitor.get(row).copied().unwrap_or_default();
    let mut scores = vec![0.0; source.rows()];
    for cluster in 0..clusters {
        let members = groups.of(cluster);
        let at_home = members.iter().copied().filter(|&row| !is_visitor(row));
        let at_home: Vec<usize> = at_home.collect();
        let wanted = |row| match is_visitor(row) {
            true => at_home.len(),
            false => at_home.len() - 1,
        };
        let nearby = members
            .iter()
            .map(|&row| Nearby::new(NEIGHBOURS.min(wanted(row))));
        let mut nearby: Vec<Nearby> = nearby.collect();
        let subset = Subset { source, members };
        for references in at_home.chunks(REFERENCES) {
            report(observer, progress(cluster, clusters))?;
            compare(&subset, references, &mut nearby)?;
        }
        for (&member, nearby) in members.iter().zip(&nearby) {
            scores[member] = nearby.mean_distance() as f32;
        }
    }
    Ok(scores)
}

/// Shows all rows of a cluster some rows of the source.
fn compare(
    subset: &Subset<'_>,
    shown: &[usize],
    nearby: &mut [Nearby],
) -> Result<(), ClusteringError> {
    let rows = Rows::gather(subset.source, shown)?;
    let references = References::new(rows.all());
    let block_rows = rows_per_block(subset.width());
    nearby
        .par_chunks_mut(block_rows)
        .enumerate()
        .try_for_each_init(Vec::new, |buffer, (block, nearby)| {
            let start = block * block_rows;
            let values = subset.block(start..start + nearby.len(), buffer)?;
            let is_same = |row, reference: usize| subset.members[start + row] == shown[reference];
            references.show(values, nearby, is_same);
            Ok(())
        })
}

fn progress(done: usize, total: usize) -> Progress {
    Progress {
        stage: Stage::Measuring,
        clusters: total..=total,
        done,
        total,
        iteration: 0,
        iteration_limit: 0,
    }
}
