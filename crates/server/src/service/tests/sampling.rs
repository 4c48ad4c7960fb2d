//! Indices for ranks.

use super::{Home, difficulty};
use curriculum_proto::v1::{self, Order, curriculum_service_server::CurriculumService};
use tonic::{Code, Request, Status};

async fn sample(
    home: &Home,
    request: v1::SampleIndicesRequest,
) -> Result<v1::SampleIndicesResponse, Status> {
    let request = v1::SampleIndicesRequest {
        curriculum: "c".to_owned(),
        ..request
    };
    let answer = home.curricula.sample_indices(Request::new(request)).await;
    answer.map(tonic::Response::into_inner)
}

fn integers(bytes: &[u8]) -> Vec<u32> {
    let values = bytes.as_chunks::<4>().0.iter();
    values.map(|value| u32::from_le_bytes(*value)).collect()
}

#[tokio::test]
async fn ranks_share_one_sequence_whatever_their_number() {
    let home = Home::short(5_000);
    for (order, window) in [
        (Order::EasyFirst, 0),
        (Order::Reversed, 0),
        (Order::HardFirst, 4),
    ] {
        let whole = v1::SampleIndicesRequest {
            iteration: 7,
            iterations: 3,
            batch: 48,
            seed: 11,
            order: order.into(),
            window,
            ..Default::default()
        };
        let alone = sample(&home, whole.clone()).await.unwrap();
        assert_eq!((alone.sample_count, alone.entries.len()), (5_000, 3));
        assert_eq!(alone.entries[2].iteration, 9);
        let alone = integers(&alone.indices);
        assert_eq!(alone.len(), 3 * 48);
        for world_size in [1, 2, 3, 4, 8] {
            for rank in 0..world_size {
                let request = v1::SampleIndicesRequest {
                    rank,
                    world_size,
                    ..whole.clone()
                };
                let share = sample(&home, request).await.unwrap();
                let expected = alone.iter().skip(rank as usize);
                let expected: Vec<u32> = expected.step_by(world_size as usize).copied().collect();
                assert_eq!(integers(&share.indices), expected, "{rank} of {world_size}");
            }
        }
    }
}

#[tokio::test]
async fn answers_are_the_same_however_they_are_asked_for() {
    let whole = |window| v1::SampleIndicesRequest {
        iteration: 98,
        iterations: 12,
        batch: 100,
        seed: 5,
        order: Order::Shuffled.into(),
        order_seed: 3,
        window,
        ..Default::default()
    };
    for window in [0, 4, 5, 50] {
        let home = Home::short(5_000);
        let together = sample(&home, whole(window)).await.unwrap();
        // Another server, which is asked backwards, one by one.
        let other = Home::short(5_000);
        for iteration in (98..110).rev() {
            let request = v1::SampleIndicesRequest {
                iteration,
                iterations: 0,
                ..whole(window)
            };
            let alone = sample(&other, request).await.unwrap();
            let place = (iteration - 98) as usize;
            assert_eq!(alone.entries[0], together.entries[place]);
            let expected = &together.indices[400 * place..][..400];
            assert_eq!(
                alone.indices, expected,
                "window {window}, iteration {iteration}"
            );
        }
        let seeds = v1::SampleIndicesRequest {
            seed: 6,
            ..whole(window)
        };
        assert_ne!(
            sample(&home, seeds).await.unwrap().indices,
            together.indices
        );
    }
}

#[tokio::test]
async fn windows_hold_no_index_twice_and_may_hold_them_all() {
    let home = Home::short(600);
    let request = v1::SampleIndicesRequest {
        iteration: 6,
        iterations: 6,
        batch: 200,
        window: 3,
        ..Default::default()
    };
    let drawn = integers(&sample(&home, request).await.unwrap().indices);
    let mut windows: Vec<Vec<u32>> = drawn.chunks(600).map(<[u32]>::to_vec).collect();
    assert_ne!(windows[0], windows[1]);
    for window in &mut windows {
        // The easiest come first, if they all come.
        let mean = |part: &[u32]| part.iter().map(|i| difficulty(*i as usize)).sum::<f32>() / 200.0;
        assert!(mean(&window[..200]) + 0.1 < mean(&window[400..]));
        window.sort_unstable();
        assert!(window.iter().copied().eq(0..600));
    }
}

#[tokio::test]
async fn draws_follow_the_weights_of_their_iteration() {
    let home = Home::short(200);
    let request = v1::SampleIndicesRequest {
        iteration: 10,
        batch: 1 << 19,
        ..Default::default()
    };
    let drawn = integers(&sample(&home, request).await.unwrap().indices);
    let weights = home.weights(Order::EasyFirst, 0, None).await;
    let mut counts = vec![0.0; 200];
    drawn.iter().for_each(|i| counts[*i as usize] += 1.0);
    let (mut chi_square, mut cells) = (0.0, 0);
    for (weight, count) in weights.iter().zip(counts) {
        let expected = f64::from(*weight) * f64::from(1 << 19);
        if expected > 20.0 {
            chi_square += (count - expected) * (count - expected) / expected;
            cells += 1;
        }
    }
    assert!(cells > 50, "{cells}");
    // Four standard deviations beyond the mean of a chi-square of as many cells.
    let limit = f64::from(cells) + 4.0 * f64::from(2 * cells).sqrt();
    assert!(chi_square < limit, "{chi_square} with {cells} cells");
}

#[tokio::test]
async fn a_dataset_of_another_size_is_refused_with_both_numbers() {
    let home = Home::short(10);
    let request = |expected, window| v1::SampleIndicesRequest {
        batch: 4,
        expected_samples: Some(expected),
        window,
        ..Default::default()
    };
    assert!(sample(&home, request(10, 2)).await.is_ok());
    let status = sample(&home, request(11, 0)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("10") && status.message().contains("11"));
    let status = sample(&home, request(10, 3)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("window:"), "{status}");
}
