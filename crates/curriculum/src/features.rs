//! Normalisation of features: z-score per dimension over the dataset, then unit L2 rows.
//!
//! z = (x − mean) / (std + 1e-6) with the sample standard deviation (n − 1), then z / ‖z‖₂.
//! Both reductions run in f64. Rows are taken in groups of 64, in two passes while the group is in
//! the cache, and groups and blocks are merged by the pairwise update of Chan, Golub and LeVeque
//! (1983): one read of the data suffices, and the result depends on the block boundaries and their
//! order, never on threads. The loops are compiled for each instruction set, with the same bits.
//! Infinite and NaN features are the caller's to find.
//!
//! [`FeatureNormalization::None`] leaves features as they are.

mod kernels;

use kernels::{Normalize, NormalizeInPlace, SquaredNorm, TwoPasses};

/// Added to the standard deviation, so that a constant dimension becomes zero instead of NaN.
const EPSILON: f64 = 1e-6;

/// Rows that are read twice.
const GROUP: usize = 64;

/// What becomes of features before they are clustered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureNormalization {
    /// Z-score per dimension over the dataset, then unit rows.
    #[default]
    Standard,
    /// Nothing: they are comparable as they are.
    None,
}

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
    pub fn push_block<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]>) {
        let mut rows = rows.peekable();
        let mut group = Vec::with_capacity(GROUP);
        let mut moments = Self::new(self.mean.len());
        while rows.peek().is_some() {
            group.clear();
            group.extend(rows.by_ref().take(GROUP));
            moments.replace_by(&group);
            self.merge(&moments);
        }
    }

    /// Adds the rows that `other`, of the same dimension, has seen.
    ///
    /// Blocks may be reduced in parallel; merged in their order, they give the same bits each time.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let total = self.count + other.count;
        let share = other.count as f64 / total as f64;
        let cross = self.count as f64 * share;
        let ours = self.mean.iter_mut().zip(&mut self.squared_deviation);
        let theirs = other.mean.iter().zip(&other.squared_deviation);
        for ((mean, deviation), (other_mean, other_deviation)) in ours.zip(theirs) {
            let delta = other_mean - *mean;
            *mean += delta * share;
            *deviation += other_deviation + delta * delta * cross;
        }
        self.count = total;
    }

    /// Root mean square of the rows' Euclidean distances to their mean, over n − 1; 0 for fewer than
    /// two rows.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let degrees = (self.count.max(2) - 1) as f64;
        (self.squared_deviation.iter().sum::<f64>() / degrees).sqrt()
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

    /// Forgets what was seen in favour of `rows`.
    fn replace_by(&mut self, rows: &[&[f32]]) {
        self.count = rows.len() as u64;
        pulp::Arch::new().dispatch(TwoPasses {
            rows,
            mean: &mut self.mean,
            squared_deviation: &mut self.squared_deviation,
        });
    }
}

/// Mean and reciprocal standard deviation per dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalizer {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Normalizer {
    /// With these means and reciprocal deviations, one of each per dimension; `None` when their numbers
    /// differ.
    #[must_use]
    pub fn from_parts(mean: Vec<f64>, scale: Vec<f64>) -> Option<Self> {
        (mean.len() == scale.len()).then_some(Self { mean, scale })
    }

    /// Mean per dimension.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Reciprocal of (standard deviation + 1e-6) per dimension.
    #[must_use]
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// Normalises one row in place; a row at the mean stays zero.
    pub fn apply(&self, row: &mut [f32]) {
        let inverse = self.inverse_norm(row);
        pulp::Arch::new().dispatch(NormalizeInPlace(self, inverse, row));
    }

    /// Writes the normalised `row` to `out`, both of the normaliser's dimension.
    pub fn apply_into(&self, row: &[f32], out: &mut [f32]) {
        let inverse = self.inverse_norm(row);
        pulp::Arch::new().dispatch(Normalize(self, inverse, row, out));
    }

    /// 1/‖z‖₂, or 0 for a row at the mean.
    fn inverse_norm(&self, row: &[f32]) -> f64 {
        let norm = pulp::Arch::new().dispatch(SquaredNorm(self, row)).sqrt();
        if norm > 0.0 { 1.0 / norm } else { 0.0 }
    }
}

#[cfg(test)]
mod tests;
