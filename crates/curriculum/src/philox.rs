//! Philox 4×32-10: random numbers as a pure function of a key and a counter.
//!
//! Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011) and
//! its library Random123. Ten rounds of multiplication and exclusive or turn a 64-bit key and a
//! 128-bit counter into 128 bits that pass all of BigCrush. There is no state to carry, so numbers
//! can be computed in any order, on any thread and after any restart.

use pulp::{Simd, WithSimd};

/// The generator under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    key: [u32; 2],
}

const ROUNDS: usize = 10;
const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

impl Philox {
    /// Under the key `seed`, its lower half first.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
        }
    }

    /// The 128 bits at `counter`.
    #[must_use]
    #[inline(always)]
    pub fn block(&self, counter: [u32; 4]) -> [u32; 4] {
        let (mut c, mut key) = (counter, self.key);
        for _ in 0..ROUNDS {
            let [a, b] = [
                MULTIPLIERS[0] * u64::from(c[0]),
                MULTIPLIERS[1] * u64::from(c[2]),
            ];
            c = [
                (b >> 32) as u32 ^ c[1] ^ key[0],
                b as u32,
                (a >> 32) as u32 ^ c[3] ^ key[1],
                a as u32,
            ];
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        c
    }

    /// The block at a counter of a 64-bit position and two words, as two 64-bit numbers.
    #[must_use]
    #[inline(always)]
    pub fn pair(&self, position: u64, words: [u32; 2]) -> [u64; 2] {
        let [a, b, c, d] =
            self.block([position as u32, (position >> 32) as u32, words[0], words[1]]);
        [
            u64::from(b) << 32 | u64::from(a),
            u64::from(d) << 32 | u64::from(c),
        ]
    }

    /// Pairs at positions `first`, `first` + `step`, … (modulo 2⁶⁴), several at a time.
    pub(crate) fn pairs(&self, first: u64, step: u64, words: [u32; 2], out: &mut [[u64; 2]]) {
        pulp::Arch::new().dispatch(Pairs {
            philox: *self,
            first,
            step,
            words,
            out,
        });
    }

    /// A uniform integer below `bound` > 0, without bias: the multiplication of Lemire (2019), which
    /// rejects the first 2⁶⁴ mod `bound` remainders and goes on to the next counter.
    #[must_use]
    pub fn below(&self, bound: u64, position: u64) -> u64 {
        let rejected = bound.wrapping_neg() % bound;
        let mut attempt = 0;
        loop {
            for random in self.pair(position, [attempt, 0]) {
                let (integer, remainder) = scaled(random, bound);
                if remainder >= rejected {
                    return integer;
                }
            }
            attempt += 1;
        }
    }
}

/// The loop that is compiled for each instruction set.
struct Pairs<'a> {
    philox: Philox,
    first: u64,
    step: u64,
    words: [u32; 2],
    out: &'a mut [[u64; 2]],
}

impl WithSimd for Pairs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (offset, out) in (0..).zip(self.out) {
            let position = self.first.wrapping_add(self.step.wrapping_mul(offset));
            *out = self.philox.pair(position, self.words);
        }
    }
}

/// `random`·`bound` in units of 2⁶⁴: the integer part, below `bound`, and the remainder.
///
/// Over random 64-bit numbers the integer part is uniform up to a bias below `bound`·2⁻⁶⁴, and given
/// the integer part the remainder is uniform over steps of `bound`.
pub(crate) fn scaled(random: u64, bound: u64) -> (u64, u64) {
    let product = u128::from(random) * u128::from(bound);
    ((product >> 64) as u64, product as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers published with Random123 (`kat_vectors`, philox4x32 10).
    #[test]
    fn gives_the_published_answers() {
        let cases = [
            (
                [0; 4],
                0,
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                u64::MAX,
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                0x299f_31d0_a409_3822,
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, answer) in cases {
            assert_eq!(Philox::new(key).block(counter), answer);
        }
    }

    #[test]
    fn pairs_are_those_of_their_positions() {
        let philox = Philox::new(0x1234_5678_9abc_def0);
        let (first, step, words) = (u64::MAX - 100, 0x1_0000_0003, [7, 9]);
        let mut pairs = [[0; 2]; 67];
        philox.pairs(first, step, words, &mut pairs);
        for (offset, pair) in (0..).zip(pairs) {
            let position = first.wrapping_add(step.wrapping_mul(offset));
            assert_eq!(pair, philox.pair(position, words));
        }
    }

    #[test]
    fn integers_stay_below_their_bound_and_are_uniform() {
        let philox = Philox::new(7);
        let mut counts = [0u32; 10];
        for position in 0..100_000 {
            counts[philox.below(10, position) as usize] += 1;
            let bound = (1 << 63) + 1;
            assert!(philox.below(bound, position) < bound);
        }
        let chi_square = |n: &u32| (f64::from(*n) - 1e4).powi(2) / 1e4;
        // 9 degrees of freedom: exceeded with probability 1e-4.
        assert!(counts.iter().map(chi_square).sum::<f64>() < 33.7);
    }
}
