use super::*;
use pulp::WithSimd;

const FIVE: [[f32; 3]; 5] = [
    [1.0, 1e6, 5.0],
    [2.0, 1e6 + 1.0, 5.0],
    [4.0, 1e6 + 2.0, 5.0],
    [8.0, 1e6 + 3.0, 5.0],
    [0.0, 1e6, 5.0],
];

fn moments(blocks: &[&[[f32; 3]]]) -> Moments {
    let mut moments = Moments::new(3);
    for block in blocks {
        moments.push_block(block.iter().map(<[f32; 3]>::as_slice));
    }
    moments
}

#[test]
fn agrees_with_the_textbook_formula() {
    let normalizer = moments(&[&FIVE]).finish();
    // 1, 2, 4, 8, 0: mean 3, sum of squares 40, std sqrt(40 / 4).
    assert!((normalizer.mean[0] - 3.0).abs() < 1e-12);
    assert!((1.0 / normalizer.scale[0] - (10f64.sqrt() + EPSILON)).abs() < 1e-12);
}

#[test]
fn blocks_merge_to_the_whole() {
    let whole = moments(&[&FIVE]).finish();
    let parts = moments(&[&FIVE[..1], &[], &FIVE[1..4], &FIVE[4..]]).finish();
    for i in 0..3 {
        assert!((whole.mean[i] - parts.mean[i]).abs() <= 1e-9);
        assert!((whole.scale[i] / parts.scale[i] - 1.0).abs() <= 1e-9);
    }
}

#[test]
fn rows_become_unit_and_constant_dimensions_zero() {
    let normalizer = moments(&[&FIVE]).finish();
    let mut row = FIVE[3];
    normalizer.apply(&mut row);
    assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(row[2], 0.0);
}

#[test]
fn a_single_row_is_zero_not_nan() {
    let normalizer = moments(&[&FIVE[..1]]).finish();
    let mut row = FIVE[0];
    normalizer.apply(&mut row);
    assert_eq!(row, [0.0; 3]);
}

/// Rows that fill neither the groups nor the lanes evenly.
fn wavy(rows: usize, dimension: usize) -> Vec<Vec<f32>> {
    let value = |i: usize, j: usize| ((i * 31 + j * 17) as f32).sin() * (j as f32 + 1.0) + 3.0;
    (0..rows)
        .map(|i| (0..dimension).map(|j| value(i, j)).collect())
        .collect()
}

#[test]
fn many_rows_agree_with_two_plain_passes() {
    let (rows, dimension) = (wavy(523, 21), 21);
    let mut parallel = Moments::new(dimension);
    for block in rows.chunks(100) {
        let mut moments = Moments::new(dimension);
        moments.push_block(block.iter().map(Vec::as_slice));
        parallel.merge(&moments);
    }
    assert_eq!(parallel.count(), 523);
    let normalizer = parallel.finish();
    for j in 0..dimension {
        let column = || rows.iter().map(|row| f64::from(row[j]));
        let mean = column().sum::<f64>() / 523.0;
        let squared = column().map(|x| (x - mean).powi(2)).sum::<f64>();
        let scale = 1.0 / ((squared / 522.0).sqrt() + EPSILON);
        assert!((normalizer.mean[j] - mean).abs() < 1e-12);
        assert!((normalizer.scale[j] / scale - 1.0).abs() < 1e-12);
    }
}

#[test]
fn writing_elsewhere_equals_writing_in_place() {
    let rows = wavy(70, 21);
    let mut moments = Moments::new(21);
    moments.push_block(rows.iter().map(Vec::as_slice));
    let normalizer = moments.finish();
    for mut row in rows {
        let mut out = [0.0; 21];
        normalizer.apply_into(&row, &mut out);
        normalizer.apply(&mut row);
        assert_eq!(out, *row);
        let z: Vec<f64> = out.iter().map(|z| f64::from(*z)).collect();
        assert!((z.iter().map(|z| z * z).sum::<f64>() - 1.0).abs() < 1e-6);
    }
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let rows = wavy(47, 21);
    let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
    let (mut mean, mut deviation) = ([[0.0; 21]; 2], [[0.0; 21]; 2]);
    for (which, (mean, squared_deviation)) in (mean.iter_mut()).zip(&mut deviation).enumerate() {
        let passes = TwoPasses {
            rows: &rows,
            mean,
            squared_deviation,
        };
        match which {
            0 => passes.with_simd(pulp::Scalar),
            _ => pulp::Arch::new().dispatch(passes),
        }
    }
    assert_eq!((mean[0], deviation[0]), (mean[1], deviation[1]));
    let normalizer = moments(&[&FIVE]).finish();
    let plain = SquaredNorm(&normalizer, &FIVE[1]).with_simd(pulp::Scalar);
    let fast = pulp::Arch::new().dispatch(SquaredNorm(&normalizer, &FIVE[1]));
    assert_eq!(plain, fast);
}
