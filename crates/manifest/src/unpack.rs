//! Compressed files, read from front to back.

use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use zstd::Decoder;

use crate::access::{AccessError, Object};
use crate::error::ManifestError;
use crate::place::Place;

/// The most that one file may decompress to: 4 TiB. What is read is bounded piece by piece; this bounds the time.
const MAX_UNPACKED_BYTES: u64 = 4 << 40;
/// The largest window that a Zstandard file may ask for, as a power of two: what its own tool allows unasked.
const MAX_WINDOW_LOG: u32 = 27;
const BUFFER_BYTES: usize = 1 << 18;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// By the last extension of a file's name, and the name without it. A `.tgz` is a `.tar.gz`.
    pub(crate) fn of(name: &str) -> (Self, String) {
        let lower = name.to_ascii_lowercase();
        for (ending, packing) in [(".gz", Self::Gzip), (".zst", Self::Zstd)] {
            if let Some(stem) = lower.strip_suffix(ending) {
                return (packing, stem.to_owned());
            }
        }
        match lower.strip_suffix(".tgz") {
            Some(stem) => (Self::Gzip, format!("{stem}.tar")),
            None => (Self::Plain, lower),
        }
    }

    /// The content of `object`. The reader's errors are for [`read_error`].
    pub(crate) fn reader(self, object: &Arc<Object>) -> io::Result<Box<dyn Read>> {
        let packed = io::BufReader::with_capacity(BUFFER_BYTES, object.reader(0));
        let unpacked: Box<dyn Read> = match self {
            Self::Plain => return Ok(Box::new(object.reader(0))),
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Self::Zstd => {
                let mut decoder = Decoder::with_buffer(packed)?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Box::new(Bounded {
            reader: unpacked,
            left: MAX_UNPACKED_BYTES,
        }))
    }
}

/// What a reader's error says of the file at `place`: that it could not be read, or not be decompressed.
pub(crate) fn read_error(place: &Place, packing: Packing, error: io::Error) -> ManifestError {
    if packing == Packing::Plain {
        return AccessError::of_reader(place)(error).into();
    }
    match error.downcast::<AccessError>() {
        Ok(error) => error.into(),
        Err(error) => ManifestError::BadCompression {
            place: place.to_string(),
            reason: match error.kind() {
                io::ErrorKind::UnexpectedEof => "the compressed data end early".to_owned(),
                _ => format!("does not decompress: {error}"),
            },
        },
    }
}

struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("more than {MAX_UNPACKED_BYTES} bytes")))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_compression_from_the_name() {
        for (name, packing, stem) in [
            ("a.JSONL.GZ", Packing::Gzip, "a.jsonl"),
            ("a.csv.zst", Packing::Zstd, "a.csv"),
            ("a.tgz", Packing::Gzip, "a.tar"),
            ("a.tar", Packing::Plain, "a.tar"),
            ("gz", Packing::Plain, "gz"),
        ] {
            assert_eq!(Packing::of(name), (packing, stem.to_owned()), "{name}");
        }
    }
}
