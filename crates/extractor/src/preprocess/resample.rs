//! The two passes of Pillow's `Resample.c` on 8-bit RGB, for the kept rows and columns alone.
//!
//! Values are weighed with fixed-point weights along rows first, then along columns, and rounded and
//! clipped to 8 bits after each pass: the same bits as Pillow's. What the crop drops is not
//! computed, so neither time nor memory grows with the resized image, which for a strip can be
//! thousands of times the crop. Loops are plain; run them through [`super::vectorize`].

use super::CHANNELS;
use super::axis::{Axis, PRECISION};
use crate::decode::Rgb;

const HALF: i32 = 1 << (PRECISION - 1);
/// RGB and a value that is never used, so that pixels fill vectors.
pub(crate) type Pixel = [u8; 4];
/// Rows that are resampled side by side.
const ROWS: usize = 8;
/// Pixels of as many rows, one below the other.
type Column = [Pixel; ROWS];

/// Buffers of the passes, for one image after the other.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// [`ROWS`] rows of the source, as far as windows reach.
    columns: Vec<Column>,
    /// The same rows, resampled.
    kept: Vec<Column>,
    /// (needed source rows, stride), resampled along rows.
    narrowed: Vec<Pixel>,
    stride: usize,
}

impl Buffers {
    /// Bytes held between images.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.columns.capacity() + self.kept.capacity();
        columns * size_of::<Column>() + self.narrowed.capacity() * size_of::<Pixel>()
    }

    /// Weighs the kept columns of all rows that `vertical` needs.
    #[inline(always)]
    pub(crate) fn along_rows(&mut self, image: Rgb<'_>, horizontal: &Axis, vertical: &Axis) {
        let (across, rows) = (horizontal.range(), vertical.range());
        let keep = horizontal.key().keep;
        self.stride = keep.next_multiple_of(ROWS);
        self.columns.resize(across.len(), Column::default());
        self.kept.resize(keep, Column::default());
        self.narrowed.clear();
        self.narrowed.resize(
            rows.len().next_multiple_of(ROWS) * self.stride,
            Pixel::default(),
        );
        let length = CHANNELS * image.width;
        let source = image.pixels[rows.start * length..rows.end * length].chunks(ROWS * length);
        for (source, narrowed) in source.zip(self.narrowed.chunks_exact_mut(ROWS * self.stride)) {
            for (place, row) in source.chunks_exact(length).enumerate() {
                gather(
                    &row[CHANNELS * across.start..CHANNELS * across.end],
                    &mut self.columns,
                    place,
                );
            }
            for (kept, (start, weights)) in self.kept.iter_mut().zip(horizontal.windows()) {
                let window = &self.columns[start - across.start..][..weights.len()];
                *kept = weighed(window.iter(), weights);
            }
            for (place, row) in narrowed.chunks_exact_mut(self.stride).enumerate() {
                for (pixel, kept) in row.iter_mut().zip(&self.kept) {
                    *pixel = kept[place];
                }
            }
        }
    }

    /// Weighs a window of rows, of which `first` is the first, into `row`, of a multiple of 8 pixels.
    #[inline(always)]
    pub(crate) fn along_columns(&self, first: usize, weights: &[i32], row: &mut [Pixel]) {
        let rows = &self.narrowed[first * self.stride..][..weights.len() * self.stride];
        for (tile, out) in row.as_chunks_mut().0.iter_mut().enumerate() {
            let window = rows
                .chunks_exact(self.stride)
                .map(|row| &row.as_chunks().0[tile]);
            *out = weighed(window, weights);
        }
    }
}

/// Makes a source row the one at `place` of all columns.
#[inline(always)]
fn gather(row: &[u8], columns: &mut [Column], place: usize) {
    let last = row.len() - CHANNELS;
    // Four bytes at once: the fourth is the next pixel's.
    let pixels = row.windows(size_of::<Pixel>()).step_by(CHANNELS);
    for (column, pixel) in columns.iter_mut().zip(pixels) {
        column[place] = [pixel[0], pixel[1], pixel[2], pixel[3]];
    }
    if let (Some(column), [red, green, blue]) = (columns.last_mut(), &row[last..]) {
        column[place] = [*red, *green, *blue, 0];
    }
}

/// Sums of 8-bit values by weights whose absolute values add up to less than 1.5 of 2²²: no sum
/// overflows.
#[inline(always)]
fn weighed<'a>(window: impl Iterator<Item = &'a Column>, weights: &[i32]) -> Column {
    let mut sums = [HALF; size_of::<Column>()];
    for (values, weight) in window.zip(weights) {
        for (sum, value) in sums.iter_mut().zip(values.as_flattened()) {
            *sum += i32::from(*value) * weight;
        }
    }
    let mut column = Column::default();
    for (value, sum) in column.as_flattened_mut().iter_mut().zip(sums) {
        *value = (sum >> PRECISION).clamp(0, 255) as u8;
    }
    column
}
