//! What happens inside classes and clusters: supervised fits, small clusters, scores.

use std::ops::ControlFlow;

use curriculum_clustering::{
    ClusteringError, Clusters, Options, Score, cluster, cluster_classes, rehouse, score,
};
use ndarray::{Array2, Axis, array, concatenate};

use crate::support::Mixture;

fn fixed(clusters: usize) -> Options {
    Options {
        clusters: Clusters::Fixed(clusters),
        ..Options::default()
    }
}

fn mixture(rows: usize, seed: u64) -> Array2<f32> {
    Mixture {
        rows,
        width: 5,
        components: 4,
        spread: 3.0,
        seed,
    }
    .rows()
}

#[test]
fn a_class_is_clustered_as_it_would_be_alone() {
    let rows = mixture(900, 51);
    let classes: Vec<u32> = (0..900).map(|row| row * row % 3).collect();
    let unwatched = &mut |_| ControlFlow::Continue(());
    let found = cluster_classes(&rows.view(), &classes, &fixed(4), unwatched).unwrap();
    assert_eq!(found.classes, [0, 0, 0, 0, 1, 1, 1, 1]);
    assert!(found.small.is_empty());
    for class in 0..2 {
        let members: Vec<usize> = (0..900).filter(|&row| classes[row] == class).collect();
        let alone = rows.select(Axis(0), &members);
        let alone = cluster(&alone.view(), &fixed(4), unwatched).unwrap();
        for (&row, (&number, &distance)) in members
            .iter()
            .zip(alone.assignments.iter().zip(&alone.distances))
        {
            assert_eq!(found.clustering.assignments[row], 4 * class + number);
            assert_eq!(found.clustering.distances[row], distance);
        }
    }
}

#[test]
fn a_class_smaller_than_k_is_one_cluster_and_named() {
    let rows = mixture(203, 52);
    let mut classes = vec![0; 200];
    classes.extend([2, 2, 2]);
    let unwatched = &mut |_| ControlFlow::Continue(());
    let found = cluster_classes(&rows.view(), &classes, &fixed(4), unwatched).unwrap();
    assert_eq!(found.small, [2]);
    assert_eq!(found.classes, [0, 0, 0, 0, 2]);
    assert_eq!(found.clustering.sizes[4], 3);
    assert_eq!(found.clustering.assignments[200..], [4, 4, 4]);
}

#[test]
fn classes_are_the_same_for_any_number_of_threads_and_large_ones_too() {
    let rows = mixture(11_500, 53);
    let classes: Vec<u32> = (0..11_500).map(|row| u32::from(row % 23 == 0)).collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let unwatched = &mut |_| ControlFlow::Continue(());
            cluster_classes(&rows.view(), &classes, &fixed(6), unwatched).unwrap()
        })
    };
    let alone = with(1);
    assert_eq!(alone.classes.len(), 12);
    assert_eq!(alone, with(3));
}

#[test]
fn automatic_k_of_classes_is_sought_once_and_up_to_their_number() {
    let rows = Mixture {
        rows: 600,
        width: 6,
        components: 3,
        spread: 9.0,
        seed: 54,
    }
    .rows();
    let classes: Vec<u32> = (0..600).map(|row| row % 5).collect();
    let unwatched = &mut |_| ControlFlow::Continue(());
    let found = cluster_classes(&rows.view(), &classes, &Options::default(), unwatched).unwrap();
    let tried: Vec<usize> = found
        .clustering
        .curve
        .iter()
        .map(|(clusters, _)| *clusters)
        .collect();
    assert_eq!(tried, [2, 3, 4, 5]);
    assert_eq!(
        found.classes.len(),
        15,
        "three clusters in each of five classes"
    );
}

#[test]
fn a_bad_row_of_a_class_is_named_as_the_caller_counts() {
    let mut rows = mixture(100, 55);
    rows[[77, 2]] = f32::NAN;
    let classes: Vec<u32> = (0..100).map(|row| row % 2).collect();
    let unwatched = &mut |_| ControlFlow::Continue(());
    let refused = cluster_classes(&rows.view(), &classes, &fixed(2), unwatched);
    assert!(
        matches!(refused, Err(ClusteringError::NotFinite { row: 77 })),
        "{refused:?}"
    );
    let refused = cluster_classes(&rows.view(), &classes[1..], &fixed(2), unwatched);
    let message = refused.unwrap_err().to_string();
    assert_eq!(message, "99 class numbers were given for 100 rows");
}

/// Two clusters of fifty rows, one outlier, and three rows that coincide.
fn with_outliers() -> Array2<f32> {
    let near = |centre: f32| {
        Array2::from_shape_fn((50, 2), |(row, column)| {
            centre + ((row * (7 + 6 * column)) % 10) as f32 * 0.1
        })
    };
    let outliers = array![[40.0_f32, 41.0], [-70.0, 0.0], [-70.0, 0.0], [-70.0, 0.0]];
    concatenate![Axis(0), near(0.0), near(10.0), outliers]
}

#[test]
fn rows_of_small_clusters_are_measured_against_the_nearest_large_one() {
    let rows = with_outliers();
    let unwatched = &mut |_| ControlFlow::Continue(());
    let mut found = cluster(&rows.view(), &fixed(4), unwatched).unwrap();
    assert_eq!(
        found.distances[100..],
        [0.0; 4],
        "outliers pass for prototypes"
    );
    let before = found.clone();
    let visitor = rehouse(&rows.view(), &mut found, 5).unwrap();
    let moved: Vec<usize> = (0..104).filter(|&row| visitor[row]).collect();
    assert_eq!(moved, [100, 101, 102, 103]);
    assert_eq!(found.assignments[100], found.assignments[99]);
    assert_eq!(found.assignments[101], found.assignments[0]);
    let centroid = found.centroids.row(found.assignments[0] as usize);
    let expected = (centroid[0] + 70.0).hypot(centroid[1]);
    assert!((found.distances[101] - expected).abs() < 1e-3);
    assert_eq!(found.sizes.iter().sum::<u64>(), 104);
    assert_eq!(found.distances[..100], before.distances[..100]);
    assert_eq!(found.centroids, before.centroids);
}

#[test]
fn without_a_large_cluster_nothing_moves() {
    let rows = mixture(12, 56);
    let unwatched = &mut |_| ControlFlow::Continue(());
    let mut found = cluster(&rows.view(), &fixed(4), unwatched).unwrap();
    let before = found.clone();
    assert_eq!(rehouse(&rows.view(), &mut found, 100).unwrap(), [false; 12]);
    assert_eq!(found, before);
}

#[test]
fn the_cosine_score_is_the_angle_to_the_centroid() {
    let rows = array![[1.0, 0.0], [0.0, 3.0], [0.0, 0.0], [-2.0, 2.0]];
    let unwatched = &mut |_| ControlFlow::Continue(());
    let mut found = cluster(&rows.view(), &fixed(1), unwatched).unwrap();
    found.centroids = array![[1.0, 1.0]];
    let scores = score(&rows.view(), &found, &[], Score::Cosine, unwatched).unwrap();
    let diagonal = 1.0 - 0.5_f32.sqrt();
    for (score, expected) in scores.iter().zip([diagonal, diagonal, 1.0, 1.0]) {
        assert!((score - expected).abs() < 1e-6, "{scores:?}");
    }
}

#[test]
fn the_neighbour_score_is_the_mean_of_the_twenty_nearest_inside_the_cluster() {
    let rows = mixture(5000, 57);
    let unwatched = &mut |_| ControlFlow::Continue(());
    let found = cluster(&rows.view(), &fixed(1), unwatched).unwrap();
    let scores = score(&rows.view(), &found, &[], Score::Neighbours, unwatched).unwrap();
    for row in [0, 17, 4200, 4999] {
        let mut distances: Vec<f64> = (0..5000)
            .filter(|&other| other != row)
            .map(|other| {
                let difference = &rows.row(row) - &rows.row(other);
                let squares = difference.iter().map(|&d| f64::from(d).powi(2));
                squares.sum::<f64>().sqrt()
            })
            .collect();
        distances.sort_by(f64::total_cmp);
        let expected = distances[..20].iter().sum::<f64>() / 20.0;
        assert!(
            (f64::from(scores[row]) / expected - 1.0).abs() < 1e-4,
            "row {row}"
        );
    }
}

#[test]
fn neighbours_outside_the_cluster_do_not_count_and_a_row_alone_scores_zero() {
    let rows = array![[0.0_f32], [1.0], [1.5], [9.0]];
    let unwatched = &mut |_| ControlFlow::Continue(());
    let mut found = cluster(&rows.view(), &fixed(2), unwatched).unwrap();
    found.assignments = vec![0, 0, 0, 1];
    found.sizes = vec![3, 1];
    let scores = score(&rows.view(), &found, &[], Score::Neighbours, unwatched).unwrap();
    assert_eq!(scores, [1.25, 0.75, 1.0, 0.0]);
}

#[test]
fn visitors_are_measured_against_rows_at_home_and_are_nobodys_neighbours() {
    let rows = array![[0.0_f32], [1.0], [3.0], [9.0], [9.0]];
    let unwatched = &mut |_| ControlFlow::Continue(());
    let found = cluster(&rows.view(), &fixed(1), unwatched).unwrap();
    let visitor = [false, false, false, true, true];
    let scores = score(&rows.view(), &found, &visitor, Score::Neighbours, unwatched).unwrap();
    let away = (9.0 + 8.0 + 6.0) / 3.0;
    assert_eq!(scores, [2.0, 1.5, 2.5, away, away]);
}

#[test]
fn near_duplicates_have_exact_neighbours() {
    let base = mixture(1, 58);
    let rows = Array2::from_shape_fn((300, 5), |(row, column)| {
        100.0 * base[[0, column]] + ((row * (column + 3)) % 101) as f32 * 1e-4
    });
    let unwatched = &mut |_| ControlFlow::Continue(());
    let found = cluster(&rows.view(), &fixed(1), unwatched).unwrap();
    let scores = score(&rows.view(), &found, &[], Score::Neighbours, unwatched).unwrap();
    for row in [0, 150, 299] {
        let mut distances: Vec<f64> = (0..300)
            .filter(|&other| other != row)
            .map(|other| {
                let pairs = rows
                    .row(row)
                    .to_vec()
                    .into_iter()
                    .zip(rows.row(other).to_vec());
                let squares = pairs.map(|(a, b)| (f64::from(a) - f64::from(b)).powi(2));
                squares.sum::<f64>().sqrt()
            })
            .collect();
        distances.sort_by(f64::total_cmp);
        let expected = distances[..20].iter().sum::<f64>() / 20.0;
        assert!(
            (f64::from(scores[row]) - expected).abs() < 1e-3 * expected,
            "row {row}"
        );
    }
}
