//! Where an array's data lie in a file.

use std::ops::Range;

use super::error::NpyProblem;
use super::literal::{self, Fields};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header read, in bytes: what NumPy itself reads unasked (`numpy.lib.format._MAX_HEADER_SIZE`). A
/// plain array's header has about 120.
const MAX_HEADER_BYTES: u32 = 10_000;

/// A file's header, not yet compared with the length of the file.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) fields: Fields,
    /// The first byte of the data.
    start: usize,
}

impl Header {
    /// The header of a file that has these `bytes`: six of magic, two of version, the header's length in two bytes
    /// (version 1.0) or four, the header.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NpyProblem> {
        let rest = after_magic(bytes)?;
        let truncated = |expected| NpyProblem::TruncatedHeader {
            expected,
            found: bytes.len(),
        };
        let (length, text) = match *rest {
            [1, 0, a, b, ref text @ ..] => (u32::from(u16::from_le_bytes([a, b])), text),
            [2 | 3, 0, a, b, c, d, ref text @ ..] => (u32::from_le_bytes([a, b, c, d]), text),
            [1, 0, ..] => return Err(truncated(MAGIC.len() + 4)),
            [2 | 3, 0, ..] => return Err(truncated(MAGIC.len() + 6)),
            [major, minor, ..] => return Err(NpyProblem::UnsupportedVersion { major, minor }),
            _ => return Err(truncated(MAGIC.len() + 4)),
        };
        if length > MAX_HEADER_BYTES {
            return Err(NpyProblem::HeaderTooLong {
                bytes: length,
                limit: MAX_HEADER_BYTES,
            });
        }
        let offset = bytes.len() - text.len();
        let start = offset + length as usize;
        let text = bytes.get(offset..start).ok_or_else(|| truncated(start))?;
        let fields = literal::parse(text, offset)?;
        Ok(Self { fields, start })
    }

    /// The data's place in a file of `found` bytes, of which it must be the whole rest. An item has `item` bytes.
    pub(super) fn data(&self, item: u64, found: u64) -> Result<Range<u64>, NpyProblem> {
        let shape = || self.shape();
        let mut lengths = self.fields.shape.iter();
        let end = lengths
            .try_fold(item, |bytes, &length| bytes.checked_mul(length))
            .and_then(|bytes| bytes.checked_add(self.start as u64))
            .ok_or_else(|| NpyProblem::ShapeOverflow { shape: shape() })?;
        match found.cmp(&end) {
            std::cmp::Ordering::Equal => Ok(self.start as u64..found),
            std::cmp::Ordering::Less => Err(NpyProblem::Truncated {
                expected: end,
                found,
                shape: shape(),
            }),
            std::cmp::Ordering::Greater => Err(NpyProblem::TrailingBytes {
                expected: end,
                found,
                shape: shape(),
            }),
        }
    }

    /// The shape as Python writes it.
    pub(super) fn shape(&self) -> String {
        match self.fields.shape.as_slice() {
            [length] => format!("({length},)"),
            lengths => {
                let lengths: Vec<String> = lengths.iter().map(u64::to_string).collect();
                format!("({})", lengths.join(", "))
            }
        }
    }
}

fn after_magic(bytes: &[u8]) -> Result<&[u8], NpyProblem> {
    match bytes.strip_prefix(MAGIC) {
        Some(rest) => Ok(rest),
        None if bytes.is_empty() => Err(NpyProblem::Empty),
        None if bytes.starts_with(b"PK\x03\x04") => Err(NpyProblem::Archive),
        None => Err(NpyProblem::NotNpy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::testing::npy;

    fn problem(bytes: &[u8]) -> String {
        Header::parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn finds_the_data_in_every_version() {
        for version in [1, 2, 3] {
            let bytes = npy(version, "<f4", "(2, 3)", &[7; 24]);
            let header = Header::parse(&bytes).unwrap();
            let data = header.data(4, bytes.len() as u64).unwrap();
            let data = data.start as usize..data.end as usize;
            assert_eq!(bytes[data.start - 1], b'\n');
            assert_eq!(bytes[data], [7; 24]);
        }
    }

    #[test]
    fn says_why_there_is_no_header() {
        for (bytes, text) in [
            (&b""[..], "the file is empty"),
            (b"PK\x03\x04 an archive", "an .npz archive; save the one"),
            (b"\x93NUMP", "not an .npy file"),
            (b"\x80\x04\x95 a pickle", "not an .npy file"),
            (
                b"\x93NUMPY",
                "truncated in its header: 6 bytes, at least 10",
            ),
            (b"\x93NUMPY\x01\x00\x76", "9 bytes, at least 10"),
            (b"\x93NUMPY\x02\x00\x76\x00\x00", "11 bytes, at least 12"),
            (b"\x93NUMPY\x01\x00\x76\x00{}", "12 bytes, at least 128"),
            (b"\x93NUMPY\x04\x00\x76\x00{}", "version 4.0 of the"),
            (b"\x93NUMPY\x01\x01\x76\x00{}", "version 1.1 of the"),
            (
                b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
                "a header of 4294967295 bytes; the limit is 10000",
            ),
            (
                b"\x93NUMPY\x01\x00\x02\x00[]",
                "bad header at byte 10: expected `{`",
            ),
        ] {
            let problem = problem(bytes);
            assert!(problem.contains(text), "{problem}");
        }
    }

    #[test]
    fn compares_the_shape_with_the_length() {
        let bytes = npy(1, "<f4", "(2, 3)", &[7; 24]);
        let header = Header::parse(&bytes).unwrap();
        let full = bytes.len();
        let text = |length: usize| header.data(4, length as u64).unwrap_err().to_string();
        assert_eq!(
            text(full - 1),
            format!(
                "truncated: {} bytes, {full} expected for the shape (2, 3)",
                full - 1
            )
        );
        assert!(
            text(full + 1)
                .starts_with(&format!("bytes after the data: {} bytes, {full}", full + 1))
        );
        for shape in [
            "(4294967296, 4294967296)",
            "(18446744073709551615,)",
            "(4611686018427387903,)",
        ] {
            let bytes = npy(1, "<f4", shape, &[]);
            let error = Header::parse(&bytes).unwrap().data(4, bytes.len() as u64);
            let text = error.unwrap_err().to_string();
            assert_eq!(
                text,
                format!("the shape {shape} has more bytes than can be addressed")
            );
        }
    }
}
