//! One file or object that many threads read at once.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::error::AccessError;
use super::stamp::Stamp;
use crate::place::Place;

/// An open file, or an object whose state is known. Reads name their offset, so threads share it without a lock, and
/// what was opened is what is read: a local file replaced under its name goes on giving its old bytes, and an object
/// that was replaced is an error.
#[derive(Debug)]
pub(crate) struct Object {
    place: Place,
    stamp: Stamp,
    length: u64,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Local(File),
}

impl Object {
    pub(super) fn local(place: Place, file: File, stamp: Stamp) -> Self {
        Self {
            place,
            length: stamp.size.unwrap_or(0),
            stamp,
            bytes: Bytes::Local(file),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// In bytes, when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    pub(crate) fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// The `length` bytes at `offset`, all of them. The caller has bounded `length`.
    pub(crate) fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, AccessError> {
        match &self.bytes {
            Bytes::Local(file) => {
                let mut bytes = vec![0; length];
                read_exact_at(file, &mut bytes, offset).map_err(AccessError::io(&self.place))?;
                Ok(bytes)
            }
        }
    }

    /// The bytes from `offset` on. Errors carry an [`AccessError`]; see [`AccessError::of_reader`].
    pub(crate) fn reader(self: &Arc<Self>, offset: u64) -> Sequential {
        Sequential {
            object: Arc::clone(self),
            offset,
        }
    }
}

/// Reads an [`Object`] from front to back.
#[derive(Debug)]
pub(crate) struct Sequential {
    object: Arc<Object>,
    offset: u64,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.object.bytes {
            Bytes::Local(file) => {
                read_at(file, buffer, self.offset).map_err(AccessError::io(&self.object.place))?
            }
        };
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}
