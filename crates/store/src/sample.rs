//! The samples of a manifest, in order, by content hash.

use crate::{Digest, Result, SampleRecord, Store, StoreError, envelope};

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

    /// The sample at `index`.
    ///
    /// # Errors
    /// When it is missing or damaged, or the database fails.
    pub fn sample(&self, content: Digest, index: u64) -> Result<SampleRecord> {
        let what = || format!("sample {index} of {content}");
        let missing = || StoreError::corrupt(what(), "missing");
        let value = self
            .samples
            .get(key(content, index / CHUNK))?
            .ok_or_else(missing)?;
        let mut records: Vec<SampleRecord> = envelope::open_json(&value, what)?;
        let at = (index % CHUNK) as usize;
        if at < records.len() {
            Ok(records.swap_remove(at))
        } else {
            Err(missing())
        }
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
        assert_eq!(
            store.sample(content, CHUNK + 1).unwrap(),
            record(CHUNK as usize + 1)
        );
        assert!(store.sample(content, samples.len() as u64).is_err());
    }
}
