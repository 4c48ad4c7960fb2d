//! The bytes of a tar file, from front to back: read in place, or decompressed on the way.
//!
//! A compressed archive has no random access, so what a job will read again, the images, is copied to a temporary
//! file while the archive is listed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::access::Object;
use crate::error::ManifestError;
use crate::place::Place;
use crate::unpack::{Packing, read_error};

/// Bytes of a remote file that are fetched at a time, so that small members cost less than a request each.
const REMOTE_WINDOW: u64 = 4 << 20;
/// The same of a local file: a header, and as a rule a small member and the next header.
const LOCAL_WINDOW: u64 = 4 << 10;
/// The most bytes that are unpacked to temporary files: 1 TiB.
const MAX_SPOOLED_BYTES: u64 = 1 << 40;
/// What unpacking leaves free on the disk.
const MIN_FREE_BYTES: u64 = 1 << 30;
/// The most zeros that are read behind the end of a compressed archive: 64 MiB, where tar programs write 10 KiB.
const MAX_PADDING_BYTES: u64 = 64 << 20;
/// Bytes between two looks at the free space.
const FREE_BYTES_STEP: u64 = 64 << 20;

/// A tar file, to be read at ever higher offsets.
pub(super) enum Tape {
    Plain {
        object: Arc<Object>,
        window: Vec<u8>,
        /// Where the window begins.
        start: u64,
    },
    Packed {
        object: Arc<Object>,
        packing: Packing,
        reader: Box<dyn Read>,
        position: u64,
    },
}

impl Tape {
    pub(super) fn new(object: &Arc<Object>) -> Result<Self, ManifestError> {
        let object = Arc::clone(object);
        let (packing, _) = Packing::of(&object.place().file_name());
        if packing == Packing::Plain {
            return Ok(Self::Plain {
                object,
                window: Vec::new(),
                start: 0,
            });
        }
        let reader = packing.reader(&object);
        Ok(Self::Packed {
            reader: reader.map_err(|error| read_error(object.place(), packing, error))?,
            object,
            packing,
            position: 0,
        })
    }

    pub(super) fn place(&self) -> &Place {
        match self {
            Self::Plain { object, .. } | Self::Packed { object, .. } => object.place(),
        }
    }

    /// Whether its bytes cannot be read again later.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Self::Packed { .. })
    }

    /// That the file goes on to `end`, as far as that can be told without reading.
    pub(super) fn require(&self, end: u64) -> Result<(), ManifestError> {
        match self {
            Self::Plain { object, .. } if end > object.len() => Err(self.truncated(object.len())),
            Self::Plain { .. } | Self::Packed { .. } => Ok(()),
        }
    }

    /// The `length` bytes at `offset`, which the caller has bounded. What lies before them is not read again.
    pub(super) fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, ManifestError> {
        self.require(offset.saturating_add(length as u64))?;
        match self {
            Self::Plain {
                object,
                window,
                start,
            } => {
                let end = offset + length as u64;
                if offset < *start || end > *start + window.len() as u64 {
                    let step = match object.place() {
                        Place::Local(_) => LOCAL_WINDOW,
                        Place::Remote(_) => REMOTE_WINDOW,
                    };
                    let more = step.min(object.len() - offset).max(length as u64);
                    *window = object.read_at(offset, more as usize)?;
                    *start = offset;
                }
                let from = (offset - *start) as usize;
                Ok(window[from..from + length].to_vec())
            }
            Self::Packed { .. } => {
                self.skip_to(offset)?;
                let mut bytes = Vec::new();
                self.copy(length as u64, &mut bytes)?;
                Ok(bytes)
            }
        }
    }

    /// Appends the bytes at `offset` to a temporary file.
    pub(super) fn spool(
        &mut self,
        offset: u64,
        length: u64,
        spool: &mut Spool,
    ) -> Result<(), ManifestError> {
        self.skip_to(offset)?;
        spool.reserve(length)?;
        self.copy(length, &mut spool.file)?;
        spool.length += length;
        Ok(())
    }

    /// Reads on behind the end of the archive, where compressed data have their checksum.
    pub(super) fn finish(&mut self) -> Result<(), ManifestError> {
        let Self::Packed {
            object,
            packing,
            reader,
            ..
        } = self
        else {
            return Ok(());
        };
        io::copy(&mut reader.take(MAX_PADDING_BYTES), &mut io::sink())
            .map(|_| ())
            .map_err(|error| read_error(object.place(), *packing, error))
    }

    fn skip_to(&mut self, offset: u64) -> Result<(), ManifestError> {
        let Self::Packed { position, .. } = self else {
            return Ok(());
        };
        let length = offset.saturating_sub(*position);
        self.copy(length, &mut io::sink())
    }

    fn copy(&mut self, length: u64, to: &mut dyn Write) -> Result<(), ManifestError> {
        let Self::Packed {
            object,
            packing,
            reader,
            position,
        } = self
        else {
            return Ok(());
        };
        let copied = io::copy(&mut reader.take(length), to);
        let copied = copied.map_err(|error| read_error(object.place(), *packing, error))?;
        *position += copied;
        let position = *position;
        match copied == length {
            true => Ok(()),
            false => Err(self.truncated(position)),
        }
    }

    fn truncated(&self, offset: u64) -> ManifestError {
        ManifestError::Truncated {
            place: self.place().to_string(),
            offset,
        }
    }
}

/// The temporary file of what was unpacked.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    length: u64,
    /// Where to look at the free space again.
    next_look: u64,
}

impl Spool {
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            length: 0,
            next_look: 0,
        }
    }

    /// Where the next bytes go.
    pub(super) fn end(&self) -> u64 {
        self.length
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Refuses what would be too much, or would fill the disk.
    fn reserve(&mut self, length: u64) -> Result<(), ManifestError> {
        let end = self.length.saturating_add(length);
        let full =
            |text: String| ManifestError::scratch(io::Error::new(io::ErrorKind::StorageFull, text));
        if end > MAX_SPOOLED_BYTES {
            return Err(full(format!(
                "more than {MAX_SPOOLED_BYTES} bytes to unpack"
            )));
        }
        if end >= self.next_look {
            let disk = rustix::fs::fstatvfs(&self.file).map_err(io::Error::from)?;
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free < MIN_FREE_BYTES.saturating_add(length) {
                return Err(full(format!("{free} bytes are left on the disk")));
            }
            self.next_look = end + FREE_BYTES_STEP;
        }
        Ok(())
    }
}
