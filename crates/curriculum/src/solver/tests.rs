//! The solver against exact O(N) evaluation and against a closed form.

use super::*;
use crate::{Weights, effective};
use proptest::prelude::*;

/// r(τ) by its definition.
pub(crate) fn exact_effective_fraction(
    difficulty: &[f32],
    order: Order,
    temperature: f64,
    draws: u64,
) -> f64 {
    let sign = if order.favours_hard() { 1.0 } else { -1.0 };
    let best = difficulty
        .iter()
        .map(|d| sign * f64::from(*d))
        .fold(f64::NEG_INFINITY, f64::max);
    let mass = |d: &f32| {
        let distance = best - sign * f64::from(*d);
        if distance > 0.0 {
            (-distance / temperature).exp()
        } else {
            1.0
        }
    };
    let total: f64 = difficulty.iter().map(mass).sum();
    // By the definition, not by the series that the library uses.
    let drawn = |d: &f32| -(draws as f64 * (-mass(d) / total).ln_1p()).exp_m1();
    difficulty.iter().map(drawn).sum::<f64>() / difficulty.len() as f64
}

/// Difficulties of the shapes that occur: uniform, skewed both ways, heavy-tailed, two-valued; and
/// tails over up to 12 decades, as scores without bounds have them, with ranges of one.
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
        ("cubes", quantile(|u| u.powi(3))),
        ("Pareto", pareto(n)),
        ("log-uniform", quantile(|u| 10f64.powf(12.0 * (u - 1.0)))),
        (
            "few far",
            quantile(|u| if u < 0.999 { 1e-9 * u } else { u }),
        ),
        ("one far", outlier(n)),
    ]
}

/// 1/(1 − u), min-max normalised: half of the samples within 1/n of the lowest.
fn pareto(n: usize) -> Vec<f32> {
    let score = |i: usize| n as f64 / (n - i) as f64 - 1.0;
    let highest = score(n - 1).max(f64::MIN_POSITIVE);
    (0..n).map(|i| (score(i) / highest) as f32).collect()
}

/// Uniform up to 1e-9, but for one sample at 1.
fn outlier(n: usize) -> Vec<f32> {
    let mut difficulty: Vec<f32> = (0..n).map(|i| 1e-9 * i as f32 / n as f32).collect();
    difficulty[n - 1] = 1.0;
    difficulty
}

fn problem(order: Order, target: f64, draws: u64) -> Problem {
    Problem {
        order,
        target,
        draws,
        min_temperature: None,
        max_temperature: None,
    }
}

/// Solves and compares with exact evaluation; returns the status.
fn check(name: &str, difficulty: &[f32], sketch: &Sketch, problem: &Problem) -> Status {
    let Problem {
        order,
        target,
        draws,
        ..
    } = *problem;
    let solution = solve(sketch, problem);
    let exact = exact_effective_fraction(difficulty, order, solution.temperature, draws);
    let context = format!("{name} {order:?} {target} {draws}: {solution:?}, exactly {exact}");
    assert!(
        (exact - solution.effective_fraction).abs() <= 1e-7,
        "{context}"
    );
    assert_ne!(solution.status, Status::Clamped, "{context}");
    if solution.status == Status::Ok {
        assert!((exact - target).abs() <= 1e-7, "{context}");
    }
    solution.status
}

#[test]
fn solutions_hold_under_exact_evaluation() {
    for (name, difficulty) in shapes(1_000) {
        let sketch = Sketch::new(&difficulty);
        for order in [Order::EasyFirst, Order::HardFirst] {
            for draws in [1_000, 100, 20_000] {
                let ceiling = effective::ceiling(1_000, draws);
                let floor = effective::floor(1_000, sketch.extreme_count(order), draws);
                for share in [0.01, 0.1, 0.2, 0.35, 0.5, 0.9, 0.999, 0.999_999] {
                    let target = share * ceiling;
                    let status = check(name, &difficulty, &sketch, &problem(order, target, draws));
                    let reachable = if target > floor {
                        Status::Ok
                    } else {
                        Status::Floor
                    };
                    assert_eq!(status, reachable, "{name} {order:?} {target} {draws}");
                }
            }
        }
    }
}

#[test]
fn solutions_hold_for_a_million_samples() {
    for (name, difficulty) in shapes(1_000_000) {
        let sketch = Sketch::new(&difficulty);
        for (order, target, draws) in [
            (Order::EasyFirst, 0.125, 1_000_000),
            (Order::HardFirst, 0.6, 1_000_000),
            (Order::EasyFirst, 0.05, 100_000),
        ] {
            let problem = problem(order, target, draws);
            let status = check(name, &difficulty, &sketch, &problem);
            let floored = name == "two values" && target < 0.3;
            assert_eq!(status == Status::Floor, floored, "{name} {order:?}");
        }
    }
}

#[test]
fn difficulties_of_any_scale_are_solved() {
    for scale in [1e-20f32, 1e-3, 1e6, 1e30] {
        let difficulty: Vec<f32> = (0..2_000).map(|i| scale * (5.0 + i as f32)).collect();
        let sketch = Sketch::new(&difficulty);
        let status = check(
            "scaled",
            &difficulty,
            &sketch,
            &problem(Order::HardFirst, 0.3, 2_000),
        );
        assert_eq!(status, Status::Ok);
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
        let solution = solve(&sketch, &problem(Order::EasyFirst, target, 1_000_000));
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
fn a_target_at_or_below_the_floor_says_so() {
    // 300 of 1000 samples at 0: r -> 0.3 (1 - (1 - 1/300)^1000).
    let difficulty: Vec<f32> = (0..1000).map(|i| if i < 300 { 0.0 } else { 1.0 }).collect();
    let floor = effective::floor(1000, 300.0, 1000);
    assert!((floor - 0.3 * (1.0 - (1.0 - 1.0f64 / 300.0).powi(1000))).abs() < 1e-14);
    let sketch = Sketch::new(&difficulty);
    for target in [0.1, floor] {
        let solution = solve(&sketch, &problem(Order::EasyFirst, target, 1000));
        assert_eq!(solution.status, Status::Floor);
        assert!((solution.effective_fraction / floor - 1.0).abs() < 1e-13);
    }
    let above = solve(&sketch, &problem(Order::EasyFirst, floor + 1e-6, 1000));
    assert_eq!(above.status, Status::Ok);
}

#[test]
fn any_target_above_the_floor_is_reached_whatever_the_tails() {
    let decades = |decades: f64, n: usize| -> Vec<f32> {
        let exponent = |i: usize| (i as f64 / n as f64 - 1.0) * decades;
        (0..n).map(|i| 10f64.powf(exponent(i)) as f32).collect()
    };
    let clusters = (0..1_000).map(|i| if i < 500 { i as f32 * 2e-10 } else { 1.0 });
    let negative = decades(40.0, 3_000).iter().map(|d| -d).collect();
    for (name, difficulty) in [
        ("clusters", clusters.collect()),
        ("7 decades", decades(7.0, 3_000)),
        ("40 decades", decades(40.0, 3_000)),
        ("40 decades below zero", negative),
        ("all of f32", vec![0.0, 1e-45, 1e-20, 1.0, 1e20, f32::MAX]),
        (
            "both ends of f32",
            vec![f32::MIN, 0.0, 1e-45, 1.0, f32::MAX],
        ),
    ] {
        let sketch = Sketch::new(&difficulty);
        let samples = difficulty.len() as u64;
        for (order, draws) in [
            (Order::EasyFirst, samples),
            (Order::HardFirst, samples),
            (Order::EasyFirst, 50 * samples),
            (Order::HardFirst, 2),
        ] {
            let floor = effective::floor(samples, sketch.extreme_count(order), draws);
            let ceiling = effective::ceiling(samples, draws);
            for share in [1e-9, 1e-4, 0.1, 0.5, 0.9, 0.999_9] {
                let target = floor + share * (ceiling - floor);
                let status = check(name, &difficulty, &sketch, &problem(order, target, draws));
                assert_eq!(status, Status::Ok, "{name} {order:?} {share} {draws}");
            }
        }
    }
}

#[test]
fn what_means_nothing_has_its_documented_answer() {
    let sketch = Sketch::new(&[0.0, 0.3, 1.0]);
    let free = problem(Order::EasyFirst, 0.5, 3);
    let uniform = solve(&sketch, &problem(Order::EasyFirst, f64::NAN, 3));
    assert_eq!(uniform, Solution::uniform(&sketch, 3));
    let nothing = solve(&sketch, &problem(Order::EasyFirst, 0.5, 0));
    assert_eq!(nothing.status, Status::Ceiling);
    assert_eq!(nothing.effective_fraction.to_bits(), 0.0f64.to_bits());
    for bound in [f64::NAN, 0.0, -1.0] {
        let bounded = Problem {
            min_temperature: Some(bound),
            max_temperature: Some(bound),
            ..free
        };
        assert_eq!(solve(&sketch, &bounded), solve(&sketch, &free));
    }
}

#[test]
fn targets_at_the_ceiling_are_exactly_uniform() {
    let sketch = Sketch::new(&(0..1000).map(|i| i as f32 / 1000.0).collect::<Vec<_>>());
    let ceiling = effective::ceiling(1000, 1000);
    for (target, status) in [
        (ceiling, Status::Uniform),
        (ceiling * (1.0 - 5e-10), Status::Uniform),
        (ceiling * (1.0 - 1e-8), Status::Ok),
        (0.9, Status::Ceiling),
    ] {
        let solution = solve(&sketch, &problem(Order::EasyFirst, target, 1000));
        assert_eq!(solution.status, status, "{target}");
        assert_eq!(solution.temperature.is_infinite(), status != Status::Ok);
    }
}

#[test]
fn bounds_of_the_temperature_are_kept() {
    let sketch = Sketch::new(&(0..1000).map(|i| i as f32 / 1000.0).collect::<Vec<_>>());
    let bounded = |target, min, max| {
        let free = problem(Order::EasyFirst, target, 1000);
        let solution = solve(
            &sketch,
            &Problem {
                min_temperature: min,
                max_temperature: max,
                ..free
            },
        );
        (solution.status, solution.temperature)
    };
    assert_eq!(bounded(0.6, None, Some(0.1)), (Status::Clamped, 0.1));
    assert_eq!(bounded(0.9, None, Some(0.1)), (Status::Ceiling, 0.1));
    assert_eq!(bounded(0.2, Some(1.0), None), (Status::Clamped, 1.0));
    assert_eq!(bounded(0.0005, Some(1.0), None), (Status::Floor, 1.0));
    assert_eq!(bounded(0.3, Some(1e-3), Some(1.0)).0, Status::Ok);
}

#[test]
fn constant_single_and_absent_difficulties_are_uniform() {
    for difficulty in [vec![0.4; 100], vec![0.7], vec![]] {
        let sketch = Sketch::new(&difficulty);
        let solution = solve(&sketch, &problem(Order::HardFirst, 0.2, 100));
        assert_eq!(solution.status, Status::Uniform);
        assert_eq!(solution.temperature, f64::INFINITY);
        assert!(solution.effective_fraction > 0.0);
    }
}

proptest! {
    #[test]
    fn temperature_rises_with_the_target(
        difficulty in prop::collection::vec(0.0f32..=1.0, 2..300),
        draws in 1u64..2000,
        (low, high) in (0.0f64..1.0).prop_flat_map(|low| (Just(low), low..1.0)),
    ) {
        let sketch = Sketch::new(&difficulty);
        for order in [Order::EasyFirst, Order::HardFirst] {
            let solve = |target| solve(&sketch, &problem(order, target, draws));
            let (a, b) = (solve(low), solve(high));
            prop_assert!(a.temperature <= b.temperature * (1.0 + 1e-6));
            prop_assert!(a.temperature > 0.0 && !a.effective_fraction.is_nan());
            if a.status == Status::Ok {
                prop_assert!((a.effective_fraction - low).abs() <= 1e-9);
            }
        }
    }

    #[test]
    fn any_values_have_an_answer(
        difficulty in prop::collection::vec(prop::num::f32::ANY, 0..60),
        target in prop_oneof![prop::num::f64::ANY, 0.0f64..1.0],
        draws in prop_oneof![any::<u64>(), 0u64..100],
    ) {
        let sketch = Sketch::new(&difficulty);
        for order in [Order::EasyFirst, Order::HardFirst] {
            let solution = solve(&sketch, &problem(order, target, draws));
            prop_assert!(solution.temperature > 0.0);
            prop_assert!((0.0..=1.0 + 1e-12).contains(&solution.effective_fraction));
            prop_assert_ne!(solution.status, Status::Clamped);
            if solution.status == Status::Ok {
                prop_assert!((solution.effective_fraction / target - 1.0).abs() <= 1e-9);
            }
            let weights = Weights::new(&sketch, order, solution.temperature);
            let sum: f64 = difficulty.iter().map(|d| weights.of(*d)).sum();
            prop_assert!(difficulty.is_empty() || (sum - 1.0).abs() < 1e-8, "{}", sum);
        }
    }
}
