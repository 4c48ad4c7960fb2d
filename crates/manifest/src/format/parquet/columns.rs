//! Columns of a row group, read in step, some thousand rows at a time.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::file::metadata::ParquetMetaData;

use super::chunks::{self, guarded};
use super::header::MAX_PAGE_BYTES;
use crate::access::Object;

/// A value that is absent.
const NULL: u32 = u32::MAX;

/// One column of one row group, flat.
pub(super) struct Column {
    values: Values,
    max_level: i16,
    levels: Vec<i16>,
    /// For each row of the batch its place among the values, or [`NULL`].
    slots: Vec<u32>,
    budget: Arc<AtomicU64>,
    /// A number as text.
    text: String,
}

enum Values {
    Text(ColumnReaderImpl<ByteArrayType>, Vec<ByteArray>),
    Int32(ColumnReaderImpl<Int32Type>, Vec<i32>),
    Int64(ColumnReaderImpl<Int64Type>, Vec<i64>),
    Float(ColumnReaderImpl<FloatType>, Vec<f32>),
    Double(ColumnReaderImpl<DoubleType>, Vec<f64>),
}

impl Column {
    pub(super) fn open(
        object: &Arc<Object>,
        metadata: &ParquetMetaData,
        group: usize,
        leaf: usize,
    ) -> Result<Self, String> {
        let budget = Arc::new(AtomicU64::new(MAX_PAGE_BYTES));
        let values = match chunks::column(object, metadata, group, leaf, &budget)? {
            ColumnReader::ByteArrayColumnReader(reader) => Values::Text(reader, Vec::new()),
            ColumnReader::Int32ColumnReader(reader) => Values::Int32(reader, Vec::new()),
            ColumnReader::Int64ColumnReader(reader) => Values::Int64(reader, Vec::new()),
            ColumnReader::FloatColumnReader(reader) => Values::Float(reader, Vec::new()),
            ColumnReader::DoubleColumnReader(reader) => Values::Double(reader, Vec::new()),
            ColumnReader::BoolColumnReader(_)
            | ColumnReader::Int96ColumnReader(_)
            | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                return Err("of a type that is neither text nor a number".to_owned());
            }
        };
        let leaf = metadata.file_metadata().schema_descr().column(leaf);
        Ok(Self {
            values,
            max_level: leaf.max_def_level(),
            levels: Vec::new(),
            slots: Vec::new(),
            budget,
            text: String::new(),
        })
    }

    /// Reads the next rows, `count` of them, which there must be.
    pub(super) fn advance(&mut self, count: usize) -> Result<(), String> {
        self.budget.store(MAX_PAGE_BYTES, Ordering::Relaxed);
        self.levels.clear();
        let levels = (self.max_level > 0).then_some(&mut self.levels);
        let (rows, values) = match &mut self.values {
            Values::Text(reader, values) => fill(reader, count, levels, values)?,
            Values::Int32(reader, values) => fill(reader, count, levels, values)?,
            Values::Int64(reader, values) => fill(reader, count, levels, values)?,
            Values::Float(reader, values) => fill(reader, count, levels, values)?,
            Values::Double(reader, values) => fill(reader, count, levels, values)?,
        };
        if rows != count {
            return Err(format!("ends {} rows before its row group", count - rows));
        }
        self.slots.clear();
        if self.max_level == 0 {
            self.slots.extend(0..count as u32);
        } else {
            let mut next = 0..values as u32;
            let slot = |level: &i16| match *level == self.max_level {
                true => next.next().unwrap_or(NULL),
                false => NULL,
            };
            self.slots.extend(self.levels.iter().map(slot));
        }
        Ok(())
    }

    fn slot(&self, row: usize) -> Option<usize> {
        let slot = self.slots.get(row).copied().unwrap_or(NULL);
        (slot != NULL).then_some(slot as usize)
    }

    /// The text, or the decimal digits of the integer, in a row of the batch; `None` where there is none.
    pub(super) fn text(&mut self, row: usize) -> Result<Option<&str>, String> {
        let Some(slot) = self.slot(row) else {
            return Ok(None);
        };
        self.text.clear();
        let written = match &self.values {
            Values::Text(_, values) => {
                let bytes = values.get(slot).map_or(&[][..], ByteArray::data);
                return str::from_utf8(bytes)
                    .map(Some)
                    .map_err(|error| error.to_string());
            }
            Values::Int32(_, values) => {
                write!(self.text, "{}", values.get(slot).copied().unwrap_or(0))
            }
            Values::Int64(_, values) => {
                write!(self.text, "{}", values.get(slot).copied().unwrap_or(0))
            }
            Values::Float(..) | Values::Double(..) => {
                return Err("a fraction where text or an integer is expected".to_owned());
            }
        };
        written.map_err(|error| error.to_string())?;
        Ok(Some(&self.text))
    }

    /// The integer in a row of the batch; `None` where there is none, or the column has none.
    pub(super) fn integer(&self, row: usize) -> Option<i64> {
        let slot = self.slot(row)?;
        match &self.values {
            Values::Int32(_, values) => values.get(slot).copied().map(i64::from),
            Values::Int64(_, values) => values.get(slot).copied(),
            Values::Text(..) | Values::Float(..) | Values::Double(..) => None,
        }
    }

    /// The number in a row of the batch; `None` where there is none, or the column has none.
    pub(super) fn float(&self, row: usize) -> Option<f32> {
        let slot = self.slot(row)?;
        match &self.values {
            Values::Float(_, values) => values.get(slot).copied(),
            Values::Double(_, values) => values.get(slot).map(|value| *value as f32),
            Values::Text(..) | Values::Int32(..) | Values::Int64(..) => None,
        }
    }
}

/// Fills `values`; the numbers of rows and of values.
fn fill<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    mut levels: Option<&mut Vec<i16>>,
    values: &mut Vec<T::T>,
) -> Result<(usize, usize), String> {
    values.clear();
    let mut rows = 0;
    while rows < count {
        let (read, _, _) =
            guarded(|| reader.read_records(count - rows, levels.as_deref_mut(), None, values))?;
        if read == 0 {
            break;
        }
        rows += read;
    }
    Ok((rows, values.len()))
}
