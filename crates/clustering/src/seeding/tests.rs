use ndarray::Array2;
use rand::SeedableRng;

use super::*;

fn squares(by_row: Vec<f32>, by_block: Vec<f64>) -> Squares {
    let total = by_block.iter().sum();
    Squares {
        by_row,
        by_block,
        total,
    }
}

fn chain(rows: RowSlice<'_>, count: usize, rng: &Xoshiro256Plus) -> Vec<usize> {
    let chains = plus_plus(rows, count, &mut [rng.clone()], |_| Ok(()));
    chains.unwrap().remove(0)
}

#[test]
fn draws_in_proportion_to_the_squares() {
    let four = squares(vec![0.0, 1.0, 0.0, 3.0], vec![4.0]);
    assert_eq!(
        [0.0, 0.24, 0.26, 0.999].map(|share| four.draw(share)),
        [1, 1, 3, 3]
    );
    assert_eq!(
        four.draw(1.0),
        3,
        "rounding past the end takes the last row"
    );
    assert_eq!(squares(vec![0.0; 4], vec![0.0]).draw(0.5), 0);
}

#[test]
fn walks_over_blocks() {
    let mut by_row = vec![0.0; 2 * BLOCK_ROWS + 1];
    by_row[3] = 1.0;
    by_row[2 * BLOCK_ROWS] = 1.0;
    let squares = squares(by_row, vec![1.0, 0.0, 1.0]);
    assert_eq!(squares.draw(0.4), 3);
    assert_eq!(squares.draw(0.6), 2 * BLOCK_ROWS);
}

#[test]
fn a_shorter_chain_is_a_prefix_and_rows_are_distinct() {
    let values = Array2::from_shape_fn((700, 2), |(row, column)| (row * (column + 1)) as f32);
    let rows = RowSlice {
        values: values.as_slice().unwrap(),
        width: 2,
    };
    let base = Xoshiro256Plus::seed_from_u64(3);
    let long = chain(rows, 30, &base);
    assert_eq!(long[..7], chain(rows, 7, &base));
    let distinct: std::collections::BTreeSet<_> = long.iter().collect();
    assert_eq!(distinct.len(), 30);
}

#[test]
fn chains_side_by_side_are_what_each_would_be_alone() {
    let values: Vec<f32> = (0..2 * BLOCK_ROWS + 9)
        .map(|row| (row as f32 * 0.7).sin())
        .collect();
    let rows = RowSlice {
        values: &values,
        width: 3,
    };
    let generators: Vec<_> = (0..7).map(Xoshiro256Plus::seed_from_u64).collect();
    let together = plus_plus(rows, 40, &mut generators.clone(), |_| Ok(())).unwrap();
    let alone = generators.iter().map(|rng| chain(rows, 40, rng));
    assert_eq!(together, alone.collect::<Vec<_>>());
}

// 1000 and 1000 + 2⁻⁹ differ by less than the rounding of their squares.
#[test]
fn rows_far_from_the_origin_are_told_apart() {
    let values: Vec<f32> = (0..40)
        .map(|row| 1000.0 + (row / 2) as f32 / 512.0)
        .collect();
    let rows = RowSlice {
        values: &values,
        width: 1,
    };
    let chain = chain(rows, 20, &Xoshiro256Plus::seed_from_u64(1));
    let distinct: std::collections::BTreeSet<_> = chain.iter().map(|row| row / 2).collect();
    assert_eq!(distinct.len(), 20);
}

#[test]
fn scale_does_not_matter() {
    let values: Vec<f32> = (0..200)
        .map(|row| (row % 4) as f32 + (row / 4) as f32 * 1e-3)
        .collect();
    let chains = [1.0_f32, 2.0_f32.powi(-80), 2.0_f32.powi(70)].map(|scale| {
        let values: Vec<f32> = values.iter().map(|value| value * scale).collect();
        let rows = RowSlice {
            values: &values,
            width: 1,
        };
        chain(rows, 4, &Xoshiro256Plus::seed_from_u64(5))
    });
    let groups = chains.map(|chain| {
        chain
            .into_iter()
            .map(|row| row % 4)
            .collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(groups.each_ref().map(|groups| groups.len()), [4, 4, 4]);
}

#[test]
fn a_start_of_many_clusters_can_be_stopped() {
    let values: Vec<f32> = (0..1000).map(|row| row as f32).collect();
    let rows = RowSlice {
        values: &values,
        width: 1,
    };
    let mut generators = [5, 6].map(Xoshiro256Plus::seed_from_u64);
    let mut lengths = Vec::new();
    let stopped = plus_plus(rows, 900, &mut generators, |length| {
        lengths.push(length);
        match length {
            0..500 => Ok(()),
            _ => Err(ClusteringError::Cancelled),
        }
    });
    assert_eq!(lengths, [0, 64, 128, 192, 256, 320, 384, 448, 512]);
    assert!(matches!(stopped, Err(ClusteringError::Cancelled)));
}
