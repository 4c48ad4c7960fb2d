//! Where rows come from: memory, a mapped file, chunk files larger than memory.

use std::error::Error;
use std::ops::Range;

use ndarray::ArrayView2;
use pulp::Arch;
use rayon::prelude::*;

use crate::ClusteringError;
use crate::kernel::STRIP;
use crate::vectorize::vectorize;

/// Rows per block, unless they are wide: the unit in which a source is read and rows are compared
/// with centroids.
pub const BLOCK_ROWS: usize = 480;

/// Memory for a block, unless a strip of rows needs more: what the second-level cache holds.
const BLOCK_BYTES: usize = 1 << 20;

/// Two rows of at most this norm are at a distance that f32 holds.
const NORM_LIMIT: f32 = f32::MAX / 4.0;

/// Why rows could not be read; it reaches the caller in [`ClusteringError::Source`].
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Rows of equal width, read a block at a time and as often as needed, from several threads.
pub trait Source: Sync {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Columns of each row.
    fn width(&self) -> usize;

    /// The rows of `range`, which lies within `rows()`, row-major: borrowed from the source where
    /// it holds them as f32, else written to `buffer`. Every call gives the same values.
    ///
    /// # Errors
    /// Whatever keeps the rows from being read.
    fn block<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut Vec<f32>,
    ) -> Result<&'a [f32], SourceError>;

    /// Rows that cost as much to read together as one of them alone; blocks read for single rows
    /// keep to its multiples.
    fn granularity(&self) -> usize {
        1
    }
}

/// A matrix in memory, shape (rows, width).
impl Source for ArrayView2<'_, f32> {
    fn rows(&self) -> usize {
        self.nrows()
    }

    fn width(&self) -> usize {
        self.ncols()
    }

    fn block<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut Vec<f32>,
    ) -> Result<&'a [f32], SourceError> {
        let width = self.ncols();
        if let Some(values) = self.as_slice() {
            return Ok(&values[range.start * width..range.end * width]);
        }
        buffer.clear();
        let rows = self.slice(ndarray::s![range, ..]);
        buffer.extend(rows.iter());
        Ok(buffer)
    }
}

/// Rows gathered in memory.
pub(crate) struct Rows {
    values: Vec<f32>,
    width: usize,
}

/// Consecutive rows in memory.
#[derive(Clone, Copy)]
pub(crate) struct RowSlice<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) width: usize,
}

impl Rows {
    /// The rows at `members`, ascending, in that order.
    pub(crate) fn gather(source: &dyn Source, members: &[usize]) -> Result<Self, ClusteringError> {
        let width = source.width();
        let mut values = vec![0.0; members.len() * width];
        fill(source, members, values.chunks_exact_mut(width).collect())?;
        Ok(Self { values, width })
    }

    /// The rows at `members`, ascending, each written to its entry of `places`, a permutation.
    pub(crate) fn scatter(
        source: &dyn Source,
        members: &[usize],
        places: &[usize],
    ) -> Result<Self, ClusteringError> {
        let width = source.width();
        let mut values = vec![0.0; members.len() * width];
        let mut slots: Vec<&mut [f32]> = values.chunks_exact_mut(width).collect();
        let targets = places
            .iter()
            .map(|&place| std::mem::take(&mut slots[place]));
        fill(source, members, targets.collect())?;
        Ok(Self { values, width })
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// The first `count` rows, or all if there are fewer.
    pub(crate) fn prefix(&self, count: usize) -> RowSlice<'_> {
        RowSlice {
            values: &self.values[..count.min(self.len()) * self.width],
            width: self.width,
        }
    }

    pub(crate) fn all(&self) -> RowSlice<'_> {
        self.prefix(self.len())
    }
}

impl Source for RowSlice<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    fn width(&self) -> usize {
        self.width
    }

    fn block<'a>(
        &'a self,
        range: Range<usize>,
        _: &'a mut Vec<f32>,
    ) -> Result<&'a [f32], SourceError> {
        Ok(&self.values[range.start * self.width..range.end * self.width])
    }
}

/// Reads the rows at `members`, ascending, each to its target.
fn fill(
    source: &dyn Source,
    members: &[usize],
    mut targets: Vec<&mut [f32]>,
) -> Result<(), ClusteringError> {
    let granularity = source.granularity().max(1);
    let mut rest = targets.as_mut_slice();
    let mut reads = Vec::new();
    for window in members.chunk_by(|a, b| a / granularity == b / granularity) {
        let (targets, tail) = rest.split_at_mut(window.len());
        reads.push((window, targets));
        rest = tail;
    }
    reads
        .into_par_iter()
        .with_min_len(16)
        .try_for_each_init(Vec::new, |buffer, (window, targets)| {
            copy_rows(source, window, targets, buffer)
        })
}

/// Reads what lies between the first and the last of `members` at once.
fn copy_rows(
    source: &dyn Source,
    members: &[usize],
    targets: &mut [&mut [f32]],
    buffer: &mut Vec<f32>,
) -> Result<(), ClusteringError> {
    let (Some(&first), Some(&last)) = (members.first(), members.last()) else {
        return Ok(());
    };
    let width = source.width();
    let block = source.block(first..last + 1, buffer)?;
    for (&member, target) in members.iter().zip(targets) {
        let row = &block[(member - first) * width..][..width];
        check(row, width, member)?;
        target.copy_from_slice(row);
    }
    Ok(())
}

/// Rows of a block of so many columns: a multiple of the kernel's strip.
pub(crate) fn rows_per_block(width: usize) -> usize {
    let rows = BLOCK_BYTES / (width.max(1) * size_of::<f32>());
    (rows / STRIP * STRIP).clamp(STRIP, BLOCK_ROWS)
}

/// Refuses a source without rows or columns.
pub(crate) fn check_shape(source: &dyn Source) -> Result<(), ClusteringError> {
    match (source.rows(), source.width()) {
        (0, _) => Err(ClusteringError::NoRows),
        (_, 0) => Err(ClusteringError::NoColumns),
        _ => Ok(()),
    }
}

/// Squared norms of the rows of a block that begins at row `first` of its source, all of them
/// usable.
pub(crate) fn check(
    values: &[f32],
    width: usize,
    first: usize,
) -> Result<Vec<f64>, ClusteringError> {
    let squared = squared_norms(values, width);
    let unusable = |square: &f64| !is_usable(square.sqrt() as f32);
    let Some(place) = squared.iter().position(unusable) else {
        return Ok(squared);
    };
    let row = first + place;
    let finite = values[place * width..][..width]
        .iter()
        .all(|v| v.is_finite());
    Err(match finite {
        true => ClusteringError::TooLarge { row },
        false => ClusteringError::NotFinite { row },
    })
}

/// Whether a vector of this norm can take part; false for NaN.
pub(crate) fn is_usable(norm: f32) -> bool {
    norm <= NORM_LIMIT
}

/// Euclidean norms, from sums in f64.
pub(crate) fn norms(values: &[f32], width: usize) -> Vec<f32> {
    let squared = squared_norms(values, width);
    squared.iter().map(|square| square.sqrt() as f32).collect()
}

/// Summed in f64, which squares of f32 cannot overflow.
fn squared_norms(values: &[f32], width: usize) -> Vec<f64> {
    let mut squared = Vec::with_capacity(values.len() / width.max(1));
    vectorize(
        Arch::new(),
        #[inline(always)]
        || {
            for row in values.chunks_exact(width.max(1)) {
                squared.push(crate::kernel::squared_norm(row));
            }
        },
    );
    squared
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn names_the_first_bad_row() {
        let mut values = vec![0.0; 30];
        values[7] = f32::NEG_INFINITY;
        values[20] = f32::NAN;
        let error = check(&values, 3, 1000).err();
        assert!(
            matches!(error, Some(ClusteringError::NotFinite { row: 1002 })),
            "{error:?}"
        );
        values[1] = f32::MAX;
        let error = check(&values, 3, 1000).err();
        assert!(
            matches!(error, Some(ClusteringError::TooLarge { row: 1000 })),
            "{error:?}"
        );
    }

    #[test]
    fn a_row_whose_norm_overflows_is_too_large_rather_than_not_finite() {
        let error = check(&[f32::MAX; 4], 4, 0).err();
        assert!(
            matches!(error, Some(ClusteringError::TooLarge { row: 0 })),
            "{error:?}"
        );
    }

    #[test]
    fn blocks_of_a_transposed_view_are_row_major() {
        let columns = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let view = columns.t();
        let mut buffer = Vec::new();
        assert_eq!(view.block(1..3, &mut buffer).unwrap(), [2.0, 5.0, 3.0, 6.0]);
        assert_eq!(
            Rows::gather(&view, &[0, 2]).unwrap().values,
            [1.0, 4.0, 3.0, 6.0]
        );
    }

    /// Counts reads, in blocks of a hundred rows.
    struct Coarse(Array2<f32>);

    impl Source for Coarse {
        fn rows(&self) -> usize {
            self.0.nrows()
        }

        fn width(&self) -> usize {
            self.0.ncols()
        }

        fn block<'a>(
            &'a self,
            range: Range<usize>,
            buffer: &'a mut Vec<f32>,
        ) -> Result<&'a [f32], SourceError> {
            if range.start / 100 != (range.end - 1) / 100 {
                return Err(format!("{range:?} crosses a boundary").into());
            }
            *buffer = self
                .0
                .slice(ndarray::s![range, ..])
                .iter()
                .copied()
                .collect();
            Ok(buffer)
        }

        fn granularity(&self) -> usize {
            100
        }
    }

    #[test]
    fn gathering_keeps_to_the_granularity_and_places_rows() {
        let source = Coarse(Array2::from_shape_fn((1000, 2), |(row, column)| {
            (2 * row + column) as f32
        }));
        let rows = Rows::scatter(&source, &[3, 99, 100, 750], &[2, 0, 3, 1]).unwrap();
        assert_eq!(
            rows.values,
            [198.0, 199.0, 1500.0, 1501.0, 6.0, 7.0, 200.0, 201.0]
        );
        assert_eq!(rows.prefix(2).values, [198.0, 199.0, 1500.0, 1501.0]);
    }
}
