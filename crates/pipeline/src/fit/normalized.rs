//! Statistics of a source, and the source of its normalised rows, or of the rows as they are.

use super::Watch;
use crate::FitError;
use curriculum::features::{FeatureNormalization, Moments, Normalizer};
use curriculum_clustering::{BLOCK_ROWS, Source, SourceError};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// Blocks between two looks at the observer.
const WAVE: usize = 256;

/// The rows of a source, normalised as they are read: at 10,000 to 400,000 rows of 384 that costs
/// k-means no more than a normalised copy would.
pub(super) struct Normalized<'a> {
    source: &'a dyn Source,
    /// `None`: rows are handed out as they are.
    normalizer: Option<Normalizer>,
    spread: f64,
    /// Memory for raw blocks, one for each read at work. Held only to take or return one.
    buffers: Mutex<Vec<Vec<f32>>>,
}

impl<'a> Normalized<'a> {
    /// With statistics of other rows, if these were normalised; all of the source are read to see that
    /// they are finite.
    pub(super) fn with(
        source: &'a dyn Source,
        normalizer: Option<Normalizer>,
        watch: &mut Watch<'_, '_>,
    ) -> Result<Self, FitError> {
        let spread = moments(source, watch)?.spread();
        Ok(Self::of(source, normalizer, spread))
    }

    /// Reads the source for its statistics.
    pub(super) fn new(
        source: &'a dyn Source,
        normalization: FeatureNormalization,
        watch: &mut Watch<'_, '_>,
    ) -> Result<Self, FitError> {
        let moments = moments(source, watch)?;
        let spread = moments.spread();
        let normalizer = match normalization {
            FeatureNormalization::Standard => Some(moments.finish()),
            FeatureNormalization::None => None,
        };
        Ok(Self::of(source, normalizer, spread))
    }

    fn of(source: &'a dyn Source, normalizer: Option<Normalizer>, spread: f64) -> Self {
        Self {
            source,
            // Normalised rows have length 1, and their mean is near zero.
            spread: normalizer.as_ref().map_or(spread, |_| 1.0),
            normalizer,
            buffers: Mutex::default(),
        }
    }

    pub(super) fn into_normalizer(self) -> Option<Normalizer> {
        self.normalizer
    }

    /// Root mean square of the rows' distances to their mean.
    pub(super) fn spread(&self) -> f64 {
        self.spread
    }

    /// A panic cannot leave a list of buffers inconsistent, so poison is ignored.
    fn buffers(&self) -> std::sync::MutexGuard<'_, Vec<Vec<f32>>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Normalized<'_> {
    fn rows(&self) -> usize {
        self.source.rows()
    }

    fn width(&self) -> usize {
        self.source.width()
    }

    fn block<'b>(
        &'b self,
        range: Range<usize>,
        buffer: &'b mut Vec<f32>,
    ) -> Result<&'b [f32], SourceError> {
        let Some(normalizer) = &self.normalizer else {
            return self.source.block(range, buffer);
        };
        let width = self.width();
        let mut raw_buffer = self.buffers().pop().unwrap_or_default();
        let raw = self.source.block(range.clone(), &mut raw_buffer)?;
        buffer.resize(range.len() * width, 0.0);
        for (raw, out) in raw.chunks_exact(width).zip(buffer.chunks_exact_mut(width)) {
            normalizer.apply_into(raw, out);
        }
        self.buffers().push(raw_buffer);
        Ok(buffer)
    }

    fn granularity(&self) -> usize {
        self.source.granularity()
    }
}

/// Mean and deviation, from one read: blocks in parallel, merged in their order.
fn moments(source: &dyn Source, watch: &mut Watch<'_, '_>) -> Result<Moments, FitError> {
    let rows = source.rows();
    let mut moments = Moments::new(source.width());
    watch.report(0, rows as u64, "reading features")?;
    for start in (0..rows).step_by(WAVE * BLOCK_ROWS) {
        let end = rows.min(start + WAVE * BLOCK_ROWS);
        let blocks: Vec<Range<usize>> = (start..end)
            .step_by(BLOCK_ROWS)
            .map(|first| first..end.min(first + BLOCK_ROWS))
            .collect();
        let wave: Vec<Result<Moments, FitError>> = blocks
            .into_par_iter()
            .map_init(Vec::new, |buffer, range| {
                block_moments(source, range, buffer)
            })
            .collect();
        for block in wave {
            moments.merge(&block?);
        }
        watch.report(end as u64, rows as u64, "reading features")?;
    }
    Ok(moments)
}

fn block_moments(
    source: &dyn Source,
    range: Range<usize>,
    buffer: &mut Vec<f32>,
) -> Result<Moments, FitError> {
    let width = source.width();
    let mut moments = Moments::new(width);
    if width == 0 {
        return Ok(moments);
    }
    let values = source.block(range.clone(), buffer)?;
    if !all_finite(values) {
        let place = values
            .iter()
            .position(|x| !x.is_finite())
            .unwrap_or_default();
        return Err(FitError::NotFinite {
            row: range.start + place / width,
            column: place % width,
        });
    }
    moments.push_block(values.chunks_exact(width));
    Ok(moments)
}

fn all_finite(values: &[f32]) -> bool {
    pulp::Arch::new().dispatch(AllFinite(values))
}

struct AllFinite<'a>(&'a [f32]);

impl WithSimd for AllFinite<'_> {
    type Output = bool;

    /// Multiplied by zero, finite values alone sum to zero: no branch in the loop.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let (lanes, rest) = self.0.as_chunks::<16>();
        let mut sums = [0.0f32; 16];
        for chunk in lanes {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += x * 0.0;
            }
        }
        sums.iter().chain(rest).all(|x| x.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Step;
    use ndarray::Array2;
    use std::ops::ControlFlow;

    #[test]
    fn rows_are_normalised_in_any_block() {
        let rows = Array2::from_shape_fn((1_000, 3), |(row, column)| {
            ((row * 7 + column * 5) % 23) as f32 * (column + 1) as f32
        });
        let view = rows.view();
        let mut watch = Watch {
            observer: &mut |_| ControlFlow::Continue(()),
            step: Step::Statistics,
            by_class: false,
        };
        let normalized =
            Normalized::new(&view, FeatureNormalization::Standard, &mut watch).unwrap();
        let mut moments = Moments::new(3);
        for block in rows.as_slice().unwrap().chunks(3 * BLOCK_ROWS) {
            moments.push_block(block.chunks_exact(3));
        }
        let normalizer = moments.finish();
        let mut expected = rows.clone().into_raw_vec_and_offset().0;
        expected
            .chunks_exact_mut(3)
            .for_each(|row| normalizer.apply(row));
        let mut buffer = vec![7.0; 9];
        for range in [0..1_000, 0..1, 479..481, 999..1_000, 5..5] {
            let block = normalized.block(range.clone(), &mut buffer).unwrap();
            assert_eq!(block, &expected[range.start * 3..range.end * 3]);
        }
        assert_eq!(normalized.buffers().len(), 1);
    }

    #[test]
    fn every_place_of_a_value_that_is_not_finite_is_noticed() {
        let values = vec![f32::MAX; 37];
        assert!(all_finite(&values) && all_finite(&[]));
        for at in 0..values.len() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = values.clone();
                values[at] = bad;
                assert!(!all_finite(&values), "{at}");
            }
        }
    }
}
