//! Weights as they travel: exact to f32, or in two bytes with a stated error.
//!
//! With a = x/τ ≥ 0 the exponent of a sample and s the largest weight, a weight is s·exp(−a):
//!
//! - F32 is the weight, rounded once.
//! - F16 is h = exp(−a) in half precision: relative error 2⁻¹¹ down to 2⁻¹⁴, below that absolute error
//!   2⁻²⁵, so that far samples become zero.
//! - U16 is q, a rounded to a multiple of a step: relative error exp(step/2) − 1 at every size. The
//!   step is a 65,535th of the largest exponent, which counts as at most 104: exp(−104) is zero in f32.

use super::Weights;

/// Exponents beyond it are cut: exp(−104) is below half of the smallest f32.
const LARGEST_EXPONENT: f64 = 104.0;

/// Largest U16.
const STEPS: f64 = 65_535.0;

/// How a weight is written, little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The weight, 4 bytes.
    F32,
    /// IEEE 754 half precision of weight / scale, 2 bytes.
    F16,
    /// The logarithm of scale / weight in steps, 2 bytes.
    U16,
}

/// The weights of one temperature in one encoding.
#[derive(Clone, Copy, Debug)]
pub struct EncodedWeights {
    weights: Weights,
    encoding: Encoding,
}

impl Encoding {
    /// Bytes of a weight.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::U16 => 2,
        }
    }
}

impl Weights {
    /// These weights, to be written in `encoding`.
    #[must_use]
    pub fn encoded(self, encoding: Encoding) -> EncodedWeights {
        EncodedWeights {
            weights: self,
            encoding,
        }
    }
}

impl EncodedWeights {
    /// Which encoding this is.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What decoded values are multiplied by: the largest weight, 1 for [`Encoding::F32`].
    #[must_use]
    pub fn scale(&self) -> f64 {
        match self.encoding {
            Encoding::F32 => 1.0,
            Encoding::F16 | Encoding::U16 => self.weights.scale,
        }
    }

    /// Difference of the logarithms of neighbouring values of [`Encoding::U16`]; else 0.
    #[must_use]
    pub fn step(&self) -> f64 {
        match self.encoding {
            Encoding::F32 | Encoding::F16 => 0.0,
            Encoding::U16 => self.weights.spread.min(LARGEST_EXPONENT) / STEPS,
        }
    }

    /// Bound of |decoded / exact − 1| over all samples; of F32 and U16 over weights that are at least
    /// 2⁻¹²⁶ and scale·exp(−104). F16 reaches 1 when a sample becomes zero.
    #[must_use]
    pub fn max_relative_error(&self) -> f64 {
        // Arithmetic in f64, and in F16 the first rounding to f32, add a little to the encoding's own.
        const ARITHMETIC: f64 = 3e-10;
        const FIRST_ROUNDING: f64 = 1.0 / (1 << 23) as f64;
        match self.encoding {
            Encoding::F32 => 0.5f64.powi(24) + ARITHMETIC,
            Encoding::F16 => {
                let smallest = (-self.weights.spread).exp();
                let absolute = 0.5f64.powi(25) / smallest;
                absolute
                    .clamp(0.5f64.powi(11), 1.0)
                    .min(1.0 - FIRST_ROUNDING)
                    + FIRST_ROUNDING
            }
            Encoding::U16 => (self.step() / 2.0).exp_m1() + ARITHMETIC,
        }
    }

    /// Writes the weight of each sample of `difficulty` to `bytes`, [`Encoding::bytes`] times as long.
    pub fn fill(&self, difficulty: &[f32], bytes: &mut [u8]) {
        let weights = &self.weights;
        match self.encoding {
            Encoding::F32 => weights.fill_le_bytes(difficulty, bytes),
            Encoding::F16 => weights.write(difficulty, bytes.as_chunks_mut().0, |d| {
                half(weights.relative(d) as f32).to_le_bytes()
            }),
            Encoding::U16 => {
                let step = self.step();
                let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
                weights.write(difficulty, bytes.as_chunks_mut().0, |d| {
                    let steps = (weights.exponent(d) * inverse).clamp(0.0, STEPS);
                    ((steps + 0.5) as u16).to_le_bytes()
                });
            }
        }
    }
}

/// Half precision of a number in [0, 1], to the nearest, ties to even. No branch, so that a loop over
/// it becomes vector code.
#[inline(always)]
fn half(value: f32) -> u16 {
    /// Exponent bias of f32 less that of half precision, in place.
    const REBIAS: u32 = (127 - 15) << 23;
    /// Smallest normal half, 2⁻¹⁴.
    const NORMAL: f32 = f32::from_bits(REBIAS + (1 << 23));
    let bits = value.to_bits();
    let even = (bits >> 13) & 1;
    let normal = bits.wrapping_sub(REBIAS).wrapping_add(0xfff + even) >> 13;
    // f32 between ½ and 1 are multiples of 2⁻²⁴, as subnormal halves are: the sum rounds.
    let subnormal = (value + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    (if value < NORMAL { subnormal } else { normal }) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Order, Sketch, solver::tests::shapes};

    fn decoded(encoded: &EncodedWeights, bytes: &[u8]) -> Vec<f64> {
        let (scale, step) = (encoded.scale(), encoded.step());
        let pairs = bytes.as_chunks::<2>().0.iter();
        match encoded.encoding() {
            Encoding::F32 => {
                let values = bytes.as_chunks::<4>().0.iter();
                values.map(|v| f64::from(f32::from_le_bytes(*v))).collect()
            }
            Encoding::F16 => pairs
                .map(|v| scale * f64::from(half::f16::from_le_bytes(*v)))
                .collect(),
            Encoding::U16 => pairs
                .map(|v| scale * (-f64::from(u16::from_le_bytes(*v)) * step).exp())
                .collect(),
        }
    }

    #[test]
    fn every_weight_is_within_the_stated_error() {
        for (name, difficulty) in shapes(5_000) {
            let sketch = Sketch::new(&difficulty);
            for order in [Order::EasyFirst, Order::HardFirst] {
                for temperature in [1e-9, 1e-3, 0.02, 0.1, 1.0, f64::INFINITY] {
                    let weights = Weights::new(&sketch, order, temperature);
                    for encoding in [Encoding::F32, Encoding::F16, Encoding::U16] {
                        let encoded = weights.encoded(encoding);
                        let mut bytes = vec![0; difficulty.len() * encoding.bytes()];
                        encoded.fill(&difficulty, &mut bytes);
                        let bound = encoded.max_relative_error();
                        let least = match encoding {
                            Encoding::F32 => 0.5f64.powi(126),
                            Encoding::F16 => 0.0,
                            Encoding::U16 => weights.scale * (-LARGEST_EXPONENT).exp(),
                        };
                        for (d, value) in difficulty.iter().zip(decoded(&encoded, &bytes)) {
                            let exact = weights.of(*d);
                            assert!(
                                exact < least || (value - exact).abs() <= bound * exact,
                                "{name} {order:?} {temperature} {encoding:?}: {value} {exact}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn errors_are_small_where_weights_differ_little() {
        let sketch = Sketch::new(&[0.0, 0.25, 1.0]);
        let error = |temperature, encoding| {
            let weights = Weights::new(&sketch, Order::EasyFirst, temperature);
            weights.encoded(encoding).max_relative_error()
        };
        assert!(error(0.2, Encoding::F16) < 4.9e-4);
        assert!(error(0.2, Encoding::U16) < 3.9e-5);
        assert!(error(1e-6, Encoding::U16) < 8e-4);
        assert_eq!(error(1e-6, Encoding::F16), 1.0);
    }

    #[test]
    fn uniform_weights_are_exact_in_every_encoding() {
        let difficulty = [0.0, 0.3, 0.7, 1.0];
        let weights = Weights::new(&Sketch::new(&difficulty), Order::EasyFirst, f64::INFINITY);
        for encoding in [Encoding::F32, Encoding::F16, Encoding::U16] {
            let encoded = weights.encoded(encoding);
            let mut bytes = vec![0; 4 * encoding.bytes()];
            encoded.fill(&difficulty, &mut bytes);
            assert_eq!(decoded(&encoded, &bytes), [0.25; 4], "{encoding:?}");
        }
    }

    #[test]
    fn halves_round_as_ieee_says() {
        let halves = (0..=0x3c00u16).map(|bits| f32::from(half::f16::from_bits(bits)));
        let between = halves.clone().zip(halves.clone().skip(1));
        let middles = between.map(|(low, high)| low + (high - low) / 2.0);
        for value in halves.chain(middles) {
            for value in [value, value.next_up(), value.next_down().max(0.0)] {
                let value = value.min(1.0);
                assert_eq!(
                    half(value),
                    half::f16::from_f32(value).to_bits(),
                    "{value:e}"
                );
            }
        }
    }
}
