//! Checksums of what was pushed: one record for each stretch that was made durable at once, in a file
//! that grows beside the samples and the rows. The state holds how many records there are, and a digest
//! that chains them.

use super::{
    PushError, Result,
    state::{State, Stretches},
};
use crate::Digest;
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::Path,
};

/// Ends of the stretch in the samples and in the rows, then the BLAKE3 hashes of both.
const RECORD: usize = 80;

/// A stretch of both files.
pub(super) struct Stretch {
    /// Where it ends.
    pub(super) bytes: u64,
    pub(super) row_bytes: u64,
    pub(super) samples: blake3::Hash,
    pub(super) rows: blake3::Hash,
}

/// Where the records that are durable end.
pub(super) fn length(stretches: &Stretches) -> u64 {
    stretches.count * RECORD as u64
}

/// Writes a record after those of `stretches`, over what a write that failed may have left.
pub(super) fn append(
    file: &mut File,
    stretches: &mut Stretches,
    stretch: &Stretch,
) -> io::Result<()> {
    let record = stretch.record();
    file.seek(SeekFrom::Start(length(stretches)))?;
    file.write_all(&record)?;
    file.sync_data()?;
    stretches.add(&record);
    Ok(())
}

/// How much of a push is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The rows, with which each sample's hash comes.
    Rows,
    Everything,
}

/// Reads what is durable of a push; `progress` is told the bytes read so far, and may break off.
///
/// # Errors
/// When a byte of it changed, or a file cannot be read.
pub(super) fn verify(
    [samples, rows, records]: [&Path; 3],
    state: &State,
    depth: Depth,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let mut files = [open(samples)?, open(rows)?];
    let mut listed = open(records)?;
    let mut found = Stretches::default();
    let mut ends = [0, 0];
    let mut record = [0; RECORD];
    while found.count < state.stretches.count {
        listed
            .read_exact(&mut record)
            .map_err(unreadable(records))?;
        let stretch = Stretch::of_record(&record);
        let parts = [
            (samples, stretch.bytes, stretch.samples),
            (rows, stretch.row_bytes, stretch.rows),
        ];
        for ((file, begin), (path, end, hash)) in files.iter_mut().zip(&mut ends).zip(parts) {
            let length = end.checked_sub(*begin).ok_or_else(|| changed(records))?;
            if depth == Depth::Rows && path == samples {
                *begin = end;
                continue;
            }
            let mut hasher = blake3::Hasher::new();
            hasher
                .update_reader(file.take(length))
                .map_err(PushError::io("read", path))?;
            if hasher.count() != length || hasher.finalize() != hash {
                return Err(changed(path));
            }
            *begin = end;
        }
        found.add(&record);
        if progress(ends.iter().sum()).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    if found != state.stretches || ends != [state.bytes, state.row_bytes] {
        return Err(changed(records));
    }
    // An open push may hold more than what is durable; a complete one has no more rows than it says.
    let more = files[1]
        .read(&mut record)
        .map_err(PushError::io("read", rows))?;
    match state.complete && more > 0 {
        true => Err(changed(rows)),
        false => Ok(ControlFlow::Continue(())),
    }
}

impl Stretch {
    fn record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(&self.bytes.to_le_bytes());
        record[8..16].copy_from_slice(&self.row_bytes.to_le_bytes());
        record[16..48].copy_from_slice(self.samples.as_bytes());
        record[48..].copy_from_slice(self.rows.as_bytes());
        record
    }

    fn of_record(record: &[u8; RECORD]) -> Self {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&record[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let hash = |at: usize| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(&record[at..at + 32]);
            blake3::Hash::from_bytes(bytes)
        };
        Self {
            bytes: number(0),
            row_bytes: number(8),
            samples: hash(16),
            rows: hash(48),
        }
    }
}

impl Stretches {
    fn add(&mut self, record: &[u8; RECORD]) {
        self.count += 1;
        self.digest = Digest::of_parts([self.digest.as_bytes().as_slice(), record]);
    }
}

fn open(path: &Path) -> Result<BufReader<File>> {
    let file = File::open(path).map_err(unreadable(path))?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// A file that is not there, or ends early, is damage.
fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> PushError {
    move |error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => changed(path),
        _ => PushError::io("read", path)(error),
    }
}

fn changed(path: &Path) -> PushError {
    PushError::damaged(
        path.display().to_string(),
        "not what was made durable: push it again under another name",
    )
}
