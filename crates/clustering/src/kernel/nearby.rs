//! The nearest of many reference rows.

use pulp::Arch;

use super::{PANEL, multiply, pack, squared_distance};
use crate::source::{RowSlice, norms};

/// Squared distances to the nearest rows seen so far, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Nearby {
    wanted: usize,
    squares: Vec<f32>,
}

/// Rows that others are compared with.
pub(crate) struct References<'a> {
    rows: RowSlice<'a>,
    norms: Vec<f32>,
    panels: Vec<f32>,
}

impl Nearby {
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            wanted,
            squares: Vec::new(),
        }
    }

    fn offer(&mut self, square: f32) {
        if self.squares.len() == self.wanted {
            match self.squares.last() {
                Some(&farthest) if square < farthest => self.squares.pop(),
                _ => return,
            };
        }
        let place = self.squares.partition_point(|&held| held <= square);
        self.squares.insert(place, square);
    }

    /// Whether a row at this squared distance would be kept.
    fn wants(&self, square: f32) -> bool {
        self.squares.len() < self.wanted || self.squares.last().is_some_and(|&last| square < last)
    }

    /// 0 if no row was wanted.
    pub(crate) fn mean_distance(&self) -> f64 {
        let sum: f64 = self
            .squares
            .iter()
            .map(|&square| f64::from(square).sqrt())
            .sum();
        sum / self.squares.len().max(1) as f64
    }
}

impl<'a> References<'a> {
    pub(crate) fn new(rows: RowSlice<'a>) -> Self {
        Self {
            rows,
            norms: norms(rows.values, rows.width),
            panels: pack(rows.width, rows.values),
        }
    }

    /// Offers every reference to every row, but those that `is_same` says are the row itself.
    pub(crate) fn show(
        &self,
        values: &[f32],
        nearby: &mut [Nearby],
        is_same: impl Fn(usize, usize) -> bool,
    ) {
        let width = self.rows.width;
        let row_norms = norms(values, width);
        let mut products = vec![[0.0; PANEL]; nearby.len()];
        for (panel, values_of_panel) in self.panels.chunks_exact(PANEL * width).enumerate() {
            multiply(Arch::new(), values, width, values_of_panel, &mut products);
            let first = panel * PANEL;
            let references = first..self.norms.len().min(first + PANEL);
            for (row, (nearby, products)) in nearby.iter_mut().zip(&products).enumerate() {
                for (reference, &product) in references.clone().zip(products) {
                    let norm = row_norms[row];
                    let square =
                        norm * norm + self.norms[reference] * self.norms[reference] - 2.0 * product;
                    let error = self.error(norm, reference);
                    if nearby.wants(square - error) && !is_same(row, reference) {
                        let row = &values[row * width..][..width];
                        nearby.offer(self.exact(row, reference, square, error));
                    }
                }
            }
        }
    }

    /// Bound on the error of a squared distance from a product.
    fn error(&self, norm: f32, reference: usize) -> f32 {
        let terms = self.rows.width as f32 + 8.0;
        terms * f32::EPSILON * (norm + self.norms[reference]).powi(2)
    }

    /// Where rounding may be a thousandth of a square, the sum of the differences in its stead.
    fn exact(&self, row: &[f32], reference: usize, square: f32, error: f32) -> f32 {
        if square > 1000.0 * error {
            return square;
        }
        let width = self.rows.width;
        squared_distance(row, &self.rows.values[reference * width..][..width]) as f32
    }
}
