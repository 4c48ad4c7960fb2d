//! The messages of `GetDifficulty`: read from the store when the client is ready for them.

use crate::{
    published::{Difficulties, Lack, Lookup, Published},
    to_proto,
};
use crc32fast::Hasher;
use curriculum_proto::v1::{self, get_difficulty_response::Part};
use curriculum_store::{Column, Digest, StoreError};
use futures_util::stream;
use std::{ops::Range, sync::Arc};
use tokio_stream::Stream;
use tonic::Status;

/// Samples of a message without ids, 768 KiB: as many as the store keeps in one value.
const SAMPLES: u64 = 65_536;

/// Samples of a message of difficulties alone, 768 KiB.
const SAMPLES_ALONE: u64 = 3 * SAMPLES;

/// Bytes of a message with ids: 1 MiB, less what names its fields.
const BYTES: usize = (1 << 20) - 64;

/// Bytes of a sample without the text of its id and label: three values, and both lengths.
const SAMPLE_BYTES: usize = 24;

/// Reads one version.
pub(super) struct Reader {
    pub(super) published: Arc<Published>,
    pub(super) version: Digest,
    /// Difficulties other than the stored ones.
    pub(super) reassigned: Option<Arc<Difficulties>>,
    /// Key of the ids, if they are wanted.
    pub(super) listing: Option<Digest>,
    pub(super) difficulty_only: bool,
}

/// Samples `range`, which lies within the version, in order, and the checksum.
pub(super) fn messages(
    reader: Reader,
    range: Range<u64>,
) -> impl Stream<Item = Result<v1::GetDifficultyResponse, Status>> + Send {
    let start = Some((Arc::new(reader), range, Hasher::new()));
    stream::try_unfold(start, |state| async move {
        let Some((reader, rest, mut hasher)) = state else {
            return Ok(None);
        };
        if rest.is_empty() {
            let crc32 = hasher.finalize();
            let part = Some(Part::End(v1::DifficultyEnd { crc32 }));
            return Ok(Some((v1::GetDifficultyResponse { part }, None)));
        }
        let (at, end) = (rest.start, rest.end);
        let worker = Arc::clone(&reader);
        let chunk = move |lookup: &Lookup<'_>| worker.chunk(lookup, rest.clone());
        let chunk = reader.published.answer(chunk).await?;
        hasher.update(&chunk.difficulty);
        let next = at + (chunk.difficulty.len() / size_of::<f32>()) as u64;
        let part = Some(Part::Chunk(chunk));
        Ok(Some((
            v1::GetDifficultyResponse { part },
            Some((reader, next..end, hasher)),
        )))
    })
}

impl Reader {
    /// As many samples from the start of `rest`, which is not empty, as fit one message.
    fn chunk(&self, lookup: &Lookup<'_>, rest: Range<u64>) -> Result<v1::DifficultyChunk, Lack> {
        let reassigned = self.reassigned.as_ref();
        let reassigned = reassigned.map(|values| lookup.of(values)).transpose()?;
        let start = rest.start;
        let (ids, labels) = match self.listing {
            Some(listing) => self.names(listing, rest.clone())?,
            None => (Vec::new(), Vec::new()),
        };
        let samples = match self.difficulty_only {
            true => SAMPLES_ALONE,
            false => SAMPLES,
        };
        let end = match self.listing {
            Some(_) => start + ids.len() as u64,
            None => rest.end.min((start / samples + 1) * samples),
        };
        let values = |column| -> Result<Vec<u8>, StoreError> {
            let store = self.published.store();
            let values = store.column_range(self.version, column, start..end)?;
            Ok(values.into_flattened())
        };
        let difficulty = match reassigned {
            Some(difficulty) => to_proto::floats(difficulty.range(start..end)),
            None => values(Column::Difficulty)?.into(),
        };
        let (distance, cluster) = match self.difficulty_only {
            true => Default::default(),
            false => (
                values(Column::Distance)?.into(),
                values(Column::Cluster)?.into(),
            ),
        };
        Ok(v1::DifficultyChunk {
            start,
            difficulty,
            distance,
            cluster,
            ids,
            labels,
        })
    }

    /// Ids and labels, at least one: a single sample may need more than a message should have.
    fn names(
        &self,
        listing: Digest,
        rest: Range<u64>,
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let (mut ids, mut labels) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        let mut next = rest.start;
        while next < rest.end {
            let samples = self
                .published
                .store()
                .some_samples(listing, next..rest.end)?;
            next += samples.len() as u64;
            for sample in samples {
                let label = sample.label.unwrap_or_default();
                bytes += SAMPLE_BYTES + sample.id.len() + label.len();
                if bytes > BYTES && !ids.is_empty() {
                    return Ok((ids, labels));
                }
                ids.push(sample.id);
                labels.push(label);
            }
        }
        Ok((ids, labels))
    }
}
