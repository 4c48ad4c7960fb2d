//! Difficulties, distances, clusters and ids.

use super::{Home, difficulty, floats, some};
use curriculum_proto::v1::{self, Order};
use tonic::Code;

#[tokio::test]
async fn difficulties_come_in_order_in_any_range() {
    let home = Home::short(150_000);
    for (start, end) in [
        (0, 150_000),
        (0, 2),
        (7, 7),
        (65_530, 65_540),
        (149_999, 150_000),
    ] {
        let (header, chunks) = home.difficulty(some(start, end), false).await.unwrap();
        assert_eq!(
            (header.sample_count, header.range),
            (150_000, some(start, end))
        );
        let read: Vec<f32> = chunks.iter().flat_map(|c| floats(&c.difficulty)).collect();
        let expected: Vec<f32> = (start as usize..end as usize).map(difficulty).collect();
        assert_eq!(read, expected);
    }
    let (header, chunks) = home.difficulty(None, false).await.unwrap();
    assert_eq!((header.range, chunks.len()), (some(0, 150_000), 3));
    let distance = floats(&chunks[0].distance);
    assert!(distance[1].is_nan());
    assert_eq!(distance[2], 2.0 * difficulty(2));
    assert_eq!(
        chunks[0].cluster[..12],
        [0, 0, 0, 0, 255, 255, 255, 255, 2, 0, 0, 0]
    );
}

#[tokio::test]
async fn messages_with_ids_are_cut_by_bytes() {
    let mut ids: Vec<String> = (0..9_000).map(|i| format!("{i:0>300}")).collect();
    ids[4_200] = "long".repeat(1 << 18);
    let home = Home::new(ids);
    let (_, chunks) = home.difficulty(None, true).await.unwrap();
    let read: Vec<&String> = chunks.iter().flat_map(|chunk| &chunk.ids).collect();
    assert!(read.into_iter().eq(&home.ids));
    assert!(
        chunks
            .iter()
            .any(|chunk| chunk.ids == home.ids[4_200..4_201])
    );
    // 9,000 samples of about 340 bytes need three messages, the long one parts another.
    assert!(chunks.len() <= 6, "{}", chunks.len());
    let (_, chunks) = home.difficulty(some(8_998, 9_000), true).await.unwrap();
    assert_eq!(chunks[0].labels, ["label 8998", ""]);
    assert_eq!(
        floats(&chunks[0].difficulty),
        [difficulty(8_998), difficulty(8_999)]
    );
}

#[tokio::test]
async fn difficulties_beyond_the_samples_are_refused() {
    let home = Home::short(10);
    for range in [some(4, 3), some(0, 11), some(u64::MAX, 0)] {
        let status = home.difficulty(range, true).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{range:?}");
    }
}

#[tokio::test]
async fn difficulties_alone_come_in_the_order_that_is_weighted() {
    let home = Home::short(250_000);
    let request = |order: Order| v1::GetDifficultyRequest {
        difficulty_only: true,
        order: order.into(),
        order_seed: 4,
        ..Default::default()
    };
    let read = async |order| -> Vec<f32> {
        let (_, chunks) = home.difficulty_of(request(order)).await.unwrap();
        assert!(chunks.len() <= 2);
        chunks.iter().flat_map(|c| floats(&c.difficulty)).collect()
    };
    let own: Vec<f32> = (0..250_000).map(difficulty).collect();
    assert_eq!(read(Order::EasyFirst).await, own);
    assert_eq!(read(Order::HardFirst).await, own);
    for order in [Order::Reversed, Order::Shuffled] {
        let reassigned = read(order).await;
        let weights = home.weights(order, 4, None).await;
        let largest = (0..250_000).max_by(|a, b| weights[*a].total_cmp(&weights[*b]));
        // Weights are f32, so neighbours of the easiest may share the largest.
        assert!(reassigned[largest.unwrap()] < 1e-6);
        assert_ne!(reassigned, own);
    }
    let both = v1::GetDifficultyRequest {
        with_ids: true,
        ..request(Order::EasyFirst)
    };
    let status = home.difficulty_of(both).await.unwrap_err();
    assert!(status.message().starts_with("difficulty_only:"), "{status}");
}
