//! The messages of `GetWeights`: computed when the client is ready for them.

use super::{Messages, blocking};
use crate::published::Difficulty;
use curriculum::{Order, weights::EncodedWeights};
use curriculum_proto::v1::{self, get_weights_response::Part};
use curriculum_store::Digest;
use std::{ops::Range, sync::Arc};
use tokio_stream::{StreamExt, once};
use tonic::Status;

/// Bytes of the values in one message.
const CHUNK_BYTES: u64 = 1 << 20;

/// The header alone, or with the weights of `range`, which lies within the samples.
pub(super) fn messages(
    header: v1::WeightsHeader,
    values: Option<(Arc<Difficulty>, EncodedWeights, Range<u64>)>,
) -> Messages<v1::GetWeightsResponse> {
    let header = once(Ok(v1::GetWeightsResponse {
        part: Some(Part::Header(header)),
    }));
    let Some((difficulty, weights, range)) = values else {
        return Box::pin(header);
    };
    let samples = CHUNK_BYTES / weights.encoding().bytes() as u64;
    let chunks = tokio_stream::iter(chunks(range, samples))
        .then(move |range| chunk(Arc::clone(&difficulty), weights, range));
    Box::pin(header.chain(chunks))
}

/// Names the values of an answer.
pub(super) fn etag(
    version: Digest,
    order: Order,
    temperature: f64,
    range: &Range<u64>,
    encoding: v1::Encoding,
) -> String {
    let (order, seed) = match order {
        Order::EasyFirst => (0, 0),
        Order::HardFirst => (1, 0),
        Order::Reversed => (2, 0),
        Order::Shuffled { seed } => (3, seed),
    };
    let digest = Digest::of_parts([
        version.as_bytes().as_slice(),
        &u64::to_le_bytes(order),
        &seed.to_le_bytes(),
        &temperature.to_bits().to_le_bytes(),
        &range.start.to_le_bytes(),
        &range.end.to_le_bytes(),
        &i32::from(encoding).to_le_bytes(),
    ]);
    digest.to_string()[..32].to_owned()
}

/// `range`, cut into what fits one message.
fn chunks(range: Range<u64>, samples: u64) -> impl Iterator<Item = Range<u64>> + Send {
    let end = range.end;
    range
        .step_by(samples as usize)
        .map(move |start| start..end.min(start + samples))
}

async fn chunk(
    difficulty: Arc<Difficulty>,
    weights: EncodedWeights,
    range: Range<u64>,
) -> Result<v1::GetWeightsResponse, Status> {
    let start = range.start;
    let encode = move || {
        let difficulty = difficulty.range(range);
        let mut values = vec![0; difficulty.len() * weights.encoding().bytes()];
        weights.fill(difficulty, &mut values);
        Ok(values)
    };
    let values = blocking(encode).await?.into();
    Ok(v1::GetWeightsResponse {
        part: Some(Part::Chunk(v1::WeightsChunk { start, values })),
    })
}
