//! linfa's parameters and `Fit` for the two algorithms.
//!
//! The algorithms are types of our own because linfa's parameters already have a `Fit`, its own.
//! linfa's generator decides everything drawn: start s uses it after s jumps.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::KMeansValidParams;
use linfa_nn::distance::L2Dist;
use ndarray::{ArrayBase, Data, Ix2};
use rand_xoshiro::Xoshiro256Plus;
use std::ops::ControlFlow;

use crate::model::KMeans;
use crate::progress::Observer;
use crate::runs::Candidates;
use crate::selection::{Settled, measure};
use crate::source::{Source, check_shape};
use crate::{ClusteringError, lloyd, mini_batch};

/// linfa's checked k-means parameters: `n_clusters`, `n_runs`, `tolerance`, `max_n_iterations`,
/// `init_method` (random, given centroids or k-means++), `rng`.
pub type KMeansParameters = KMeansValidParams<f32, Xoshiro256Plus, L2Dist>;

/// Lloyd's algorithm over all rows: `n_runs` starts, the lowest inertia wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Lloyd(KMeansParameters);

/// Mini-batch k-means with nested batches: the best of `n_runs` starts on a first batch, fewer if
/// there are many clusters, then at most `max_n_iterations` iterations on each larger batch.
#[derive(Clone, Debug, PartialEq)]
pub struct MiniBatch(KMeansParameters);

impl Lloyd {
    /// Parameters come from linfa's builder, checked.
    pub fn new(parameters: KMeansParameters) -> Self {
        Self(parameters)
    }
}

impl MiniBatch {
    /// Parameters come from linfa's builder, checked.
    pub fn new(parameters: KMeansParameters) -> Self {
        Self(parameters)
    }
}

impl<D: Data<Elem = f32>, T> Fit<ArrayBase<D, Ix2>, T, ClusteringError> for Lloyd {
    type Object = KMeans;

    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<KMeans, ClusteringError> {
        fit_fixed(dataset.records(), &self.0, lloyd::fit)
    }
}

impl<D: Data<Elem = f32>, T> Fit<ArrayBase<D, Ix2>, T, ClusteringError> for MiniBatch {
    type Object = KMeans;

    fn fit(&self, dataset: &DatasetBase<ArrayBase<D, Ix2>, T>) -> Result<KMeans, ClusteringError> {
        fit_fixed(dataset.records(), &self.0, mini_batch::fit)
    }
}

type Algorithm = fn(
    &dyn Source,
    &Candidates,
    &KMeansParameters,
    &mut Observer<'_>,
) -> Result<Vec<Settled>, ClusteringError>;

fn fit_fixed(
    records: &ArrayBase<impl Data<Elem = f32>, Ix2>,
    parameters: &KMeansParameters,
    algorithm: Algorithm,
) -> Result<KMeans, ClusteringError> {
    let view = records.view();
    let source: &dyn Source = &view;
    check_shape(source)?;
    let candidates = Candidates::fixed(parameters.n_clusters(), source.rows())?;
    let unwatched = &mut |_| ControlFlow::Continue(());
    let settled = algorithm(source, &candidates, parameters, unwatched)?;
    let fitted = measure(source, settled)?.pop();
    KMeans::new(fitted.ok_or(ClusteringError::NoClusters)?, source.width())
}
