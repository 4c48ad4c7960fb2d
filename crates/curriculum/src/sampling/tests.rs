use super::*;
use crate::{Sketch, Weights, solver::tests::shapes};
use proptest::prelude::*;

/// Standard normal deviate of a chi-square statistic (Wilson and Hilferty 1931).
pub(super) fn deviate(chi_square: f64, degrees: f64) -> f64 {
    let variance = 2.0 / (9.0 * degrees);
    ((chi_square / degrees).cbrt() - (1.0 - variance)) / variance.sqrt()
}

/// Compares drawn counts with the weights, cells of at least 20 expected draws in order of index.
fn agreement(
    difficulty: &[f32],
    order: Order,
    temperature: f64,
    draws: usize,
    cells: usize,
) -> f64 {
    let sampler = Sampler::new(difficulty).unwrap();
    let mut drawn = vec![0; draws];
    sampler
        .draws(order, temperature, Stream::new(1, 2, 3))
        .fill(0, &mut drawn);
    let mut counts = vec![0u32; difficulty.len()];
    drawn.iter().for_each(|i| counts[*i as usize] += 1);

    let weights = Weights::new(&Sketch::new(difficulty), order, temperature);
    let least = (draws / cells).max(20) as f64;
    let (mut expected, mut found, mut chi_square, mut degrees) = (0.0, 0.0, 0.0, -1.0);
    for (d, count) in difficulty.iter().zip(counts) {
        expected += weights.of(*d) * draws as f64;
        found += f64::from(count);
        if expected >= least {
            chi_square += (found - expected).powi(2) / expected;
            degrees += 1.0;
            (expected, found) = (0.0, 0.0);
        }
    }
    // What remains is too small for a cell of its own.
    if expected > 0.0 {
        chi_square += (found - expected).powi(2) / least;
    }
    assert!(degrees >= 10.0, "{degrees} cells");
    deviate(chi_square, degrees)
}

/// Differs from chance in either direction: deviates beyond 4 come once in 16,000 tests.
pub(super) fn assert_agrees(name: &str, deviate: f64) {
    assert!(deviate.abs() < 4.0, "{name}: {deviate} standard deviations");
}

#[test]
fn every_sample_is_drawn_in_proportion_to_its_weight() {
    for (name, difficulty) in shapes(1_000) {
        for order in [Order::EasyFirst, Order::HardFirst] {
            for temperature in [0.1, 1.0, f64::INFINITY] {
                let name = format!("{name} {order:?} {temperature}");
                assert_agrees(
                    &name,
                    agreement(&difficulty, order, temperature, 100_000, 1_000),
                );
            }
        }
    }
}

#[test]
fn low_temperatures_draw_from_the_extreme() {
    let difficulty: Vec<f32> = (0..1_000).map(|i| (i / 20) as f32 / 50.0).collect();
    for (order, extreme) in [(Order::EasyFirst, 0..20), (Order::HardFirst, 980..1_000)] {
        for temperature in [1e-310, 1e-6, 1e-3] {
            let sampler = Sampler::new(&difficulty).unwrap();
            let draws = sampler.draws(order, temperature, Stream::new(1, 2, 3));
            assert!((0..500).all(|j| extreme.contains(&draws.get(j))));
        }
    }
}

#[test]
fn a_million_samples_are_drawn_in_proportion_too() {
    // Difficulty is scattered over the indices, so cells mix all of it.
    let difficulty: Vec<f32> = (0..1_000_000u64)
        .map(|i| ((i * 618_034 % 1_000_003) as f32 / 1e6).powi(2))
        .collect();
    for (order, temperature) in [(Order::EasyFirst, 0.01), (Order::HardFirst, 0.3)] {
        let deviate = agreement(&difficulty, order, temperature, 400_000, 5_000);
        assert_agrees(&format!("{order:?}"), deviate);
    }
}

#[test]
fn nine_of_ten_picks_are_accepted() {
    for (name, difficulty) in shapes(20_000) {
        let sampler = Sampler::new(&difficulty).unwrap();
        let sketch = Sketch::new(&difficulty);
        for (order, hard) in [(Order::EasyFirst, false), (Order::HardFirst, true)] {
            for temperature in [1e-10, 1e-8, 1e-6, 1e-4, 0.01, 0.1, 1.0] {
                let envelope = |bin: &Bin| {
                    let rank = sketch.rank(order, f64::from(bin.best(hard)));
                    f64::from(bin.count) * (-rank / temperature).exp()
                };
                let picked: f64 = sampler.bins.iter().map(envelope).sum();
                let accepted = sketch.normaliser(order, temperature) / picked;
                assert!(accepted > 0.9, "{name} {order:?} {temperature}: {accepted}");
            }
        }
    }
}

#[test]
fn nothing_cannot_be_drawn_from() {
    assert_eq!(Sampler::new(&[]).unwrap_err(), CurriculumError::NoSamples);
}

#[test]
fn values_that_are_not_finite_are_drawn_as_the_documented_ones() {
    let sampler = Sampler::new(&[f32::NAN, 0.5, f32::INFINITY, -f32::INFINITY]).unwrap();
    for (order, extreme) in [(Order::EasyFirst, &[3][..]), (Order::HardFirst, &[0, 2])] {
        let draws = sampler.draws(order, 1.0, Stream::new(1, 2, 3));
        assert!((0..100).all(|j| extreme.contains(&draws.get(j))));
    }
}

#[test]
fn streams_differ_in_every_part() {
    let sampler = Sampler::new(&[0.5; 1 << 16]).unwrap();
    let first = |stream| {
        let draws = sampler.draws(Order::EasyFirst, 1.0, stream);
        [0, 1, 2, 3].map(|j| draws.get(j))
    };
    let streams = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 1 << 40)];
    let drawn = streams.map(|(version, seed, t)| first(Stream::new(version, seed, t)));
    let distinct = drawn
        .iter()
        .flatten()
        .collect::<std::collections::BTreeSet<_>>();
    assert_eq!(distinct.len(), 20);
}

#[test]
fn threads_do_not_change_the_draws() {
    let (_, difficulty) = shapes(3_000).swap_remove(1);
    let sampler = Sampler::new(&difficulty).unwrap();
    let draws = sampler.draws(Order::EasyFirst, 0.05, Stream::new(1, 2, 3));
    let filled = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let mut out = vec![0; 3 * TASK + 17];
        pool.unwrap().install(|| draws.fill(u64::MAX - 5, &mut out));
        out
    };
    let (one, four) = (filled(1), filled(4));
    assert_eq!(one, four);
    for offset in [0, 4, 5, TASK, 3 * TASK + 16] {
        assert_eq!(
            one[offset],
            draws.get((u64::MAX - 5).wrapping_add(offset as u64))
        );
    }
}

proptest! {
    #[test]
    fn draws_are_samples_that_can_occur(
        difficulty in prop::collection::vec(0.0f32..=1.0, 1..300),
        temperature in prop_oneof![Just(f64::INFINITY), 1e-7f64..10.0],
        seed: u64,
    ) {
        let sampler = Sampler::new(&difficulty).unwrap();
        for order in [Order::EasyFirst, Order::HardFirst] {
            let weights = Weights::new(&Sketch::new(&difficulty), order, temperature);
            let draws = sampler.draws(order, temperature, Stream::new(1, seed, 0));
            for j in 0..20 {
                prop_assert!(weights.of(difficulty[draws.get(j) as usize]) > 0.0);
            }
        }
    }
}
