//! The form of every stored value: a BLAKE3 checksum, then the payload.

use crate::{Result, StoreError};
use serde::{Serialize, de::DeserializeOwned};

const CHECKSUM: usize = 32;

/// Prefixes `payload` with its checksum.
pub(crate) fn seal(payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(CHECKSUM + payload.len());
    value.extend_from_slice(blake3::hash(payload).as_bytes());
    value.extend_from_slice(payload);
    value
}

/// The payload of `value`, once its checksum is verified; `what` names it in the error.
pub(crate) fn open(value: &[u8], what: impl FnOnce() -> String) -> Result<&[u8]> {
    match value.split_at_checked(CHECKSUM) {
        Some((checksum, payload)) if blake3::hash(payload).as_bytes() == checksum => Ok(payload),
        Some(_) => Err(StoreError::corrupt(what(), "checksum mismatch")),
        None => Err(StoreError::corrupt(what(), "too short for a checksum")),
    }
}

/// As [`seal_json`], for the one place that `place` describes.
pub(crate) fn seal_json_for(place: &[u8], record: &impl Serialize) -> Vec<u8> {
    let mut value = seal_json(record);
    let checksum = checksum_for(place, &value[CHECKSUM..]);
    value[..CHECKSUM].copy_from_slice(checksum.as_bytes());
    value
}

/// As [`open_json`], of what [`seal_json_for`] made for this very place.
pub(crate) fn open_json_for<T: DeserializeOwned>(
    place: &[u8],
    value: &[u8],
    what: impl Fn() -> String,
) -> Result<T> {
    let parts = value.split_at_checked(CHECKSUM);
    let (stored, payload) = parts.ok_or_else(|| StoreError::corrupt(what(), "too short"))?;
    if checksum_for(place, payload).as_bytes() != stored {
        return Err(StoreError::corrupt(what(), "checksum mismatch"));
    }
    serde_json::from_slice(payload)
        .map_err(|_| StoreError::corrupt(what(), "not the expected record"))
}

fn checksum_for(place: &[u8], payload: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(place).update(payload);
    hasher.finalize()
}

/// [`seal`] of `record` as JSON.
pub(crate) fn seal_json(record: &impl Serialize) -> Vec<u8> {
    seal(&json(record))
}

/// A record as JSON.
pub(crate) fn json(record: &impl Serialize) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "records are plain structs with string keys: JSON cannot fail"
    )]
    serde_json::to_vec(record).expect("records serialise")
}

/// [`open`], then JSON.
pub(crate) fn open_json<T: DeserializeOwned>(value: &[u8], what: impl Fn() -> String) -> Result<T> {
    let payload = open(value, &what)?;
    serde_json::from_slice(payload)
        .map_err(|_| StoreError::corrupt(what(), "not the expected record"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_flipped_bit_is_found(payload in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0u32..8) {
            let mut value = seal(&payload);
            prop_assert_eq!(open(&value, String::new).unwrap(), payload.as_slice());
            let at = at.index(value.len());
            value[at] ^= 1u8 << bit;
            prop_assert!(open(&value, String::new).is_err());
        }
    }

    #[test]
    fn a_short_value_is_an_error() {
        assert!(open(&[0; 31], String::new).is_err());
    }
}
