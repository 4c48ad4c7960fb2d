//! Where an array's data lie in a file.

use std::ops::Range;

use crate::error::NpyProblem;
use crate::literal::{self, Fields};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header read, in bytes: what NumPy itself reads unasked (`numpy.lib.format._MAX_HEADER_SIZE`). A
/// plain array's header has about 120.
const MAX_HEADER_BYTES: u32 = 10_000;

/// Data begin at a multiple of this, as NumPy wants it.
const ALIGNMENT: usize = 64;

/// A file's header, not yet compared with the length of the file.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) fields: Fields,
    /// The first byte of the data.
    start: usize,
}

impl Header {
    /// The header of a file that has these `bytes`: six of magic, two of version, the header's length in two bytes
    /// (version 1.0) or four, the header.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NpyProblem> {
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
    pub(crate) fn data(&self, item: u64, found: u64) -> Result<Range<u64>, NpyProblem> {
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
    pub(crate) fn shape(&self) -> String {
        python_tuple(&self.fields.shape)
    }
}

/// Whether a file that begins with these `bytes` is one of the format's.
#[must_use]
pub fn begins_npy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// All that stands before the data of an array in C order, as NumPy writes it: version 1.0, a multiple of 64 bytes
/// long. `descr` is the type string, such as `<f4`; at most 64 dimensions.
#[must_use]
pub fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let shape = python_tuple(shape);
    let fields = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let before = MAGIC.len() + 4;
    let end = (before + fields.len() + 1).next_multiple_of(ALIGNMENT);
    let mut bytes = [MAGIC, &[1, 0]].concat();
    // Of 64 dimensions it is below 2 KiB.
    bytes.extend(((end - before) as u16).to_le_bytes());
    bytes.extend(fields.as_bytes());
    bytes.resize(end - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// As Python writes a tuple of these.
pub(crate) fn python_tuple(lengths: &[impl ToString]) -> String {
    match lengths {
        [length] => format!("({},)", length.to_string()),
        lengths => {
            let lengths: Vec<String> = lengths.iter().map(ToString::to_string).collect();
            format!("({})", lengths.join(", "))
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
    use crate::testing::npy;

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
    fn headers_are_written_as_numpy_writes_them() {
        let bytes = header("<f4", &[3]);
        assert_eq!(bytes.len(), 128);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = std::str::from_utf8(&bytes[10..]).unwrap();
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), } "));
        assert!(text.ends_with(" \n"));
        let matrix = header("<f2", &[2, 5]);
        let read = Header::parse(&matrix).unwrap();
        assert_eq!(
            (read.fields.descr.as_str(), read.shape()),
            ("<f2", "(2, 5)".to_owned())
        );
        assert_eq!(read.data(2, 148).unwrap(), 128..148);
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
