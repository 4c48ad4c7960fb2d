//! Accuracy at sizes that are too large for the tests; ends in a panic where it does not hold.
//!
//! Temperatures against O(N) evaluation by the definition and the sum of the f32 weights at 1e8
//! samples, and draws from 5e7 samples against their weights.

#![expect(clippy::print_stdout, reason = "a bench reports what it found")]

use curriculum::{Order, Sampler, Sketch, Status, Stream, Weights, effective, solver};
use rayon::prelude::*;

const SAMPLES: usize = 100_000_000;
const DRAWN_FROM: usize = 50_000_000;
const DRAWS: usize = 20_000_000;
const CELLS: usize = 100_000;

type Quantile = fn(f64) -> f64;

/// Quantile functions of the difficulties; the first is a Beta(1/2, 1), the second a Beta(2, 1).
const SHAPES: [(&str, Quantile); 6] = [
    ("beta, mostly easy", |u| u * u),
    ("beta, mostly hard", f64::sqrt),
    ("uniform", |u| u),
    ("constant", |_| 0.4),
    ("two values", |u| if u < 0.05 { 0.0 } else { 1.0 }),
    ("heavy tail", |u| (0.001 / (1.0 - u)).min(1.0)),
];

fn difficulty(samples: usize, quantile: Quantile) -> Vec<f32> {
    let value = |i: usize| quantile((i as f64 + 0.5) / samples as f64) as f32;
    (0..samples).into_par_iter().map(value).collect()
}

/// r(τ) by its definition, with the standard library's functions.
fn exact(difficulty: &[f32], order: Order, temperature: f64, draws: f64) -> f64 {
    let sign = if order == Order::HardFirst { 1.0 } else { -1.0 };
    let best = difficulty
        .par_iter()
        .map(|d| sign * f64::from(*d))
        .reduce(|| f64::NEG_INFINITY, f64::max);
    let mass = |d: &f32| ((sign * f64::from(*d) - best) / temperature).exp();
    // Partial sums, so that the comparison does not measure the rounding of a single one.
    let chunks = || difficulty.par_chunks(4_096);
    let total: f64 = chunks().map(|c| c.iter().map(mass).sum::<f64>()).sum();
    let drawn = |d: &f32| -(draws * (-mass(d) / total).ln_1p()).exp_m1();
    let reached: f64 = chunks().map(|c| c.iter().map(drawn).sum::<f64>()).sum();
    reached / difficulty.len() as f64
}

fn check_solver() {
    for (name, quantile) in SHAPES {
        let difficulty = difficulty(SAMPLES, quantile);
        let sketch = Sketch::new(&difficulty);
        for (order, target, draws) in [
            (Order::EasyFirst, 0.125, SAMPLES as u64),
            (Order::HardFirst, 0.4, SAMPLES as u64 / 2),
        ] {
            let problem = solver::Problem {
                order,
                target: target * effective::ceiling(SAMPLES as u64, draws) / 0.632,
                draws,
                min_temperature: None,
                max_temperature: None,
            };
            let solution = solver::solve(&sketch, &problem);
            let weights = Weights::new(&sketch, order, solution.temperature);
            let chunks = difficulty.par_chunks(4_096);
            let sums = chunks.map(|c| {
                c.iter()
                    .map(|d| f64::from(weights.of(*d) as f32))
                    .sum::<f64>()
            });
            let sum: f64 = sums.sum();
            assert!(
                (sum - 1.0).abs() <= 1e-6,
                "{name}: the weights sum to {sum}"
            );
            let exact = exact(&difficulty, order, solution.temperature, draws as f64);
            let error = (exact - solution.effective_fraction).abs();
            println!(
                "accuracy/{SAMPLES} {name}, {order:?}: {:?} at {:.6}, |r(tau) - exact| = {error:.1e}",
                solution.status, solution.temperature
            );
            assert!(error <= 1e-6, "{name}");
            assert!(solution.status != Status::Ok || (exact - problem.target).abs() <= 1e-6);
            assert_eq!(solution.status == Status::Uniform, name == "constant");
        }
    }
}

/// Chi-square of draws in cells that each mix samples of all difficulties, as a standard normal
/// deviate (Wilson and Hilferty 1931).
fn check_draws() {
    // 618,033,989 is prime to the number of samples: neighbours differ.
    let scatter = |i: usize| (i * 618_033_989 % DRAWN_FROM) as f64 / DRAWN_FROM as f64;
    let difficulty: Vec<f32> = (0..DRAWN_FROM)
        .into_par_iter()
        .map(|i| scatter(i).powi(2) as f32)
        .collect();
    let sampler = Sampler::new(&difficulty).expect("fewer than 2^32 samples");
    let sketch = Sketch::new(&difficulty);
    for (order, temperature) in [(Order::EasyFirst, 0.01), (Order::HardFirst, 0.2)] {
        let mut drawn = vec![0; DRAWS];
        sampler
            .draws(order, temperature, Stream::new(1, 2, 3))
            .fill(0, &mut drawn);
        // By index and by difficulty: an error in either the bins or inside of them shows.
        let cell = |i: usize| {
            (i * CELLS / DRAWN_FROM) / 2 * 2 + usize::from(difficulty[i] < temperature as f32)
        };
        let mut found = vec![0.0; CELLS];
        drawn.iter().for_each(|i| found[cell(*i as usize)] += 1.0);
        let weights = Weights::new(&sketch, order, temperature);
        let mut expected = vec![0.0; CELLS];
        for (i, d) in difficulty.iter().enumerate() {
            expected[cell(i)] += weights.of(*d) * DRAWS as f64;
        }
        let cells = found.iter().zip(&expected).filter(|(_, e)| **e >= 10.0);
        let (mut chi_square, mut degrees) = (0.0, 0.0);
        for (found, expected) in cells {
            chi_square += (found - expected) * (found - expected) / expected;
            degrees += 1.0;
        }
        let variance: f64 = 2.0 / (9.0 * degrees);
        let deviate = ((chi_square / degrees).cbrt() - (1.0 - variance)) / variance.sqrt();
        println!(
            "chi-square/{DRAWN_FROM} {order:?}: {chi_square:.0} over {degrees} cells, {deviate:+.2} standard deviations"
        );
        assert!(deviate.abs() < 4.0);
    }
}

fn main() {
    check_solver();
    check_draws();
}
