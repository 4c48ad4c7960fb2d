use linfa::ParamGuard;
use linfa_clustering::{KMeansParams, KMeansParamsError};
use linfa_nn::distance::L2Dist;
use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;

use crate::model::KMeans;
use crate::progress::Observer;
use crate::rows::Rows;
use crate::runs::Candidates;
use crate::{ClusteringError, lloyd, mini_batch};

/// Up to this many rows Lloyd's algorithm sees all of them in every iteration; above, mini-batches.
pub const FULL_LLOYD_LIMIT: usize = 10_000;

/// How many clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clusters {
    /// This many, from 1 to the number of rows.
    Fixed(usize),
    /// The number with the lowest Davies–Bouldin index, the smallest of equals.
    Auto {
        /// At least 2.
        min: usize,
        /// Cut to one less than the number of rows.
        max: usize,
    },
}

/// What a clustering depends on besides the rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Fixed or automatic; 2 to 20 by default.
    pub clusters: Clusters,
    /// Decides every draw.
    pub seed: u64,
    /// k-means++ starts per number of clusters, at least 1. Lloyd's algorithm runs each to its
    /// end and keeps the lowest inertia; mini-batches go on from the best on a subsample.
    pub starts: usize,
    /// Passes over the rows, or batches amounting to as many, at least 1.
    pub max_iterations: u64,
    /// A run settles when its centroids together move less than this; above 0, in the units of
    /// the rows.
    pub tolerance: f32,
}

/// Centroids, and every row's place among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustering {
    /// Shape (clusters, width). A cluster is empty only if its centroid lost its last row in the
    /// last move, or if there are fewer distinct rows than clusters.
    pub centroids: Array2<f32>,
    /// Nearest centroid of each row, the lowest number on exact ties.
    pub assignments: Vec<u32>,
    /// Euclidean distance of each row to it.
    pub distances: Vec<f32>,
    /// Sum of squared distances.
    pub inertia: f64,
    /// Index of these clusters, with the fitted centroids; `None` for fewer than two that are not
    /// empty.
    pub davies_bouldin: Option<f64>,
    /// Number of clusters and index of every candidate that has one, ascending.
    pub curve: Vec<(usize, f64)>,
    /// Passes over the rows, or batches, of the run that was kept.
    pub iterations: u64,
}

/// Clusters rows, shape (rows, width), in rayon's current pool.
///
/// # Errors
/// Rows that are missing, without columns, not finite or too large; a number of clusters that is
/// zero, too large for the rows or an empty range; options out of their bounds;
/// [`ClusteringError::Cancelled`] once the observer breaks.
pub fn cluster(
    rows: ArrayView2<'_, f32>,
    options: &Options,
    observer: &mut Observer<'_>,
) -> Result<Clustering, ClusteringError> {
    let rows = Rows::new(rows)?;
    let candidates = match options.clusters {
        Clusters::Fixed(clusters) => Candidates::fixed(clusters, rows.len())?,
        Clusters::Auto { min, max } => Candidates::range(min, max, rows.len())?,
    };
    if options.tolerance.is_nan() {
        // linfa's own check lets NaN pass.
        return Err(KMeansParamsError::Tolerance.into());
    }
    let rng = Xoshiro256Plus::seed_from_u64(options.seed);
    let parameters = KMeansParams::new(candidates.largest(), rng, L2Dist)
        .n_runs(options.starts)
        .max_n_iterations(options.max_iterations)
        .tolerance(options.tolerance)
        .check()?;
    let selection = if rows.len() <= FULL_LLOYD_LIMIT {
        lloyd::fit(&rows, &candidates, &parameters, observer)?
    } else {
        mini_batch::fit(&rows, &candidates, &parameters, observer)?
    };
    let (chosen, curve) = selection.finish().ok_or(ClusteringError::NoClusters)?;
    let model = KMeans::new(chosen.fitted)?;
    let assignment = model.assign(&rows);
    Ok(Clustering {
        assignments: assignment.clusters,
        distances: assignment.distances,
        inertia: model.inertia(),
        davies_bouldin: chosen.davies_bouldin,
        curve,
        iterations: model.iterations(),
        centroids: model.into_centroids(),
    })
}

impl Default for Options {
    /// Automatic k from 2 to 20, seed 0, and the defaults of linfa: 10 starts, 300 iterations,
    /// tolerance 1e-4.
    fn default() -> Self {
        Self {
            clusters: Clusters::Auto { min: 2, max: 20 },
            seed: 0,
            starts: 10,
            max_iterations: 300,
            tolerance: 1e-4,
        }
    }
}
