//! The samples of a manifest, in order, by the key of its listing.
//!
//! `samples/<listing>/<chunk>` is a checksum over the listing, the chunk's number and the records, and
//! the records as JSON. Chunks are written one by one while a source is read, each completely or not
//! at all, so enumeration goes on after the last. They are on disk for certain after a flush.

use crate::{Digest, Result, SampleRecord, Store, StoreError, envelope, files};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
};

/// Bytes of the longest chunk that can be meant.
const LONGEST: u64 = 1 << 30;

/// Samples per stored chunk. Chunk `c` of a listing holds samples from `c * SAMPLES_PER_CHUNK` on.
pub const SAMPLES_PER_CHUNK: u64 = 4096;

impl Store {
    /// Writes the samples of chunk `chunk`: all that it has, which only in the last chunk are fewer
    /// than [`SAMPLES_PER_CHUNK`].
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] and whatever the disk says.
    pub fn put_sample_chunk(
        &self,
        listing: Digest,
        chunk: u64,
        samples: &[SampleRecord],
    ) -> Result<()> {
        let folder = self.sample_folder(listing);
        self.create_below("samples", &folder)?;
        self.write_sample_chunk(&folder, listing, chunk, samples)
    }

    /// As [`Store::put_sample_chunk`], in a folder that exists.
    pub(crate) fn write_sample_chunk(
        &self,
        folder: &Path,
        listing: Digest,
        chunk: u64,
        samples: &[SampleRecord],
    ) -> Result<()> {
        let value = envelope::seal_json_for(&place(listing, chunk), &samples);
        self.room().check(value.len() as u64)?;
        let mut file = self.new_file("samples")?;
        file.write(&value)?;
        file.publish_later(&folder.join(chunk_name(chunk)), self.unsynced())
    }

    /// The samples of chunk `chunk`; `None` when it was not written.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is damaged, and whatever the disk says.
    pub fn sample_chunk(&self, listing: Digest, chunk: u64) -> Result<Option<Vec<SampleRecord>>> {
        let what = || {
            let first = chunk.saturating_mul(SAMPLES_PER_CHUNK);
            format!("samples from {first} of listing {listing}")
        };
        let value = files::read_whole(&self.sample_path(listing, chunk), LONGEST)?;
        value
            .map(|value| envelope::open_json_for(&place(listing, chunk), &value, what))
            .transpose()
    }

    /// The samples from `range.start` on, in order: at most those of one stored chunk, and of `range`.
    ///
    /// Whoever goes on where the last answer ended reads each stored chunk once.
    ///
    /// # Errors
    /// When one is missing or damaged, or the disk does.
    pub fn some_samples(&self, listing: Digest, range: Range<u64>) -> Result<Vec<SampleRecord>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut records = self.stored_chunk(listing, range.start / SAMPLES_PER_CHUNK)?;
        let first = range.start % SAMPLES_PER_CHUNK;
        let samples = (SAMPLES_PER_CHUNK - first).min(range.end - range.start) as usize;
        let first = first as usize;
        if records.len() < first + samples {
            return Err(missing(listing, range.start));
        }
        records.truncate(first + samples);
        Ok(records.split_off(first))
    }

    /// The samples at `indices`, by index. Each stored chunk is read once, so asking for many at a
    /// time is cheap.
    ///
    /// # Errors
    /// When one is missing or damaged, or the disk does.
    pub fn samples_at(
        &self,
        listing: Digest,
        indices: impl IntoIterator<Item = u64>,
    ) -> Result<BTreeMap<u64, SampleRecord>> {
        let wanted: BTreeSet<u64> = indices.into_iter().collect();
        let mut found = BTreeMap::new();
        let mut chunk = (u64::MAX, Vec::new());
        for index in wanted {
            let number = index / SAMPLES_PER_CHUNK;
            if chunk.0 != number {
                chunk = (number, self.stored_chunk(listing, number)?);
            }
            let record: Option<&SampleRecord> = chunk.1.get((index % SAMPLES_PER_CHUNK) as usize);
            let record = record.ok_or_else(|| missing(listing, index))?;
            found.insert(index, record.clone());
        }
        Ok(found)
    }

    /// Numbers of the chunks of a listing that are there, ascending.
    pub(crate) fn sample_chunks(&self, listing: Digest) -> Result<Vec<u64>> {
        let mut chunks = Vec::new();
        for name in files::names(&self.sample_folder(listing))? {
            chunks.extend(chunk_number(&name?));
        }
        chunks.sort_unstable();
        Ok(chunks)
    }

    pub(crate) fn sample_folder(&self, listing: Digest) -> PathBuf {
        self.root().join("samples").join(listing.to_string())
    }

    fn sample_path(&self, listing: Digest, chunk: u64) -> PathBuf {
        self.sample_folder(listing).join(chunk_name(chunk))
    }

    fn stored_chunk(&self, listing: Digest, chunk: u64) -> Result<Vec<SampleRecord>> {
        self.sample_chunk(listing, chunk)?
            .ok_or_else(|| missing(listing, chunk * SAMPLES_PER_CHUNK))
    }
}

fn missing(listing: Digest, index: u64) -> StoreError {
    StoreError::corrupt(format!("sample {index} of listing {listing}"), "missing")
}

pub(crate) fn chunk_name(chunk: u64) -> String {
    format!("{chunk:08}")
}

pub(crate) fn chunk_number(name: &str) -> Option<u64> {
    let number = name.parse().ok();
    number.filter(|number| chunk_name(*number) == name)
}

/// What a chunk is bound to.
fn place(listing: Digest, chunk: u64) -> Vec<u8> {
    [listing.as_bytes().as_slice(), &chunk.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    const CHUNK: u64 = SAMPLES_PER_CHUNK;

    #[test]
    fn samples_keep_their_order_across_chunks() {
        let (store, _folder) = temporary();
        let record = |i: usize| SampleRecord {
            id: format!("s{i}"),
            ..SampleRecord::default()
        };
        let samples: Vec<_> = (0..CHUNK as usize * 3 + 7).map(record).collect();
        let content = Digest::from([7; 32]);
        for (chunk, some) in (0..).zip(samples.chunks(CHUNK as usize)) {
            store.put_sample_chunk(content, chunk, some).unwrap();
            assert_eq!(store.sample_chunk(content, chunk).unwrap().unwrap(), some);
        }
        assert_eq!(store.sample_chunk(content, 4).unwrap(), None);
        let last = samples.len() as u64 - 1;
        let found = store.samples_at(content, [last, 3, CHUNK + 1]).unwrap();
        let expected = [3, CHUNK + 1, last].map(|index| (index, record(index as usize)));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
        assert!(store.samples_at(content, [last + 1]).is_err());

        let end = samples.len() as u64;
        for range in [0..end, 5..9, CHUNK - 1..CHUNK + 1, CHUNK * 3..end, 3..3] {
            let mut read = Vec::new();
            while read.len() < (range.end - range.start) as usize {
                let next = range.start + read.len() as u64..range.end;
                let some = store.some_samples(content, next).unwrap();
                assert!(!some.is_empty() && some.len() <= CHUNK as usize);
                read.extend(some);
            }
            assert_eq!(read, samples[range.start as usize..range.end as usize]);
        }
        assert!(store.some_samples(content, last..last + 2).is_err());
    }
}
