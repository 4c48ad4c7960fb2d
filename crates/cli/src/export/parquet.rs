//! The table as Parquet, Snappy-compressed; a sample without a label has a null.

use super::Samples;
use crate::{arrays::Output, exit::BadInput};
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type},
    errors::{ParquetError, Result},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use std::{fs::File, io::BufWriter, path::Path, sync::Arc};

const SCHEMA: &str = "
    message samples {
        required binary id (STRING);
        required int64 index (INTEGER(64, false));
        required float difficulty;
        required float distance;
        required int32 cluster (INTEGER(32, false));
        optional binary label (STRING);
    }";

/// Samples of a row group, at least, but for the last: all that is kept in memory.
const GROUP: usize = 1 << 17;

/// A file of row groups.
pub(crate) struct ParquetTable {
    writer: SerializedFileWriter<BufWriter<File>>,
    output: Output,
    waiting: Samples,
}

impl ParquetTable {
    pub(super) fn create(path: &Path) -> std::result::Result<Self, BadInput> {
        let output = Output::create(path)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let writer = parse_message_type(SCHEMA).and_then(|schema| {
            let file = output.writer().map_err(|error| {
                let cause = std::io::Error::other(error.to_string());
                ParquetError::External(Box::new(cause))
            })?;
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))
        });
        Ok(Self {
            writer: writer.map_err(|error| output.failed(&error))?,
            output,
            waiting: Samples::default(),
        })
    }

    pub(super) fn push(&mut self, samples: Samples) -> std::result::Result<(), BadInput> {
        self.waiting.append(samples);
        if self.waiting.len() < GROUP {
            return Ok(());
        }
        self.write_group()
            .map_err(|error| self.output.failed(&error))
    }

    pub(super) fn finish(mut self) -> std::result::Result<(), BadInput> {
        let written = match self.waiting.len() {
            0 => Ok(()),
            _ => self.write_group(),
        };
        let closed = written.and_then(|()| self.writer.finish().map(drop));
        closed.map_err(|error| self.output.failed(&error))?;
        drop(self.writer);
        self.output.commit()
    }

    fn write_group(&mut self) -> Result<()> {
        let samples = std::mem::take(&mut self.waiting);
        let end = samples.start + samples.len() as u64;
        let text = |text: String| ByteArray::from(text.into_bytes());
        let ids: Vec<ByteArray> = samples.ids.into_iter().map(text).collect();
        // Parquet keeps unsigned numbers in the signed ones of equal width.
        let index: Vec<i64> = (samples.start..end).map(u64::cast_signed).collect();
        let cluster: Vec<i32> = samples.cluster.into_iter().map(u32::cast_signed).collect();
        let labelled = samples
            .labels
            .iter()
            .map(|label| i16::from(!label.is_empty()));
        let labelled: Vec<i16> = labelled.collect();
        let labels = samples.labels.into_iter().filter(|label| !label.is_empty());
        let labels: Vec<ByteArray> = labels.map(text).collect();
        let mut group = self.writer.next_row_group()?;
        write_column::<ByteArrayType>(&mut group, &ids, None)?;
        write_column::<Int64Type>(&mut group, &index, None)?;
        write_column::<FloatType>(&mut group, &samples.difficulty, None)?;
        write_column::<FloatType>(&mut group, &samples.distance, None)?;
        write_column::<Int32Type>(&mut group, &cluster, None)?;
        write_column::<ByteArrayType>(&mut group, &labels, Some(&labelled))?;
        group.close().map(drop)
    }
}

/// The next column; `present` says of each row whether it has a value.
fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    values: &[T::T],
    present: Option<&[i16]>,
) -> Result<()> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::EOF("no more columns".to_owned()))?;
    column.typed::<T>().write_batch(values, present, None)?;
    column.close()
}
