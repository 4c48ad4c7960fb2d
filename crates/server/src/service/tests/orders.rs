//! Control orders and windows, of which clients may ask for any number.

use super::{Home, floats};
use crate::config::Storage;
use curriculum::Order;
use curriculum_proto::v1::{
    self, curriculum_service_server::CurriculumService, get_weights_response::Part,
};
use curriculum_store::Reference;
use std::iter;
use tokio_stream::StreamExt;
use tonic::Request;

const SAMPLES: usize = 200_000;

/// 800,000 bytes are one order's difficulties: there is room for one.
fn home() -> Home {
    let storage = Storage {
        cache_bytes: 5 << 20,
        ..Storage::default()
    };
    Home::short_with(SAMPLES, &storage)
}

fn is_in_memory(home: &Home) -> bool {
    let order = Order::EasyFirst;
    (home.published).can_draw("c", &Reference::Latest, order, iter::empty())
}

#[tokio::test]
async fn control_orders_do_not_evict_the_version() {
    let home = home();
    let draw = |order: v1::Order, order_seed, window| v1::SampleIndicesRequest {
        curriculum: "c".to_owned(),
        batch: 1_000,
        order: order.into(),
        order_seed,
        window,
        ..Default::default()
    };
    let call = async |request| home.curricula.sample_indices(Request::new(request)).await;
    call(draw(v1::Order::EasyFirst, 0, 0)).await.unwrap();
    assert!(is_in_memory(&home));
    for seed in 0..4 {
        home.weights(v1::Order::Shuffled, seed, super::some(0, 1))
            .await;
        call(draw(v1::Order::Shuffled, seed, 0)).await.unwrap();
        call(draw(v1::Order::EasyFirst, 0, 100 + seed as u32))
            .await
            .unwrap();
        call(draw(v1::Order::Shuffled, seed, 100)).await.unwrap();
        assert!(is_in_memory(&home), "seed {seed}");
    }
}

/// Answers that nobody reads hold no difficulties: they are made again.
#[tokio::test]
async fn an_answer_goes_on_after_its_order_has_gone() {
    let home = home();
    let whole = home.weights(v1::Order::Shuffled, 7, None).await;
    let request = v1::GetWeightsRequest {
        curriculum: "c".to_owned(),
        iteration: 10,
        order: v1::Order::Shuffled.into(),
        order_seed: 7,
        // Not the chunks that are kept as they were sent.
        range: super::some(1, SAMPLES as u64),
        ..Default::default()
    };
    let answer = home.curricula.get_weights(Request::new(request)).await;
    let mut messages = answer.unwrap().into_inner();
    let mut weights = Vec::new();
    while let Some(message) = messages.next().await {
        if let Some(Part::Chunk(chunk)) = message.unwrap().part {
            weights.extend(floats(&chunk.values));
            let seed = 100 + weights.len() as u64;
            home.weights(v1::Order::Shuffled, seed, super::some(0, 1))
                .await;
        }
    }
    assert_eq!(weights.len(), SAMPLES - 1);
    assert!(weights == whole[1..]);
}
