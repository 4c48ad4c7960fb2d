//! The rows of a manifest, on disk: memory does not grow with them but for some 60 bytes per thousand.
//!
//! Rows lie in blocks of about [`BLOCK_ROWS`] in a temporary file without a name, so that it is gone with the
//! process, however that ends. Of each block the place, length and BLAKE3 hash are kept in memory; a block is
//! checked when it is read, and some that were read last stay in memory.
//!
//! | module | holds |
//! |---|---|
//! | `builder` | [`Builder`]: rows in, limits, progress |
//! | `row` | [`Entry`], [`Spot`], and a row as bytes |
//! | `unique` | the search for ids that come up twice |
//! | `varint` | numbers and text as bytes |

mod builder;
mod row;
mod unique;
mod varint;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use blake3::Hash;

pub(crate) use builder::Builder;
pub(crate) use row::{Entry, Spot, stamp_from_bytes, stamp_to_bytes};
pub(crate) use unique::Duplicate;

use crate::sample::Sample;
use row::{Row, RowLabel};
use varint::Cursor;

/// Rows in a block, unless they are long.
const BLOCK_ROWS: usize = 1024;
/// Bytes after which a block ends, whatever its rows.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks kept in memory after they were read: 16 MiB at the very most, some 2 MiB as a rule.
const CACHED_BLOCKS: usize = 16;

/// All rows of a manifest, to be read by many threads.
#[derive(Debug)]
pub(crate) struct Index {
    file: File,
    blocks: Vec<Stored>,
    labels: Vec<Arc<str>>,
    rows: u64,
    /// Held for a look or an insertion, never while a block is read.
    cache: Mutex<VecDeque<(usize, Arc<Block>)>>,
}

/// Where a block lies.
#[derive(Debug)]
struct Stored {
    first_row: u64,
    offset: u64,
    length: u32,
    hash: Hash,
}

/// A block that was read and checked.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// Where each row lies in it.
    rows: Vec<Range<u32>>,
}

impl Index {
    fn new(file: File, blocks: Vec<Stored>, labels: Vec<Arc<str>>, rows: u64) -> Self {
        Self {
            file,
            blocks,
            labels,
            rows,
            cache: Mutex::default(),
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The sample at `index`, which is below [`rows`](Self::rows).
    pub(crate) fn sample(&self, index: u64) -> io::Result<Sample> {
        let number = self
            .blocks
            .partition_point(|block| block.first_row <= index);
        let number = number.checked_sub(1).ok_or_else(damaged)?;
        let block = self.block(number)?;
        let first = self.blocks.get(number).ok_or_else(damaged)?.first_row;
        let row = usize::try_from(index - first).map_err(|_| damaged())?;
        self.decode(&block, row)
    }

    /// Hands `visit` each of the samples in `range`, which ends at [`rows`](Self::rows) at the latest.
    pub(crate) fn visit<E: From<io::Error>>(
        &self,
        range: Range<u64>,
        visit: &mut dyn FnMut(Sample) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self
            .blocks
            .partition_point(|block| block.first_row <= range.start);
        let blocks = self.blocks.iter().enumerate();
        for (number, stored) in blocks.skip(start.saturating_sub(1)) {
            if stored.first_row >= range.end {
                break;
            }
            let block = self.block(number)?;
            for (index, row) in (stored.first_row..).zip(0..block.rows.len()) {
                if range.contains(&index) {
                    visit(self.decode(&block, row)?)?;
                }
            }
        }
        Ok(())
    }

    fn decode(&self, block: &Block, row: usize) -> io::Result<Sample> {
        let row = block.row(row).ok_or_else(damaged)?;
        let label = match row.label {
            RowLabel::None => None,
            RowLabel::Written(text) => Some(text.into()),
            RowLabel::Known(number) => {
                let known = self.labels.get(number as usize).ok_or_else(damaged)?;
                Some(Arc::clone(known))
            }
        };
        Ok(Sample {
            id: row.id.into(),
            label,
            file: row.file,
            line: row.line,
            spot: row.spot.map(Into::into),
            stamp: row.stamp,
            digest: row.digest,
        })
    }

    fn block(&self, number: usize) -> io::Result<Arc<Block>> {
        if let Some(block) = self.cached(number) {
            return Ok(block);
        }
        let stored = self.blocks.get(number).ok_or_else(damaged)?;
        let mut bytes = vec![0; stored.length as usize];
        read_at(&self.file, &mut bytes, stored.offset)?;
        if blake3::hash(&bytes) != stored.hash {
            return Err(damaged());
        }
        let block = Arc::new(Block::of(bytes)?);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.truncate(CACHED_BLOCKS - 1);
        cache.push_front((number, Arc::clone(&block)));
        Ok(block)
    }

    fn cached(&self, number: usize) -> Option<Arc<Block>> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let place = cache.iter().position(|(cached, _)| *cached == number)?;
        if place > 0 {
            let found = cache.remove(place)?;
            cache.push_front(found);
        }
        cache.front().map(|(_, block)| Arc::clone(block))
    }
}

impl Block {
    fn of(bytes: Vec<u8>) -> io::Result<Self> {
        let mut rows = Vec::with_capacity(BLOCK_ROWS);
        let mut cursor = Cursor(&bytes);
        while !cursor.0.is_empty() {
            let row = cursor.framed().ok_or_else(damaged)?;
            // No block has more than 4 GiB: its length is a u32.
            let end = (bytes.len() - cursor.0.len()) as u32;
            rows.push(end - row.len() as u32..end);
        }
        Ok(Self { bytes, rows })
    }

    fn row(&self, row: usize) -> Option<Row<'_>> {
        let Range { start, end } = self.rows.get(row)?;
        row::get(self.bytes.get(*start as usize..*end as usize)?)
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the temporary index of the manifest was damaged",
    )
}

/// Fills `bytes` from `offset` on.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Fills `bytes` from `offset` on.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
