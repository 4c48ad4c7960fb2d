//! Lines of bounded length, in one buffer that is used again and again.

use std::io::{BufRead, Read};

use crate::error::ManifestError;
use crate::place::Place;
use crate::unpack::{Packing, read_error};

/// The longest line, with its end: 1 MiB.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(super) struct Lines<R> {
    place: Place,
    packing: Packing,
    reader: R,
    buffer: Vec<u8>,
    /// The number of the line in the buffer, counted from 1.
    line: u64,
}

impl<R: BufRead> Lines<R> {
    /// `place` and `packing` are for errors.
    pub(super) fn new(place: &Place, packing: Packing, reader: R) -> Self {
        Self {
            place: place.clone(),
            packing,
            reader,
            buffer: Vec::new(),
            line: 0,
        }
    }

    /// The next line's number and its text without the space around it, or `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>, ManifestError> {
        self.buffer.clear();
        self.line += 1;
        let read = (&mut self.reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|error| read_error(&self.place, self.packing, error))?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == MAX_LINE_BYTES && !self.buffer.ends_with(b"\n") {
            return Err(ManifestError::LineTooLong {
                place: self.place.to_string(),
                line: self.line,
                limit: MAX_LINE_BYTES,
            });
        }
        let text = self.buffer.as_slice();
        let text = match self.line {
            1 => text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text),
            _ => text,
        };
        Ok(Some((self.line, text.trim_ascii())))
    }
}
