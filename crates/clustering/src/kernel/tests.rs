use ndarray::{Array2, array};
use proptest::prelude::*;

use super::*;
use crate::rows::Rows;

fn nearest(rows: &Rows<'_>, runs: &[&[f32]]) -> Vec<Vec<u32>> {
    let stack = Stack::new(rows.width(), runs.iter().copied());
    let mut all = vec![Vec::new(); runs.len()];
    let mut scratch = Scratch::default();
    for block in rows.blocks() {
        let found = stack.nearest(block, &mut scratch);
        for (all, found) in all.iter_mut().zip(found.chunks_exact(block.len())) {
            all.extend_from_slice(found);
        }
    }
    all
}

/// Compares all distances, as the kernel sums them: rows can be as near to two centroids as the last
/// bit of f64, where another order of summation would choose the other.
fn by_definition(rows: &Rows<'_>, centroids: &[f32]) -> Vec<u32> {
    (0..rows.len())
        .map(|row| {
            let mut best = (0, f64::INFINITY);
            for (number, centroid) in centroids.chunks_exact(rows.width()).enumerate() {
                let distance = squared_distance(rows.row(row), centroid);
                if distance < best.1 {
                    best = (number as u32, distance);
                }
            }
            best.0
        })
        .collect()
}

#[test]
fn exact_ties_go_to_the_lowest_cluster() {
    let values = array![[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]];
    let rows = Rows::new(values.view()).unwrap();
    let square = [2.0, 2.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(nearest(&rows, &[&square]), [[3, 0, 2]]);
}

// 1000 and 1000 + 2⁻⁹ differ, yet the squares in the scores are rounded to multiples of 2⁻⁴.
#[test]
fn rows_far_from_the_origin_are_told_apart() {
    let step = 1.0 / 512.0;
    let values = Array2::from_shape_fn((100, 1), |(row, _)| 1000.0 + step * row as f32);
    let rows = Rows::new(values.view()).unwrap();
    let centroids: Vec<f32> = values.iter().copied().collect();
    let expected: Vec<u32> = (0..100).collect();
    assert_eq!(nearest(&rows, &[&centroids]), [expected]);
}

#[test]
fn values_whose_squares_leave_f32_are_told_apart() {
    let values = array![[1e30, 0.0], [0.0, -1e30], [1e-30, 0.0], [0.0, -1e-30]];
    let rows = Rows::new(values.view()).unwrap();
    let centroids: Vec<f32> = values.iter().copied().collect();
    assert_eq!(nearest(&rows, &[&centroids]), [[0, 1, 2, 3]]);
}

#[test]
fn distance_of_identical_rows_is_zero() {
    let row: Vec<f32> = (0..37).map(|i| (i as f32).sin() * 1e3).collect();
    assert_eq!(squared_distance(&row, &row), 0.0);
    let other: Vec<f32> = row.iter().map(|v| v + 2.0).collect();
    let expected: f64 = row
        .iter()
        .zip(&other)
        .map(|(&a, &b)| f64::from(b - a).powi(2))
        .sum();
    assert!((squared_distance(&row, &other) - expected).abs() < 1e-2 * expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // Small integers make ties common; several runs, one of them wider than a panel, share a
    // stack, so every way of cutting panels is met.
    #[test]
    fn every_run_of_a_stack_gets_the_true_nearest(
        seed in 0_u32..u32::MAX,
        rows in 1_usize..700,
        width in 1_usize..20,
        clusters in prop::collection::vec(1_usize..40, 1..12),
        wide in 200_usize..600,
        scale in prop::sample::select(vec![1.0_f32, 1e-3, 0.37]),
    ) {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) % 9) as f32 * scale
        };
        let values = Array2::from_shape_simple_fn((rows, width), &mut next);
        let rows = Rows::new(values.view()).unwrap();
        let runs: Vec<Vec<f32>> = clusters
            .into_iter()
            .chain([wide])
            .map(|clusters| (0..clusters * width).map(|_| next()).collect())
            .collect();
        let slices: Vec<&[f32]> = runs.iter().map(Vec::as_slice).collect();
        for (found, centroids) in nearest(&rows, &slices).iter().zip(&runs) {
            prop_assert_eq!(found, &by_definition(&rows, centroids));
        }
    }
}
