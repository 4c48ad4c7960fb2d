//! The arrays of a version: a file each, in fixed-size checksummed chunks of four-byte values.
//!
//! ```text
//! columns/<version>/<name>
//!   magic, number of values u64 little endian
//!   chunks: 65,536 values (fewer in the last), then their checksum
//! ```
//!
//! A checksum covers the version, the column, the number of values and the chunk's place beside its
//! values, so a chunk, or a file, in the wrong place is found as well.
//!
//! They lie beside sled and not in it: there, a hundred million samples took ten times as long, a
//! gigabyte of memory whatever the cache was allowed, and two seconds at every later start
//! (`benches/publish.rs`).

use crate::{
    ClusteringRecord, Digest, Result, Store, StoreError, VersionRecord,
    files::{self, NewFile},
};
use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::PathBuf};

/// Values per chunk: 256 KiB.
const CHUNK: u64 = 65_536;

const MAGIC: &[u8; 8] = b"CURCOLM1";
const HEADER: u64 = 16;
const CHECKSUM: u64 = 32;
const VALUE: u64 = 4;

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
    /// Every column.
    pub const ALL: [Self; 4] = [
        Self::Difficulty,
        Self::Distance,
        Self::Cluster,
        Self::Centroids,
    ];

    /// Values that it has in `version`.
    pub(crate) fn length(self, version: &VersionRecord, clustering: &ClusteringRecord) -> u64 {
        match self {
            Self::Difficulty | Self::Distance | Self::Cluster => version.summary.sample_count,
            Self::Centroids => u64::from(clustering.clusters) * u64::from(clustering.dimension),
        }
    }

    /// Whether `value` may stand in it, among so many clusters.
    pub(crate) fn allows(self, value: [u8; 4], clusters: u32) -> bool {
        let number = f32::from_le_bytes(value);
        match self {
            Self::Difficulty | Self::Centroids => number.is_finite(),
            Self::Distance => number >= 0.0 || number.is_nan(),
            Self::Cluster => {
                let cluster = u32::from_le_bytes(value);
                cluster < clusters || cluster == u32::MAX
            }
        }
    }

    /// Name of its file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Difficulty => "difficulty",
            Self::Distance => "distance",
            Self::Cluster => "cluster",
            Self::Centroids => "centroids",
        }
    }
}

/// A column that is open for reading.
pub(crate) struct ColumnFile {
    version: Digest,
    column: Column,
    path: PathBuf,
    file: File,
    /// Number of values.
    pub(crate) values: u64,
}

impl Store {
    /// Writes a whole column so that it is there completely or not at all.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] and whatever the disk says.
    pub fn put_column(
        &self,
        version: Digest,
        column: Column,
        values: impl ExactSizeIterator<Item = [u8; 4]>,
    ) -> Result<()> {
        let mut values = values;
        let total = values.len() as u64;
        let folder = self.column_folder(version);
        self.create_below("columns", &folder)?;
        let mut file = self.new_file("columns")?;
        self.write_column(&mut file, version, column, total, &mut |chunk| {
            chunk.extend(values.by_ref().take(CHUNK as usize).flatten());
            Ok(())
        })?;
        file.publish(&folder.join(column.name()))
    }

    /// Writes to `file` what `next` appends to the empty chunk that it gets: a full one each time, and in
    /// the end what is left.
    pub(crate) fn write_column(
        &self,
        file: &mut NewFile,
        version: Digest,
        column: Column,
        values: u64,
        next: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let too_many = || StoreError::Invalid(format!("{values} values are too many"));
        self.room().check(length(values).ok_or_else(too_many)?)?;
        file.write(&[MAGIC.as_slice(), &values.to_le_bytes()].concat())?;
        let mut chunk = Vec::with_capacity((CHUNK * VALUE) as usize);
        for number in 0..values.div_ceil(CHUNK) {
            chunk.clear();
            next(&mut chunk)?;
            if chunk.len() as u64 != in_chunk(values, number) * VALUE {
                let reason = format!("{} has not its {values} values", name(version, column));
                return Err(StoreError::Invalid(reason));
            }
            let checksum = checksum(version, column, values, number, &chunk);
            file.write(&chunk)?;
            file.write(&checksum)?;
        }
        Ok(())
    }

    /// Reads a whole column of `length` values.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is missing or damaged, or has another length.
    pub fn column(&self, version: Digest, column: Column, length: u64) -> Result<Vec<[u8; 4]>> {
        let file = self.open_column(version, column)?;
        if file.values != length {
            return Err(damaged(version, column, "wrong number of values"));
        }
        file.range(0..length)
    }

    /// Reads the values of `range` alone, whose chunks are the cost.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the column is missing, one of the chunks is damaged, or the range
    /// goes beyond it.
    pub fn column_range(
        &self,
        version: Digest,
        column: Column,
        range: Range<u64>,
    ) -> Result<Vec<[u8; 4]>> {
        self.open_column(version, column)?.range(range)
    }

    /// Opens a column, whose length is that of its file.
    pub(crate) fn open_column(&self, version: Digest, column: Column) -> Result<ColumnFile> {
        let path = self.column_folder(version).join(column.name());
        let read = |error| match error {
            error if io::Error::kind(&error) == io::ErrorKind::UnexpectedEof => {
                damaged(version, column, "too short")
            }
            error => StoreError::io("read", &path)(error),
        };
        let file = files::open_if_there(&path)?;
        let file = file.ok_or_else(|| damaged(version, column, "missing"))?;
        let mut header = [0; HEADER as usize];
        file.read_exact_at(&mut header, 0).map_err(read)?;
        let (magic, values) = header.split_at(MAGIC.len());
        let values = values.first_chunk().copied().map_or(0, u64::from_le_bytes);
        let stored = file.metadata().map_err(read)?.len();
        if magic != MAGIC || length(values) != Some(stored) {
            return Err(damaged(version, column, "wrong length"));
        }
        Ok(ColumnFile {
            version,
            column,
            path,
            file,
            values,
        })
    }

    /// Removes all columns of a version; returns the bytes that they took.
    pub(crate) fn remove_columns(&self, version: Digest) -> Result<u64> {
        files::remove_folder(&self.column_folder(version))
    }

    pub(crate) fn column_folder(&self, version: Digest) -> PathBuf {
        self.root().join("columns").join(version.to_string())
    }
}

impl ColumnFile {
    pub(crate) fn chunks(&self) -> u64 {
        self.values.div_ceil(CHUNK)
    }

    /// The bytes of chunk `number`, verified.
    pub(crate) fn chunk(&self, number: u64, buffer: &mut Vec<u8>) -> Result<()> {
        let payload = in_chunk(self.values, number) * VALUE;
        buffer.resize((payload + CHECKSUM) as usize, 0);
        let at = HEADER + number * (CHUNK * VALUE + CHECKSUM);
        let read = self.file.read_exact_at(buffer, at);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("too short"),
            _ => StoreError::io("read", &self.path)(error),
        })?;
        let stored = buffer.split_off(payload as usize);
        match checksum(self.version, self.column, self.values, number, buffer) == *stored {
            true => Ok(()),
            false => Err(self.damaged("checksum mismatch")),
        }
    }

    fn range(&self, range: Range<u64>) -> Result<Vec<[u8; 4]>> {
        if range.end > self.values {
            return Err(self.damaged("wrong number of values"));
        }
        let mut values = Vec::with_capacity(range.end.saturating_sub(range.start) as usize);
        let mut buffer = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let chunk = at / CHUNK;
            let first = chunk * CHUNK;
            let end = range.end.min(first + CHUNK);
            self.chunk(chunk, &mut buffer)?;
            let stored = buffer.as_chunks::<4>().0;
            values.extend_from_slice(&stored[(at - first) as usize..(end - first) as usize]);
            at = end;
        }
        Ok(values)
    }

    fn damaged(&self, reason: &'static str) -> StoreError {
        damaged(self.version, self.column, reason)
    }
}

/// Bytes of a file of so many values.
fn length(values: u64) -> Option<u64> {
    let checksums = values.div_ceil(CHUNK).checked_mul(CHECKSUM)?;
    let payload = values.checked_mul(VALUE)?;
    HEADER.checked_add(payload)?.checked_add(checksums)
}

/// Values in chunk `number` of so many in all.
fn in_chunk(values: u64, number: u64) -> u64 {
    CHUNK.min(values - number * CHUNK)
}

fn checksum(version: Digest, column: Column, values: u64, number: u64, payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(version.as_bytes());
    hasher.update(column.name().as_bytes());
    hasher.update(&values.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

fn damaged(version: Digest, column: Column, reason: &'static str) -> StoreError {
    StoreError::corrupt(name(version, column), reason)
}

fn name(version: Digest, column: Column) -> String {
    format!("{column:?} of version {version}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;
    use std::fs;

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
        let chunk = CHUNK;
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
    fn damage_is_found_by_the_reads_that_meet_it() {
        let (store, _folder, values) = filled();
        let length = values.len() as u64;
        let read = |length| store.column(VERSION.into(), Column::Cluster, length);
        let is_corrupt = |read: Result<_>| matches!(read, Err(StoreError::Corrupt { .. }));
        assert!(is_corrupt(read(length + 1)) && is_corrupt(read(length - 1)));
        let path = store.column_folder(VERSION.into()).join("cluster");
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert!(is_corrupt(read(length)), "byte {at}");
        }
        let mut damaged = bytes.clone();
        damaged[(HEADER + CHUNK * VALUE + CHECKSUM) as usize + 100] ^= 1;
        fs::write(&path, damaged).unwrap();
        let range = |range| store.column_range(VERSION.into(), Column::Cluster, range);
        assert!(range(0..CHUNK).is_ok() && is_corrupt(range(CHUNK..CHUNK + 1)));
        for cut in [0, 15, 16, 20, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(is_corrupt(range(0..1)), "{cut}");
        }
    }

    #[test]
    fn another_columns_or_versions_file_is_not_taken() {
        let (store, _folder, values) = filled();
        let length = values.len() as u64;
        let from = store.column_folder(VERSION.into()).join("cluster");
        let other = Digest::from([8; 32]);
        fs::copy(&from, from.with_file_name("distance")).unwrap();
        fs::create_dir(store.column_folder(other)).unwrap();
        fs::copy(&from, store.column_folder(other).join("cluster")).unwrap();
        assert!(
            store
                .column(VERSION.into(), Column::Distance, length)
                .is_err()
        );
        assert!(store.column(other, Column::Cluster, length).is_err());
        assert!(
            store
                .column(VERSION.into(), Column::Cluster, length)
                .is_ok()
        );
    }

    #[test]
    fn an_empty_column_is_one() {
        let (store, _folder) = temporary();
        let none: [[u8; 4]; 0] = [];
        store
            .put_column(VERSION.into(), Column::Centroids, none.into_iter())
            .unwrap();
        assert_eq!(
            store.column(VERSION.into(), Column::Centroids, 0).unwrap(),
            none
        );
    }
}
