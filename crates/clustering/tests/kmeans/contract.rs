use std::ops::ControlFlow;

use curriculum_clustering::{
    Clustering, ClusteringError, Clusters, Options, Progress, Stage, cluster,
};
use ndarray::{Array2, array};

use crate::support::Mixture;

fn run(rows: &Array2<f32>, clusters: Clusters) -> Result<Clustering, ClusteringError> {
    let options = Options {
        clusters,
        ..Options::default()
    };
    cluster(&rows.view(), &options, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn one_cluster_is_the_mean_and_has_no_index() {
    let rows = array![[0.0, 0.0], [4.0, 0.0], [2.0, 6.0]];
    let found = run(&rows, Clusters::Fixed(1)).unwrap();
    assert_eq!(found.centroids, array![[2.0, 2.0]]);
    assert_eq!(found.assignments, [0, 0, 0]);
    assert_eq!(found.davies_bouldin, None);
    assert!(found.curve.is_empty());
    assert_eq!(found.inertia, 8.0 + 8.0 + 16.0);
    assert_eq!(found.distances, [8.0_f32.sqrt(), 8.0_f32.sqrt(), 4.0]);
}

#[test]
fn as_many_clusters_as_rows_leave_no_distance() {
    let rows = Mixture {
        rows: 40,
        width: 3,
        components: 1,
        spread: 0.0,
        seed: 41,
    }
    .rows();
    let found = run(&rows, Clusters::Fixed(40)).unwrap();
    assert_eq!(found.inertia, 0.0);
    assert!(found.distances.iter().all(|&distance| distance == 0.0));
}

#[test]
fn identical_rows_are_at_distance_zero_and_keep_empty_clusters_out_of_the_index() {
    let rows = Array2::from_shape_fn((90, 5), |(row, column)| (row % 3 * 7 + column) as f32 * 0.1);
    let found = run(&rows, Clusters::Fixed(5)).unwrap();
    assert_eq!(found.distances, [0.0; 90]);
    assert_eq!(found.davies_bouldin, Some(0.0));
    let auto = run(&rows, Clusters::Auto { min: 2, max: 6 }).unwrap();
    assert_eq!(auto.centroids.nrows(), 3);
}

#[test]
fn one_distinct_row_has_no_index_and_takes_the_smallest_candidate() {
    let rows = Array2::from_elem((20, 2), 1.5);
    let found = run(&rows, Clusters::Auto { min: 3, max: 6 }).unwrap();
    assert_eq!(found.centroids.nrows(), 3);
    assert_eq!(found.davies_bouldin, None);
    assert!(found.curve.is_empty());
}

#[test]
fn the_curve_holds_every_candidate_and_its_lowest_is_chosen() {
    let rows = Mixture {
        rows: 300,
        width: 3,
        components: 4,
        spread: 1.5,
        seed: 42,
    }
    .rows();
    let found = run(&rows, Clusters::Auto { min: 2, max: 9 }).unwrap();
    let candidates: Vec<usize> = found.curve.iter().map(|&(clusters, _)| clusters).collect();
    assert_eq!(candidates, (2..=9).collect::<Vec<_>>());
    let lowest = found
        .curve
        .iter()
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap();
    assert_eq!(lowest.0, found.centroids.nrows());
    assert_eq!(Some(lowest.1), found.davies_bouldin);
}

#[test]
fn refuses_what_cannot_be_clustered() {
    let rows = Mixture {
        rows: 10,
        width: 2,
        components: 1,
        spread: 0.0,
        seed: 43,
    }
    .rows();
    let refused = |rows: &Array2<f32>, clusters| run(rows, clusters).unwrap_err().to_string();
    let fixed = Clusters::Fixed;
    assert_eq!(
        refused(&Array2::zeros((0, 3)), fixed(1)),
        "there are no rows to cluster"
    );
    assert_eq!(
        refused(&Array2::zeros((3, 0)), fixed(1)),
        "the rows have width 0"
    );
    assert_eq!(
        refused(&rows, fixed(0)),
        "the number of clusters must be at least 1"
    );
    assert_eq!(
        refused(&rows, fixed(11)),
        "11 clusters need at least as many rows, not 10"
    );
    let range = |min, max| Clusters::Auto { min, max };
    assert_eq!(
        refused(&rows, range(1, 4)),
        "automatic k starts at 2 clusters or more, not at 1"
    );
    assert_eq!(
        refused(&rows, range(5, 4)),
        "the range of clusters is empty: 5 to 4"
    );
    assert_eq!(
        refused(&rows, range(10, 20)),
        "automatic k from 10 clusters needs more than 10 rows"
    );
    let mut bad = rows;
    bad[[7, 1]] = f32::INFINITY;
    assert_eq!(
        refused(&bad, fixed(2)),
        "row 7 holds a value that is not finite"
    );
}

#[test]
fn options_out_of_bounds_are_refused() {
    let rows = Mixture {
        rows: 10,
        width: 2,
        components: 1,
        spread: 0.0,
        seed: 44,
    }
    .rows();
    let fixed = Options {
        clusters: Clusters::Fixed(2),
        ..Options::default()
    };
    for options in [
        Options {
            starts: 0,
            ..fixed.clone()
        },
        Options {
            max_iterations: 0,
            ..fixed.clone()
        },
        Options {
            tolerance: 0.0,
            ..fixed.clone()
        },
        Options {
            tolerance: f32::NAN,
            ..fixed.clone()
        },
    ] {
        let refused = cluster(&rows.view(), &options, &mut |_| ControlFlow::Continue(()));
        assert!(
            matches!(refused, Err(ClusteringError::Parameters(_))),
            "{options:?}"
        );
    }
}

#[test]
fn progress_passes_all_stages_and_any_of_them_can_cancel() {
    let options = Options {
        clusters: Clusters::Auto { min: 2, max: 5 },
        ..Options::default()
    };
    for rows in [500, 10_500] {
        let rows = Mixture {
            rows,
            width: 3,
            components: 3,
            spread: 3.0,
            seed: 45,
        }
        .rows();
        let mut seen: Vec<Progress> = Vec::new();
        let mut watch = |progress| {
            seen.push(progress);
            ControlFlow::Continue(())
        };
        cluster(&rows.view(), &options, &mut watch).unwrap();
        for stage in [Stage::Seeding, Stage::Iterating, Stage::Measuring] {
            assert!(
                seen.iter().any(|progress| progress.stage == stage),
                "{stage:?}"
            );
            let mut cancel = |progress: Progress| match progress.stage == stage {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let stopped = cluster(&rows.view(), &options, &mut cancel);
            assert!(matches!(stopped, Err(ClusteringError::Cancelled)));
        }
        let last = seen.last().unwrap();
        assert_eq!((last.done, last.clusters.clone()), (last.total, 2..=5));
    }
}
