//! Features on disk: one file per chunk of samples.
//!
//! A file appears under its name only when it is complete and on disk, so the first missing file is
//! where an interrupted extraction goes on.

mod format;

use crate::{Digest, Result, Store, StoreError};
use format::{HEADER, Header, decode, encode};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

/// Features of consecutive samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureChunk {
    /// Length of a row.
    pub dimension: usize,
    /// Row-major; rows of failed samples are zero.
    pub features: Vec<f32>,
    /// Samples without features, by position in the chunk.
    pub failures: Vec<ChunkFailure>,
}

/// What a chunk file says of itself. Only [`FeatureFiles::read`] verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkOutline {
    /// Samples in the chunk, with those that failed.
    pub rows: usize,
    /// Length of a row.
    pub dimension: usize,
    /// Samples without features, by position in the chunk.
    pub failures: Vec<ChunkFailure>,
}

/// A sample without features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkFailure {
    /// Row in its chunk.
    pub row: u32,
    /// Why, for people.
    pub reason: String,
}

/// The chunk files of one extraction.
#[derive(Clone, Debug)]
pub struct FeatureFiles {
    folder: PathBuf,
}

impl Store {
    /// The files of the extraction named by `key`; the folder is created.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn features(&self, key: Digest) -> Result<FeatureFiles> {
        let folder = self.root().join("features").join(key.to_string());
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        // A new folder survives a power cut only once its parents are on disk too.
        for parent in folder.ancestors().skip(1).take(2) {
            sync_folder(parent).map_err(StoreError::io("sync", parent))?;
        }
        Ok(FeatureFiles { folder })
    }
}

impl FeatureFiles {
    /// Reads and verifies chunk `index`; `None` when it was never finished.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file fails its checksum.
    pub fn read(&self, index: usize) -> Result<Option<FeatureChunk>> {
        let path = self.path(index);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        let chunk = decode(&bytes)
            .map_err(|reason| StoreError::corrupt(path.display().to_string(), reason))?;
        Ok(Some(chunk))
    }

    /// Rows, dimension and failures of chunk `index`, without reading its features.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file is missing or its parts do not fit together; the checksum
    /// is not looked at.
    pub fn outline(&self, index: usize) -> Result<ChunkOutline> {
        let (path, mut file) = self.open(index)?;
        let damaged = |reason| StoreError::corrupt(path.display().to_string(), reason);
        let read = |error| read_error(&path, error);
        let length = file.metadata().map_err(read)?.len();
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(read)?;
        let header = Header::parse(&header).map_err(damaged)?;
        let failures = header.failures(length).map_err(damaged)?;
        file.seek(SeekFrom::Start(failures.start)).map_err(read)?;
        let mut json = vec![0; (failures.end - failures.start) as usize];
        file.read_exact(&mut json).map_err(read)?;
        Ok(ChunkOutline {
            rows: header.rows,
            dimension: header.dimension,
            failures: serde_json::from_slice(&json)
                .map_err(|_| damaged("failures are not JSON"))?,
        })
    }

    /// Appends the features of some rows of chunk `index`, each `dimension` long, to `features`,
    /// without a look at the checksum: for a chunk that [`FeatureFiles::read`] has verified.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file is missing or ends before the rows do.
    pub fn read_rows(
        &self,
        index: usize,
        dimension: usize,
        rows: Range<usize>,
        features: &mut Vec<f32>,
    ) -> Result<()> {
        let (path, mut file) = self.open(index)?;
        let read = |error| read_error(&path, error);
        let start = HEADER + rows.start * dimension * size_of::<f32>();
        file.seek(SeekFrom::Start(start as u64)).map_err(read)?;
        let before = features.len();
        features.resize(before + rows.len() * dimension, 0.0);
        let added = &mut features[before..];
        file.read_exact(bytemuck::cast_slice_mut(added))
            .map_err(read)?;
        for value in added {
            *value = f32::from_bits(u32::from_le(value.to_bits()));
        }
        Ok(())
    }

    /// Writes chunk `index` so that it is there completely or not at all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, index: usize, chunk: &FeatureChunk) -> Result<()> {
        let (path, temporary) = (self.path(index), self.folder.join("unfinished"));
        write_synced(&temporary, &encode(chunk)).map_err(StoreError::io("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(StoreError::io("rename to", &path))?;
        sync_folder(&self.folder).map_err(StoreError::io("sync", &self.folder))
    }

    fn open(&self, index: usize) -> Result<(PathBuf, File)> {
        let path = self.path(index);
        match File::open(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(StoreError::corrupt(path.display().to_string(), "missing"))
            }
            Err(error) => Err(StoreError::io("open", path)(error)),
        }
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("chunk-{index:08}.features"))
    }
}

/// A file that ends early is damaged; anything else is the disk's fault.
fn read_error(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::UnexpectedEof => StoreError::corrupt(path.display().to_string(), "too short"),
        _ => StoreError::io("read", path)(error),
    }
}

pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The rename itself is durable only once the folder is.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::temporary;

    fn chunk() -> FeatureChunk {
        let failures = vec![ChunkFailure {
            row: 1,
            reason: "not an image".to_owned(),
        }];
        FeatureChunk {
            dimension: 3,
            features: vec![1.0, -2.0, 0.5, 0.0, 0.0, 0.0],
            failures,
        }
    }

    #[test]
    fn chunks_round_trip_and_missing_ones_are_none() {
        let (store, _folder) = temporary();
        let files = store.features(Digest::from([1; 32])).unwrap();
        assert_eq!(files.read(0).unwrap(), None);
        files.write(4, &chunk()).unwrap();
        assert_eq!(files.read(4).unwrap(), Some(chunk()));
    }

    #[test]
    fn outlines_and_rows_are_those_of_the_chunk() {
        let (store, _folder) = temporary();
        let files = store.features(Digest::from([1; 32])).unwrap();
        assert!(matches!(files.outline(0), Err(StoreError::Corrupt { .. })));
        files.write(0, &chunk()).unwrap();
        let outline = files.outline(0).unwrap();
        assert_eq!((outline.rows, outline.dimension), (2, 3));
        assert_eq!(outline.failures, chunk().failures);
        let mut features = vec![9.0];
        files.read_rows(0, 3, 0..1, &mut features).unwrap();
        files.read_rows(0, 3, 1..1, &mut features).unwrap();
        files.read_rows(0, 3, 1..2, &mut features).unwrap();
        assert_eq!(features, [9.0, 1.0, -2.0, 0.5, 0.0, 0.0, 0.0]);
        let beyond = files.read_rows(0, 3, 0..100, &mut features);
        assert!(matches!(beyond, Err(StoreError::Corrupt { .. })));
    }

    #[test]
    fn a_cut_or_stretched_file_has_no_outline() {
        let (store, _folder) = temporary();
        let files = store.features(Digest::from([1; 32])).unwrap();
        let bytes = encode(&chunk());
        for length in 0..bytes.len() {
            fs::write(files.path(0), &bytes[..length]).unwrap();
            let outline = files.outline(0);
            assert!(
                matches!(outline, Err(StoreError::Corrupt { .. })),
                "{length}"
            );
        }
        fs::write(files.path(0), [bytes, vec![0]].concat()).unwrap();
        assert!(matches!(files.outline(0), Err(StoreError::Corrupt { .. })));
    }
}
