//! The probabilities: pᵢ = exp(−dᵢ/τ) / Σⱼ exp(−dⱼ/τ), or with +d for [`Order::HardFirst`].

use crate::{Order, Sketch};

/// The weight of a sample as a function of its difficulty.
///
/// Arithmetic is f64, results are rounded once to f32; a sample's weight does not depend on which
/// other samples are computed with it, so any range equals the same range of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    order: Order,
    /// The difficulty whose exponential is one.
    origin: f64,
    temperature: f64,
    scale: f64,
}

impl Weights {
    /// For the samples of `sketch` at `temperature` > 0; infinite means exactly uniform.
    #[must_use]
    pub fn new(sketch: &Sketch, order: Order, temperature: f64) -> Self {
        let origin = match order {
            Order::EasyFirst => -sketch.rank(order, 0.0),
            Order::HardFirst => sketch.rank(order, 0.0),
        };
        Self {
            order,
            origin,
            temperature,
            scale: 1.0 / sketch.normaliser(order, temperature),
        }
    }

    /// Probability of a sample of this difficulty.
    #[must_use]
    pub fn of(&self, difficulty: f32) -> f64 {
        let rank = match self.order {
            Order::EasyFirst => f64::from(difficulty) - self.origin,
            Order::HardFirst => self.origin - f64::from(difficulty),
        };
        self.scale * (-rank / self.temperature).exp()
    }

    /// Writes the weight of each sample of `difficulty` to `weights`, which is as long.
    pub fn fill(&self, difficulty: &[f32], weights: &mut [f32]) {
        for (weight, d) in weights.iter_mut().zip(difficulty) {
            *weight = self.of(*d) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::tests::shapes;

    fn weights(difficulty: &[f32], order: Order, temperature: f64) -> Vec<f32> {
        let mut weights = vec![0.0; difficulty.len()];
        Weights::new(&Sketch::new(difficulty), order, temperature).fill(difficulty, &mut weights);
        weights
    }

    #[test]
    fn sum_to_one_for_every_shape_and_temperature() {
        for (name, difficulty) in shapes(50_000) {
            for order in [Order::EasyFirst, Order::HardFirst] {
                for temperature in [1e-6, 0.01, 0.1, 1.0, f64::INFINITY] {
                    let sum: f64 = weights(&difficulty, order, temperature)
                        .iter()
                        .map(|w| f64::from(*w))
                        .sum();
                    assert!(
                        (sum - 1.0).abs() < 1e-6,
                        "{name} {order:?} {temperature}: {sum}"
                    );
                }
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
        assert_eq!(
            weights(&[0.0, 0.3, 1.0, 0.9], Order::EasyFirst, f64::INFINITY),
            [0.25; 4]
        );
    }
}
