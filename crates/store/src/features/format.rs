//! The layout of a chunk file.
//!
//! Little endian: magic, rows u32, dimension u32, length of the failures u32, the features row-major
//! as f32, the failures as JSON, and a BLAKE3 checksum of all before it.

use super::FeatureChunk;
use std::ops::Range;

/// Bytes before the features.
pub(super) const HEADER: usize = 20;

const MAGIC: &[u8; 8] = b"CURFEAT1";
const CHECKSUM: usize = 32;

type Result<T> = std::result::Result<T, &'static str>;

/// Lengths of a file's parts.
pub(super) struct Header {
    pub(super) rows: usize,
    pub(super) dimension: usize,
    /// Bytes.
    failures: usize,
}

impl Header {
    pub(super) fn parse(bytes: &[u8; HEADER]) -> Result<Self> {
        let (magic, lengths) = bytes.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err("not a feature file");
        }
        let [rows, dimension, failures] = [0, 4, 8].map(|at| {
            let length = lengths[at..].first_chunk::<4>().copied();
            u32::from_le_bytes(length.unwrap_or_default()) as usize
        });
        Ok(Self {
            rows,
            dimension,
            failures,
        })
    }

    /// Where the failures lie in a file of `length` bytes.
    pub(super) fn failures(&self, length: u64) -> Result<Range<u64>> {
        let values = (self.rows as u64).checked_mul(self.dimension as u64);
        let start = values
            .and_then(|n| n.checked_mul(size_of::<f32>() as u64))
            .and_then(|n| n.checked_add(HEADER as u64))
            .ok_or("wrong length")?;
        let end = start.saturating_add(self.failures as u64);
        if end.checked_add(CHECKSUM as u64) == Some(length) {
            Ok(start..end)
        } else {
            Err("wrong length")
        }
    }
}

pub(super) fn encode(chunk: &FeatureChunk) -> Vec<u8> {
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

pub(super) fn decode(bytes: &[u8]) -> Result<FeatureChunk> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or("too short")?;
    if blake3::hash(content).as_bytes() != checksum {
        return Err("checksum mismatch");
    }
    let (header, payload) = content.split_first_chunk::<HEADER>().ok_or("too short")?;
    let header = Header::parse(header)?;
    let failures = header.failures(bytes.len() as u64)?;
    let (features, json) = payload
        .split_at_checked(failures.start as usize - HEADER)
        .ok_or("wrong length")?;
    Ok(FeatureChunk {
        dimension: header.dimension,
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
    use crate::ChunkFailure;

    #[test]
    fn every_flipped_byte_and_every_truncation_is_found() {
        let failure = ChunkFailure {
            row: 1,
            reason: "not an image".to_owned(),
        };
        let chunk = FeatureChunk {
            dimension: 3,
            features: vec![1.0, -2.0, 0.5, 0.0, 0.0, 0.0],
            failures: vec![failure],
        };
        let bytes = encode(&chunk);
        assert_eq!(decode(&bytes), Ok(chunk));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "length {at}");
        }
    }
}
