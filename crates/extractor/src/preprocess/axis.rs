//! Weights of one direction, as Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` give them.

use std::ops::Range;

use crate::model::Interpolation;

/// Bits after the point of a weight: 32, less 8 of a value and 2 of overshoot and sign.
pub(crate) const PRECISION: u32 = 22;

/// What an axis depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AxisKey {
    /// Pixels of the image.
    pub(crate) from: u32,
    /// Pixels of the resized image; may be far more than are ever computed.
    pub(crate) to: u64,
    /// Resized pixels before the first one kept.
    pub(crate) skip: u64,
    /// Resized pixels kept.
    pub(crate) keep: usize,
    pub(crate) filter: Interpolation,
}

/// The windows of source pixels that make each kept pixel.
#[derive(Debug)]
pub(crate) struct Axis {
    key: AxisKey,
    /// First source pixel of each window.
    starts: Vec<usize>,
    /// Where each window's weights start, and where the last one's end.
    offsets: Vec<usize>,
    weights: Vec<i32>,
}

impl Axis {
    pub(crate) fn new(key: AxisKey) -> Self {
        let scale = f64::from(key.from) / key.to as f64;
        let stretch = scale.max(1.0);
        let support = support(key.filter) * stretch;
        let mut axis = Self {
            key,
            starts: Vec::with_capacity(key.keep),
            offsets: vec![0],
            weights: Vec::new(),
        };
        let mut exact = Vec::new();
        for place in key.skip..key.skip + key.keep as u64 {
            let center = (place as f64 + 0.5) * scale;
            // Casts cut towards zero and negative values to it, as Pillow's do.
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(key.from as usize);
            exact.clear();
            exact.extend(
                (start..end)
                    .map(|source| weight(key.filter, (source as f64 - center + 0.5) / stretch)),
            );
            let sum: f64 = exact.iter().sum();
            axis.weights
                .extend(exact.iter().map(|exact| fixed(exact / sum)));
            axis.starts.push(start);
            axis.offsets.push(axis.weights.len());
        }
        axis
    }

    pub(crate) fn key(&self) -> AxisKey {
        self.key
    }

    /// Source pixels that any window touches.
    pub(crate) fn range(&self) -> Range<usize> {
        let end = self
            .windows()
            .map(|(start, weights)| start + weights.len())
            .max();
        self.starts.first().copied().unwrap_or(0)..end.unwrap_or(0)
    }

    /// First source pixel and weights of each kept pixel.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self
            .offsets
            .windows(2)
            .map(|ends| &self.weights[ends[0]..ends[1]]);
        self.starts.iter().copied().zip(weights)
    }
}

/// To the nearest, halves away from zero.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    (scaled + 0.5_f64.copysign(scaled)) as i32
}

fn support(filter: Interpolation) -> f64 {
    match filter {
        Interpolation::Bicubic => 2.0,
        Interpolation::Bilinear => 1.0,
    }
}

fn weight(filter: Interpolation, x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match filter {
        Interpolation::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        Interpolation::Bilinear if x < 1.0 => 1.0 - x,
        Interpolation::Bicubic | Interpolation::Bilinear => 0.0,
    }
}
