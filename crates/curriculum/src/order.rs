//! Which samples come first, and the two control orders.
//!
//! An experiment that compares `EasyFirst` with uniform sampling cannot tell whether the order of
//! the samples helped or merely the uneven weights. `HardFirst` is no control: its weights follow
//! the other end of the distribution, so their multiset differs at the same target, and where many
//! samples share the highest difficulty it may stop at its floor. The control orders keep the
//! difficulties, hence sketch, temperatures and multiset of weights, of `EasyFirst` and change only
//! which sample gets which:
//!
//! - `Reversed`: the sample of rank i (by difficulty, ties by index) gets the difficulty of rank
//!   N − 1 − i;
//! - `Shuffled`: the difficulties are put in a uniformly random order (Fisher–Yates, from a seed).

use crate::{CurriculumError, philox::Philox, ranked::by_difficulty};
use std::borrow::Cow;

/// Which samples are favoured while the temperature is finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// p ∝ exp(−d/τ): prototypes first, as in the paper.
    #[default]
    EasyFirst,
    /// p ∝ exp(+d/τ).
    HardFirst,
    /// `EasyFirst` on difficulties exchanged between the two ends.
    Reversed,
    /// `EasyFirst` on shuffled difficulties.
    Shuffled {
        /// Equal seeds shuffle alike.
        seed: u64,
    },
}

impl Order {
    /// The difficulty by which each sample is weighted and drawn in this order: `difficulty` itself,
    /// or for a control order its reassignment, O(N log N), which the caller keeps.
    ///
    /// # Errors
    /// [`CurriculumError::TooManySamples`] beyond 2³² − 1 samples.
    pub fn reassign(self, difficulty: &[f32]) -> Result<Cow<'_, [f32]>, CurriculumError> {
        match self {
            Self::EasyFirst | Self::HardFirst => Ok(Cow::Borrowed(difficulty)),
            Self::Reversed => reversed(difficulty).map(Cow::Owned),
            Self::Shuffled { seed } => Ok(Cow::Owned(shuffled(difficulty, seed))),
        }
    }

    /// Whether the highest difficulty is the most probable one.
    pub(crate) fn favours_hard(self) -> bool {
        match self {
            Self::HardFirst => true,
            Self::EasyFirst | Self::Reversed | Self::Shuffled { .. } => false,
        }
    }
}

fn reversed(difficulty: &[f32]) -> Result<Vec<f32>, CurriculumError> {
    let ranked = by_difficulty(difficulty)?;
    let mut reassigned = vec![0.0; difficulty.len()];
    for (sample, other) in ranked.iter().zip(ranked.iter().rev()) {
        reassigned[sample.index() as usize] = other.difficulty();
    }
    Ok(reassigned)
}

fn shuffled(difficulty: &[f32], seed: u64) -> Vec<f32> {
    let philox = Philox::new(seed);
    let mut shuffled = difficulty.to_vec();
    for i in (1..shuffled.len()).rev() {
        shuffled.swap(i, philox.below(i as u64 + 1, i as u64) as usize);
    }
    shuffled
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(mut values: Vec<f32>) -> Vec<f32> {
        values.sort_by(f32::total_cmp);
        values
    }

    #[test]
    fn reversed_exchanges_the_ends_with_ties_by_index() {
        let difficulty = [0.5, 0.1, 0.9, 0.1, 0.7];
        let reassigned = Order::Reversed.reassign(&difficulty).unwrap();
        assert_eq!(*reassigned, [0.5, 0.9, 0.1, 0.7, 0.1]);
    }

    #[test]
    fn plain_orders_borrow() {
        for order in [Order::EasyFirst, Order::HardFirst] {
            assert!(matches!(order.reassign(&[0.1, 0.2]), Ok(Cow::Borrowed(_))));
        }
    }

    #[test]
    fn shuffles_are_uniform_over_permutations() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..24_000 {
            let permutation = Order::Shuffled { seed }.reassign(&[0.0, 1.0, 2.0, 3.0]);
            *counts
                .entry(
                    permutation
                        .unwrap()
                        .iter()
                        .fold(0, |n, x| 10 * n + *x as u32),
                )
                .or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        let chi_square = |n: &u32| (f64::from(*n) - 1000.0).powi(2) / 1000.0;
        // 23 degrees of freedom: exceeded with probability 1e-4.
        assert!(counts.values().map(chi_square).sum::<f64>() < 58.0);
    }

    proptest! {
        #[test]
        fn control_orders_keep_the_multiset(
            difficulty in prop::collection::vec(0.0f32..=1.0, 0..200),
            seed: u64,
        ) {
            for order in [Order::Reversed, Order::Shuffled { seed }] {
                let reassigned = order.reassign(&difficulty).unwrap().into_owned();
                prop_assert_eq!(&reassigned, &*order.reassign(&difficulty).unwrap());
                prop_assert_eq!(sorted(reassigned), sorted(difficulty.clone()));
            }
        }

        #[test]
        fn reversing_twice_restores(values in prop::collection::btree_set(0u32..1000, 0..100)) {
            let difficulty: Vec<f32> = values.into_iter().map(|x| (x * 7919 % 1009) as f32).collect();
            let once = Order::Reversed.reassign(&difficulty).unwrap();
            let twice = Order::Reversed.reassign(&once).unwrap();
            prop_assert_eq!(&difficulty, &*twice);
        }
    }
}
