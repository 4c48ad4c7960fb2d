//! The layout of a pack.
//!
//! Little endian: magic, rows u32, dimension u32, length of the failures u32, the samples' digests,
//! the features row-major as f32, the failures as JSON, and a BLAKE3 checksum of all before it.

use super::Pack;
use crate::Digest;
use std::ops::Range;

/// Bytes before the digests.
pub(super) const HEADER: usize = 20;

/// Most rows of a pack.
pub(super) const ROWS: usize = 256;

const MAGIC: &[u8; 8] = b"CURPACK1";
const CHECKSUM: usize = 32;
const DIGEST: usize = 32;

type Result<T> = std::result::Result<T, &'static str>;

/// Lengths of a pack's parts.
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
            return Err("not a pack of features");
        }
        let [rows, dimension, failures] = [0, 4, 8].map(|at| {
            let length = lengths[at..].first_chunk::<4>().copied();
            u32::from_le_bytes(length.unwrap_or_default()) as usize
        });
        if !(1..=ROWS).contains(&rows) {
            return Err("wrong number of rows");
        }
        Ok(Self {
            rows,
            dimension,
            failures,
        })
    }

    /// Where the digests lie.
    pub(super) fn digests(&self) -> Range<usize> {
        HEADER..HEADER + self.rows * DIGEST
    }

    /// Where the failures lie in a file of `length` bytes, after the features.
    pub(super) fn failures(&self, length: u64) -> Result<Range<u64>> {
        let values = (self.rows as u64).checked_mul(self.dimension as u64);
        let start = values
            .and_then(|n| n.checked_mul(size_of::<f32>() as u64))
            .and_then(|n| n.checked_add(self.digests().end as u64))
            .ok_or("wrong length")?;
        let end = start.saturating_add(self.failures as u64);
        if end.checked_add(CHECKSUM as u64) == Some(length) {
            Ok(start..end)
        } else {
            Err("wrong length")
        }
    }
}

/// Bytes of the longest pack of this dimension whose failures are not absurd.
pub(super) fn longest(dimension: usize) -> u64 {
    let failures = 1 << 26;
    (ROWS * (dimension * size_of::<f32>() + DIGEST) + HEADER + CHECKSUM + failures) as u64
}

pub(super) fn encode(pack: &Pack) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "plain structs with string keys: JSON cannot fail"
    )]
    let failures = serde_json::to_vec(&pack.failures).expect("failures serialise");
    let rows = pack.digests.len();
    let payload = rows * DIGEST + pack.features.len() * size_of::<f32>() + failures.len();
    let mut bytes = Vec::with_capacity(HEADER + payload + CHECKSUM);
    bytes.extend_from_slice(MAGIC);
    let dimension = pack.features.len() / rows.max(1);
    for length in [rows, dimension, failures.len()] {
        bytes.extend_from_slice(&(length as u32).to_le_bytes());
    }
    bytes.extend(pack.digests.iter().flat_map(|digest| digest.as_bytes()));
    bytes.extend(pack.features.iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend_from_slice(&failures);
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    bytes
}

/// The pack, and its dimension.
pub(super) fn decode(bytes: &[u8]) -> Result<(Pack, usize)> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or("too short")?;
    if blake3::hash(content).as_bytes() != checksum {
        return Err("checksum mismatch");
    }
    let header = Header::parse(content.first_chunk::<HEADER>().ok_or("too short")?)?;
    let failures = header.failures(bytes.len() as u64)?;
    let part = |range: Range<usize>| content.get(range).ok_or("wrong length");
    let features = header.digests().end..failures.start as usize;
    let pack = Pack {
        digests: parse_digests(part(header.digests())?),
        features: part(features)?
            .as_chunks::<4>()
            .0
            .iter()
            .map(|x| f32::from_le_bytes(*x))
            .collect(),
        failures: serde_json::from_slice(part(failures.start as usize..failures.end as usize)?)
            .map_err(|_| "failures are not JSON")?,
    };
    Ok((pack, header.dimension))
}

pub(super) fn parse_digests(bytes: &[u8]) -> Vec<Digest> {
    let digests = bytes.as_chunks::<DIGEST>().0;
    digests.iter().map(|bytes| Digest::from(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackFailure;

    #[test]
    fn every_flipped_byte_and_every_truncation_is_found() {
        let failure = PackFailure {
            row: 1,
            reason: "not an image".to_owned(),
        };
        let pack = Pack {
            digests: vec![Digest::from([1; 32]), Digest::from([2; 32])],
            features: vec![1.0, -2.0, 0.5, 0.0, 0.0, 0.0],
            failures: vec![failure],
        };
        let bytes = encode(&pack);
        assert_eq!(decode(&bytes), Ok((pack, 3)));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "length {at}");
        }
    }
}
