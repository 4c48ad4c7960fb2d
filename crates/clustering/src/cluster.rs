use linfa::ParamGuard;
use linfa_clustering::{KMeansParams, KMeansParamsError};
use linfa_nn::distance::L2Dist;
use ndarray::Array2;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;

use crate::assign::assign;
use crate::params::KMeansParameters;
use crate::progress::Observer;
use crate::runs::Candidates;
use crate::search::search;
use crate::selection::Settled;
use crate::source::{Source, check_shape};
use crate::{ClusteringError, lloyd, mini_batch};

/// Up to this many rows Lloyd's algorithm sees all of them in every iteration; above, mini-batches.
pub const FULL_LLOYD_LIMIT: usize = 10_000;

/// How many clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clusters {
    /// This many, from 1 to the number of rows.
    Fixed(usize),
    /// The number from `min` to `max` with the lowest Davies–Bouldin index, the smallest of
    /// equals. Up to 32 numbers are all tried; a wider range is searched from coarse to fine.
    Auto {
        /// At least 2.
        min: usize,
        /// Cut to one less than the number of rows.
        max: usize,
    },
    /// The number of this list with the lowest index; each at least 2, at most the rows.
    OneOf(Vec<usize>),
}

/// What a clustering depends on besides the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Fixed or automatic; 2 to 20 by default.
    pub clusters: Clusters,
    /// Decides every draw.
    pub seed: u64,
    /// k-means++ starts per number of clusters, at least 1. Lloyd's algorithm runs each to its
    /// end and keeps the lowest inertia; mini-batches go on from the best on a first batch, of
    /// fewer starts if there are many clusters.
    pub starts: usize,
    /// Passes over the rows, or over each batch, at least 1.
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
    /// Rows of each cluster.
    pub sizes: Vec<u64>,
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
    /// Iterations of the run that was kept.
    pub iterations: u64,
}

/// Clusters the rows of a source, in rayon's current pool.
///
/// # Errors
/// Rows that are missing, without columns, not finite, too large or not readable; a number of
/// clusters that is zero, too large for the rows or an empty range; options out of their bounds;
/// [`ClusteringError::Cancelled`] once the observer breaks.
pub fn cluster(
    source: &dyn Source,
    options: &Options,
    observer: &mut Observer<'_>,
) -> Result<Clustering, ClusteringError> {
    check_shape(source)?;
    options.check()?;
    let (settled, curve) = search(source, options, observer)?;
    assign(source, settled, curve)
}

impl Options {
    /// Fits the best start of each candidate by the algorithm for so many rows.
    pub(crate) fn fit(
        &self,
        source: &dyn Source,
        candidates: &Candidates,
        observer: &mut Observer<'_>,
    ) -> Result<Vec<Settled>, ClusteringError> {
        let parameters = self.parameters(candidates.largest())?;
        if source.rows() <= FULL_LLOYD_LIMIT {
            lloyd::fit(source, candidates, &parameters, observer)
        } else {
            mini_batch::fit(source, candidates, &parameters, observer)
        }
    }

    pub(crate) fn check(&self) -> Result<(), ClusteringError> {
        if self.tolerance.is_nan() {
            // linfa's own check lets NaN pass.
            return Err(KMeansParamsError::Tolerance.into());
        }
        self.parameters(1).map(|_| ())
    }

    fn parameters(&self, clusters: usize) -> Result<KMeansParameters, ClusteringError> {
        let rng = Xoshiro256Plus::seed_from_u64(self.seed);
        let parameters = KMeansParams::new(clusters, rng, L2Dist)
            .n_runs(self.starts)
            .max_n_iterations(self.max_iterations)
            .tolerance(self.tolerance);
        Ok(parameters.check()?)
    }
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
