//! Rows on their way into an index.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::ops::ControlFlow;

use super::row::{self, RowLabel};
use super::unique::Duplicate;
use super::unique::Unique;
use super::varint::put_number;
use super::{BLOCK_BYTES, BLOCK_ROWS, Entry, Index, Stored};
use crate::access::Access;
use crate::error::ManifestError;
use crate::label::LabelTable;

/// Rows between two calls of `progress`, of which the first is no row.
const PROGRESS_ROWS: u64 = 4096;
/// The most bytes of an id or a label: those of the longest path of a file.
const MAX_TEXT: usize = 4096;

/// Takes the rows of a manifest in order.
pub(crate) struct Builder<'a> {
    access: &'a Access,
    progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    file: File,
    length: u64,
    blocks: Vec<Stored>,
    block: Vec<u8>,
    block_rows: usize,
    /// One row, before its length is known.
    row: Vec<u8>,
    labels: LabelTable,
    rows: u64,
    unlabelled: Option<u64>,
    unique: Option<Unique>,
    /// Two rows are known to have the same id.
    repeats: bool,
}

impl<'a> Builder<'a> {
    /// `progress` is told the number of rows every few thousand, and may stop.
    pub(crate) fn new(
        access: &'a Access,
        progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Self, ManifestError> {
        Ok(Self {
            access,
            progress,
            file: access.scratch_file().map_err(ManifestError::scratch)?,
            length: 0,
            blocks: Vec::new(),
            block: Vec::new(),
            block_rows: 0,
            row: Vec::new(),
            labels: LabelTable::default(),
            rows: 0,
            unlabelled: None,
            unique: Some(Unique::new()),
            repeats: false,
        })
    }

    /// Says that the ids cannot repeat, so that they are not kept.
    pub(crate) fn ids_are_unique(&mut self) {
        self.unique = None;
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether two rows are known to have the same id, which [`push`](Self::push) answers with
    /// [`ManifestError::Interrupted`] and [`finish`](Self::finish) tells.
    pub(crate) fn repeats(&self) -> bool {
        self.repeats
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, entry: &Entry<'_>) -> Result<(), ManifestError> {
        let limit = self.access.options().max_samples;
        if self.rows >= limit {
            return Err(ManifestError::TooManySamples { limit });
        }
        if self.rows.is_multiple_of(PROGRESS_ROWS) {
            self.proceed()?;
        }
        // Rows are held by the thousand, wherever they come from.
        for (what, text) in [("id", Some(entry.id)), ("label", entry.label)] {
            if text.is_some_and(|text| text.len() > MAX_TEXT) {
                let (row, limit) = (self.rows, MAX_TEXT);
                return Err(ManifestError::TextTooLong { row, what, limit });
            }
        }
        let label = match entry.label {
            None => {
                self.unlabelled.get_or_insert(self.rows);
                RowLabel::None
            }
            Some(label) => match self.labels.number(label) {
                Some(number) => RowLabel::Known(number),
                None => RowLabel::Written(label),
            },
        };
        if let Some(unique) = &mut self.unique {
            unique
                .push(entry.id, &|| self.access.scratch_file())
                .map_err(ManifestError::scratch)?;
            self.repeats = unique.found().is_some();
        }
        self.row.clear();
        row::put(&mut self.row, entry, label);
        put_number(&mut self.block, self.row.len() as u64);
        self.block.extend_from_slice(&self.row);
        self.rows += 1;
        self.block_rows += 1;
        if self.repeats {
            return Err(ManifestError::Interrupted);
        }
        if self.block_rows >= BLOCK_ROWS || self.block.len() >= BLOCK_BYTES {
            self.write_block()?;
        }
        Ok(())
    }

    /// Tells how far it is, where a source gives no row for long.
    pub(crate) fn proceed(&mut self) -> Result<(), ManifestError> {
        match (self.progress)(self.rows) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ManifestError::Interrupted),
        }
    }

    fn write_block(&mut self) -> Result<(), ManifestError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.block.len());
        let length =
            length.map_err(|_| ManifestError::scratch(io::ErrorKind::FileTooLarge.into()))?;
        self.file
            .write_all(&self.block)
            .map_err(ManifestError::scratch)?;
        self.blocks.push(Stored {
            first_row: self.rows - self.block_rows as u64,
            offset: self.length,
            length,
            hash: blake3::hash(&self.block),
        });
        self.length += u64::from(length);
        self.block.clear();
        self.block_rows = 0;
        Ok(())
    }

    /// The index, the first row without a label, and the first id that two rows have.
    pub(crate) fn finish(
        mut self,
    ) -> Result<(Index, Option<u64>, Option<Duplicate>), ManifestError> {
        self.write_block()?;
        let duplicate = match self.unique.take() {
            None => None,
            Some(unique) => {
                let (rows, progress) = (self.rows, &mut self.progress);
                let found = unique.finish(&mut || progress(rows));
                found.map_err(|error| match error.kind() {
                    io::ErrorKind::Interrupted => ManifestError::Interrupted,
                    _ => ManifestError::scratch(error),
                })?
            }
        };
        let labels = mem::take(&mut self.labels).into_texts();
        let index = Index::new(self.file, self.blocks, labels, self.rows);
        Ok((index, self.unlabelled, duplicate))
    }
}
