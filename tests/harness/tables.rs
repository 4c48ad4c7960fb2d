//! Datasets as Parquet, the way Hugging Face stores images: a struct of bytes and path.

use crate::data::Image;
use parquet::{
    data_type::{ByteArray, ByteArrayType},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use std::{fs::File, path::Path, sync::Arc};

/// As `datasets.Dataset.to_parquet` writes an `Image` column and a label.
const SCHEMA: &str = "message schema {
    optional group image {
        optional binary bytes;
        optional binary path (UTF8);
    }
    optional binary label (UTF8);
}";

/// Rows that name files.
const PATHS: &str = "message schema {
    required binary path (UTF8);
}";

/// Writes a table of paths.
pub fn write_paths(path: &Path, paths: &[String]) {
    let schema = Arc::new(parse_message_type(PATHS).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let values: Vec<ByteArray> = paths.iter().map(|path| path.as_str().into()).collect();
    let mut column = group.next_column().unwrap().unwrap();
    let typed = column.typed::<ByteArrayType>();
    typed.write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

/// Writes `images` in order, `rows_per_group` to a row group.
pub fn write_parquet(path: &Path, images: &[Image], rows_per_group: usize) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    for images in images.chunks(rows_per_group) {
        let mut group = writer.next_row_group().unwrap();
        column(
            &mut group,
            images.iter().map(|image| image.bytes.clone()),
            2,
        );
        let paths = images.iter().map(|image| image.key.clone());
        column(&mut group, paths.map(String::into_bytes), 2);
        let labels = images.iter().map(|image| image.label.clone());
        column(&mut group, labels.map(String::into_bytes), 1);
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// The next column, whose values are all there.
fn column(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: impl Iterator<Item = Vec<u8>>,
    definition: i16,
) {
    let values: Vec<ByteArray> = values.map(ByteArray::from).collect();
    let mut column = group.next_column().unwrap().unwrap();
    let levels = vec![definition; values.len()];
    column
        .typed::<ByteArrayType>()
        .write_batch(&values, Some(&levels), None)
        .unwrap();
    column.close().unwrap();
}
