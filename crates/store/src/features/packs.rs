//! Which packs a folder holds.

use std::collections::BTreeMap;

/// A set of numbers: one bit each, in words of 64. A hundred million samples are 400,000 packs and
/// some hundred kilobytes here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packs {
    words: BTreeMap<u64, u64>,
}

impl Packs {
    pub(crate) fn insert(&mut self, number: u64) {
        *self.words.entry(number / 64).or_default() |= 1 << (number % 64);
    }

    pub(crate) fn remove(&mut self, number: u64) {
        if let Some(word) = self.words.get_mut(&(number / 64)) {
            *word &= !(1 << (number % 64));
        }
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let word = self.words.get(&(number / 64));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let bits = |(at, word): (&u64, &u64)| {
            let (at, word) = (*at, *word);
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| at * 64 + bit)
        };
        self.words.iter().flat_map(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_in_order() {
        let mut packs = Packs::default();
        for number in [700, 0, 63, 64, u64::from(u32::MAX)] {
            packs.insert(number);
        }
        packs.remove(64);
        packs.remove(5);
        let expected = [0, 63, 700, u64::from(u32::MAX)];
        assert_eq!(packs.iter().collect::<Vec<_>>(), expected);
        assert!(packs.contains(63) && !packs.contains(64) && !packs.contains(1 << 40));
    }
}
