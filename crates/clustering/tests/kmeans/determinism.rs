use std::ops::ControlFlow;

use curriculum_clustering::{Clustering, Clusters, Options, cluster};
use ndarray::Array2;

use crate::support::Mixture;

fn with_threads(threads: usize, rows: &Array2<f32>, options: &Options) -> Clustering {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| cluster(&rows.view(), options, &mut |_| ControlFlow::Continue(())))
        .unwrap()
}

/// Everything that carries information, to the last bit.
fn bits(clustering: &Clustering) -> Vec<u64> {
    let floats = clustering.centroids.iter().chain(&clustering.distances);
    let indices = clustering.davies_bouldin.iter();
    let curve = clustering.curve.iter().map(|(_, index)| index);
    floats
        .map(|v| u64::from(v.to_bits()))
        .chain(clustering.assignments.iter().map(|&v| u64::from(v)))
        .chain(indices.chain(curve).map(|v| v.to_bits()))
        .chain([clustering.inertia.to_bits(), clustering.iterations])
        .collect()
}

fn assert_same_for_all_pools(rows: usize, clusters: Clusters) {
    let rows = Mixture {
        rows,
        width: 10,
        components: 8,
        spread: 0.8,
        seed: 31,
    }
    .rows();
    let options = Options {
        clusters,
        seed: 5,
        starts: 3,
        ..Options::default()
    };
    let alone = bits(&with_threads(1, &rows, &options));
    for threads in [2, 3, 7] {
        assert!(
            bits(&with_threads(threads, &rows, &options)) == alone,
            "{threads} threads differ"
        );
    }
}

#[test]
fn lloyd_gives_the_same_bytes_for_any_number_of_threads() {
    assert_same_for_all_pools(5000, Clusters::Fixed(8));
}

#[test]
fn mini_batches_give_the_same_bytes_for_any_number_of_threads() {
    assert_same_for_all_pools(11_000, Clusters::Fixed(8));
}

// Many clusters: rows look at groups of centroids, or not, as it pays.
#[test]
fn grouped_centroids_give_the_same_bytes_for_any_number_of_threads() {
    assert_same_for_all_pools(3000, Clusters::Fixed(200));
    assert_same_for_all_pools(12_000, Clusters::Fixed(150));
}

#[test]
fn automatic_k_gives_the_same_bytes_for_any_number_of_threads() {
    assert_same_for_all_pools(2000, Clusters::Auto { min: 2, max: 10 });
    assert_same_for_all_pools(10_500, Clusters::Auto { min: 2, max: 10 });
}

#[test]
fn a_candidate_of_lloyds_algorithm_is_what_it_would_be_alone() {
    for seed in 32..36 {
        let rows = Mixture {
            rows: 1500,
            width: 6,
            components: 5,
            spread: 2.0,
            seed,
        }
        .rows();
        let auto = Options {
            clusters: Clusters::Auto { min: 2, max: 12 },
            ..Options::default()
        };
        let chosen = with_threads(2, &rows, &auto);
        let clusters = Clusters::Fixed(chosen.centroids.nrows());
        let alone = with_threads(
            2,
            &rows,
            &Options {
                clusters,
                ..auto.clone()
            },
        );
        assert_eq!(chosen.centroids, alone.centroids);
        assert_eq!(chosen.assignments, alone.assignments);
    }
}

#[test]
fn the_seed_decides_the_starts() {
    let rows = Mixture {
        rows: 1000,
        width: 4,
        components: 30,
        spread: 1.0,
        seed: 33,
    }
    .rows();
    let clusters = Clusters::Fixed(12);
    let one = Options {
        clusters,
        seed: 1,
        starts: 1,
        ..Options::default()
    };
    let two = Options {
        seed: 2,
        ..one.clone()
    };
    assert_ne!(
        with_threads(2, &rows, &one).centroids,
        with_threads(2, &rows, &two).centroids
    );
}
