//! The samples of a manifest, in order, by content hash.

use crate::{Digest, Result, SampleRecord, Store, StoreError, envelope};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// Samples per stored value.
const CHUNK: u64 = 4096;

impl Store {
    /// Writes all samples of the manifest with this content hash.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_samples(&self, content: Digest, samples: &[SampleRecord]) -> Result<()> {
        for (chunk, records) in (0u64..).zip(samples.chunks(CHUNK as usize)) {
            self.samples
                .insert(key(content, chunk), envelope::seal_json(&records))?;
        }
        Ok(())
    }

    /// All samples, in order; empty when there are none of this content hash.
    ///
    /// # Errors
    /// When a value is damaged or the database fails.
    pub fn samples(&self, content: Digest) -> Result<Vec<SampleRecord>> {
        let mut samples = Vec::new();
        for value in self.samples.scan_prefix(content.as_bytes()).values() {
            let records: Vec<SampleRecord> =
                envelope::open_json(&value?, || format!("samples of {content}"))?;
            samples.extend(records);
        }
        Ok(samples)
    }

    /// The samples from `range.start` on, in order: at most those of one stored value, and of `range`.
    ///
    /// Whoever goes on where the last answer ended reads each stored value once.
    ///
    /// # Errors
    /// When one is missing or damaged, or the database fails.
    pub fn some_samples(&self, content: Digest, range: Range<u64>) -> Result<Vec<SampleRecord>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut records = self.sample_chunk(content, range.start / CHUNK)?;
        let missing =
            || StoreError::corrupt(format!("sample {} of {content}", range.start), "missing");
        let first = (range.start % CHUNK) as usize;
        let samples = (CHUNK - range.start % CHUNK).min(range.end - range.start) as usize;
        if records.len() < first + samples {
            return Err(missing());
        }
        records.truncate(first + samples);
        Ok(records.split_off(first))
    }

    /// The samples at `indices`, by index. Each stored value is read once, so asking for many at a
    /// time is cheap.
    ///
    /// # Errors
    /// When one is missing or damaged, or the database fails.
    pub fn samples_at(
        &self,
        content: Digest,
        indices: impl IntoIterator<Item = u64>,
    ) -> Result<BTreeMap<u64, SampleRecord>> {
        let wanted: BTreeSet<u64> = indices.into_iter().collect();
        let mut found = BTreeMap::new();
        let mut chunk = (u64::MAX, Vec::new());
        for index in wanted {
            if chunk.0 != index / CHUNK {
                chunk = (index / CHUNK, self.sample_chunk(content, index / CHUNK)?);
            }
            let missing = || StoreError::corrupt(format!("sample {index} of {content}"), "missing");
            let record: &SampleRecord =
                chunk.1.get((index % CHUNK) as usize).ok_or_else(missing)?;
            found.insert(index, record.clone());
        }
        Ok(found)
    }

    fn sample_chunk(&self, content: Digest, chunk: u64) -> Result<Vec<SampleRecord>> {
        let what = || format!("samples from {} of {content}", chunk * CHUNK);
        let value = self.samples.get(key(content, chunk))?;
        envelope::open_json(
            &value.ok_or_else(|| StoreError::corrupt(what(), "missing"))?,
            what,
        )
    }
}

fn key(content: Digest, chunk: u64) -> Vec<u8> {
    [content.as_bytes().as_slice(), &chunk.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    #[test]
    fn samples_keep_their_order_across_chunks() {
        let (store, _folder) = temporary();
        let record = |i: usize| SampleRecord {
            id: format!("s{i}"),
            label: None,
            digest: None,
        };
        let samples: Vec<_> = (0..CHUNK as usize * 3 + 7).map(record).collect();
        let content = Digest::from([7; 32]);
        store.put_samples(content, &samples).unwrap();
        assert_eq!(store.samples(content).unwrap(), samples);
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
