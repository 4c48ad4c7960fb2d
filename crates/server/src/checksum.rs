//! The checksum of a message of samples, computed alike by whoever sends and whoever takes it.
//!
//! CRC-32 is in every language's standard library, and here it guards only the way: what arrived is
//! kept under stronger hashes.

use crc32fast::Hasher;

/// Of feature vectors: `names` are ids and labels.
#[must_use]
pub fn features<'a>(names: impl IntoIterator<Item = (&'a str, &'a str)>, values: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    for (id, label) in names {
        framed(&mut hasher, id.as_bytes());
        framed(&mut hasher, label.as_bytes());
    }
    hasher.update(values);
    hasher.finalize()
}

/// Of images: ids, labels and files.
#[must_use]
pub fn images<'a>(samples: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>) -> u32 {
    let mut hasher = Hasher::new();
    for (id, label, image) in samples {
        for part in [id.as_bytes(), label.as_bytes(), image] {
            framed(&mut hasher, part);
        }
    }
    hasher.finalize()
}

/// A message is far below 4 GiB, so the length of a part fits.
fn framed(hasher: &mut Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u32).to_le_bytes());
    hasher.update(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Python: `zlib.crc32(struct.pack("<I", 1) + b"a" + struct.pack("<I", 0) + bytes(4))`.
    #[test]
    fn the_checksum_is_that_of_zlib() {
        assert_eq!(features([("a", "")], &[0; 4]), PYTHON);
        assert_eq!(
            images([("a", "", &[] as &[u8])]),
            features([("a", "")], &[0; 4])
        );
    }

    const PYTHON: u32 = 0x99fa_0ae0;

    #[test]
    fn text_cannot_move_between_fields() {
        assert_ne!(features([("ab", "")], &[]), features([("a", "b")], &[]));
    }
}
