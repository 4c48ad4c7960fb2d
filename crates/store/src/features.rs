//! Features on disk: one file per chunk of samples.
//!
//! Layout, little endian: magic, rows u32, dimension u32, length of the failures u32, the features
//! row-major as f32, the failures as JSON, and a BLAKE3 checksum of all before it. A file appears
//! under its name only when it is complete and on disk, so the first missing file is where an
//! interrupted extraction goes on.

use crate::{Digest, Result, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

const MAGIC: &[u8; 8] = b"CURFEAT1";
const HEADER: usize = 20;
const CHECKSUM: usize = 32;

/// Features of consecutive samples.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureChunk {
    /// Length of a row.
    pub dimension: usize,
    /// Row-major; rows of failed samples are zero.
    pub features: Vec<f32>,
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
    /// Reads chunk `index`; `None` when it was never finished.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the file fails its checksum.
    pub fn read(&self, index: usize) -> Result<Option<FeatureChunk>> {
        let path = self.path(index);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(StoreError::Io {
                    action: "read",
                    path,
                    source,
                });
            }
        };
        let chunk = decode(&bytes)
            .map_err(|reason| StoreError::corrupt(path.display().to_string(), reason))?;
        Ok(Some(chunk))
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

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("chunk-{index:08}.features"))
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

fn encode(chunk: &FeatureChunk) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "plain structs with string keys: JSON cannot fail"
    )]
    let failures = serde_json::to_vec(&chunk.failures).expect("failures serialise");
    let rows = chunk.features.len() / chunk.dimension.max(1);
    let mut bytes =
        Vec::with_capacity(HEADER + chunk.features.len() * 4 + failures.len() + CHECKSUM);
    bytes.extend_from_slice(MAGIC);
    for length in [rows, chunk.dimension, failures.len()] {
        bytes.extend_from_slice(&(length as u32).to_le_bytes());
    }
    bytes.extend(chunk.features.iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend_from_slice(&failures);
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> std::result::Result<FeatureChunk, &'static str> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or("too short")?;
    if blake3::hash(content).as_bytes() != checksum {
        return Err("checksum mismatch");
    }
    let (magic, rest) = content.split_first_chunk::<8>().ok_or("too short")?;
    let (lengths, payload) = rest.split_first_chunk::<12>().ok_or("too short")?;
    if magic != MAGIC {
        return Err("not a feature file");
    }
    let [rows, dimension, failures] = [0, 4, 8].map(|at| {
        let length = lengths[at..]
            .first_chunk::<4>()
            .copied()
            .unwrap_or_default();
        u32::from_le_bytes(length) as usize
    });
    let split = rows
        .checked_mul(dimension)
        .and_then(|n| n.checked_mul(4))
        .ok_or("wrong length")?;
    let (features, json) = payload.split_at_checked(split).ok_or("wrong length")?;
    if json.len() != failures {
        return Err("wrong length");
    }
    Ok(FeatureChunk {
        dimension,
        features: features
            .as_chunks::<4>()
            .0
            .iter()
            .map(|x| f32::from_le_bytes(*x))
            .collect(),
        failures: serde_json::from_slice(json).map_err(|_| "failures are not JSON")?,
    })
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
    fn every_flipped_byte_and_every_truncation_is_found() {
        let bytes = encode(&chunk());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "length {at}");
        }
    }
}
