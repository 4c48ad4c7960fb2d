//! Normalisation of features: z-score per dimension over the dataset, then unit L2 rows.
//!
//! z = (x − mean) / (std + 1e-6) with the sample standard deviation (n − 1), then z / ‖z‖₂.
//! Both reductions run in f64. Blocks are merged by the pairwise update of Chan, Golub and LeVeque
//! (1983), so one pass over the data suffices and the result depends on the block boundaries and
//! their order, never on threads.

/// Added to the standard deviation, so that a constant dimension becomes zero instead of NaN.
const EPSILON: f64 = 1e-6;

/// Running mean and squared deviation per dimension.
#[derive(Clone, Debug)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    squared_deviation: Vec<f64>,
}

impl Moments {
    /// Of no rows yet, each `dimension` long.
    #[must_use]
    pub fn new(dimension: usize) -> Self {
        Self {
            count: 0,
            mean: vec![0.0; dimension],
            squared_deviation: vec![0.0; dimension],
        }
    }

    /// Number of rows seen.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds one block of rows, each of the dimension given to [`Moments::new`].
    pub fn push_block<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]> + Clone) {
        let block = Self::of_block(self.mean.len(), rows);
        self.merge(&block);
    }

    /// Ends the pass.
    #[must_use]
    pub fn finish(self) -> Normalizer {
        let degrees = (self.count.max(2) - 1) as f64;
        let scale = self
            .squared_deviation
            .iter()
            .map(|d| 1.0 / ((d / degrees).sqrt() + EPSILON))
            .collect();
        Normalizer {
            mean: self.mean,
            scale,
        }
    }

    fn of_block<'a>(dimension: usize, rows: impl Iterator<Item = &'a [f32]> + Clone) -> Self {
        let mut block = Self::new(dimension);
        for row in rows.clone() {
            block.count += 1;
            for (sum, x) in block.mean.iter_mut().zip(row) {
                *sum += f64::from(*x);
            }
        }
        let count = block.count.max(1) as f64;
        block.mean.iter_mut().for_each(|sum| *sum /= count);
        for row in rows {
            for ((deviation, mean), x) in
                block.squared_deviation.iter_mut().zip(&block.mean).zip(row)
            {
                *deviation += (f64::from(*x) - mean).powi(2);
            }
        }
        block
    }

    fn merge(&mut self, block: &Self) {
        let total = self.count + block.count;
        if block.count == 0 {
            return;
        }
        let share = block.count as f64 / total as f64;
        let cross = self.count as f64 * share;
        for (i, mean) in self.mean.iter_mut().enumerate() {
            let delta = block.mean[i] - *mean;
            *mean += delta * share;
            self.squared_deviation[i] += block.squared_deviation[i] + delta * delta * cross;
        }
        self.count = total;
    }
}

/// Mean and reciprocal standard deviation per dimension.
#[derive(Clone, Debug)]
pub struct Normalizer {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Normalizer {
    /// Normalises one row in place; a row at the mean stays zero.
    pub fn apply(&self, row: &mut [f32]) {
        let z = |x: f32, i: usize| (f64::from(x) - self.mean[i]) * self.scale[i];
        let norm = row
            .iter()
            .enumerate()
            .map(|(i, x)| z(*x, i).powi(2))
            .sum::<f64>()
            .sqrt();
        let inverse = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        for (i, x) in row.iter_mut().enumerate() {
            *x = (z(*x, i) * inverse) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[f32; 3]; 5] = [
        [1.0, 1e6, 5.0],
        [2.0, 1e6 + 1.0, 5.0],
        [4.0, 1e6 + 2.0, 5.0],
        [8.0, 1e6 + 3.0, 5.0],
        [0.0, 1e6, 5.0],
    ];

    fn moments(blocks: &[&[[f32; 3]]]) -> Moments {
        let mut moments = Moments::new(3);
        for block in blocks {
            moments.push_block(block.iter().map(<[f32; 3]>::as_slice));
        }
        moments
    }

    #[test]
    fn agrees_with_the_textbook_formula() {
        let normalizer = moments(&[&ROWS]).finish();
        // 1, 2, 4, 8, 0: mean 3, sum of squares 40, std sqrt(40 / 4).
        assert!((normalizer.mean[0] - 3.0).abs() < 1e-12);
        assert!((1.0 / normalizer.scale[0] - (10f64.sqrt() + EPSILON)).abs() < 1e-12);
    }

    #[test]
    fn blocks_merge_to_the_whole() {
        let whole = moments(&[&ROWS]).finish();
        let parts = moments(&[&ROWS[..1], &[], &ROWS[1..4], &ROWS[4..]]).finish();
        for i in 0..3 {
            assert!((whole.mean[i] - parts.mean[i]).abs() <= 1e-9);
            assert!((whole.scale[i] / parts.scale[i] - 1.0).abs() <= 1e-9);
        }
    }

    #[test]
    fn rows_become_unit_and_constant_dimensions_zero() {
        let normalizer = moments(&[&ROWS]).finish();
        let mut row = ROWS[3];
        normalizer.apply(&mut row);
        assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(row[2], 0.0);
    }

    #[test]
    fn a_single_row_is_zero_not_nan() {
        let normalizer = moments(&[&ROWS[..1]]).finish();
        let mut row = ROWS[0];
        normalizer.apply(&mut row);
        assert_eq!(row, [0.0; 3]);
    }
}
