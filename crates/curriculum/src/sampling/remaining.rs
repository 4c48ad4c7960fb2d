//! Which of N positions are left, with the k-th of them found in O(log N).
//!
//! One bit a position, and a Fenwick tree (Fenwick 1994) of how many are gone over words of 64 bits.
//! Both begin as zeros, which the system hands out page by page as they are touched.

/// Positions of a word.
const WORD: u64 = u64::BITS as u64;

/// Positions 0..N, some of them gone.
#[derive(Clone, Debug)]
pub(super) struct Remaining {
    gone: Vec<u64>,
    /// At i − 1, what is gone in the words that node i stands for: those after i less its lowest bit, up
    /// to i.
    tree: Vec<u32>,
}

impl Remaining {
    /// All of `positions`, which are fewer than 2³².
    pub(super) fn all(positions: u64) -> Self {
        let words = positions.div_ceil(WORD) as usize;
        Self {
            gone: vec![0; words],
            tree: vec![0; words],
        }
    }

    /// Number of those left before `position`.
    pub(super) fn before(&self, position: u64) -> u64 {
        let (word, bit) = ((position / WORD) as usize, position % WORD);
        let mut gone = match self.gone.get(word) {
            Some(bits) => u64::from((bits & ((1 << bit) - 1)).count_ones()),
            None => 0,
        };
        let mut node = word;
        while node > 0 {
            gone += u64::from(self.tree[node - 1]);
            node &= node - 1;
        }
        position - gone
    }

    /// The k-th of those left, from 0; k is below their number.
    pub(super) fn nth(&self, mut k: u64) -> u64 {
        let words = self.tree.len();
        let mut word = 0;
        let mut step = (words + 1).next_power_of_two() / 2;
        while step > 0 {
            let node = word + step;
            if node <= words {
                let left = step as u64 * WORD - u64::from(self.tree[node - 1]);
                if left <= k {
                    k -= left;
                    word = node;
                }
            }
            step /= 2;
        }
        word as u64 * WORD + u64::from(nth_one(!self.gone[word], k as u32))
    }

    /// Takes `position`, which is left.
    pub(super) fn take(&mut self, position: u64) {
        let word = (position / WORD) as usize;
        debug_assert_eq!(self.gone[word] >> (position % WORD) & 1, 0);
        self.gone[word] |= 1 << (position % WORD);
        let mut node = word + 1;
        while let Some(gone) = self.tree.get_mut(node - 1) {
            *gone += 1;
            node += node & node.wrapping_neg();
        }
    }
}

/// Place of the k-th one, from 0; there are more than k.
fn nth_one(bits: u64, mut k: u32) -> u32 {
    let mut place = 0;
    for width in [32, 16, 8, 4, 2, 1] {
        let low = (bits >> place & ((1 << width) - 1)).count_ones();
        if low <= k {
            k -= low;
            place += width;
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_list_that_positions_are_taken_from(
            positions in 1u64..1_000,
            picks in prop::collection::vec(any::<u32>(), 0..1_000),
        ) {
            let mut list: Vec<u64> = (0..positions).collect();
            let mut remaining = Remaining::all(positions);
            for pick in picks.into_iter().take(positions as usize) {
                let k = pick as usize % list.len();
                let position = list.remove(k);
                prop_assert_eq!(remaining.nth(k as u64), position);
                remaining.take(position);
                for place in [0, position, position / 2, positions - 1, positions] {
                    let before = list.iter().filter(|left| **left < place).count() as u64;
                    prop_assert_eq!(remaining.before(place), before);
                }
            }
        }
    }
}
