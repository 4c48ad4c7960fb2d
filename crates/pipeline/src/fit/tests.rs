use super::*;
use curriculum_clustering::SourceError;
use ndarray::{Array2, ArrayView2, aview2};
use std::ops::Range;

/// Mean zero; each row normalises to a unit vector along an axis: (1, 0), twice (−1, 0), (0, ±1). Their
/// mean is (−0.2, 0), so the distances are 1.2, 0.8, 0.8 and twice √1.04.
const CROSS: [[f32; 2]; 5] = [
    [2.0, 0.0],
    [-1.0, 0.0],
    [-1.0, 0.0],
    [0.0, 1.0],
    [0.0, -1.0],
];

/// The cross with its axes exchanged.
const TURNED: [[f32; 2]; 5] = [
    [0.0, 2.0],
    [0.0, -1.0],
    [0.0, -1.0],
    [1.0, 0.0],
    [-1.0, 0.0],
];

const SIDE: f64 = 1.019_803_902_718_557;

fn fixed(clusters: usize) -> Options {
    Options {
        clusters: Clusters::Fixed(clusters),
        ..Options::default()
    }
}

fn run(rows: ArrayView2<'_, f32>, classes: Option<&[u32]>, options: &Options) -> Fit {
    fit(&rows, classes, options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn assert_near(values: &[f32], expected: &[f64]) {
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        assert!((f64::from(*value) - expected).abs() < 1e-6, "{values:?}");
    }
}

/// Pseudo-random values in [−1, 1).
fn noise(seed: usize) -> f32 {
    let bits = (seed as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((bits ^ bits >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// `rows` rows around three directions of 4 dimensions, on scales that normalisation has to even out.
fn blobs(rows: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, 4), |(row, column)| {
        let centre = if column == row % 3 { 10.0 } else { 0.0 };
        (centre + noise(4 * row + column)) * [1.0, 100.0, 0.01, 5.0][column] + 3.0
    })
}

#[test]
fn one_cluster_by_hand() {
    let fitted = run(aview2(&CROSS), None, &fixed(1));
    assert_near(&fitted.distance, &[1.2, 0.8, 0.8, SIDE, SIDE]);
    let side = (SIDE - 0.8) / 0.4;
    assert_near(&fitted.difficulty, &[1.0, 0.0, 0.0, side, side]);
    assert_eq!(fitted.cluster, [0; 5]);
    assert_near(fitted.centroids.as_slice().unwrap(), &[-0.2, 0.0]);
    assert!((fitted.inertia - 4.8).abs() < 1e-5);
    assert_eq!((fitted.davies_bouldin, fitted.warnings), (None, vec![]));
}

#[test]
fn normalisations_and_scores_by_hand() {
    let rank = Options {
        normalization: Normalization::ClusterRank,
        ..fixed(1)
    };
    let ranks = [1.0, 0.125, 0.125, 0.625, 0.625];
    assert_near(&run(aview2(&CROSS), None, &rank).difficulty, &ranks);
    let cosine = Options {
        normalization: Normalization::None,
        score: Score::Cosine,
        ..fixed(1)
    };
    let fitted = run(aview2(&CROSS), None, &cosine);
    assert_near(&fitted.difficulty, &[2.0, 0.0, 0.0, 1.0, 1.0]);
    assert_near(&fitted.distance, &[1.2, 0.8, 0.8, SIDE, SIDE]);
}

fn raw(clusters: usize) -> Options {
    Options {
        feature_normalization: FeatureNormalization::None,
        ..fixed(clusters)
    }
}

#[test]
fn features_that_are_left_as_they_are_by_hand() {
    let fitted = run(aview2(&CROSS), None, &raw(1));
    assert_near(&fitted.distance, &[2.0, 1.0, 1.0, 1.0, 1.0]);
    assert_near(&fitted.difficulty, &[1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_near(fitted.centroids.as_slice().unwrap(), &[0.0, 0.0]);
    assert_eq!(fitted.normalizer, None);
    let rows = [CROSS, TURNED].concat();
    let classes = [[9; 5], [4; 5]].concat();
    let by_class = run(aview2(&rows), Some(&classes), &raw(1));
    let class = [1.0, 0.0, 0.0, 0.0, 0.0];
    assert_near(&by_class.difficulty, &[class, class].concat());
}

#[test]
fn clusters_of_features_as_they_are_are_those_of_the_raw_rows() {
    let rows = blobs(600);
    let mut moments = curriculum::features::Moments::new(4);
    moments.push_block(rows.as_slice().unwrap().chunks_exact(4));
    let options = curriculum_clustering::Options {
        clusters: Clusters::Fixed(5),
        tolerance: 1e-4 * moments.spread() as f32,
        ..Default::default()
    };
    let go_on = &mut |_| ControlFlow::Continue(());
    let raw_rows = curriculum_clustering::cluster(&rows.view(), &options, go_on).unwrap();
    let options = Options {
        min_cluster_size: 1,
        ..raw(5)
    };
    let fitted = run(rows.view(), None, &options);
    assert_eq!(fitted.cluster, raw_rows.assignments);
    assert_eq!(fitted.distance, raw_rows.distances);
    assert_eq!(fitted.centroids, raw_rows.centroids);
    assert_eq!(fitted.davies_bouldin, raw_rows.davies_bouldin);
    // Of three directions on scales a thousand apart, normalised rows have other clusters.
    assert_ne!(run(rows.view(), None, &fixed(5)).cluster, fitted.cluster);
}

#[test]
fn the_unit_of_features_as_they_are_does_not_matter() {
    let rows = blobs(900);
    let options = Options {
        clusters: Clusters::Auto { min: 2, max: 6 },
        ..raw(1)
    };
    let reference = run(rows.view(), None, &options);
    // Powers of two, so that no digit is rounded differently.
    for unit in [2f32.powi(-30), 2f32.powi(40)] {
        let scaled = run((&rows * unit).view(), None, &options);
        assert_eq!(scaled.cluster, reference.cluster);
        assert_eq!(scaled.difficulty, reference.difficulty);
    }
}

#[test]
fn features_normalised_before_are_fitted_as_if_normalised_here() {
    let rows = blobs(600);
    let reference = run(rows.view(), None, &fixed(3));
    let normalizer = reference.normalizer.as_ref().unwrap();
    let mut normalised = rows.clone();
    let values = normalised.as_slice_mut().unwrap();
    values
        .chunks_exact_mut(4)
        .for_each(|row| normalizer.apply(row));
    let fitted = run(normalised.view(), None, &raw(3));
    assert_eq!(fitted.cluster, reference.cluster);
    assert_eq!(fitted.difficulty, reference.difficulty);
}

#[test]
fn features_too_large_to_be_left_as_they_are_are_named() {
    let mut rows = blobs(300);
    rows[[123, 1]] = -2e38;
    let classes: Vec<u32> = (0..300).map(|row| row % 2).collect();
    for classes in [None, Some(&classes[..])] {
        let error = fit(&rows.view(), classes, &raw(2), &mut |_| {
            ControlFlow::Continue(())
        });
        assert!(
            matches!(error, Err(FitError::TooLarge { row: 123 })),
            "{error:?}"
        );
        run(rows.view(), classes, &fixed(2));
    }
    let mut base = super::extension::Base {
        normalizer: None,
        centroids: Array2::zeros((2, 4)),
        open: vec![true; 2],
        classes: vec![0, 1],
        normalization: Normalization::None,
        ranges: vec![curriculum::difficulty::Range::new(None); 2],
        score: Score::Distance,
    };
    for classes in [None, Some(&classes[..])] {
        let error = extend(&rows.view(), &base, classes, &mut |_| {
            ControlFlow::Continue(())
        });
        assert!(
            matches!(error, Err(FitError::TooLarge { row: 123 })),
            "{error:?}"
        );
    }
    base.normalizer = run(blobs(300).view(), None, &fixed(2)).normalizer;
    extend(
        &rows.view(),
        &base,
        None,
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap();
}

#[test]
fn classes_are_clustered_and_scored_apart() {
    let rows = [CROSS, TURNED].concat();
    let classes = [[9; 5], [4; 5]].concat();
    let fitted = run(aview2(&rows), Some(&classes), &fixed(1));
    assert_eq!(fitted.cluster, [[1; 5], [0; 5]].concat());
    assert_eq!(fitted.cluster_classes, [4, 9]);
    let side = (SIDE - 0.8) / 0.4;
    let class = [1.0, 0.0, 0.0, side, side];
    assert_near(&fitted.difficulty, &[class, class].concat());
}

#[test]
fn small_classes_are_hardest_and_warned_about() {
    let mut rows = [CROSS, TURNED].concat();
    rows.push([0.0, 0.0]);
    let mut classes = [[9; 5], [4; 5]].concat();
    classes.push(70);
    let fitted = run(aview2(&rows), Some(&classes), &fixed(2));
    assert_eq!(fitted.difficulty[10], 1.0);
    assert_eq!(fitted.warnings, [Warning::SmallClasses(vec![70])]);
    assert!(fitted.difficulty[..10].contains(&0.0));
    assert_eq!(fitted.cluster_classes, [4, 4, 9, 9, 70]);
    assert_eq!(run(aview2(&rows), Some(&classes), &fixed(1)).warnings, []);
}

/// The last row lies far from all others, in a direction of its own.
#[test]
fn an_outlier_is_no_prototype() {
    let mut rows = blobs(90);
    rows.row_mut(89)
        .assign(&ndarray::aview1(&[3.0, 3.0, 3.0, 5_000.0]));
    let with = |min_cluster_size| Options {
        min_cluster_size,
        ..fixed(4)
    };
    let old = run(rows.view(), None, &with(1));
    assert_eq!((old.distance[89], old.difficulty[89]), (0.0, 0.0));
    let new = run(rows.view(), None, &with(5));
    assert_eq!(new.difficulty[89], 1.0);
    assert_ne!(new.cluster[89], old.cluster[89]);
    assert!(new.distance[89] > 1.0);
    assert_eq!(new.difficulty[..89], old.difficulty[..89]);
    assert_eq!(new.warnings, []);
    let nowhere = run(rows.view(), None, &with(1_000));
    assert_eq!(nowhere.difficulty, old.difficulty);
    let warned = &nowhere.warnings[..];
    assert!(
        matches!(warned, [Warning::NoLargeCluster { min_cluster_size: 1_000, largest }] if *largest < 90),
        "{warned:?}"
    );
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let rows = blobs(1_500);
    let classes: Vec<u32> = (0..1_500).map(|row| row % 7).collect();
    let options = Options {
        clusters: Clusters::OneOf(vec![3, 4]),
        score: Score::Neighbours,
        ..Options::default()
    };
    let fitted = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            [None, Some(&classes[..])].map(|classes| Fit {
                seconds: Seconds::default(),
                ..run(rows.view(), classes, &options)
            })
        })
    };
    assert_eq!(fitted(1), fitted(3));
}

#[test]
fn a_break_at_any_report_cancels() {
    let rows = blobs(300);
    let options = Options {
        clusters: Clusters::Fixed(2),
        score: Score::Neighbours,
        ..Options::default()
    };
    let mut steps = Vec::new();
    for reports in 0.. {
        let mut seen = 0;
        let observer = &mut |progress: Progress| {
            seen += 1;
            if seen <= reports {
                return ControlFlow::Continue(());
            }
            steps.push(progress.step);
            ControlFlow::Break(())
        };
        match fit(&rows.view(), None, &options, observer) {
            Err(FitError::Cancelled) => {}
            Ok(_) => break,
            Err(other) => panic!("{other}"),
        }
    }
    steps.dedup();
    assert_eq!(steps, [Step::Statistics, Step::Cluster, Step::Score]);
}

#[test]
fn the_first_row_that_is_not_finite_is_named() {
    let mut rows = blobs(2_000);
    rows[[1_900, 0]] = f32::NAN;
    rows[[1_234, 2]] = f32::NEG_INFINITY;
    let error = fit(&rows.view(), None, &fixed(2), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(
        matches!(
            error,
            Err(FitError::NotFinite {
                row: 1_234,
                column: 2
            })
        ),
        "{error:?}"
    );
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let rows = blobs(30);
    let fit = |rows: ArrayView2<'_, f32>, classes: Option<&[u32]>, clusters| {
        fit(&rows, classes, &fixed(clusters), &mut |_| {
            ControlFlow::Continue(())
        })
    };
    let error = fit(rows.view(), Some(&[1; 29]), 2);
    assert!(matches!(
        error,
        Err(FitError::Classes {
            given: 29,
            rows: 30
        })
    ));
    for (rows, clusters) in [((30, 4), 0), ((30, 4), 31), ((0, 4), 1), ((30, 0), 1)] {
        let rows = Array2::zeros(rows);
        let error = fit(rows.view(), None, clusters);
        assert!(matches!(error, Err(FitError::Clustering(_))), "{error:?}");
    }
}

#[test]
fn a_source_that_cannot_be_read_is_the_source_s_error() {
    struct Broken;
    impl Source for Broken {
        fn rows(&self) -> usize {
            1_000
        }
        fn width(&self) -> usize {
            2
        }
        fn block<'a>(
            &'a self,
            range: Range<usize>,
            buffer: &'a mut Vec<f32>,
        ) -> Result<&'a [f32], SourceError> {
            if range.end > 900 {
                return Err("a bad disk".into());
            }
            buffer.resize(range.len() * 2, 1.0);
            Ok(buffer)
        }
    }
    let error = fit(&Broken, None, &fixed(2), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(error, Err(FitError::Source(error)) if error.to_string() == "a bad disk"));
}
