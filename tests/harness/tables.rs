//! Datasets as Parquet: images as Hugging Face stores them, a struct of bytes and path; paths; vectors; and clusters
//! as NeMo Curator writes them.

use crate::data::Image;
use parquet::{
    data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type},
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

/// Vectors.
const VECTORS: &str = "message schema {
    required group embedding (LIST) {
        repeated group list {
            required float element;
        }
    }
}";

/// What k-means made of samples elsewhere.
const CLUSTERS: &str = "message schema {
    required binary id (UTF8);
    required int32 centroid;
    required double l2_dist_to_cent;
    required double cosine_dist_to_cent;
}";

/// Writes `rows` vectors of four columns.
pub fn write_vectors(path: &Path, rows: usize) {
    let schema = Arc::new(parse_message_type(VECTORS).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let values: Vec<f32> = (0..4 * rows).map(|at| at as f32).collect();
    // A row begins at each fourth.
    let repetition: Vec<i16> = (0..4 * rows).map(|at| i16::from(at % 4 != 0)).collect();
    let definition = vec![1; values.len()];
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<FloatType>()
        .write_batch(&values, Some(&definition), Some(&repetition))
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

/// Writes `rows` samples in two clusters.
pub fn write_clusters(path: &Path, rows: usize) {
    let schema = Arc::new(parse_message_type(CLUSTERS).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let ids: Vec<ByteArray> = (0..rows)
        .map(|row| format!("{row}").as_str().into())
        .collect();
    let mut column = group.next_column().unwrap().unwrap();
    let typed = column.typed::<ByteArrayType>();
    typed.write_batch(&ids, None, None).unwrap();
    column.close().unwrap();
    let clusters: Vec<i32> = (0..rows).map(|row| i32::from(row % 2 != 0)).collect();
    let mut column = group.next_column().unwrap().unwrap();
    let typed = column.typed::<Int32Type>();
    typed.write_batch(&clusters, None, None).unwrap();
    column.close().unwrap();
    let distances: Vec<f64> = (0..rows).map(|row| row as f64 / rows as f64).collect();
    for _ in 0..2 {
        let mut column = group.next_column().unwrap().unwrap();
        let typed = column.typed::<DoubleType>();
        typed.write_batch(&distances, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

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
