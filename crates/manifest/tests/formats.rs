//! The same images in every format and place are the same content.

#![expect(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "places/s3.rs"]
mod s3;

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use curriculum_manifest::{Access, AccessOptions, ContentDigest, Manifest, Source};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use s3::S3;

/// Path and label of an image; the path gives the bytes.
type Image = (String, &'static str);

fn images() -> Vec<Image> {
    let classes = ["ankle-boot", "bag", "coat"];
    let image = |class: &'static str| (0..40).map(move |n| (format!("{class}/{n:05}.png"), class));
    classes.into_iter().flat_map(image).collect()
}

fn bytes(path: &str) -> Vec<u8> {
    path.repeat(1 + path.len() % 7).into_bytes()
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn tar(images: &[Image]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, _) in images {
        let bytes = bytes(path);
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Embedded images with numbered classes, as Hugging Face's `datasets` write them.
fn embedded(images: &[Image]) -> Vec<u8> {
    let schema = "message m {
        optional group image { optional binary bytes; optional binary path (UTF8); }
        optional int64 label;
    }";
    let names = r#"{"info":{"features":{"label":{"names":["ankle-boot","bag","coat"],"_type":"ClassLabel"}}}}"#;
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            "huggingface".into(),
            names.to_owned(),
        )]));
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file =
        SerializedFileWriter::new(Vec::new(), schema, properties.build().into()).unwrap();
    for images in images.chunks(50) {
        let mut group = file.next_row_group().unwrap();
        let texts: [Vec<ByteArray>; 2] = [
            images.iter().map(|(path, _)| bytes(path).into()).collect(),
            images
                .iter()
                .map(|(path, _)| path.as_str().into())
                .collect(),
        ];
        for values in texts {
            let mut column = group.next_column().unwrap().unwrap();
            let levels = vec![2; values.len()];
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, Some(&levels), None)
                .unwrap();
            column.close().unwrap();
        }
        let number = |(_, class): &Image| match *class {
            "ankle-boot" => 0,
            "bag" => 1,
            _ => 2,
        };
        let labels: Vec<i64> = images.iter().map(number).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int64Type>()
            .write_batch(&labels, Some(&vec![1; labels.len()]), None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    file.into_inner().unwrap()
}

/// Writes the images in every format; the sources, relative to the folder.
fn write_all(root: &Path, images: &[Image]) -> Vec<String> {
    images
        .iter()
        .for_each(|(path, _)| write(&root.join("images").join(path), bytes(path)));
    for (n, shard) in images.chunks(50).enumerate() {
        write(&root.join(format!("shards/t-{n:03}.tar")), tar(shard));
        write(&root.join(format!("tables/{n}.parquet")), embedded(shard));
    }
    write(&root.join("packed.tar.gz"), gzip(&tar(images)));
    write(
        &root.join("packed.tar.zst"),
        zstd::encode_all(tar(images).as_slice(), 1).unwrap(),
    );
    write(&root.join("all.txt"), "shards/t-{000..002}.tar\n");
    let json = |(path, class): &Image| {
        format!("{{\"id\":\"{path}\",\"path\":\"images/{path}\",\"label\":\"{class}\"}}\n")
    };
    let json: String = images.iter().map(json).collect();
    write(&root.join("rows.jsonl"), &json);
    write(&root.join("rows.jsonl.gz"), gzip(json.as_bytes()));
    let csv = |(path, class): &Image| format!("{path},images/{path},{class}\n");
    let csv: String = images.iter().map(csv).collect();
    write(&root.join("rows.csv"), format!("id,path,label\n{csv}"));
    write(
        &root.join("rows.tsv.zst"),
        zstd::encode_all(
            format!("id,path,label\n{csv}")
                .replace(',', "\t")
                .as_bytes(),
            1,
        )
        .unwrap(),
    );
    [
        "images",
        "shards",
        "shards/t-{000..002}.tar",
        "all.txt",
        "packed.tar.gz",
        "packed.tar.zst",
        "tables",
        "tables/{0..2}.parquet",
        "rows.jsonl",
        "rows.jsonl.gz",
        "rows.csv",
        "rows.tsv.zst",
    ]
    .map(str::to_owned)
    .into()
}

fn content(uri: &str, access: &Access) -> String {
    let source = Source::new(uri);
    let manifest = Manifest::open(&source, access, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(
        (manifest.len(), manifest.unlabelled()),
        (120, None),
        "{uri}"
    );
    let mut digest = ContentDigest::new();
    // One way of reading is tried against the other.
    let reader = manifest.reader(Box::new(0..manifest.len()));
    for (index, sample) in (0..).zip(manifest.samples(0..manifest.len()).unwrap()) {
        let bytes = reader.read(index).unwrap();
        assert_eq!(bytes, manifest.read(index).unwrap(), "{uri}: {index}");
        digest.push(&sample, Ok(blake3::hash(&bytes)));
    }
    digest.finish().to_string()
}

#[test]
fn every_format_gives_the_same_content_here_and_in_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let sources = write_all(folder.path(), &images());
    let s3 = S3::start();
    s3.put_all("data", "set", folder.path());
    let options = AccessOptions {
        settings: s3.settings().into_iter().collect(),
        ..AccessOptions::default()
    };
    let access = Access::new(options).unwrap();
    let here = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let expected = content(&here("images"), &access);
    for name in sources {
        assert_eq!(content(&here(&name), &access), expected, "{name}");
        assert_eq!(
            content(&format!("s3://data/set/{name}"), &access),
            expected,
            "s3: {name}"
        );
    }
}
