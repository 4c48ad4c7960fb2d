use linfa::traits::PredictInplace;
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix2};
use rayon::prelude::*;

use crate::ClusteringError;
use crate::kernel::{Block, Stack};
use crate::selection::Fitted;
use crate::source::{norms, rows_per_block};

/// Fitted centroids, with linfa's `Predict`.
#[derive(Clone, Debug, PartialEq)]
pub struct KMeans {
    centroids: Array2<f32>,
    counts: Vec<u64>,
    inertia: f64,
    iterations: u64,
}

impl KMeans {
    pub(crate) fn new(fitted: Fitted, width: usize) -> Result<Self, ClusteringError> {
        let shape = (fitted.clusters(), width);
        let centroids = Array2::from_shape_vec(shape, fitted.settled.centroids);
        Ok(Self {
            centroids: centroids.map_err(linfa::Error::from)?,
            counts: fitted.counts,
            inertia: fitted.inertia,
            iterations: fitted.settled.iterations,
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

    fn stack(&self, rows: usize) -> Stack {
        let centroids = self.centroids.as_standard_layout();
        Stack::new(self.centroids.ncols(), rows, centroids.as_slice())
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
        let values = rows.as_standard_layout();
        let values = values.as_slice().unwrap_or_default();
        let (stack, width) = (self.stack(rows.nrows()), rows.ncols().max(1));
        let blocks = values.par_chunks(rows_per_block(width) * width);
        let nearest: Vec<Vec<u32>> = blocks
            .map(|values| {
                let mut nearest = Vec::new();
                let norms = norms(values, width);
                let block = Block {
                    values,
                    norms: &norms,
                    width,
                };
                stack.nearest(block, &mut nearest);
                nearest
            })
            .collect();
        for (target, &cluster) in clusters.iter_mut().zip(nearest.iter().flatten()) {
            *target = cluster as usize;
        }
    }

    fn default_target(&self, rows: &ArrayBase<D, Ix2>) -> Array1<usize> {
        Array1::zeros(rows.nrows())
    }
}
