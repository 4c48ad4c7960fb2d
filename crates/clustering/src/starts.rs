//! Where runs begin: drawn rows, or the caller's centroids.

use linfa_clustering::KMeansInit;
use ndarray::Array2;
use rand::seq::index;
use rand_xoshiro::Xoshiro256Plus;

use crate::ClusteringError;
use crate::params::KMeansParameters;
use crate::progress::{Observer, Progress, Stage, report};
use crate::rows::{Rows, is_usable, norms};
use crate::runs::Candidates;
use crate::seeding::plus_plus;

/// Where the runs of a fit begin.
pub(crate) enum Starts {
    /// The caller's centroids, row-major: a single start.
    Given(Vec<f32>),
    /// For each start, row numbers; a candidate takes as many from the front as it has clusters.
    Drawn(Vec<Vec<usize>>),
}

impl Starts {
    /// Draws from all rows, or each start from a random `pool` of them.
    pub(crate) fn new(
        rows: &Rows<'_>,
        pool: usize,
        candidates: &Candidates,
        params: &KMeansParameters,
        observer: &mut Observer<'_>,
    ) -> Result<Self, ClusteringError> {
        let count = candidates.largest();
        let random = match params.init_method() {
            KMeansInit::KMeansPlusPlus => false,
            KMeansInit::Random => true,
            KMeansInit::Precomputed(given) => return given_start(given, count, rows.width()),
            other => {
                return Err(ClusteringError::UnsupportedInitialiser(format!(
                    "{other:?}"
                )));
            }
        };
        let mut chains = Vec::with_capacity(params.n_runs());
        for mut rng in streams(params.rng()).take(params.n_runs()) {
            let progress = Progress {
                stage: Stage::Seeding,
                clusters: candidates.span(),
                done: chains.len(),
                total: params.n_runs(),
                iteration: 0,
                iteration_limit: params.max_n_iterations(),
            };
            report(observer, progress)?;
            chains.push(match random {
                true => index::sample(&mut rng, rows.len(), count).into_vec(),
                false => pooled_plus_plus(rows, pool, count, &mut rng),
            });
        }
        Ok(Self::Drawn(chains))
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Given(_) => 1,
            Self::Drawn(chains) => chains.len(),
        }
    }

    pub(crate) fn centroids(&self, rows: &Rows<'_>, start: usize, clusters: usize) -> Vec<f32> {
        match self {
            Self::Given(centroids) => centroids.clone(),
            Self::Drawn(chains) => rows.gather_values(&chains[start][..clusters]),
        }
    }
}

/// `amount` distinct row numbers in ascending order, which memory reads faster.
pub(crate) fn subsample(rows: usize, amount: usize, rng: &mut Xoshiro256Plus) -> Vec<usize> {
    let mut members = index::sample(rng, rows, amount.min(rows)).into_vec();
    members.sort_unstable();
    members
}

/// k-means++ over a random `pool` of the rows, or over all of them if there are no more.
fn pooled_plus_plus(
    rows: &Rows<'_>,
    pool: usize,
    count: usize,
    rng: &mut Xoshiro256Plus,
) -> Vec<usize> {
    if pool >= rows.len() {
        return plus_plus(rows, count, rng);
    }
    let members = subsample(rows.len(), pool, rng);
    let chain = plus_plus(&rows.gather(&members), count, rng);
    chain.into_iter().map(|member| members[member]).collect()
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

    fn starts(init: KMeansInit<f32>, pool: usize) -> Result<Starts, ClusteringError> {
        let values = Array2::from_shape_fn((900, 2), |(row, column)| (row * (column + 2)) as f32);
        let rows = Rows::new(values.view()).unwrap();
        let candidates = Candidates::fixed(3, rows.len()).unwrap();
        let parameters = KMeansParams::new(3, Xoshiro256Plus::seed_from_u64(9), L2Dist)
            .init_method(init)
            .n_runs(4)
            .check()
            .unwrap();
        let unwatched = &mut |_| ControlFlow::Continue(());
        Starts::new(&rows, pool, &candidates, &parameters, unwatched)
    }

    fn chains(starts: &Starts) -> &[Vec<usize>] {
        match starts {
            Starts::Drawn(chains) => chains,
            Starts::Given(_) => panic!("expected drawn rows"),
        }
    }

    #[test]
    fn every_start_draws_other_rows() {
        for init in [KMeansInit::Random, KMeansInit::KMeansPlusPlus] {
            for pool in [900, 100] {
                let starts = starts(init.clone(), pool).unwrap();
                let distinct: std::collections::BTreeSet<_> = chains(&starts).iter().collect();
                assert_eq!(distinct.len(), 4);
                assert!(distinct.iter().all(|chain| chain.len() == 3));
            }
        }
    }

    #[test]
    fn given_centroids_are_checked_and_taken_once() {
        let given = array![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]];
        let taken = starts(KMeansInit::Precomputed(given.clone()), 900).unwrap();
        assert_eq!(taken.count(), 1);
        let shape = starts(KMeansInit::Precomputed(array![[0.0, 1.0]]), 900).err();
        assert!(
            matches!(shape, Some(ClusteringError::StartingCentroidsShape { .. })),
            "{shape:?}"
        );
        let mut bad = given;
        bad[[1, 0]] = f32::NAN;
        let value = starts(KMeansInit::Precomputed(bad), 900).err();
        let expected = Some(ClusteringError::StartingCentroidsValue { cluster: 1 }.to_string());
        assert_eq!(value.map(|error| error.to_string()), expected);
    }

    #[test]
    fn another_initialiser_is_refused_by_name() {
        let refused = starts(KMeansInit::KMeansPara, 900)
            .err()
            .unwrap()
            .to_string();
        assert_eq!(refused, "the initialiser KMeansPara is not supported");
    }
}
