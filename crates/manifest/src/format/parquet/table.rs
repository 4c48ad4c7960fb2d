//! Embedded images and vectors, row by row.
//!
//! A page of a Parquet file holds many rows and is decompressed as a whole, so a row is not read by itself. A miss
//! decodes a run of rows from there on, bounded in rows and bytes, and the decoder waits where the run ended: jobs
//! read in order, so the next run goes on from there and no page is decompressed twice. Some runs and decoders are
//! kept, the ones used last.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType};
use parquet::file::metadata::ParquetMetaData;

use super::chunks::{self, guarded};
use super::header::MAX_PAGE_BYTES;
use super::plan::{Content, Plan};
use crate::access::Object;
use crate::source::Columns;

/// A run ends after so many rows, or bytes.
const RUN_ROWS: usize = 1024;
const RUN_BYTES: usize = 4 << 20;
/// Bytes of the runs that are kept, all together; the last is kept whatever its length.
const KEPT_BYTES: usize = 64 << 20;
/// Decoders kept. Each holds a page.
const KEPT_CURSORS: usize = 8;
/// Footers kept.
const KEPT_FOOTERS: usize = 16;
/// Row groups that are decoded at one time, one thread each.
const LOCKS: usize = 16;

/// The rows of a manifest's Parquet files, for many threads.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    kept: Mutex<Kept>,
    /// By row group, so that two threads do not decode the same.
    decoding: [Mutex<()>; LOCKS],
}

#[derive(Debug, Default)]
struct Kept {
    runs: VecDeque<(Part, Arc<Run>)>,
    bytes: usize,
    cursors: VecDeque<(Part, Cursor)>,
    footers: VecDeque<(u32, Arc<Footer>)>,
}

/// A row group of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) file: u32,
    pub(crate) group: u32,
}

#[derive(Debug)]
struct Footer {
    metadata: ParquetMetaData,
    content: Content,
}

/// Rows, decoded.
#[derive(Debug)]
struct Run {
    first: u32,
    /// Where each row's bytes are; `None` for null.
    rows: Vec<Option<Range<usize>>>,
    bytes: Vec<u8>,
}

/// A decoder, at the beginning of a row.
struct Cursor {
    next: u32,
    values: Values,
    budget: Arc<AtomicU64>,
    max_level: i16,
}

enum Values {
    Bytes(ColumnReaderImpl<ByteArrayType>),
    Singles(ColumnReaderImpl<FloatType>),
    Doubles(ColumnReaderImpl<DoubleType>),
}

impl Tables {
    /// The bytes of a row: an image as it is, a vector as f32, little-endian. `open` is asked for the file where
    /// something must be read.
    pub(crate) fn read<E: From<String>>(
        &self,
        part: Part,
        row: u32,
        columns: &Columns,
        open: impl FnOnce() -> Result<Arc<Object>, E>,
    ) -> Result<Vec<u8>, E> {
        if let Some(bytes) = self.find(part, row) {
            return bytes.map_err(E::from);
        }
        let lock = (part.group as usize + 7 * part.file as usize) % LOCKS;
        let _decoding = self.decoding[lock]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Another thread may have decoded it while this one waited.
        if let Some(bytes) = self.find(part, row) {
            return bytes.map_err(E::from);
        }
        let object = open()?;
        let mut cursor = match self.take_cursor(part, row) {
            Some(cursor) => cursor,
            None => self.cursor(part, &object, columns)?,
        };
        cursor.skip_to(row)?;
        let run = Arc::new(cursor.run()?);
        self.keep(part, &run, cursor);
        Ok(run
            .row(row)
            .unwrap_or_else(|| Err("no such row".to_owned()))?)
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> (usize, usize) {
        let kept = self.kept();
        (kept.bytes, kept.cursors.len())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, part: Part, row: u32) -> Option<Result<Vec<u8>, String>> {
        let run = {
            let mut kept = self.kept();
            let is_it = |(of, run): &(Part, Arc<Run>)| *of == part && run.holds(row);
            let place = kept.runs.iter().position(is_it)?;
            if place > 0 {
                let found = kept.runs.remove(place)?;
                kept.runs.push_front(found);
            }
            Arc::clone(&kept.runs.front()?.1)
        };
        run.row(row)
    }

    /// The kept decoder with the shortest way to `row`.
    fn take_cursor(&self, part: Part, row: u32) -> Option<Cursor> {
        let mut kept = self.kept();
        let cursors = kept.cursors.iter().enumerate();
        let before = cursors.filter(|(_, (of, cursor))| *of == part && cursor.next <= row);
        let (place, _) = before.max_by_key(|(_, (_, cursor))| cursor.next)?;
        kept.cursors.remove(place).map(|(_, cursor)| cursor)
    }

    fn keep(&self, part: Part, run: &Arc<Run>, cursor: Cursor) {
        let mut kept = self.kept();
        kept.cursors.truncate(KEPT_CURSORS - 1);
        kept.cursors.push_front((part, cursor));
        kept.bytes += run.bytes.len();
        kept.runs.push_front((part, Arc::clone(run)));
        while kept.bytes > KEPT_BYTES && kept.runs.len() > 1 {
            let Some((_, oldest)) = kept.runs.pop_back() else {
                break;
            };
            kept.bytes -= oldest.bytes.len();
        }
    }

    fn cursor(
        &self,
        part: Part,
        object: &Arc<Object>,
        columns: &Columns,
    ) -> Result<Cursor, String> {
        let footer = self.footer(part.file, object, columns)?;
        let leaf = match footer.content {
            Content::Image { bytes, .. } => bytes,
            Content::Vector(leaf) => leaf,
            Content::Path(_) | Content::Assigned { .. } => {
                return Err("changed since it was listed".to_owned());
            }
        };
        let group = part.group as usize;
        if group >= footer.metadata.num_row_groups() {
            return Err("changed since it was listed".to_owned());
        }
        let budget = Arc::new(AtomicU64::new(0));
        let values = match chunks::column(object, &footer.metadata, group, leaf, &budget)? {
            ColumnReader::ByteArrayColumnReader(reader) => Values::Bytes(reader),
            ColumnReader::FloatColumnReader(reader) => Values::Singles(reader),
            ColumnReader::DoubleColumnReader(reader) => Values::Doubles(reader),
            ColumnReader::BoolColumnReader(_)
            | ColumnReader::Int32ColumnReader(_)
            | ColumnReader::Int64ColumnReader(_)
            | ColumnReader::Int96ColumnReader(_)
            | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                return Err("changed since it was listed".to_owned());
            }
        };
        let schema = footer.metadata.file_metadata().schema_descr();
        Ok(Cursor {
            next: 0,
            values,
            budget,
            max_level: schema.column(leaf).max_def_level(),
        })
    }

    fn footer(
        &self,
        file: u32,
        object: &Arc<Object>,
        columns: &Columns,
    ) -> Result<Arc<Footer>, String> {
        let known = |(of, footer): &(u32, Arc<Footer>)| (*of == file).then(|| Arc::clone(footer));
        if let Some(footer) = self.kept().footers.iter().find_map(known) {
            return Ok(footer);
        }
        let metadata = chunks::metadata(object)?;
        let Plan { content, .. } = Plan::of(&metadata, columns)?;
        let footer = Arc::new(Footer { metadata, content });
        let mut kept = self.kept();
        kept.footers.truncate(KEPT_FOOTERS - 1);
        kept.footers.push_front((file, Arc::clone(&footer)));
        Ok(footer)
    }
}

impl Run {
    fn holds(&self, row: u32) -> bool {
        row.checked_sub(self.first)
            .is_some_and(|at| (at as usize) < self.rows.len())
    }

    fn row(&self, row: u32) -> Option<Result<Vec<u8>, String>> {
        let at = row.checked_sub(self.first)? as usize;
        let found = self.rows.get(at)?.clone();
        let bytes = found.and_then(|range| self.bytes.get(range));
        Some(
            bytes
                .map(<[u8]>::to_vec)
                .ok_or_else(|| "the row holds nothing".to_owned()),
        )
    }
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Cursor {
    fn skip_to(&mut self, row: u32) -> Result<(), String> {
        self.budget.store(u64::MAX, Ordering::Relaxed);
        let count = row.saturating_sub(self.next) as usize;
        if count == 0 {
            return Ok(());
        }
        let values = &mut self.values;
        let skipped = guarded(|| match values {
            Values::Bytes(reader) => reader.skip_records(count),
            Values::Singles(reader) => reader.skip_records(count),
            Values::Doubles(reader) => reader.skip_records(count),
        })?;
        self.next = row;
        match skipped == count {
            true => Ok(()),
            false => Err(format!("the row group ends before row {row}")),
        }
    }

    /// The rows from here on, at least one.
    fn run(&mut self) -> Result<Run, String> {
        let mut run = Run {
            first: self.next,
            rows: Vec::new(),
            bytes: Vec::new(),
        };
        while run.rows.len() < RUN_ROWS && run.bytes.len() < RUN_BYTES {
            let start = run.bytes.len();
            match self.row(&mut run.bytes) {
                Ok(Some(is_null)) => run.rows.push((!is_null).then_some(start..run.bytes.len())),
                Ok(None) => break,
                // The rows before are good; the next call starts at the bad one and reports it.
                Err(_) if !run.rows.is_empty() => break,
                Err(reason) => return Err(reason),
            }
            self.next += 1;
        }
        match run.rows.is_empty() {
            true => Err("the row group ends early".to_owned()),
            false => Ok(run),
        }
    }

    /// Appends the next row's bytes; whether it is null, or `None` after the last.
    fn row(&mut self, bytes: &mut Vec<u8>) -> Result<Option<bool>, String> {
        self.budget.store(MAX_PAGE_BYTES, Ordering::Relaxed);
        let mut levels = Vec::new();
        let (values, max_level) = (&mut self.values, self.max_level);
        let def = (max_level > 0).then_some(&mut levels);
        let (rows, is_whole) = guarded(|| match values {
            Values::Bytes(reader) => {
                let mut values: Vec<ByteArray> = Vec::new();
                let (rows, ..) = reader.read_records(1, def, None, &mut values)?;
                values
                    .iter()
                    .for_each(|value| bytes.extend_from_slice(value.data()));
                Ok((rows, values.len() == 1))
            }
            Values::Singles(reader) => {
                let mut values = Vec::new();
                let (rows, ..) = reader.read_records(1, def, Some(&mut Vec::new()), &mut values)?;
                values
                    .iter()
                    .for_each(|x: &f32| bytes.extend_from_slice(&x.to_le_bytes()));
                Ok((rows, !values.is_empty()))
            }
            Values::Doubles(reader) => {
                let mut values = Vec::new();
                let (rows, ..) = reader.read_records(1, def, Some(&mut Vec::new()), &mut values)?;
                let singles = values.iter().map(|x: &f64| *x as f32);
                singles.for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
                Ok((rows, !values.is_empty()))
            }
        })?;
        let is_null = !is_whole || levels.iter().any(|level| *level != max_level);
        Ok((rows == 1).then_some(is_null))
    }
}
