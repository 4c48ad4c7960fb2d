//! The arrays of a version, in fixed-size checksummed chunks of four-byte values.

use crate::{Digest, Result, Store, StoreError, envelope};
use std::ops::Range;

/// Values per chunk: 256 KiB.
const CHUNK: usize = 65_536;

/// Which array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// f32; in [0, 1], unless nothing was normalised.
    Difficulty,
    /// f32 ≥ 0, to the centroid; NaN for a sample without features.
    Distance,
    /// u32; `u32::MAX` for a sample without features.
    Cluster,
    /// f32, clusters × dimension, row-major; all others have one value per sample.
    Centroids,
}

impl Column {
    fn tag(self) -> u8 {
        match self {
            Self::Difficulty => b'd',
            Self::Distance => b'x',
            Self::Cluster => b'c',
            Self::Centroids => b'k',
        }
    }
}

impl Store {
    /// Writes a whole column.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_column(
        &self,
        version: Digest,
        column: Column,
        values: impl ExactSizeIterator<Item = [u8; 4]>,
    ) -> Result<()> {
        let mut values = values;
        let mut chunk = 0u64;
        while values.len() > 0 {
            let bytes: Vec<u8> = values.by_ref().take(CHUNK).flatten().collect();
            self.columns
                .insert(key(version, column, chunk), envelope::seal(&bytes))?;
            chunk += 1;
        }
        Ok(())
    }

    /// Reads a whole column of `length` values.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a chunk is damaged or missing.
    pub fn column(&self, version: Digest, column: Column, length: u64) -> Result<Vec<[u8; 4]>> {
        let prefix = &key(version, column, 0)[..33];
        let mut values = Vec::new();
        for (expected, entry) in (0u64..).zip(self.columns.scan_prefix(prefix)) {
            let (found, value) = entry?;
            if found != key(version, column, expected) {
                return Err(damaged(version, column, "a chunk is missing"));
            }
            values.extend_from_slice(open(&value, version, column)?);
        }
        if values.len() as u64 == length {
            Ok(values)
        } else {
            Err(damaged(version, column, "wrong number of values"))
        }
    }

    /// Removes all columns of a version.
    pub(crate) fn remove_columns(&self, version: Digest) -> Result<()> {
        for key in self.columns.scan_prefix(version.as_bytes()).keys() {
            self.columns.remove(key?)?;
        }
        Ok(())
    }

    /// Reads the values of `range` alone, whose chunks are the cost.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a chunk is damaged or missing, or too short for the range.
    pub fn column_range(
        &self,
        version: Digest,
        column: Column,
        range: Range<u64>,
    ) -> Result<Vec<[u8; 4]>> {
        let mut values = Vec::with_capacity(range.clone().count());
        let mut at = range.start;
        while at < range.end {
            let chunk = at / CHUNK as u64;
            let first = chunk * CHUNK as u64;
            let end = range.end.min(first + CHUNK as u64);
            let stored = self.columns.get(key(version, column, chunk))?;
            let stored = stored.ok_or_else(|| damaged(version, column, "a chunk is missing"))?;
            let wanted = (at - first) as usize..(end - first) as usize;
            let wanted = open(&stored, version, column)?.get(wanted);
            values.extend_from_slice(
                wanted.ok_or_else(|| damaged(version, column, "wrong number of values"))?,
            );
            at = end;
        }
        Ok(values)
    }
}

fn open(stored: &[u8], version: Digest, column: Column) -> Result<&[[u8; 4]]> {
    let bytes = envelope::open(stored, || name(version, column))?;
    Ok(bytes.as_chunks::<4>().0)
}

fn damaged(version: Digest, column: Column, reason: &'static str) -> StoreError {
    StoreError::corrupt(name(version, column), reason)
}

fn name(version: Digest, column: Column) -> String {
    format!("{column:?} of version {version}")
}

fn key(version: Digest, column: Column, chunk: u64) -> Vec<u8> {
    [
        version.as_bytes().as_slice(),
        &[column.tag()],
        &chunk.to_be_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    const VERSION: [u8; 32] = [9; 32];

    fn filled() -> (Store, tempfile::TempDir, Vec<[u8; 4]>) {
        let (store, folder) = temporary();
        let values: Vec<[u8; 4]> = (0..CHUNK as u32 * 2 + 5).map(u32::to_le_bytes).collect();
        store
            .put_column(VERSION.into(), Column::Cluster, values.iter().copied())
            .unwrap();
        (store, folder, values)
    }

    #[test]
    fn columns_round_trip() {
        let (store, _folder, values) = filled();
        assert_eq!(
            store
                .column(VERSION.into(), Column::Cluster, values.len() as u64)
                .unwrap(),
            values
        );
    }

    #[test]
    fn ranges_are_those_of_the_whole() {
        let (store, _folder, values) = filled();
        let end = values.len() as u64;
        let chunk = CHUNK as u64;
        for range in [
            0..end,
            0..1,
            3..3,
            chunk - 1..chunk + 1,
            chunk..2 * chunk,
            end - 3..end,
        ] {
            let read = store.column_range(VERSION.into(), Column::Cluster, range.clone());
            assert_eq!(
                read.unwrap(),
                values[range.start as usize..range.end as usize]
            );
        }
        for range in [end - 1..end + 1, end + chunk..end + chunk + 1] {
            let read = store.column_range(VERSION.into(), Column::Cluster, range);
            assert!(matches!(read, Err(StoreError::Corrupt { .. })));
        }
    }

    #[test]
    fn a_missing_or_damaged_chunk_is_an_error() {
        let (store, _folder, values) = filled();
        let length = values.len() as u64;
        assert!(
            store
                .column(VERSION.into(), Column::Cluster, length + 1)
                .is_err()
        );
        let middle = key(VERSION.into(), Column::Cluster, 1);
        let mut damaged = store.columns.remove(&middle).unwrap().unwrap().to_vec();
        assert!(
            store
                .column(VERSION.into(), Column::Cluster, length)
                .is_err()
        );
        damaged[100] ^= 1;
        store.columns.insert(middle, damaged).unwrap();
        assert!(
            store
                .column(VERSION.into(), Column::Cluster, length)
                .is_err()
        );
        let range = CHUNK as u64..CHUNK as u64 + 1;
        assert!(
            store
                .column_range(VERSION.into(), Column::Cluster, range)
                .is_err()
        );
    }
}
