//! Rows that come after a fit: their clusters among those that there are.

use ndarray::ArrayView2;

use crate::ClusteringError;
use crate::kernel::Stack;
use crate::pass::{Want, pass};
use crate::source::{Source, check_shape};
use crate::subset::{Groups, Subset};

/// The fitted clusters, as far as rows may be assigned to them.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// Shape (clusters, width).
    pub centroids: ArrayView2<'a, f32>,
    /// Whether rows may be assigned to the cluster.
    pub open: &'a [bool],
    /// Class of each cluster; empty without classes.
    pub classes: &'a [u32],
}

/// For every row the nearest of the open clusters, the lowest number on exact ties, and the Euclidean
/// distance to it; the same bits as in a fit. With `classes`, one for each row, among those of its
/// class. A row without an open cluster gets `u32::MAX` and an infinite distance.
///
/// # Errors
/// Rows of another width than the centroids, that are not finite, too large, or not readable.
pub fn assign_later(
    source: &dyn Source,
    finished: Finished<'_>,
    classes: Option<&[u32]>,
) -> Result<(Vec<u32>, Vec<f32>), ClusteringError> {
    let rows = source.rows();
    let mut assigned = (vec![u32::MAX; rows], vec![f32::INFINITY; rows]);
    if rows == 0 {
        return Ok(assigned);
    }
    check_shape(source)?;
    let Some(classes) = classes else {
        let all: Vec<usize> = (0..rows).collect();
        finished.assign(source, &all, None, &mut assigned)?;
        return Ok(assigned);
    };
    if classes.len() != rows {
        let given = classes.len();
        return Err(ClusteringError::ClassesLength { given, rows });
    }
    let count = classes.iter().max().map_or(0, |&last| last as usize + 1);
    let groups = Groups::new(classes, count);
    for class in 0..count {
        let members = groups.of(class);
        finished.assign(source, members, Some(class as u32), &mut assigned)?;
    }
    Ok(assigned)
}

impl Finished<'_> {
    /// Assigns the rows at `members`.
    fn assign(
        &self,
        source: &dyn Source,
        members: &[usize],
        class: Option<u32>,
        (clusters, distances): &mut (Vec<u32>, Vec<f32>),
    ) -> Result<(), ClusteringError> {
        let is_candidate = |cluster: &usize| {
            let open = self.open.get(*cluster).copied().unwrap_or_default();
            open && class.is_none_or(|class| self.classes.get(*cluster) == Some(&class))
        };
        let candidates: Vec<usize> = (0..self.centroids.nrows()).filter(is_candidate).collect();
        if candidates.is_empty() || members.is_empty() {
            return Ok(());
        }
        let values = candidates
            .iter()
            .flat_map(|&k| self.centroids.row(k).to_vec());
        let values: Vec<f32> = values.collect();
        let subset = Subset { source, members };
        let stack = Stack::ungrouped(source.width(), [values.as_slice()]);
        let mut rows = members.iter();
        let passed = pass(&subset, &stack, Want::DISTANCES, |block| {
            let found = block.nearest.iter().zip(block.squares);
            for ((&nearest, &square), &row) in found.zip(rows.by_ref()) {
                clusters[row] = candidates[nearest as usize] as u32;
                distances[row] = square.sqrt() as f32;
            }
            Ok(())
        });
        passed.map(|_| ()).map_err(|error| error.of_rows(members))
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use ndarray::Array2;

    use super::*;
    use crate::{Clusters, Options, cluster, cluster_classes};

    fn rows() -> Array2<f32> {
        Array2::from_shape_fn((500, 5), |(row, column)| {
            let seed = (row * 5 + column) as f32;
            (seed * 12.9898).sin() * 43.5 % 1.0 + if row % 4 == column { 3.0 } else { 0.0 }
        })
    }

    fn fixed(clusters: usize) -> Options {
        Options {
            clusters: Clusters::Fixed(clusters),
            ..Options::default()
        }
    }

    #[test]
    fn fitted_rows_get_what_they_had() {
        let rows = rows();
        let go_on = &mut |_| ControlFlow::Continue(());
        let fitted = cluster(&rows.view(), &fixed(7), go_on).unwrap();
        let finished = Finished {
            centroids: fitted.centroids.view(),
            open: &[true; 7],
            classes: &[],
        };
        let (clusters, distances) = assign_later(&rows.view(), finished, None).unwrap();
        assert_eq!(
            (clusters, distances),
            (fitted.assignments, fitted.distances)
        );
    }

    #[test]
    fn by_class_fitted_rows_get_what_they_had_too() {
        let rows = rows();
        let classes: Vec<u32> = (0..500).map(|row| row % 3).collect();
        let go_on = &mut |_| ControlFlow::Continue(());
        let fitted = cluster_classes(&rows.view(), &classes, &fixed(2), go_on).unwrap();
        let finished = Finished {
            centroids: fitted.clustering.centroids.view(),
            open: &[true; 6],
            classes: &fitted.classes,
        };
        let (clusters, distances) = assign_later(&rows.view(), finished, Some(&classes)).unwrap();
        assert_eq!(clusters, fitted.clustering.assignments);
        assert_eq!(distances, fitted.clustering.distances);
    }

    #[test]
    fn closed_clusters_take_no_rows() {
        let rows = rows();
        let centroids = rows.slice(ndarray::s![..3, ..]);
        let finished = |open| Finished {
            centroids,
            open,
            classes: &[],
        };
        let (clusters, _) =
            assign_later(&rows.view(), finished(&[true, false, true]), None).unwrap();
        assert!(clusters.iter().all(|cluster| [0, 2].contains(cluster)));
        let (clusters, distances) =
            assign_later(&rows.view(), finished(&[false; 3]), None).unwrap();
        assert!(clusters.iter().all(|cluster| *cluster == u32::MAX));
        assert!(distances.iter().all(|distance| distance.is_infinite()));
    }
}
