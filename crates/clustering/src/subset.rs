//! Some rows of a source as a source of their own, and the rows of each group.

use std::ops::Range;

use crate::source::{Source, SourceError};

/// The rows at `members`, ascending.
pub(crate) struct Subset<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) members: &'a [usize],
}

/// Row numbers by group, ascending within each.
pub(crate) struct Groups {
    starts: Vec<usize>,
    rows: Vec<usize>,
}

impl Groups {
    /// `group` holds each row's, below `groups`.
    pub(crate) fn new(group: &[u32], groups: usize) -> Self {
        let mut starts = vec![0; groups + 1];
        for &group in group {
            starts[group as usize + 1] += 1;
        }
        for group in 0..groups {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let mut rows = vec![0; group.len()];
        for (row, &group) in group.iter().enumerate() {
            let place = &mut next[group as usize];
            rows[*place] = row;
            *place += 1;
        }
        Self { starts, rows }
    }

    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn of(&self, group: usize) -> &[usize] {
        &self.rows[self.starts[group]..self.starts[group + 1]]
    }
}

impl Source for Subset<'_> {
    fn rows(&self) -> usize {
        self.members.len()
    }

    fn width(&self) -> usize {
        self.source.width()
    }

    fn block<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut Vec<f32>,
    ) -> Result<&'a [f32], SourceError> {
        let granularity = self.source.granularity().max(1);
        let (width, mut window) = (self.width(), Vec::new());
        buffer.clear();
        let members = &self.members[range];
        for members in members.chunk_by(|a, b| a / granularity == b / granularity || a + 1 == *b) {
            let first = members.first().copied().unwrap_or_default();
            let last = members.last().copied().unwrap_or_default();
            let values = self.source.block(first..last + 1, &mut window)?;
            for member in members {
                buffer.extend_from_slice(&values[(member - first) * width..][..width]);
            }
        }
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn groups_hold_their_rows_in_order() {
        let groups = Groups::new(&[2, 0, 2, 2, 0], 4);
        assert_eq!(groups.count(), 4);
        let of: Vec<&[usize]> = (0..4).map(|group| groups.of(group)).collect();
        assert_eq!(of, [&[1, 4][..], &[], &[0, 2, 3], &[]]);
    }

    #[test]
    fn a_subset_reads_its_rows_only() {
        let values = Array2::from_shape_fn((50, 2), |(row, column)| (10 * row + column) as f32);
        let view = values.view();
        let subset = Subset {
            source: &view,
            members: &[3, 4, 5, 40, 49],
        };
        let mut buffer = Vec::new();
        assert_eq!(subset.rows(), 5);
        let block = subset.block(2..5, &mut buffer).unwrap();
        assert_eq!(block, [50.0, 51.0, 400.0, 401.0, 490.0, 491.0]);
    }
}
