//! Checked input: finite rows in row-major order, with their norms, cut into blocks.

use std::borrow::Cow;

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::ClusteringError;

/// Rows per block: the unit of parallel work and of ordered reduction. Fixed, because results
/// depend on it in their last bits; a source that feeds blocks must cut at its multiples.
pub const BLOCK_ROWS: usize = 512;

/// Two rows of at most this norm are at a distance that f32 holds.
const NORM_LIMIT: f32 = f32::MAX / 4.0;

/// Rows known to be finite, shape (len, width), borrowed where the caller's layout allows it.
pub(crate) struct Rows<'a> {
    values: Cow<'a, [f32]>,
    norms: Vec<f32>,
    width: usize,
}

/// Consecutive rows, row-major, and the Euclidean norm of each.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) norms: &'a [f32],
    pub(crate) width: usize,
}

impl<'a> Rows<'a> {
    /// Checks every value once; copies only if the view is not row-major and contiguous.
    pub(crate) fn new(view: ArrayView2<'a, f32>) -> Result<Self, ClusteringError> {
        if view.nrows() == 0 {
            return Err(ClusteringError::NoRows);
        }
        if view.ncols() == 0 {
            return Err(ClusteringError::NoColumns);
        }
        let rows = Self::unchecked(view);
        match rows.norms.iter().position(|&norm| !is_usable(norm)) {
            None => Ok(rows),
            Some(row)
                if rows.norms[row].is_finite() || rows.row(row).iter().all(|v| v.is_finite()) =>
            {
                Err(ClusteringError::TooLarge { row })
            }
            Some(row) => Err(ClusteringError::NotFinite { row }),
        }
    }

    /// For prediction, whose signature has no room for an error: NaN ends in cluster 0.
    pub(crate) fn unchecked(view: ArrayView2<'a, f32>) -> Self {
        let width = view.ncols();
        let values = match view.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(view.iter().copied().collect()),
        };
        let norms = norms(&values, width);
        Self {
            values,
            norms,
            width,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.norms.len()
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        self.values
            .chunks(BLOCK_ROWS * self.width.max(1))
            .zip(self.norms.chunks(BLOCK_ROWS))
            .map(|(values, norms)| Block {
                values,
                norms,
                width: self.width,
            })
    }

    /// A copy of the rows at `indices`, in that order.
    pub(crate) fn gather(&self, indices: &[usize]) -> Rows<'static> {
        Rows {
            values: Cow::Owned(self.gather_values(indices)),
            norms: indices.iter().map(|&index| self.norms[index]).collect(),
            width: self.width,
        }
    }

    pub(crate) fn gather_values(&self, indices: &[usize]) -> Vec<f32> {
        let mut values = Vec::with_capacity(indices.len() * self.width);
        for &index in indices {
            values.extend_from_slice(self.row(index));
        }
        values
    }
}

impl<'a> Block<'a> {
    pub(crate) fn len(&self) -> usize {
        self.norms.len()
    }

    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + use<'a> {
        self.values.chunks_exact(self.width)
    }
}

/// Whether a vector of this norm can take part; false for NaN.
pub(crate) fn is_usable(norm: f32) -> bool {
    norm <= NORM_LIMIT
}

/// Euclidean norms, summed in f64, which squares of f32 cannot overflow.
pub(crate) fn norms(values: &[f32], width: usize) -> Vec<f32> {
    values
        .par_chunks_exact(width.max(1))
        .with_min_len(BLOCK_ROWS)
        .map(|row| {
            row.iter()
                .map(|&v| f64::from(v) * f64::from(v))
                .sum::<f64>()
                .sqrt() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn names_the_first_bad_row() {
        let mut values = Array2::<f32>::zeros((2000, 3));
        values[[1500, 1]] = f32::NAN;
        values[[1200, 2]] = f32::NEG_INFINITY;
        let error = Rows::new(values.view()).err();
        assert!(
            matches!(error, Some(ClusteringError::NotFinite { row: 1200 })),
            "{error:?}"
        );
        values[[700, 0]] = f32::MAX;
        let error = Rows::new(values.view()).err();
        assert!(
            matches!(error, Some(ClusteringError::TooLarge { row: 700 })),
            "{error:?}"
        );
    }

    #[test]
    fn a_row_whose_norm_overflows_is_too_large_rather_than_not_finite() {
        let values = Array2::from_elem((1, 4), f32::MAX);
        let error = Rows::new(values.view()).err();
        assert!(
            matches!(error, Some(ClusteringError::TooLarge { row: 0 })),
            "{error:?}"
        );
    }

    #[test]
    fn blocks_of_a_transposed_view_are_row_major() {
        let columns = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let rows = Rows::new(columns.t()).unwrap();
        let blocks: Vec<_> = rows.blocks().collect();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(rows.row(2), [3.0, 6.0]);
        assert_eq!(rows.gather(&[2, 0]).values.as_ref(), [3.0, 6.0, 1.0, 4.0]);
    }
}
