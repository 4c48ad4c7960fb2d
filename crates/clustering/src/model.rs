use linfa::traits::PredictInplace;
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix2};

use crate::ClusteringError;
use crate::kernel::Stack;
use crate::pass::{Want, pass};
use crate::rows::Rows;
use crate::selection::Fitted;

/// Fitted centroids, with linfa's `Predict`.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    centroids: Array2<f32>,
    counts: Vec<u64>,
    inertia: f64,
    iterations: u64,
}

/// Nearest centroid of each row and the Euclidean distance to it.
pub(crate) struct Assignment {
    pub(crate) clusters: Vec<u32>,
    pub(crate) distances: Vec<f32>,
}

impl KMeans {
    pub(crate) fn new(fitted: Fitted) -> Result<Self, ClusteringError> {
        let shape = (fitted.clusters(), fitted.width);
        let centroids = Array2::from_shape_vec(shape, fitted.centroids);
        Ok(Self {
            centroids: centroids.map_err(linfa::Error::from)?,
            counts: fitted.counts,
            inertia: fitted.inertia,
            iterations: fitted.iterations,
        })
    }

    /// Shape (clusters, width).
    pub fn centroids(&self) -> ArrayView2<'_, f32> {
        self.centroids.view()
    }

    /// Rows of the fit in each cluster.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Sum over the rows of the fit of squared distances to their centroids. (linfa's own
    /// `KMeans` reports the mean.)
    pub fn inertia(&self) -> f64 {
        self.inertia
    }

    /// Passes over the rows, or batches, until this run settled.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    pub(crate) fn into_centroids(self) -> Array2<f32> {
        self.centroids
    }

    pub(crate) fn assign(&self, rows: &Rows<'_>) -> Assignment {
        let mut clusters = Vec::with_capacity(rows.len());
        let mut distances = Vec::with_capacity(rows.len());
        pass(rows.blocks(), &self.stack(), Want::Distances, |outcome| {
            clusters.extend_from_slice(&outcome.nearest);
            distances.extend_from_slice(&outcome.distances);
        });
        Assignment {
            clusters,
            distances,
        }
    }

    fn stack(&self) -> Stack {
        let centroids = self.centroids.as_standard_layout();
        Stack::new(self.centroids.ncols(), centroids.as_slice())
    }
}

impl<D: Data<Elem = f32>> PredictInplace<ArrayBase<D, Ix2>, Array1<usize>> for KMeans {
    /// Number of the nearest centroid of each row; a row with NaN gets 0.
    ///
    /// # Panics
    /// Like linfa's own models, if the shapes of rows, centroids and targets do not agree.
    fn predict_inplace(&self, rows: &ArrayBase<D, Ix2>, clusters: &mut Array1<usize>) {
        assert_eq!(
            rows.ncols(),
            self.centroids.ncols(),
            "rows and centroids differ in width"
        );
        assert_eq!(
            rows.nrows(),
            clusters.len(),
            "rows and targets differ in number"
        );
        let rows = Rows::unchecked(rows.view());
        let mut targets = clusters.iter_mut();
        pass(rows.blocks(), &self.stack(), Want::Nothing, |outcome| {
            // The targets come second: a zip takes from its first part even if its second has ended.
            for (&cluster, target) in outcome.nearest.iter().zip(targets.by_ref()) {
                *target = cluster as usize;
            }
        });
    }

    fn default_target(&self, rows: &ArrayBase<D, Ix2>) -> Array1<usize> {
        Array1::zeros(rows.nrows())
    }
}
