//! The loops over feature values, compiled for each instruction set.
//!
//! Elementwise over dimensions, or in eight fixed running sums, and without fused operations: the
//! bits do not depend on the width of the vectors.

use super::Normalizer;
use crate::curve::pairwise;
use pulp::{Simd, WithSimd};

/// Rows that are added up before they meet the running sum.
const ROWS: usize = 4;

/// Running sums of a norm.
const LANES: usize = 8;

/// Mean and squared deviation of a group of rows.
pub(super) struct TwoPasses<'a> {
    pub(super) rows: &'a [&'a [f32]],
    pub(super) mean: &'a mut [f64],
    pub(super) squared_deviation: &'a mut [f64],
}

impl WithSimd for TwoPasses<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (mean, deviation) = (self.mean, self.squared_deviation);
        mean.fill(0.0);
        deviation.fill(0.0);
        accumulate(self.rows, mean, deviation, |x, _| x);
        let count = self.rows.len().max(1) as f64;
        mean.iter_mut().for_each(|sum| *sum /= count);
        accumulate(self.rows, deviation, mean, |x, mean| {
            (x - mean) * (x - mean)
        });
    }
}

/// Adds `term` of each value and its dimension's `center` to `sums`.
#[inline(always)]
fn accumulate(rows: &[&[f32]], sums: &mut [f64], centers: &[f64], term: impl Fn(f64, f64) -> f64) {
    let term = |x: &f32, center: &f64| term(f64::from(*x), *center);
    let (quads, rest) = rows.as_chunks::<ROWS>();
    for [a, b, c, d] in quads {
        let values = a.iter().zip(*b).zip(c.iter().zip(*d));
        for ((sum, center), ((a, b), (c, d))) in sums.iter_mut().zip(centers).zip(values) {
            *sum += (term(a, center) + term(b, center)) + (term(c, center) + term(d, center));
        }
    }
    for row in rest {
        for ((sum, center), x) in sums.iter_mut().zip(centers).zip(*row) {
            *sum += term(x, center);
        }
    }
}

/// ‖z‖₂² of a row.
pub(super) struct SquaredNorm<'a>(pub(super) &'a Normalizer, pub(super) &'a [f32]);

impl WithSimd for SquaredNorm<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let (xs, x_rest) = self.1.as_chunks::<LANES>();
        let (means, mean_rest) = self.0.mean.as_chunks::<LANES>();
        let (scales, scale_rest) = self.0.scale.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        let square = |x: f32, mean: f64, scale: f64| {
            let z = (f64::from(x) - mean) * scale;
            z * z
        };
        for (x, (mean, scale)) in xs.iter().zip(means.iter().zip(scales)) {
            for lane in 0..LANES {
                sums[lane] += square(x[lane], mean[lane], scale[lane]);
            }
        }
        let rest = x_rest.iter().zip(mean_rest.iter().zip(scale_rest));
        for (sum, (x, (mean, scale))) in sums.iter_mut().zip(rest) {
            *sum += square(*x, *mean, *scale);
        }
        pairwise(sums)
    }
}

/// Normalises a row, given 1/‖z‖₂.
pub(super) struct NormalizeInPlace<'a>(
    pub(super) &'a Normalizer,
    pub(super) f64,
    pub(super) &'a mut [f32],
);

impl WithSimd for NormalizeInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self(normalizer, inverse, row) = self;
        let columns = normalizer.mean.iter().zip(&normalizer.scale);
        for (x, (mean, scale)) in row.iter_mut().zip(columns) {
            *x = ((f64::from(*x) - mean) * scale * inverse) as f32;
        }
    }
}

/// The same, from one slice to another.
pub(super) struct Normalize<'a>(
    pub(super) &'a Normalizer,
    pub(super) f64,
    pub(super) &'a [f32],
    pub(super) &'a mut [f32],
);

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self(normalizer, inverse, row, out) = self;
        let columns = normalizer.mean.iter().zip(&normalizer.scale);
        for (out, (x, (mean, scale))) in out.iter_mut().zip(row.iter().zip(columns)) {
            *out = ((f64::from(*x) - mean) * scale * inverse) as f32;
        }
    }
}
