//! Rows that are read from elsewhere, and the search over wide ranges.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicUsize, Ordering};

use curriculum_clustering::{
    Clustering, ClusteringError, Clusters, Options, Source, SourceError, cluster,
};
use ndarray::{Array2, s};

use crate::support::Mixture;

/// Hands out copies, counts the rows it was asked for, and fails from one of them on.
struct Elsewhere {
    rows: Array2<f32>,
    read: AtomicUsize,
    broken_from: usize,
}

impl Elsewhere {
    fn new(rows: Array2<f32>) -> Self {
        Self {
            rows,
            read: AtomicUsize::new(0),
            broken_from: usize::MAX,
        }
    }
}

impl Source for Elsewhere {
    fn rows(&self) -> usize {
        self.rows.nrows()
    }

    fn width(&self) -> usize {
        self.rows.ncols()
    }

    fn block<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut Vec<f32>,
    ) -> Result<&'a [f32], SourceError> {
        if range.end > self.broken_from {
            return Err("the disk is gone".into());
        }
        self.read.fetch_add(range.len(), Ordering::Relaxed);
        *buffer = self.rows.slice(s![range, ..]).iter().copied().collect();
        Ok(buffer)
    }

    fn granularity(&self) -> usize {
        256
    }
}

fn mixture(rows: usize, components: usize) -> Array2<f32> {
    Mixture {
        rows,
        width: 6,
        components,
        spread: 6.0,
        seed: 61,
    }
    .rows()
}

fn fit(source: &dyn Source, clusters: Clusters) -> Result<Clustering, ClusteringError> {
    let options = Options {
        clusters,
        ..Options::default()
    };
    cluster(source, &options, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn where_rows_come_from_does_not_matter() {
    for rows in [3000, 40_000] {
        let rows = mixture(rows, 7);
        let here = fit(&rows.view(), Clusters::Fixed(7)).unwrap();
        let elsewhere = fit(&Elsewhere::new(rows), Clusters::Fixed(7)).unwrap();
        assert_eq!(here, elsewhere);
    }
}

#[test]
fn a_source_that_fails_ends_the_fit_with_its_reason() {
    let mut source = Elsewhere::new(mixture(40_000, 7));
    source.broken_from = 30_000;
    let error = fit(&source, Clusters::Fixed(7)).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the rows: the disk is gone");
}

// All 19 candidates share one read of the sample, one to move to the means of all rows, one to be
// measured, and one of the winner.
#[test]
fn automatic_k_reads_the_rows_as_often_for_many_candidates_as_for_few() {
    let reads = |clusters| {
        let source = Elsewhere::new(mixture(40_000, 7));
        fit(&source, clusters).unwrap();
        source.read.into_inner()
    };
    let few = reads(Clusters::Auto { min: 19, max: 20 });
    let many = reads(Clusters::Auto { min: 2, max: 20 });
    assert_eq!(few, many);
    assert!(many <= 4 * 40_000, "{many}");
}

#[test]
fn a_wide_range_is_searched_from_coarse_to_fine() {
    let rows = mixture(4000, 23);
    let found = fit(&rows.view(), Clusters::Auto { min: 2, max: 600 }).unwrap();
    assert_eq!(found.centroids.nrows(), 23, "{:?}", found.curve);
    assert!(found.curve.len() < 80, "{} candidates", found.curve.len());
    let tried: Vec<usize> = found.curve.iter().map(|(clusters, _)| *clusters).collect();
    assert!(tried.is_sorted());
    for neighbour in [22, 24] {
        assert!(tried.contains(&neighbour), "{tried:?}");
    }
}

#[test]
fn a_list_of_candidates_is_tried_and_nothing_else() {
    let rows = mixture(2000, 9);
    let found = fit(&rows.view(), Clusters::OneOf(vec![12, 5, 9, 5])).unwrap();
    let tried: Vec<usize> = found.curve.iter().map(|(clusters, _)| *clusters).collect();
    assert_eq!(tried, [5, 9, 12]);
    assert_eq!(found.centroids.nrows(), 9);
    let refused = fit(&rows.view(), Clusters::OneOf(vec![1, 4])).unwrap_err();
    assert!(matches!(refused, ClusteringError::RangeTooLow { min: 1 }));
}
