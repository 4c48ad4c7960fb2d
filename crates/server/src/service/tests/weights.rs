//! How weights travel.

use super::{Home, floats};
use curriculum_proto::v1::{
    self, Order, curriculum_service_server::CurriculumService, get_weights_response,
};
use tokio_stream::StreamExt;
use tonic::Request;

#[tokio::test]
async fn weights_come_in_every_encoding_within_the_stated_error() {
    let home = Home::short(300_000);
    let exact = home.weights(Order::EasyFirst, 0, None).await;
    for encoding in [v1::Encoding::F32, v1::Encoding::F16, v1::Encoding::U16] {
        let (header, values) = encoded(&home, encoding, String::new()).await;
        assert_eq!(header.encoding(), encoding);
        let decode = |value: &[u8]| match encoding {
            v1::Encoding::F16 => {
                header.scale * f64::from(half::f16::from_le_bytes([value[0], value[1]]))
            }
            v1::Encoding::U16 => {
                let q = u16::from_le_bytes([value[0], value[1]]);
                header.scale * (-f64::from(q) * header.step).exp()
            }
            v1::Encoding::F32 | v1::Encoding::Unspecified => {
                header.scale * f64::from(floats(value)[0])
            }
        };
        let bytes = if encoding == v1::Encoding::F32 { 4 } else { 2 };
        assert_eq!(values.len(), bytes * exact.len());
        let rounded = 0.5f64.powi(24);
        for (value, exact) in values.chunks(bytes).zip(&exact) {
            let error = (decode(value) / f64::from(*exact) - 1.0).abs();
            assert!(
                error <= header.max_relative_error + rounded,
                "{encoding:?}: {error}"
            );
        }
        // Half precision turns the farthest of these samples to zero, or nearly.
        let small = header.max_relative_error < 1e-3;
        assert_eq!(small, encoding != v1::Encoding::F16);
    }
}

#[tokio::test]
async fn weights_that_the_client_has_are_not_sent_again() {
    let home = Home::short(1_000);
    let (header, values) = encoded(&home, v1::Encoding::U16, String::new()).await;
    assert!(!header.not_modified && !values.is_empty());
    let (again, values) = encoded(&home, v1::Encoding::U16, header.etag.clone()).await;
    assert!(again.not_modified && values.is_empty());
    assert_eq!(
        (again.etag, again.scale),
        (header.etag.clone(), header.scale)
    );
    let (other, values) = encoded(&home, v1::Encoding::F16, header.etag).await;
    assert!(!other.not_modified && values.len() == 2_000);
}

/// Header and values of iteration 10.
async fn encoded(
    home: &Home,
    encoding: v1::Encoding,
    if_none_match: String,
) -> (v1::WeightsHeader, Vec<u8>) {
    let request = v1::GetWeightsRequest {
        curriculum: "c".to_owned(),
        iteration: 10,
        encoding: encoding.into(),
        if_none_match,
        ..Default::default()
    };
    let answer = home.curricula.get_weights(Request::new(request)).await;
    let mut messages = answer.unwrap().into_inner();
    let (mut header, mut values) = (None, Vec::new());
    while let Some(message) = messages.next().await {
        match message.unwrap().part.unwrap() {
            get_weights_response::Part::Header(first) => header = Some(first),
            get_weights_response::Part::Chunk(chunk) => {
                assert!(chunk.values.len() <= 1 << 20);
                values.extend_from_slice(&chunk.values);
            }
        }
    }
    (header.unwrap(), values)
}
