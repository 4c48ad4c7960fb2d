//! The messages of `GetWeights`, each computed when the connection asks for it: a slow client costs one.

use super::Messages;
use crate::{
    metrics::WEIGHTS_SECONDS,
    published::{ChunkOf, Difficulties, Difficulty, Lookup, Published},
};
use curriculum::{Order, weights::EncodedWeights};
use curriculum_proto::v1::{self, get_weights_response::Part};
use curriculum_store::Digest;
use futures_util::stream;
use metrics::histogram;
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_stream::{StreamExt, once};
use tonic::Status;

/// Samples of one message, at most 256 KiB: they take a tenth of a millisecond, on the thread that sends
/// them. Handing them to another took longer.
const SAMPLES: u64 = 65_536;

/// What the values of an answer are made from.
pub(super) struct Values {
    pub(super) difficulties: Arc<Difficulties>,
    pub(super) weights: EncodedWeights,
    /// Lies within the samples.
    pub(super) range: Range<u64>,
    pub(super) published: Arc<Published>,
    pub(super) spent: Spent,
}

/// What the values of an answer took so far; counted when the answer has ended.
pub(super) struct Spent(Duration);

impl Spent {
    /// With what was done since then.
    pub(super) fn since(begun: Instant) -> Self {
        Self(begun.elapsed())
    }

    fn add(&mut self, begun: Instant) {
        self.0 += begun.elapsed();
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        histogram!(WEIGHTS_SECONDS).record(self.0);
    }
}

/// The header alone, or with values.
pub(super) fn messages(
    header: v1::WeightsHeader,
    values: Option<Values>,
) -> Messages<v1::GetWeightsResponse> {
    let etag: Arc<str> = header.etag.as_str().into();
    let header = once(Ok(v1::GetWeightsResponse {
        part: Some(Part::Header(header)),
    }));
    let Some(values) = values else {
        return Box::pin(header);
    };
    let Values {
        difficulties,
        weights,
        range,
        published,
        spent,
    } = values;
    let sending = Sending {
        rest: chunks(range),
        chunks: Arc::new(Making {
            etag,
            difficulties,
            weights,
            published,
        }),
        spent,
    };
    let chunks = stream::try_unfold(sending, |mut sending| async move {
        let chunk = sending.chunk().await?;
        let message = |chunk| v1::GetWeightsResponse {
            part: Some(Part::Chunk(chunk)),
        };
        Ok::<_, Status>(chunk.map(|chunk| (message(chunk), sending)))
    });
    Box::pin(header.chain(chunks))
}

/// An answer, as far as it has come.
struct Sending<R> {
    rest: R,
    chunks: Arc<Making>,
    spent: Spent,
}

/// What its chunks are made from.
struct Making {
    etag: Arc<str>,
    difficulties: Arc<Difficulties>,
    weights: EncodedWeights,
    published: Arc<Published>,
}

impl<R: Iterator<Item = Range<u64>>> Sending<R> {
    async fn chunk(&mut self) -> Result<Option<v1::WeightsChunk>, Status> {
        let Some(range) = self.rest.next() else {
            return Ok(None);
        };
        let begun = Instant::now();
        let chunks = &self.chunks;
        let chunk = match chunks.published.at_hand(&chunks.difficulties) {
            Some(difficulty) => chunks.chunk(&difficulty, range),
            None => {
                let making = Arc::clone(chunks);
                let work = move |lookup: &Lookup<'_>| {
                    let difficulty = lookup.of(&making.difficulties)?;
                    Ok(making.chunk(&difficulty, range.clone()))
                };
                chunks.published.answer(work).await?
            }
        };
        self.spent.add(begun);
        Ok(Some(chunk))
    }
}

impl Making {
    fn chunk(&self, difficulty: &Difficulty, range: Range<u64>) -> v1::WeightsChunk {
        let start = range.start;
        let difficulty = difficulty.range(range);
        let length = difficulty.len() * self.weights.encoding().bytes();
        let of = ChunkOf {
            etag: Arc::clone(&self.etag),
            start,
        };
        let fill = |bytes: &mut [u8]| self.weights.fill(difficulty, bytes);
        let values = self.published.chunks().get(of, length, fill);
        v1::WeightsChunk { start, values }
    }
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

/// `range`, cut into messages.
fn chunks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let end = range.end;
    range
        .step_by(SAMPLES as usize)
        .map(move |start| start..end.min(start + SAMPLES))
}
