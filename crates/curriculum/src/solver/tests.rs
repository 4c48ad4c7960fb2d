//! The solver against exact O(N) evaluation and against a closed form.

use super::*;
use crate::effective;
use proptest::prelude::*;

/// r(τ) by its definition.
pub(crate) fn exact_effective_fraction(difficulty: &[f32], order: Order, temperature: f64) -> f64 {
    let sign = match order {
        Order::EasyFirst => -1.0,
        Order::HardFirst => 1.0,
    };
    let best = difficulty
        .iter()
        .map(|d| sign * f64::from(*d))
        .fold(f64::NEG_INFINITY, f64::max);
    let mass = |d: &f32| ((sign * f64::from(*d) - best) / temperature).exp();
    let total: f64 = difficulty.iter().map(mass).sum();
    let draws = difficulty.len() as f64;
    difficulty
        .iter()
        .map(|d| effective::drawn_at_least_once(mass(d) / total, draws))
        .sum::<f64>()
        / draws
}

/// Difficulties of the shapes that occur: uniform, skewed both ways, heavy-tailed, two-valued.
pub(crate) fn shapes(n: usize) -> Vec<(&'static str, Vec<f32>)> {
    let quantile = |f: fn(f64) -> f64| {
        (0..n)
            .map(|i| f((i as f64 + 0.5) / n as f64) as f32)
            .collect()
    };
    vec![
        ("uniform", quantile(|u| u)),
        ("mostly easy", quantile(|u| u * u)),
        ("mostly hard", quantile(|u| u.powf(0.2))),
        ("heavy tail", quantile(|u| (0.01 / (1.0 - u)).min(1.0))),
        ("two values", quantile(|u| if u < 0.3 { 0.0 } else { 1.0 })),
    ]
}

#[test]
fn solutions_hold_under_exact_evaluation() {
    for (name, difficulty) in shapes(30_000) {
        let sketch = Sketch::new(&difficulty);
        for order in [Order::EasyFirst, Order::HardFirst] {
            for target in [0.1, 0.2, 0.35, 0.5, 0.6, 0.63] {
                let solution = solve(&sketch, order, target);
                let exact = exact_effective_fraction(&difficulty, order, solution.temperature);
                assert!(
                    (exact - solution.effective_fraction).abs() < 1e-6,
                    "{name} {order:?} {target}"
                );
                if solution.status == Status::Ok {
                    assert!(
                        (exact - target).abs() < 1e-6,
                        "{name} {order:?} {target}: {exact}"
                    );
                }
            }
        }
    }
}

/// r(τ) of d ~ U(0, 1) in the limit N → ∞: 1 − τ[E₁(w₁) − E₁(w₀)], w₀ = 1/(τ(1−e^{−1/τ})),
/// w₁ = w₀·e^{−1/τ}; the difference of exponential integrals is ∫ exp(−eᵘ) du by Simpson's rule.
fn uniform_closed_form(temperature: f64) -> f64 {
    let high = (1.0 / (temperature * -(-1.0 / temperature).exp_m1())).ln();
    let low = high - 1.0 / temperature;
    let intervals = 4000;
    let step = (high - low) / f64::from(intervals);
    let integrand = |i: i32| (-(low + step * f64::from(i)).exp()).exp();
    let weighted = |i: i32| {
        integrand(i)
            * if i == 0 || i == intervals {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            }
    };
    1.0 - temperature * (0..=intervals).map(weighted).sum::<f64>() * step / 3.0
}

#[test]
fn uniform_difficulty_has_the_closed_form() {
    let difficulty: Vec<f32> = (0..1_000_000)
        .map(|i| ((f64::from(i) + 0.5) / 1e6) as f32)
        .collect();
    let sketch = Sketch::new(&difficulty);
    for (target, published) in [
        (0.10, 0.0230),
        (0.15, 0.0394),
        (0.30, 0.1065),
        (0.50, 0.2808),
        (0.60, 0.6641),
    ] {
        let solution = solve(&sketch, Order::EasyFirst, target);
        assert_eq!(solution.status, Status::Ok);
        assert!(
            (uniform_closed_form(solution.temperature) - target).abs() < 2e-6,
            "{target}"
        );
        assert!(
            (solution.temperature / published - 1.0).abs() < 2e-3,
            "{target}: {}",
            solution.temperature
        );
    }
}

#[test]
fn a_target_below_the_floor_says_so() {
    // 300 of 1000 samples at 0: r -> 0.3 (1 - (1 - 1/300)^1000).
    let difficulty: Vec<f32> = (0..1000).map(|i| if i < 300 { 0.0 } else { 1.0 }).collect();
    let floor = 0.3 * (1.0 - (1.0 - 1.0f64 / 300.0).powi(1000));
    let solution = solve(&Sketch::new(&difficulty), Order::EasyFirst, 0.1);
    assert_eq!(solution.status, Status::Floor);
    assert!((solution.effective_fraction - floor).abs() < 1e-9);
}

#[test]
fn a_target_beyond_the_ceiling_says_so() {
    let difficulty: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
    assert_eq!(
        solve(&Sketch::new(&difficulty), Order::EasyFirst, 0.9).status,
        Status::Ceiling
    );
}

#[test]
fn constant_difficulty_is_uniform() {
    let solution = solve(&Sketch::new(&[0.4; 100]), Order::HardFirst, 0.2);
    assert_eq!(solution.status, Status::Uniform);
    assert_eq!(solution.temperature, f64::INFINITY);
}

proptest! {
    #[test]
    fn temperature_rises_with_the_target(
        difficulty in prop::collection::vec(0.0f32..=1.0, 2..300),
        (low, high) in (0.05f64..0.6).prop_flat_map(|low| (Just(low), low..0.62)),
    ) {
        let sketch = Sketch::new(&difficulty);
        for order in [Order::EasyFirst, Order::HardFirst] {
            let (a, b) = (solve(&sketch, order, low), solve(&sketch, order, high));
            prop_assert!(a.temperature <= b.temperature * (1.0 + 1e-6));
            prop_assert!(a.temperature > 0.0 && !a.effective_fraction.is_nan());
        }
    }
}
