//! Where runs begin: drawn rows, or the caller's centroids.

use linfa_clustering::KMeansInit;
use ndarray::Array2;
use rand::seq::{SliceRandom, index};
use rand_xoshiro::Xoshiro256Plus;

use crate::ClusteringError;
use crate::params::KMeansParameters;
use crate::progress::{Observer, Progress, Stage, report};
use crate::runs::Candidates;
use crate::seeding::plus_plus;
use crate::source::{RowSlice, Rows, Source, is_usable, norms};

/// Where the runs of a fit begin.
pub(crate) enum Starts {
    /// The caller's centroids, row-major: a single start.
    Given(Vec<f32>),
    /// For each start, the drawn rows of the largest candidate; a candidate takes as many from the
    /// front as it has clusters.
    Drawn {
        /// Row-major.
        chains: Vec<Vec<f32>>,
        /// Columns of a row.
        width: usize,
    },
}

impl Starts {
    /// Draws `count` starts from the pool.
    pub(crate) fn new(
        pool: RowSlice<'_>,
        count: usize,
        candidates: &Candidates,
        params: &KMeansParameters,
        observer: &mut Observer<'_>,
    ) -> Result<Self, ClusteringError> {
        let clusters = candidates.largest();
        let width = pool.width();
        let random = match params.init_method() {
            KMeansInit::KMeansPlusPlus => false,
            KMeansInit::Random => true,
            KMeansInit::Precomputed(given) => return given_start(given, clusters, width),
            other => {
                return Err(ClusteringError::UnsupportedInitialiser(format!(
                    "{other:?}"
                )));
            }
        };
        let go_on = |drawn| {
            let progress = Progress {
                stage: Stage::Seeding,
                clusters: candidates.smallest()..=clusters,
                done: drawn,
                total: clusters,
                iteration: 0,
                iteration_limit: params.max_n_iterations(),
            };
            report(observer, progress)
        };
        let mut generators: Vec<_> = streams(params.rng()).take(count).collect();
        let chains = match random {
            true => generators
                .iter_mut()
                .map(|rng| index::sample(rng, pool.rows(), clusters).into_vec())
                .collect(),
            false => plus_plus(pool, clusters, &mut generators, go_on)?,
        };
        let values = |chain: Vec<usize>| {
            let rows = chain
                .iter()
                .flat_map(|&row| &pool.values[row * width..][..width]);
            rows.copied().collect()
        };
        let chains = chains.into_iter().map(values).collect();
        Ok(Self::Drawn { chains, width })
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Given(_) => 1,
            Self::Drawn { chains, .. } => chains.len(),
        }
    }

    pub(crate) fn centroids(&self, start: usize, clusters: usize) -> Vec<f32> {
        match self {
            Self::Given(centroids) => centroids.clone(),
            Self::Drawn { chains, width } => chains[start][..clusters * width].to_vec(),
        }
    }
}

/// `amount` distinct rows of the source, all of them if there are no more, in random order.
pub(crate) fn sample(
    source: &dyn Source,
    amount: usize,
    rng: &mut Xoshiro256Plus,
) -> Result<Rows, ClusteringError> {
    let mut members = index::sample(rng, source.rows(), amount.min(source.rows())).into_vec();
    members.sort_unstable();
    let mut places: Vec<usize> = (0..members.len()).collect();
    places.shuffle(rng);
    Rows::scatter(source, &members, &places)
}

fn given_start(
    given: &Array2<f32>,
    clusters: usize,
    width: usize,
) -> Result<Starts, ClusteringError> {
    if given.dim() != (clusters, width) {
        let (given_clusters, given_width) = given.dim();
        return Err(ClusteringError::StartingCentroidsShape {
            given_clusters,
            given_width,
            clusters,
            width,
        });
    }
    let centroids: Vec<f32> = given.iter().copied().collect();
    match norms(&centroids, width)
        .iter()
        .position(|&norm| !is_usable(norm))
    {
        Some(cluster) => Err(ClusteringError::StartingCentroidsValue { cluster }),
        None => Ok(Starts::Given(centroids)),
    }
}

/// Generators that cannot overlap, one per start: each 2¹²⁸ draws ahead of the one before.
fn streams(base: &Xoshiro256Plus) -> impl Iterator<Item = Xoshiro256Plus> + use<> {
    let mut next = base.clone();
    std::iter::from_fn(move || {
        let stream = next.clone();
        next.jump();
        Some(stream)
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use linfa::ParamGuard;
    use linfa_clustering::KMeansParams;
    use linfa_nn::distance::L2Dist;
    use ndarray::array;
    use rand::SeedableRng;

    use super::*;

    fn starts(init: KMeansInit<f32>) -> Result<Starts, ClusteringError> {
        let values = Array2::from_shape_fn((900, 2), |(row, column)| (row * (column + 2)) as f32);
        let candidates = Candidates::fixed(3, 900).unwrap();
        let parameters = KMeansParams::new(3, Xoshiro256Plus::seed_from_u64(9), L2Dist)
            .init_method(init)
            .check()
            .unwrap();
        let unwatched = &mut |_| ControlFlow::Continue(());
        let pool = RowSlice {
            values: values.as_slice().unwrap(),
            width: 2,
        };
        Starts::new(pool, 4, &candidates, &parameters, unwatched)
    }

    #[test]
    fn every_start_draws_other_rows() {
        for init in [KMeansInit::Random, KMeansInit::KMeansPlusPlus] {
            let starts = starts(init).unwrap();
            let chains = (0..starts.count()).map(|start| starts.centroids(start, 3));
            let distinct: std::collections::BTreeSet<String> =
                chains.map(|chain| format!("{chain:?}")).collect();
            assert_eq!(distinct.len(), 4);
        }
    }

    #[test]
    fn a_sample_holds_each_row_once_in_another_order() {
        let values = Array2::from_shape_fn((600, 1), |(row, _)| row as f32);
        let mut rng = Xoshiro256Plus::seed_from_u64(2);
        let rows = sample(&values.view(), 600, &mut rng).unwrap();
        let mut drawn = rows.all().values.to_vec();
        assert_ne!(drawn, values.as_slice().unwrap());
        drawn.sort_by(f32::total_cmp);
        assert_eq!(drawn, values.as_slice().unwrap());
        assert_eq!(sample(&values.view(), 100, &mut rng).unwrap().len(), 100);
    }

    #[test]
    fn given_centroids_are_checked_and_taken_once() {
        let given = array![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]];
        let taken = starts(KMeansInit::Precomputed(given.clone())).unwrap();
        assert_eq!(taken.count(), 1);
        let shape = starts(KMeansInit::Precomputed(array![[0.0, 1.0]])).err();
        assert!(
            matches!(shape, Some(ClusteringError::StartingCentroidsShape { .. })),
            "{shape:?}"
        );
        let mut bad = given;
        bad[[1, 0]] = f32::NAN;
        let value = starts(KMeansInit::Precomputed(bad)).err();
        let expected = Some(ClusteringError::StartingCentroidsValue { cluster: 1 }.to_string());
        assert_eq!(value.map(|error| error.to_string()), expected);
    }

    #[test]
    fn another_initialiser_is_refused_by_name() {
        let refused = starts(KMeansInit::KMeansPara).err().unwrap().to_string();
        assert_eq!(refused, "the initialiser KMeansPara is not supported");
    }
}
