//! Inverse cosine transforms of 8 by 8 frequencies to fewer pixels.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use super::BLOCK;

/// Frequencies of a block by rows, of which a transform reads as many a side as it makes pixels.
pub(super) type Frequencies = [f32; BLOCK * BLOCK];

/// cₓᵤ = ½ cos((2x + 1) u π / 2N), less 1/√2 for u = 0, for N of 1, 2, 4 and 8: with half the usual
/// factor √(2/N) that N makes of it, since a block's scale is that of 8 pixels.
#[derive(Debug)]
pub(super) struct Cosines([[[f32; BLOCK]; BLOCK]; 4]);

impl Cosines {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|power| {
            let pixels = 1 << power;
            std::array::from_fn(|frequency| {
                let scale = if frequency == 0 {
                    FRAC_1_SQRT_2 / 2.0
                } else {
                    0.5
                };
                std::array::from_fn(|pixel| {
                    let angle = ((2 * pixel + 1) * frequency) as f32 * PI / (2 * pixels) as f32;
                    scale * angle.cos()
                })
            })
        }))
    }

    /// `frequencies` to `across` by `down` pixels, each 1, 2, 4 or 8, at the start of `plane`.
    #[inline(always)]
    pub(super) fn invert(
        &self,
        frequencies: &Frequencies,
        (across, down): (usize, usize),
        plane: &mut [u8],
        stride: usize,
    ) {
        match (across, down) {
            (1, 1) => self.invert_to::<1, 1>(frequencies, plane, stride),
            (1, 2) => self.invert_to::<1, 2>(frequencies, plane, stride),
            (2, 1) => self.invert_to::<2, 1>(frequencies, plane, stride),
            (2, 2) => self.invert_to::<2, 2>(frequencies, plane, stride),
            (2, 4) => self.invert_to::<2, 4>(frequencies, plane, stride),
            (4, 2) => self.invert_to::<4, 2>(frequencies, plane, stride),
            (4, 4) => self.invert_to::<4, 4>(frequencies, plane, stride),
            (4, 8) => self.invert_to::<4, 8>(frequencies, plane, stride),
            (8, 4) => self.invert_to::<8, 4>(frequencies, plane, stride),
            _ => self.invert_to::<8, 8>(frequencies, plane, stride),
        }
    }

    #[inline(always)]
    fn invert_to<const ACROSS: usize, const DOWN: usize>(
        &self,
        frequencies: &Frequencies,
        plane: &mut [u8],
        stride: usize,
    ) {
        let horizontal = &self.0[ACROSS.trailing_zeros() as usize];
        let vertical = &self.0[DOWN.trailing_zeros() as usize];
        let mut rows = [[0.0; ACROSS]; DOWN];
        for (row, frequencies) in rows.iter_mut().zip(frequencies.as_chunks::<BLOCK>().0) {
            for (frequency, cosines) in frequencies[..ACROSS].iter().zip(horizontal) {
                for (sum, cosine) in row.iter_mut().zip(cosines) {
                    *sum += frequency * cosine;
                }
            }
        }
        for (y, out) in plane.chunks_mut(stride).take(DOWN).enumerate() {
            // Half a step, for the cut to whole numbers, over the middle of 8 bits.
            let mut sums = [128.5; ACROSS];
            for (row, cosines) in rows.iter().zip(vertical) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value * cosines[y];
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = sum as u8;
            }
        }
    }
}
