//! The messages of `GetWeights`, each computed when the connection asks for it: a slow client costs one.

use super::Messages;
use crate::published::Difficulty;
use bytes::Bytes;
use curriculum::{Order, weights::EncodedWeights};
use curriculum_proto::v1::{self, get_weights_response::Part};
use curriculum_store::Digest;
use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_stream::{StreamExt, once};
use tonic::Status;

/// Samples of one message, at most 256 KiB: they take a tenth of a millisecond, on the thread that sends
/// them. Handing them to another took longer.
const SAMPLES: u64 = 65_536;

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
    let buffers = Arc::new(Buffers::default());
    let chunk = move |range: Range<u64>| -> Result<_, Status> {
        let start = range.start;
        let difficulty = difficulty.range(range);
        let bytes = difficulty.len() * weights.encoding().bytes();
        let values = buffers.filled(bytes, |bytes| weights.fill(difficulty, bytes));
        Ok(v1::GetWeightsResponse {
            part: Some(Part::Chunk(v1::WeightsChunk { start, values })),
        })
    };
    let chunks = tokio_stream::iter(chunks(range)).map(chunk);
    Box::pin(header.chain(chunks))
}

/// Buffers of an answer: a chunk that has been sent leaves its own to a later one.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

/// A buffer in use.
struct Lent {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Buffers {
    fn filled(self: &Arc<Self>, length: usize, fill: impl FnOnce(&mut [u8])) -> Bytes {
        let mut bytes = self.free().pop().unwrap_or_default();
        bytes.resize(length, 0);
        fill(&mut bytes);
        Bytes::from_owner(Lent {
            bytes,
            home: Arc::clone(self),
        })
    }

    /// A std mutex: nothing awaits under it.
    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.home.free().push(bytes);
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
