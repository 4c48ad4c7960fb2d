//! Frames: reading and writing them, one at a time.

use crate::{Result, StoreError};
use std::io::Read;

const MAGIC: &[u8; 8] = b"CURVERS1";
const CHECKSUM: usize = 32;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Clustering,
    Sketch,
    Column,
    Values,
    Samples,
    End,
}

impl Kind {
    fn tag(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Clustering => 2,
            Self::Sketch => 3,
            Self::Column => 4,
            Self::Values => 5,
            Self::Samples => 6,
            Self::End => 7,
        }
    }

    /// Bytes of the longest frame of this kind that can be meant.
    fn longest(self) -> u64 {
        match self {
            Self::Column | Self::End => 32,
            Self::Values => 1 << 18,
            Self::Sketch => 1 << 24,
            Self::Record | Self::Clustering | Self::Samples => 1 << 28,
        }
    }
}

/// Checksums of frames, and of all of them.
#[derive(Default)]
struct Checksums {
    all: blake3::Hasher,
    frames: u64,
}

impl Checksums {
    /// Of the next frame.
    fn next(&mut self, tag: u8, payload: &[u8]) -> [u8; CHECKSUM] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(MAGIC);
        hasher.update(&self.frames.to_le_bytes());
        hasher.update(&[tag]);
        hasher.update(&(payload.len() as u64).to_le_bytes());
        hasher.update(payload);
        let checksum = *hasher.finalize().as_bytes();
        self.all.update(&checksum);
        self.frames += 1;
        checksum
    }

    fn of_all(&self) -> [u8; CHECKSUM] {
        *self.all.finalize().as_bytes()
    }
}

/// Makes frames, appended to what is there.
#[derive(Default)]
pub(super) struct Writer {
    checksums: Checksums,
}

impl Writer {
    /// Begins the file.
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
    }

    pub(super) fn frame(&mut self, out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
        let tag = kind.tag();
        let checksum = self.checksums.next(tag, payload);
        out.push(tag);
        out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(&checksum);
    }

    /// Ends the file.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let all = self.checksums.of_all();
        self.frame(out, Kind::End, &all);
    }
}

/// Reads frames and verifies them.
pub(super) struct Reader<'a> {
    input: &'a mut dyn Read,
    checksums: Checksums,
    payload: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Result<Self> {
        let mut reader = Self {
            input,
            checksums: Checksums::default(),
            payload: Vec::new(),
        };
        match reader.array::<8>()? {
            magic if magic == *MAGIC => Ok(reader),
            _ => Err(invalid("not an exported version")),
        }
    }

    /// The payload of the next frame, which must be of this kind.
    pub(super) fn frame(&mut self, kind: Kind) -> Result<&[u8]> {
        let [tag] = self.array()?;
        if tag != kind.tag() {
            let reason = format!("part {} is no {kind:?}", self.checksums.frames + 1);
            return Err(invalid(reason));
        }
        let length = u64::from_le_bytes(self.array()?);
        if length > kind.longest() {
            return Err(invalid(format!("a {kind:?} of {length} bytes is too long")));
        }
        self.payload.clear();
        // Memory grows with what arrives, not with what the length says.
        let read = self.input.take(length).read_to_end(&mut self.payload);
        if read.map_err(read_error)? as u64 != length {
            return Err(invalid("it ends early"));
        }
        let stored: [u8; CHECKSUM] = self.array()?;
        if self.checksums.next(tag, &self.payload) != stored {
            return Err(invalid(format!("a {kind:?} fails its checksum")));
        }
        Ok(&self.payload)
    }

    /// Reads the end, after which there must be nothing.
    pub(super) fn finish(mut self) -> Result<()> {
        let all = self.checksums.of_all();
        if self.frame(Kind::End)? != all {
            return Err(invalid("the checksum of the whole does not fit"));
        }
        match self.input.read(&mut [0]).map_err(read_error)? {
            0 => Ok(()),
            _ => Err(invalid("something follows its end")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(read_error)?;
        Ok(bytes)
    }
}

/// What is wrong with a file that was to be imported.
pub(super) fn invalid(reason: impl Into<String>) -> StoreError {
    StoreError::Portable(reason.into())
}

fn read_error(error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => invalid("it ends early"),
        _ => StoreError::io("read", "the exported version")(error),
    }
}
