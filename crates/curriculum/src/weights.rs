//! The probabilities: pᵢ = exp(−dᵢ/τ) / Σⱼ exp(−dⱼ/τ), or with +d for [`Order::HardFirst`].
//!
//! Arithmetic is f64, and a result within 3e-10 is rounded once to f32. A sample's weight is a function of its own
//! difficulty alone, with the same bits on every instruction set; so any range equals the same range
//! of the whole, for any number of threads.

mod encoding;

use crate::{
    Order, Sketch,
    curve::inverse,
    exp::{exp, exp_for_f32},
    sketch::finite,
};
pub use encoding::{EncodedWeights, Encoding};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Weights per parallel task; fewer than two tasks run on the caller's thread.
const TASK: usize = 65_536;

/// The weight of a sample as a function of its difficulty.
///
/// For a control order the difficulties are those of [`Order::reassign`].
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// +1/τ or −1/τ: minus the slope of the exponent.
    slope: f64,
    /// The difficulty whose exponential is one.
    origin: f64,
    /// The largest weight.
    scale: f64,
    /// Largest minus smallest exponent.
    spread: f64,
}

impl Weights {
    /// For the samples of `sketch` at `temperature` > 0; infinite means exactly uniform.
    #[must_use]
    pub fn new(sketch: &Sketch, order: Order, temperature: f64) -> Self {
        let inverse = inverse(temperature);
        let (origin, slope) = if order.favours_hard() {
            (sketch.rank(order, 0.0), -inverse)
        } else {
            (-sketch.rank(order, 0.0), inverse)
        };
        Self {
            slope,
            origin,
            scale: 1.0 / sketch.normaliser(order, temperature),
            spread: sketch.range() * inverse,
        }
    }

    /// Probability of a sample of this difficulty, at any τ; [`Sketch::new`] says what values that are
    /// not finite count as.
    #[must_use]
    #[inline(always)]
    pub fn of(&self, difficulty: f32) -> f64 {
        self.scale * exp(-self.exponent(difficulty))
    }

    /// Weight in units of the largest, to be rounded to f32.
    #[inline(always)]
    fn relative(&self, difficulty: f32) -> f64 {
        exp_for_f32(-self.exponent(difficulty))
    }

    /// The weight itself, to be rounded to f32.
    #[inline(always)]
    fn single(&self, difficulty: f32) -> f32 {
        (self.scale * self.relative(difficulty)) as f32
    }

    /// Logarithm of the largest weight over that of a sample of this difficulty.
    #[inline(always)]
    fn exponent(&self, difficulty: f32) -> f64 {
        (f64::from(finite(difficulty)) - self.origin) * self.slope
    }

    /// Writes the weight of each sample of `difficulty` to `weights`, which is as long.
    pub fn fill(&self, difficulty: &[f32], weights: &mut [f32]) {
        self.write(difficulty, weights, |d| self.single(d));
    }

    /// Writes the same as little-endian bytes to `bytes`, which is four times as long.
    pub fn fill_le_bytes(&self, difficulty: &[f32], bytes: &mut [u8]) {
        let bytes = bytes.as_chunks_mut().0;
        self.write(difficulty, bytes, |d| self.single(d).to_le_bytes());
    }

    fn write<T: Send>(
        &self,
        difficulty: &[f32],
        out: &mut [T],
        value: impl Fn(f32) -> T + Copy + Sync,
    ) {
        let fill = |(difficulty, out): (&[f32], &mut [T])| {
            pulp::Arch::new().dispatch(Fill {
                difficulty,
                out,
                value,
            });
        };
        if difficulty.len() < 2 * TASK {
            fill((difficulty, out));
        } else {
            let tasks = difficulty.par_chunks(TASK).zip(out.par_chunks_mut(TASK));
            tasks.for_each(fill);
        }
    }
}

/// The loop that is compiled for each instruction set.
struct Fill<'a, T, V> {
    difficulty: &'a [f32],
    out: &'a mut [T],
    value: V,
}

impl<T, V: Fn(f32) -> T> WithSimd for Fill<'_, T, V> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, d) in self.out.iter_mut().zip(self.difficulty) {
            *out = (self.value)(*d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::tests::shapes;

    const ORDERS: [Order; 2] = [Order::EasyFirst, Order::HardFirst];

    fn weights(difficulty: &[f32], order: Order, temperature: f64) -> Vec<f32> {
        let mut weights = vec![0.0; difficulty.len()];
        Weights::new(&Sketch::new(difficulty), order, temperature).fill(difficulty, &mut weights);
        weights
    }

    #[test]
    fn sum_to_one_for_every_shape_and_temperature() {
        for n in [1, 2, 50_000] {
            for (name, difficulty) in shapes(n) {
                for order in ORDERS {
                    for temperature in [1e-10, 1e-8, 1e-6, 0.01, 0.1, 1.0, f64::INFINITY] {
                        let sum: f64 = weights(&difficulty, order, temperature)
                            .iter()
                            .map(|w| f64::from(*w))
                            .sum();
                        assert!(
                            (sum - 1.0).abs() < 1e-6,
                            "{n} {name} {order:?} {temperature}: {sum}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn sum_to_one_for_a_million_samples_far_below_their_spacing() {
        let cubes = |i: u32| (f64::from(i) / 1e6).powi(3) as f32;
        let difficulty: Vec<f32> = (0..1_000_000).map(cubes).collect();
        let sketch = Sketch::new(&difficulty);
        for order in ORDERS {
            for temperature in [1e-7, 1e-8, 1e-9, 1e-10, 1e-13, 1e-17] {
                let weights = Weights::new(&sketch, order, temperature);
                let sum: f64 = difficulty.iter().map(|d| weights.of(*d)).sum();
                let error = (sum - 1.0).abs();
                assert!(error < 1e-8, "{order:?} {temperature}: {error:e}");
            }
        }
    }

    #[test]
    fn sum_to_one_with_values_that_are_not_finite() {
        let difficulty = [0.5, f32::NAN, f32::INFINITY, -f32::INFINITY, 0.25];
        for order in ORDERS {
            for temperature in [1e-3, 1.0, 1e38, f64::INFINITY] {
                let sum: f32 = weights(&difficulty, order, temperature).iter().sum();
                assert!((sum - 1.0).abs() < 1e-6, "{order:?} {temperature}: {sum}");
            }
        }
    }

    #[test]
    fn order_decides_which_end_is_favoured() {
        let easy = weights(&[0.0, 0.5, 1.0], Order::EasyFirst, 0.2);
        let hard = weights(&[0.0, 0.5, 1.0], Order::HardFirst, 0.2);
        assert!(easy[0] > easy[1] && easy[1] > easy[2]);
        assert_eq!(easy, hard.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn infinite_temperature_is_exactly_uniform() {
        for order in ORDERS {
            assert_eq!(
                weights(&[0.0, 0.3, 1.0, 0.9], order, f64::INFINITY),
                [0.25; 4]
            );
        }
    }

    #[test]
    fn a_range_alone_equals_the_range_of_the_whole_for_any_threads() {
        let (_, difficulty) = shapes(3 * TASK + 5).swap_remove(2);
        let weights = Weights::new(&Sketch::new(&difficulty), Order::EasyFirst, 0.07);
        let filled = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let mut out = vec![0.0; difficulty.len()];
            pool.unwrap()
                .install(|| weights.fill(&difficulty, &mut out));
            out.iter().map(|w| w.to_bits()).collect::<Vec<_>>()
        };
        let whole = filled(1);
        assert_eq!(whole, filled(4));
        for range in [0..1, 7..20, 3..TASK + 4, TASK - 1..3 * TASK + 5] {
            let mut part = vec![0.0f32; range.len()];
            weights.fill(&difficulty[range.clone()], &mut part);
            let part: Vec<u32> = part.iter().map(|w| w.to_bits()).collect();
            assert_eq!(part, whole[range]);
        }
    }

    #[test]
    fn bytes_are_those_of_the_values() {
        let (_, difficulty) = shapes(2 * TASK + 3).swap_remove(0);
        let weights = Weights::new(&Sketch::new(&difficulty), Order::HardFirst, 0.3);
        let (mut values, mut bytes) = (vec![0.0; difficulty.len()], vec![0; 4 * difficulty.len()]);
        weights.fill(&difficulty, &mut values);
        weights.fill_le_bytes(&difficulty, &mut bytes);
        assert_eq!(
            bytes,
            values
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect::<Vec<_>>()
        );
    }
}
