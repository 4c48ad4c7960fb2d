use curriculum_clustering::{Clusters, KMeans, Lloyd, MiniBatch, Options, cluster};
use linfa::traits::{Fit, Predict};
use linfa::{DatasetBase, ParamGuard};
use linfa_clustering::{KMeansInit, KMeansParams};
use linfa_nn::distance::L2Dist;
use ndarray::{Array2, ArrayView1, s};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256Plus;
use std::ops::ControlFlow;

use crate::support::Mixture;

type Oracle = linfa_clustering::KMeans<f32, L2Dist>;

fn parameters(clusters: usize) -> KMeansParams<f32, Xoshiro256Plus, L2Dist> {
    KMeansParams::new(clusters, Xoshiro256Plus::seed_from_u64(7), L2Dist)
}

fn both(
    rows: &Array2<f32>,
    parameters: &KMeansParams<f32, Xoshiro256Plus, L2Dist>,
) -> (KMeans, Oracle) {
    let dataset = DatasetBase::from(rows.clone());
    let ours = Lloyd::new(parameters.clone().check().unwrap());
    (
        ours.fit(&dataset).unwrap(),
        parameters.fit(&dataset).unwrap(),
    )
}

// linfa counts the old centroid as one more row of its cluster, so it takes other steps to the
// same resting point; hence a tight tolerance and a bound of a thousandth.
#[test]
fn from_the_same_start_lloyd_rests_where_linfa_does() {
    for (seed, spread) in [(1, 1.0), (2, 2.0), (3, 4.0)] {
        let mixture = Mixture {
            rows: 1500,
            width: 8,
            components: 6,
            spread,
            seed,
        };
        let rows = mixture.rows();
        let start = rows.slice(s![..6, ..]).to_owned();
        let parameters = parameters(6)
            .init_method(KMeansInit::Precomputed(start))
            .tolerance(1e-5)
            .n_runs(1);
        let (ours, oracle) = both(&rows, &parameters);
        let farthest = (&ours.centroids() - oracle.centroids())
            .iter()
            .fold(0.0_f32, |worst, difference| worst.max(difference.abs()));
        assert!(
            farthest < 1e-3,
            "seed {seed}: centroids differ by {farthest}"
        );
        let differing = ours
            .predict(&rows)
            .iter()
            .zip(oracle.predict(&rows))
            .filter(|(a, b)| *a != b)
            .count();
        assert!(
            differing <= 1,
            "seed {seed}: {differing} of 1500 rows assigned differently"
        );
    }
}

#[test]
fn predictions_are_the_nearest_by_definition() {
    let rows = Mixture {
        rows: 3000,
        width: 24,
        components: 40,
        spread: 0.3,
        seed: 5,
    }
    .rows();
    let parameters = parameters(40)
        .n_runs(1)
        .max_n_iterations(3)
        .check()
        .unwrap();
    let model = Lloyd::new(parameters)
        .fit(&DatasetBase::from(rows.clone()))
        .unwrap();
    let nearest = |row: ArrayView1<'_, f32>| {
        let distance = |centroid: ArrayView1<'_, f32>| -> f64 {
            let terms = row.iter().zip(centroid);
            terms
                .map(|(&x, &c)| (f64::from(x) - f64::from(c)).powi(2))
                .sum()
        };
        let centroids = model.centroids();
        (0..40).min_by(|&a, &b| distance(centroids.row(a)).total_cmp(&distance(centroids.row(b))))
    };
    let predicted = model.predict(&rows);
    for (row, &cluster) in rows.rows().into_iter().zip(&predicted) {
        assert_eq!(nearest(row), Some(cluster));
    }
}

#[test]
fn the_best_of_ten_starts_is_no_worse_than_linfas() {
    for (seed, components, spread) in [(11, 5, 1.0), (12, 9, 2.0), (13, 12, 0.7), (14, 7, 5.0)] {
        let rows = Mixture {
            rows: 1200,
            width: 6,
            components,
            spread,
            seed,
        }
        .rows();
        let (ours, oracle) = both(&rows, &parameters(components));
        let ratio = ours.inertia() / (f64::from(oracle.inertia()) * 1200.0);
        assert!(ratio < 1.005, "seed {seed}: inertia {ratio} times linfa's");
    }
}

#[test]
fn mini_batches_come_close_to_lloyd() {
    for (seed, spread) in [(21, 0.5), (22, 1.0), (23, 3.0)] {
        let rows = Mixture {
            rows: 12_000,
            width: 8,
            components: 10,
            spread,
            seed,
        }
        .rows();
        let dataset = DatasetBase::from(rows);
        let checked = parameters(10).check().unwrap();
        let batches = MiniBatch::new(checked.clone()).fit(&dataset).unwrap();
        let lloyd = Lloyd::new(checked).fit(&dataset).unwrap();
        let ratio = batches.inertia() / lloyd.inertia();
        assert!(ratio < 1.02, "seed {seed}: inertia {ratio} times Lloyd's");
    }
}

#[test]
fn automatic_k_finds_separated_clusters() {
    for (rows, components) in [(600, 2), (1000, 4), (2000, 9), (12_000, 6), (12_000, 13)] {
        let mixture = Mixture {
            rows,
            width: 8,
            components,
            spread: 8.0,
            seed: components as u64,
        };
        let options = Options {
            clusters: Clusters::Auto { min: 2, max: 15 },
            ..Options::default()
        };
        let unwatched = &mut |_| ControlFlow::Continue(());
        let found = cluster(&mixture.rows().view(), &options, unwatched).unwrap();
        assert_eq!(
            found.centroids.nrows(),
            components,
            "{rows} rows: {:?}",
            found.curve
        );
        for (row, &assigned) in found.assignments.iter().enumerate() {
            assert_eq!(assigned, found.assignments[row % components], "row {row}");
        }
    }
}
