//! One file or object that many threads read at once.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::blocks::Blocks;
use super::error::AccessError;
use super::remote::{Download, Net, Wanted};
use super::stamp::Stamp;
use crate::place::{Place, Remote};

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
    Remote {
        remote: Remote,
        net: Arc<Net>,
        blocks: Blocks,
    },
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

    pub(super) fn remote(remote: Remote, net: Arc<Net>, stamp: Stamp) -> Self {
        Self {
            place: Place::Remote(remote.clone()),
            length: stamp.size.unwrap_or(0),
            stamp,
            bytes: Bytes::Remote {
                remote,
                net,
                blocks: Blocks::default(),
            },
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
            Bytes::Remote { remote, net, .. } => {
                let end = self.end_of(offset, length)?;
                let wanted = Wanted {
                    range: Some(offset..end),
                    etag: self.stamp.etag.clone(),
                    limit: length as u64,
                };
                net.fetch(remote, wanted)
            }
        }
    }

    /// Reads some of the bytes at `offset`, as [`Read::read`] does. Small reads near each other cost one request.
    pub(crate) fn read_some(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, AccessError> {
        match &self.bytes {
            Bytes::Local(file) => {
                read_at(file, buffer, offset).map_err(AccessError::io(&self.place))
            }
            Bytes::Remote { blocks, .. } => blocks.read(self, offset, buffer),
        }
    }

    /// The bytes from `offset` on. Errors carry an [`AccessError`]; see [`AccessError::of_reader`].
    pub(crate) fn reader(self: &Arc<Self>, offset: u64) -> Sequential {
        Sequential {
            object: Arc::clone(self),
            offset,
            download: None,
        }
    }

    fn end_of(&self, offset: u64, length: usize) -> Result<u64, AccessError> {
        let end = offset.checked_add(length as u64);
        end.filter(|end| *end <= self.length)
            .ok_or_else(|| AccessError::Io {
                place: self.place.to_string(),
                source: io::ErrorKind::UnexpectedEof.into(),
            })
    }
}

/// Reads an [`Object`] from front to back. What is remote is fetched ahead.
#[derive(Debug)]
pub(crate) struct Sequential {
    object: Arc<Object>,
    offset: u64,
    /// Begun at the first read.
    download: Option<Download>,
}

impl Read for Sequential {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let object = &self.object;
        let read = match &object.bytes {
            Bytes::Local(_) => object.read_some(self.offset, buffer)?,
            Bytes::Remote { remote, net, .. } => {
                let start = || net.download(remote, &object.stamp, self.offset);
                self.download.get_or_insert_with(start).read(buffer)?
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
