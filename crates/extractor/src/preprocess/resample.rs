//! The two passes of Pillow's `Resample.c` on 8-bit RGB, for the kept rows and columns alone.
//!
//! Values are weighed with fixed-point weights along rows first, then along columns, and rounded and
//! clipped to 8 bits after each pass: the same bits as Pillow's. What the crop drops is not
//! computed, so neither time nor memory grows with the resized image, which for a strip can be
//! thousands of times the crop. Loops are plain; run them through [`super::vectorize`].

use super::CHANNELS;
use super::axis::{Axis, PRECISION, TAPS};
use crate::decode::Rgb;

const HALF: i32 = 1 << (PRECISION - 1);
/// A pixel while rows are resampled: RGB and a zero, so that pixels fill vectors.
const LANES: usize = 4;
const STEP: usize = TAPS * LANES;
/// Values of a resampled row that are summed side by side.
pub(crate) const TILE: usize = 32;

/// Buffers of the passes, for one image after the other.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// One source row, (pixels, LANES), and zeros after it as far as padded windows reach.
    wide: Vec<i32>,
    /// (kept columns, taps, LANES): each weight once per lane.
    weights: Vec<i32>,
    /// (needed source rows, stride): kept columns of red, then of green, then of blue.
    narrowed: Vec<u8>,
}

impl Buffers {
    /// Bytes held between images.
    pub(crate) fn bytes(&self) -> usize {
        self.narrowed.capacity() + 4 * (self.wide.capacity() + self.weights.capacity())
    }

    /// Weights the kept columns of all rows that `vertical` needs.
    #[inline(always)]
    pub(crate) fn along_rows(&mut self, image: Rgb<'_>, horizontal: &Axis, vertical: &Axis, keep: usize) {
        let (columns, rows) = (horizontal.range(), vertical.range());
        let Self { wide, weights, narrowed } = self;
        weights.clear();
        for (_, window) in horizontal.padded() {
            weights.extend(window.iter().flat_map(|weight| [*weight; LANES]));
        }
        wide.clear();
        wide.resize((columns.len() + horizontal.taps()) * LANES, 0);
        let stride = stride(keep);
        narrowed.clear();
        narrowed.resize(rows.len() * stride, 0);
        let source = image.pixels.chunks_exact(image.width * CHANNELS).skip(rows.start);
        for (row, narrowed) in source.zip(narrowed.chunks_exact_mut(stride)) {
            widen(&row[columns.start * CHANNELS..columns.end * CHANNELS], wide);
            let windows = horizontal.padded().zip(weights.chunks_exact(horizontal.taps() * LANES));
            let (red, rest) = narrowed.split_at_mut(keep);
            let (green, blue) = rest.split_at_mut(keep);
            let places = red.iter_mut().zip(green).zip(blue);
            for (((start, _), weights), ((red, green), blue)) in windows.zip(places) {
                let pixels = &wide[(start - columns.start) * LANES..][..weights.len()];
                [*red, *green, *blue] = weighed_pixel(pixels, weights);
            }
        }
    }

    /// Weights the rows of one window into `row`, of [`stride`] values.
    #[inline(always)]
    pub(crate) fn along_columns(&self, first: usize, weights: &[i32], row: &mut [u8]) {
        let rows = &self.narrowed[first * row.len()..][..weights.len() * row.len()];
        for (tile, out) in row.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
            let mut sums = [HALF; TILE];
            for (weight, row) in weights.iter().zip(rows.chunks_exact(rows.len() / weights.len())) {
                let values = &row.as_chunks::<TILE>().0[tile];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += i32::from(*value) * weight;
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = rounded(sum);
            }
        }
    }
}

/// Length of a resampled row: three times `keep`, and up to a whole tile.
pub(crate) fn stride(keep: usize) -> usize {
    (CHANNELS * keep).next_multiple_of(TILE)
}

#[inline(always)]
fn widen(row: &[u8], wide: &mut [i32]) {
    let pixels = row.as_chunks::<CHANNELS>().0.iter();
    for (lanes, [red, green, blue]) in wide.as_chunks_mut::<LANES>().0.iter_mut().zip(pixels) {
        *lanes = [i32::from(*red), i32::from(*green), i32::from(*blue), 0];
    }
}

#[inline(always)]
fn weighed_pixel(pixels: &[i32], weights: &[i32]) -> [u8; CHANNELS] {
    let mut sums = [0; STEP];
    let steps = pixels.as_chunks::<STEP>().0.iter().zip(weights.as_chunks::<STEP>().0);
    for (pixels, weights) in steps {
        for ((sum, pixel), weight) in sums.iter_mut().zip(pixels).zip(weights) {
            *sum += pixel * weight;
        }
    }
    std::array::from_fn(|channel| {
        let sum: i32 = (0..TAPS).map(|tap| sums[tap * LANES + channel]).sum();
        rounded(sum + HALF)
    })
}

/// The sum of weights, negative ones too, is at most 1.5 of 2²², so that no sum overflows.
#[inline(always)]
fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}
