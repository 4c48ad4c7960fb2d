use proptest::prelude::*;

use super::*;
use crate::source::BLOCK_ROWS;

/// Every instruction set of this machine, and the portable path.
fn architectures() -> Vec<Arch> {
    let mut all = vec![Arch::Scalar, Arch::new()];
    #[cfg(target_arch = "x86_64")]
    all.extend(pulp::x86::V3::try_new().map(Arch::V3));
    all
}

/// Nearest clusters run by run, the same on every instruction set.
fn nearest(width: usize, rows: &[f32], runs: &[&[f32]]) -> Vec<Vec<u32>> {
    let found = architectures()
        .into_iter()
        .map(|arch| nearest_on(arch, width, rows, runs));
    let mut found: Vec<_> = found.collect();
    let first = found.remove(0);
    assert!(found.iter().all(|other| *other == first));
    first
}

fn nearest_on(arch: Arch, width: usize, rows: &[f32], runs: &[&[f32]]) -> Vec<Vec<u32>> {
    let stack = Stack::new(width, usize::MAX, runs.iter().copied());
    let mut all = vec![Vec::new(); runs.len()];
    for values in rows.chunks(BLOCK_ROWS * width) {
        let norms = norms(values, width);
        let block = Block {
            values,
            norms: &norms,
            width,
        };
        let mut found = Vec::new();
        stack.nearest_with(arch, block, &mut found);
        for (all, found) in all.iter_mut().zip(found.chunks_exact(block.len())) {
            all.extend_from_slice(found);
        }
    }
    all
}

/// Compares all distances, as the kernel sums them: rows can be as near to two centroids as the last
/// bit of f64, where another order of summation would choose the other.
fn by_definition(width: usize, rows: &[f32], centroids: &[f32]) -> Vec<u32> {
    let nearest = |row: &[f32]| {
        let mut best = (0, f64::INFINITY);
        for (number, centroid) in centroids.chunks_exact(width).enumerate() {
            let distance = squared_distance(row, centroid);
            if distance < best.1 {
                best = (number as u32, distance);
            }
        }
        best.0
    };
    rows.chunks_exact(width).map(nearest).collect()
}

#[test]
fn exact_ties_go_to_the_lowest_cluster() {
    let rows = [0.0, 0.0, 1.0, 1.0, 2.0, 0.0];
    let square = [2.0, 2.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(nearest(2, &rows, &[&square]), [[3, 0, 2]]);
}

// 1000 and 1000 + 2⁻⁹ differ, yet the squares in the scores are rounded to multiples of 2⁻⁴.
#[test]
fn rows_far_from_the_origin_are_told_apart() {
    let step = 1.0 / 512.0;
    let rows: Vec<f32> = (0..100).map(|row| 1000.0 + step * row as f32).collect();
    let expected: Vec<u32> = (0..100).collect();
    assert_eq!(nearest(1, &rows, &[&rows]), [expected]);
}

#[test]
fn values_whose_squares_leave_f32_are_told_apart() {
    let rows = [1e30, 0.0, 0.0, -1e30, 1e-30, 0.0, 0.0, -1e-30];
    assert_eq!(nearest(2, &rows, &[&rows]), [[0, 1, 2, 3]]);
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

    // Small integers make ties common; several runs, one of them wider than a sweep, share a
    // stack, so every way of cutting panels is met.
    #[test]
    fn every_run_of_a_stack_gets_the_true_nearest(
        seed in 0_u32..u32::MAX,
        rows in 1_usize..700,
        width in 1_usize..20,
        clusters in prop::collection::vec(1_usize..40, 1..12),
        wide in 500_usize..600,
        scale in prop::sample::select(vec![1.0_f32, 1e-3, 0.37]),
    ) {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) % 9) as f32 * scale
        };
        let rows: Vec<f32> = (0..rows * width).map(|_| next()).collect();
        let runs: Vec<Vec<f32>> = clusters
            .into_iter()
            .chain([wide])
            .map(|clusters| (0..clusters * width).map(|_| next()).collect())
            .collect();
        let slices: Vec<&[f32]> = runs.iter().map(Vec::as_slice).collect();
        for (found, centroids) in nearest(width, &rows, &slices).iter().zip(&runs) {
            prop_assert_eq!(found, &by_definition(width, &rows, centroids));
        }
    }
}

#[test]
fn products_are_the_same_bits_on_every_instruction_set() {
    let width = 37;
    let value = |i: usize| ((i * 7919 % 1013) as f32 - 500.0) * 1e-2;
    let rows: Vec<f32> = (0..29 * width).map(value).collect();
    let panel = pack(width, &rows[..11 * width]);
    let mut all = architectures().into_iter().map(|arch| {
        let mut products = vec![[0.0; PANEL]; 29];
        multiply(arch, &rows, width, &panel, &mut products);
        products
    });
    let first = all.next().unwrap();
    assert!(all.all(|products| products == first));
    let exact: f64 = (0..width)
        .map(|d| f64::from(rows[d]) * f64::from(rows[10 * width + d]))
        .sum();
    assert!((f64::from(first[0][10]) - exact).abs() < 1e-2);
    assert_eq!(first[0][11], 0.0, "a lane without a centroid");
}

/// Centroids in blobs, so that groups of them can be passed over, and rows around them.
fn blobs(scale: f32) -> (Vec<f32>, Vec<f32>) {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    let centres: Vec<f32> = (0..20 * 6).map(|_| 10.0 * next()).collect();
    let mut around = |count: usize, spread: f32| -> Vec<f32> {
        let values = (0..count * 6).map(|i| centres[i / 6 % 20 * 6 + i % 6] + spread * next());
        values.map(|value| value * scale).collect()
    };
    (around(200, 0.5), around(1000, 1.0))
}

#[test]
fn groups_of_centroids_are_passed_over_without_loss_at_any_scale() {
    for scale in [1.0, 1e-3, 3e-22, 1e10, 1e14, 1e18] {
        let (centroids, rows) = blobs(scale);
        let found = nearest(6, &rows, &[&centroids]);
        assert_eq!(
            found,
            [by_definition(6, &rows, &centroids)],
            "scale {scale}"
        );
    }
}

#[test]
fn a_row_beyond_the_squares_of_f32_does_not_mislead_its_strip() {
    let (centroids, mut rows) = blobs(1e10);
    for (row, far) in [(5, 2e19_f32), (17, -2e19), (480, 3e37)] {
        rows[row * 6..][..6].copy_from_slice(&[far, 0.0, 0.0, 0.0, far / 2.0, 0.0]);
    }
    let found = nearest(6, &rows, &[&centroids]);
    assert_eq!(found, [by_definition(6, &rows, &centroids)]);
}

// ‖c‖² is rounded too: these two centroids are nearer to each other than its last bit.
#[test]
fn a_short_row_between_two_long_centroids_is_decided_exactly() {
    let centroids = [1.020_792, -0.000_348_837_9, 1.020_792, 0.000_348_837_93];
    let rows = [0.0, 1e-9, 0.0, -1e-9];
    let found = nearest(2, &rows, &[&centroids]);
    assert_eq!(found, [by_definition(2, &rows, &centroids)]);
}
