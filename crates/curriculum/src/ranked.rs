//! Samples sorted by difficulty, ties by index: eight bytes each.

use crate::{CurriculumError, sketch::finite};
use rayon::slice::ParallelSliceMut;

/// A sample and its difficulty, made finite, ordered by difficulty (IEEE total order), then index.
///
/// The upper half holds the difficulty's bits made monotone, the lower half the index, so that
/// sorting compares one integer and a look-up costs one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ranked(u64);

impl Ranked {
    fn new(difficulty: f32, index: u32) -> Self {
        let bits = finite(difficulty).to_bits();
        let monotone = if bits >> 31 == 1 {
            !bits
        } else {
            bits | 1 << 31
        };
        Self(u64::from(monotone) << 32 | u64::from(index))
    }

    /// The sample's index.
    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }

    /// The sample's difficulty.
    pub(crate) fn difficulty(self) -> f32 {
        let monotone = (self.0 >> 32) as u32;
        f32::from_bits(if monotone >> 31 == 1 {
            monotone & !(1 << 31)
        } else {
            !monotone
        })
    }
}

/// All samples in order; at most 2³² − 1 of them.
pub(crate) fn by_difficulty(difficulty: &[f32]) -> Result<Vec<Ranked>, CurriculumError> {
    let samples = difficulty.len() as u64;
    let samples = u32::try_from(samples).map_err(|_| CurriculumError::TooManySamples(samples))?;
    let indexed = difficulty.iter().zip(0..samples);
    let mut ranked: Vec<Ranked> = indexed.map(|(d, i)| Ranked::new(*d, i)).collect();
    ranked.par_sort_unstable();
    Ok(ranked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorts_stably_by_difficulty(
            difficulty in prop::collection::vec(prop_oneof![any::<f32>(), Just(0.5), Just(-0.0)], 0..100),
        ) {
            let mut expected: Vec<(u32, u32)> = (0..).zip(&difficulty).map(|(i, d)| (i, finite(*d).to_bits())).collect();
            expected.sort_by(|a, b| f32::from_bits(a.1).total_cmp(&f32::from_bits(b.1)));
            let ranked = by_difficulty(&difficulty).unwrap();
            let found: Vec<(u32, u32)> =
                ranked.iter().map(|r| (r.index(), r.difficulty().to_bits())).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
