//! Walker's alias method: one of n weighted outcomes in O(1).
//!
//! Source: Walker (1977), with the O(n) construction of Vose (1991). Every slot holds its own outcome
//! with some probability and one other, its alias, otherwise.

use crate::philox::scaled;

/// Outcomes 0..n, drawn in proportion to their masses.
#[derive(Clone, Debug)]
pub(super) struct AliasTable {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Probability of the slot's own outcome in units of 2⁻⁶⁴.
    own: u64,
    alias: u32,
}

impl AliasTable {
    /// From non-negative finite masses, at least one of them positive.
    pub(super) fn new(masses: &[f64]) -> Self {
        let scale = masses.len() as f64 / masses.iter().sum::<f64>();
        let mut share: Vec<f64> = masses.iter().map(|mass| mass * scale).collect();
        // What is left over by rounding keeps its own outcome: share one.
        let mut slots: Vec<Slot> = (0..masses.len() as u32)
            .map(|alias| Slot {
                own: u64::MAX,
                alias,
            })
            .collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..masses.len()).partition(|i| share[*i] < 1.0);
        while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
            slots[poor] = Slot {
                own: (share[poor] * 2f64.powi(64)) as u64,
                alias: rich as u32,
            };
            share[rich] -= 1.0 - share[poor];
            if share[rich] < 1.0 {
                small.push(rich);
            } else {
                large.push(rich);
            }
        }
        Self { slots }
    }

    /// The outcome that a uniform random number stands for.
    pub(super) fn pick(&self, random: u64) -> usize {
        let (index, remainder) = scaled(random, self.slots.len() as u64);
        let slot = self.slots[index as usize];
        // Both are as likely: a branch would be mispredicted every other time.
        std::hint::select_unpredictable(remainder < slot.own, index as usize, slot.alias as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Probability of every outcome according to the table.
    fn probabilities(table: &AliasTable) -> Vec<f64> {
        let n = table.slots.len();
        let mut found = vec![0.0; n];
        for (i, slot) in table.slots.iter().enumerate() {
            let own = slot.own as f64 / 2f64.powi(64);
            found[i] += own / n as f64;
            found[slot.alias as usize] += (1.0 - own) / n as f64;
        }
        found
    }

    proptest! {
        #[test]
        fn the_table_holds_the_masses(
            masses in prop::collection::vec(prop_oneof![Just(0.0), 1e-300f64..1e-200, 0.0f64..5.0], 1..200),
        ) {
            prop_assume!(masses.iter().sum::<f64>() > 0.0);
            let total: f64 = masses.iter().sum();
            for (found, mass) in probabilities(&AliasTable::new(&masses)).iter().zip(&masses) {
                prop_assert!((found - mass / total).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn numbers_map_evenly() {
        let table = AliasTable::new(&[1.0, 3.0]);
        let picks = (0..4_096u64).map(|i| table.pick(i << 52));
        assert_eq!(picks.filter(|i| *i == 1).count(), 3_072);
    }
}
