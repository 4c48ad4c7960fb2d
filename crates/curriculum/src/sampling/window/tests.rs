use super::super::tests::{assert_agrees, deviate};
use super::*;
use crate::{Sketch, Weights, solver::tests::shapes};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn window(
    difficulty: &[f32],
    order: Order,
    temperatures: &[f64],
    batch: u32,
    number: u64,
) -> Vec<u32> {
    let sampler = Sampler::new(difficulty).unwrap();
    let stream = Stream::of_window(1, 2, number);
    sampler.window(order, temperatures, batch, stream).unwrap()
}

/// Probability of every sequence of `draws` samples, by the definition.
fn sequences(weights: &[Vec<f64>]) -> BTreeMap<Vec<u32>, f64> {
    let mut found = BTreeMap::from([(Vec::new(), 1.0)]);
    for weights in weights {
        let mut longer = BTreeMap::new();
        for (sequence, p) in &found {
            let left = |i: &u32| !sequence.contains(i);
            let all = 0..weights.len() as u32;
            let total: f64 = all.clone().filter(left).map(|i| weights[i as usize]).sum();
            for i in all.filter(left) {
                let sequence = [sequence.as_slice(), &[i]].concat();
                longer.insert(sequence, p * weights[i as usize] / total);
            }
        }
        found = longer;
    }
    found
}

#[test]
fn every_sequence_comes_in_proportion_to_its_probability() {
    let difficulty = [0.4, 0.0, 0.1, 0.9, 0.15];
    let temperatures = [0.3, 0.3, 0.08, 2.0];
    for order in [Order::EasyFirst, Order::HardFirst] {
        let weights = temperatures.map(|temperature| {
            let weights = Weights::new(&Sketch::new(&difficulty), order, temperature);
            difficulty.map(|d| weights.of(d)).to_vec()
        });
        let expected = sequences(&weights);
        assert_eq!(expected.len(), 120);
        let sampler = Sampler::new(&difficulty).unwrap();
        let windows = 200_000;
        let mut counts = BTreeMap::new();
        for number in 0..windows {
            let stream = Stream::of_window(9, 4, number);
            let drawn = sampler.window(order, &temperatures, 1, stream).unwrap();
            *counts.entry(drawn).or_insert(0u32) += 1;
        }
        let (mut chi_square, mut degrees, mut rare) = (0.0, -1.0, (0.0, 0.0));
        for (sequence, p) in &expected {
            let count = f64::from(counts.get(sequence).copied().unwrap_or_default());
            let mean = p * windows as f64;
            if mean < 20.0 {
                rare = (rare.0 + mean, rare.1 + count);
            } else {
                chi_square += (count - mean).powi(2) / mean;
                degrees += 1.0;
            }
        }
        if rare.0 > 0.0 {
            chi_square += (rare.1 - rare.0).powi(2) / rare.0;
            degrees += 1.0;
        }
        assert!(degrees > 50.0);
        assert_agrees(&format!("{order:?}"), deviate(chi_square, degrees));
    }
}

#[test]
fn first_draws_of_many_samples_are_those_with_replacement() {
    for (name, difficulty) in shapes(600) {
        for temperature in [0.05, f64::INFINITY] {
            let weights = Weights::new(&Sketch::new(&difficulty), Order::EasyFirst, temperature);
            let sampler = Sampler::new(&difficulty).unwrap();
            let windows = 20_000;
            let mut counts = vec![0.0; difficulty.len()];
            for number in 0..windows {
                let stream = Stream::of_window(1, 2, number);
                let drawn = sampler.window(Order::EasyFirst, &[temperature], 1, stream);
                counts[drawn.unwrap()[0] as usize] += 1.0;
            }
            let (mut chi_square, mut degrees) = (0.0, -1.0);
            let (mut mean, mut count) = (0.0, 0.0);
            for (d, found) in difficulty.iter().zip(counts) {
                mean += weights.of(*d) * windows as f64;
                count += found;
                if mean > 20.0 {
                    chi_square += (count - mean) * (count - mean) / mean;
                    degrees += 1.0;
                    (mean, count) = (0.0, 0.0);
                }
            }
            assert!(degrees > 2.0, "{name}");
            assert_agrees(
                &format!("{name} {temperature}"),
                deviate(chi_square, degrees),
            );
        }
    }
}

#[test]
fn a_frozen_window_takes_samples_in_order_of_difficulty() {
    let difficulty: Vec<f32> = (0..20_000u32)
        .map(|i| (i * 7_919 % 20_011) as f32 / 20_011.0)
        .collect();
    let mut sorted: Vec<u32> = (0..20_000).collect();
    sorted.sort_by(|a, b| difficulty[*a as usize].total_cmp(&difficulty[*b as usize]));
    for temperature in [1e-310, 1e-9] {
        let drawn = window(&difficulty, Order::EasyFirst, &[temperature; 4], 5_000, 3);
        assert_eq!(drawn, sorted);
        let drawn = window(&difficulty, Order::HardFirst, &[temperature; 2], 5_000, 3);
        assert!(drawn.iter().eq(sorted.iter().rev().take(10_000)));
    }
}

#[test]
fn windows_and_iterations_have_numbers_of_their_own() {
    let difficulty = [0.5; 1_000];
    let drawn: BTreeSet<Vec<u32>> = (0..50)
        .map(|number| window(&difficulty, Order::EasyFirst, &[1.0], 3, number))
        .collect();
    assert_eq!(drawn.len(), 50);
    for number in [0, 1, 1 << 40] {
        let [window, iteration] = [Stream::of_window(1, 2, number), Stream::new(1, 2, number)];
        assert_ne!(window, iteration);
    }
}

#[test]
fn a_window_of_more_than_all_samples_is_refused() {
    let sampler = Sampler::new(&[0.1, 0.2, 0.3]).unwrap();
    let refused = sampler.window(Order::EasyFirst, &[1.0; 2], 2, Stream::of_window(1, 2, 3));
    let expected = CurriculumError::WindowTooLarge {
        draws: 4,
        samples: 3,
    };
    assert_eq!(refused.unwrap_err(), expected);
}

fn temperature() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::INFINITY),
        Just(1e-310),
        (-9.0f64..2.0).prop_map(|exponent| 10f64.powf(exponent)),
    ]
}

proptest! {
    #[test]
    fn no_sample_comes_twice_and_a_whole_window_has_them_all(
        difficulty in prop::collection::vec(prop_oneof![0.0f32..=1.0, Just(0.25), any::<f32>()], 1..300),
        temperatures in prop::collection::vec(temperature(), 1..6),
        hard: bool,
        number in 0u64..1 << 50,
    ) {
        let order = if hard { Order::HardFirst } else { Order::EasyFirst };
        let batch = (difficulty.len() / temperatures.len()) as u32;
        let drawn = window(&difficulty, order, &temperatures, batch, number);
        let distinct: BTreeSet<u32> = drawn.iter().copied().collect();
        prop_assert_eq!(drawn.len(), batch as usize * temperatures.len());
        prop_assert_eq!(distinct.len(), drawn.len());
        if drawn.len() == difficulty.len() {
            prop_assert!(distinct.into_iter().eq(0..difficulty.len() as u32));
        }
        prop_assert_eq!(window(&difficulty, order, &temperatures, batch, number), drawn);
    }

    #[test]
    fn galloping_finds_the_first_that_is_not_within(
        start in 0u64..100, more in 1u64..200, end in 1u64..300,
    ) {
        let end = start + end;
        let edge = (start + more).min(end);
        prop_assert_eq!(gallop(start, end, |i| i < edge), edge);
    }
}
