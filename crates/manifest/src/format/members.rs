//! The members of a tar file, from its headers alone: the data between them is skipped, or read by the caller.
//!
//! Crate `tar` decodes a header. Going from one to the next, and putting together names longer than a header holds
//! (GNU, pax), is done here: the crate's own iterator reads a long name of any size into memory, and takes a file
//! that stops between two members for a complete one.

use tar::{EntryType, Header};

use super::pax::Extensions;
use super::tape::Tape;
use crate::error::ManifestError;

/// Headers and data start at multiples of this.
const BLOCK_BYTES: u64 = 512;
/// The most bytes of a long name, or of a set of pax records, that are read.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// A named thing in the archive: a file, a folder, a link.
#[derive(Debug)]
pub(super) struct Member {
    /// Relative and without `..`.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Where its bytes begin.
    pub(super) offset: u64,
    /// How many there are; the archive is known to hold them.
    pub(super) length: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Link,
    /// A file whose bytes lie in pieces.
    Sparse,
    /// A folder, a device, or what some program invented for itself.
    Other,
}

pub(super) struct Members {
    tape: Tape,
    /// Where the next header begins.
    next: u64,
}

impl Members {
    pub(super) fn of(tape: Tape) -> Self {
        Self { tape, next: 0 }
    }

    /// The archive, to read a member from before the next is asked for.
    pub(super) fn tape(&mut self) -> &mut Tape {
        &mut self.tape
    }

    /// The next member, or `None` at the end marker; an archive without one is truncated.
    pub(super) fn next(&mut self) -> Result<Option<Member>, ManifestError> {
        let mut extensions = Extensions::default();
        loop {
            let at = self.next;
            let Some(header) = self.header(at)? else {
                self.tape.finish()?;
                return Ok(None);
            };
            let (offset, length) = self.span(at, &header, &extensions)?;
            match header.entry_type() {
                EntryType::GNULongName => {
                    extensions.long_name = Some(self.bytes(at, offset, length)?)
                }
                EntryType::XHeader => {
                    let records = self.bytes(at, offset, length)?;
                    extensions
                        .read_pax(&records)
                        .map_err(|reason| self.malformed(at, reason))?;
                }
                EntryType::GNULongLink | EntryType::XGlobalHeader => {}
                other => {
                    return Ok(Some(Member {
                        name: self.name(&header, &extensions)?,
                        kind: Kind::of(other, &extensions),
                        offset,
                        length,
                    }));
                }
            }
        }
    }

    /// The header at `at`, or `None` where a block of zeros ends the archive.
    fn header(&mut self, at: u64) -> Result<Option<Header>, ManifestError> {
        let block = self.bytes(at, at, BLOCK_BYTES)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        match header.cksum() {
            Ok(sum) if sum == checksum(&block) => Ok(Some(header)),
            Ok(_) => Err(self.malformed(at, "the header's checksum does not match".to_owned())),
            Err(error) => Err(self.malformed(at, error.to_string())),
        }
    }

    /// Where the data of the header at `at` lie. Moves on to the header after them.
    fn span(
        &mut self,
        at: u64,
        header: &Header,
        extensions: &Extensions,
    ) -> Result<(u64, u64), ManifestError> {
        let own_length = || header.entry_size();
        let length = match extensions.length {
            Some(length) if !describes_another(header.entry_type()) => length,
            Some(_) | None => {
                own_length().map_err(|error| self.malformed(at, error.to_string()))?
            }
        };
        let offset = at + BLOCK_BYTES;
        let end = offset.saturating_add(length);
        self.tape.require(end)?;
        self.next = end.next_multiple_of(BLOCK_BYTES);
        Ok((offset, length))
    }

    fn name(&self, header: &Header, extensions: &Extensions) -> Result<String, ManifestError> {
        let bytes = match extensions.name() {
            Some(name) => name.to_vec(),
            None => header.path_bytes().into_owned(),
        };
        let name = String::from_utf8(bytes).map_err(|error| ManifestError::NonUtf8Name {
            place: self.place(),
            name: String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })?;
        if name.starts_with('/') || name.split('/').any(|part| part == "..") {
            return Err(ManifestError::UnsafeMember {
                place: self.place(),
                member: name,
            });
        }
        Ok(name)
    }

    /// The bytes of a header or an extension; `at` is where its header begins.
    fn bytes(&mut self, at: u64, offset: u64, length: u64) -> Result<Vec<u8>, ManifestError> {
        match usize::try_from(length) {
            Ok(fits) if length <= MAX_EXTENSION_BYTES => self.tape.read(offset, fits),
            Ok(_) | Err(_) => {
                let reason = format!("a name or pax records of {length} bytes");
                Err(self.malformed(at, reason))
            }
        }
    }

    fn malformed(&self, offset: u64, reason: String) -> ManifestError {
        ManifestError::MalformedTar {
            place: self.place(),
            offset,
            reason,
        }
    }

    fn place(&self) -> String {
        self.tape.place().to_string()
    }
}

impl Kind {
    fn of(entry_type: EntryType, extensions: &Extensions) -> Self {
        match entry_type {
            EntryType::GNUSparse => Self::Sparse,
            EntryType::Regular | EntryType::Continuous if extensions.sparse => Self::Sparse,
            EntryType::Regular | EntryType::Continuous => Self::File,
            EntryType::Link | EntryType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// Whether the header only says something about a later member.
fn describes_another(entry_type: EntryType) -> bool {
    matches!(
        entry_type,
        EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader
    )
}

/// The sum of a header's bytes, with spaces in place of the eight that hold the sum.
fn checksum(block: &[u8]) -> u32 {
    let sum_field = 148..156;
    let bytes = block.iter().enumerate();
    bytes
        .map(|(i, byte)| if sum_field.contains(&i) { b' ' } else { *byte })
        .map(u32::from)
        .sum()
}
