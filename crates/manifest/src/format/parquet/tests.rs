use std::fs;
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, GzipLevel, ZstdLevel};
use ::parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use proptest::prelude::*;

use super::*;
use crate::error::ReadErrorKind;
use crate::format::Format;
use crate::manifest::Manifest;
use crate::source::Source;
use crate::testing::{open, open_bytes, open_source, samples};

/// The values of one column in one row group, with definition and repetition levels where it has any.
enum Values<'a> {
    Text(&'a [&'a [u8]], Option<&'a [i16]>),
    Int32(&'a [i32], Option<&'a [i16]>),
    Int64(&'a [i64]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Lists(&'a [f32], &'a [i16], &'a [i16]),
    DoubleLists(&'a [f64], &'a [i16], &'a [i16]),
}

fn properties(compression: Compression) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_row_count_limit(3)
        .set_write_batch_size(1)
        .build()
}

fn write(schema: &str, properties: WriterProperties, groups: &[Vec<Values<'_>>]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties.into()).unwrap();
    for columns in groups {
        let mut group = file.next_row_group().unwrap();
        for column in columns {
            put(&mut group, column);
        }
        group.close().unwrap();
    }
    file.into_inner().unwrap()
}

fn put(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &Values<'_>) {
    match values {
        Values::Text(values, levels) => {
            let values: Vec<_> = values
                .iter()
                .map(|value| ByteArray::from(value.to_vec()))
                .collect();
            column::<ByteArrayType>(group, &values, *levels, None);
        }
        Values::Int32(values, levels) => column::<Int32Type>(group, values, *levels, None),
        Values::Int64(values) => column::<Int64Type>(group, values, None, None),
        Values::Float(values) => column::<FloatType>(group, values, None, None),
        Values::Double(values) => column::<DoubleType>(group, values, None, None),
        Values::Lists(values, def, rep) => column::<FloatType>(group, values, Some(def), Some(rep)),
        Values::DoubleLists(values, def, rep) => {
            column::<DoubleType>(group, values, Some(def), Some(rep));
        }
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    def: Option<&[i16]>,
    rep: Option<&[i16]>,
) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, def, rep).unwrap();
    column.close().unwrap();
}

const PATHS: &str = "message m { required binary path (UTF8); optional binary label (UTF8); }";
const IMAGES: &str = "message m {
    optional group image { optional binary bytes; optional binary path (UTF8); }
    optional int64 label;
}";
const VECTORS: &str = "message m {
    required binary id (UTF8);
    optional group embeddings (LIST) { repeated group list { optional float element; } }
}";

fn paths() -> Vec<u8> {
    let groups = [
        vec![
            Values::Text(&[b"a/1.png", b"a/2.png", b"b/3.png", b"b/4.png"], None),
            Values::Text(&[b"cat", b"dog", b"cat"], Some(&[1, 1, 0, 1])),
        ],
        vec![
            Values::Text(&[b"5.png"], None),
            Values::Text(&[], Some(&[0])),
        ],
    ];
    write(PATHS, properties(Compression::SNAPPY), &groups)
}

type Seen = (String, Option<String>);

fn seen(manifest: &Manifest) -> Vec<Seen> {
    let see = |sample: crate::Sample| {
        (
            sample.id.to_string(),
            sample.label.as_deref().map(str::to_owned),
        )
    };
    samples(manifest).into_iter().map(see).collect()
}

fn expect(manifest: &Manifest, expected: &[(&str, Option<&str>)]) {
    let expected: Vec<Seen> = expected
        .iter()
        .map(|(id, label)| ((*id).to_owned(), label.map(str::to_owned)))
        .collect();
    assert_eq!(seen(manifest), expected);
}

fn refusal(bytes: &[u8]) -> String {
    open_bytes("set.parquet", bytes).unwrap_err().to_string()
}

#[test]
fn reads_paths_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.parquet");
    fs::write(&path, paths()).unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    fs::write(folder.path().join("a/2.png"), "two").unwrap();
    let manifest = open(&path).unwrap();
    expect(
        &manifest,
        &[
            ("a/1.png", Some("cat")),
            ("a/2.png", Some("dog")),
            ("b/3.png", None),
            ("b/4.png", Some("cat")),
            ("5.png", None),
        ],
    );
    assert_eq!(
        (manifest.format(), manifest.kind()),
        (Format::Parquet, Kind::Images)
    );
    assert_eq!(manifest.read(1).unwrap(), b"two");
    assert_eq!(
        manifest.read(0).unwrap_err().kind(),
        ReadErrorKind::NotFound
    );
}

/// Two row groups of embedded images, as `datasets` writes them, of the given sizes.
fn images(compression: Compression, sizes: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let image = |(n, size): (usize, &usize)| vec![n as u8; *size];
    let images: Vec<Vec<u8>> = sizes.iter().enumerate().map(image).collect();
    let names: Vec<String> = (0..sizes.len()).map(|n| format!("{n}.png")).collect();
    let rows: Vec<(&[u8], &[u8])> = images
        .iter()
        .map(Vec::as_slice)
        .zip(names.iter().map(String::as_bytes))
        .collect();
    let features =
        r#"{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}"#;
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_row_count_limit(3)
        .set_write_batch_size(1)
        .set_dictionary_page_size_limit(100)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            "huggingface".into(),
            features.to_owned(),
        )]))
        .build();
    let schema = Arc::new(parse_message_type(IMAGES).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties.into()).unwrap();
    for rows in rows.chunks(sizes.len().div_ceil(2)) {
        let (bytes, names): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        let labels: Vec<i64> = (0..rows.len() as i64).map(|n| n % 3).collect();
        let mut group = file.next_row_group().unwrap();
        let levels = vec![2; rows.len()];
        put(&mut group, &Values::Text(&bytes, Some(&levels)));
        put(&mut group, &Values::Text(&names, Some(&levels)));
        column::<Int64Type>(&mut group, &labels, Some(&vec![1; rows.len()]), None);
        group.close().unwrap();
    }
    (file.into_inner().unwrap(), images)
}

#[test]
fn reads_embedded_images_in_any_order() {
    let sizes = [0, 5, 90, 3, 3000, 1, 700, 7, 8, 9, 10, 200];
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
    ] {
        let (bytes, images) = images(compression, &sizes);
        let manifest = open_bytes("set.parquet", &bytes).unwrap();
        let list = seen(&manifest);
        assert_eq!(list[1], ("1.png".to_owned(), Some("dog".to_owned())));
        assert_eq!(list[2].1.as_deref(), Some("2"), "no name for this class");
        for turn in [1, 5, 7, 11] {
            for n in (0..sizes.len()).map(|n| n * turn % sizes.len()) {
                assert_eq!(
                    manifest.read(n as u64).unwrap(),
                    images[n],
                    "{compression} {n}"
                );
            }
        }
    }
}

#[test]
fn many_threads_read_one_table() {
    let sizes: Vec<usize> = (0..400).map(|n| 1 + n * 37 % 5000).collect();
    let (bytes, images) = images(Compression::SNAPPY, &sizes);
    let manifest = open_bytes("set.parquet", &bytes).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (manifest, images) = (&manifest, &images);
            scope.spawn(move || {
                for turn in 0..images.len() {
                    let n = (turn + 100 * thread) % images.len();
                    assert_eq!(manifest.read(n as u64).unwrap(), images[n]);
                }
            });
        }
    });
}

/// Reads in order go on where the last run ended: of each page the bytes are decompressed once.
#[test]
fn keeps_what_is_read_within_bounds() {
    let sizes = vec![1 << 20; 100];
    let (bytes, images) = images(Compression::ZSTD(ZstdLevel::default()), &sizes);
    let manifest = open_bytes("set.parquet", &bytes).unwrap();
    for (n, image) in images.iter().enumerate() {
        assert_eq!(manifest.read(n as u64).unwrap(), *image);
    }
    let (kept, cursors) = manifest.tables.kept_bytes();
    assert!(kept <= 64 << 20, "{kept}");
    assert!(cursors <= 2, "one for each row group, not for each run");
}

#[test]
fn null_images_fail_alone() {
    let groups = [vec![
        Values::Text(&[b"one", b"three"], Some(&[2, 1, 0, 2])),
        Values::Text(&[b"1.png", b"2.png", b"4.png"], Some(&[2, 2, 0, 2])),
        Values::Int32(&[], Some(&[0, 0, 0, 0])),
    ]];
    let schema = IMAGES.replace("int64", "int32");
    let bytes = write(&schema, properties(Compression::SNAPPY), &groups);
    let manifest = open_bytes("set.parquet", &bytes).unwrap();
    expect(
        &manifest,
        &[
            ("1.png", None),
            ("2.png", None),
            ("2", None),
            ("4.png", None),
        ],
    );
    for n in [1, 2] {
        let error = manifest.read(n).unwrap_err();
        assert_eq!(error.kind(), ReadErrorKind::Malformed);
        assert!(error.to_string().contains("holds nothing"), "{error}");
    }
    assert_eq!(manifest.read(0).unwrap(), b"one");
    assert_eq!(manifest.read(3).unwrap(), b"three");
}

#[test]
fn reads_vectors_of_either_precision() {
    let (def, rep) = ([3; 6], [0, 1, 1, 0, 1, 1]);
    let values = [1.0, 2.0, 3.0, 4.0, -5.0, 0.5];
    let wide: Vec<f64> = values.iter().map(|x: &f32| f64::from(*x)).collect();
    let ids = || Values::Text(&[b"a", b"b"], None);
    let single = [vec![ids(), Values::Lists(&values, &def, &rep)]];
    let double = [vec![ids(), Values::DoubleLists(&wide, &def, &rep)]];
    let doubles = VECTORS.replace("float", "double");
    for (schema, groups) in [(VECTORS, &single), (&doubles, &double)] {
        let bytes = write(schema, properties(Compression::SNAPPY), groups);
        let manifest = open_bytes("set.parquet", &bytes).unwrap();
        assert_eq!(manifest.kind(), Kind::Features { dimension: 3 });
        expect(&manifest, &[("a", None), ("b", None)]);
        for (n, row) in values.chunks(3).enumerate() {
            let expected: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert_eq!(manifest.read(n as u64).unwrap(), expected);
        }
    }
}

#[test]
fn vectors_have_one_length() {
    let ids = || Values::Text(&[b"a", b"b"], None);
    let uneven = [vec![
        ids(),
        Values::Lists(&[1.0; 5], &[3; 5], &[0, 1, 0, 1, 1]),
    ]];
    let text = refusal(&write(VECTORS, properties(Compression::SNAPPY), &uneven));
    assert!(text.contains("row group 0: 5 numbers in 2 rows"), "{text}");
    // The numbers agree, the rows do not: found when they are read.
    let hidden = [vec![
        ids(),
        Values::Lists(&[1.0; 6], &[3; 6], &[0, 0, 1, 1, 1, 1]),
    ]];
    let bytes = write(VECTORS, properties(Compression::SNAPPY), &hidden);
    let manifest = open_bytes("set.parquet", &bytes).unwrap();
    for n in 0..2 {
        assert_eq!(
            manifest.read(n).unwrap_err().kind(),
            ReadErrorKind::Malformed
        );
    }
}

const ASSIGNED: &str = "message m { required int64 id; required int32 centroid;
    required float l2_dist_to_cent; required double cosine_dist_to_cent; }";

fn assignment(cluster: u32, euclidean: f32, cosine: f32) -> Vec<u8> {
    [
        cluster.to_le_bytes(),
        euclidean.to_le_bytes(),
        cosine.to_le_bytes(),
    ]
    .concat()
}

#[test]
fn reads_a_finished_clustering() {
    let groups = [vec![
        Values::Int64(&[10, 11]),
        Values::Int32(&[3, 0], None),
        Values::Float(&[1.5, 0.25]),
        Values::Double(&[0.5, 0.125]),
    ]];
    let bytes = write(ASSIGNED, properties(Compression::SNAPPY), &groups);
    let manifest = open_bytes("set.parquet", &bytes).unwrap();
    assert_eq!(manifest.kind(), Kind::Assignments);
    expect(&manifest, &[("10", None), ("11", None)]);
    assert_eq!(manifest.read(0).unwrap(), assignment(3, 1.5, 0.5));
    assert_eq!(manifest.read(1).unwrap(), assignment(0, 0.25, 0.125));
}

/// As `partition_cols=["centroid"]` leaves it: a folder per cluster, the column in its name.
#[test]
fn reads_a_clustering_partitioned_by_cluster() {
    let schema = ASSIGNED.replace("required int32 centroid;", "");
    let folder = tempfile::tempdir().unwrap();
    for cluster in [0, 1, 12] {
        let id = [i64::from(cluster)];
        let groups = [vec![
            Values::Int64(&id),
            Values::Float(&[0.5]),
            Values::Double(&[0.25]),
        ]];
        let at = folder.path().join(format!("centroid={cluster}"));
        fs::create_dir(&at).unwrap();
        fs::write(
            at.join("part.0.parquet"),
            write(&schema, properties(Compression::SNAPPY), &groups),
        )
        .unwrap();
    }
    let manifest = open(folder.path()).unwrap();
    assert_eq!((manifest.kind(), manifest.len()), (Kind::Assignments, 3));
    for (n, id) in ["0", "1", "12"].iter().enumerate() {
        assert_eq!(&*manifest.sample(n as u64).unwrap().id, *id);
        let expected = assignment(id.parse().unwrap(), 0.5, 0.25);
        assert_eq!(manifest.read(n as u64).unwrap(), expected);
    }
    let alone = fs::read(folder.path().join("centroid=1/part.0.parquet")).unwrap();
    let text = refusal(&alone);
    assert!(text.contains("row 1: no cluster"), "{text}");
}

#[test]
fn columns_are_chosen_by_name() {
    let schema = "message m { required binary key (UTF8); required binary img (UTF8); required binary raw; required int32 y; }";
    let groups = [vec![
        Values::Text(&[b"k1", b"k2"], None),
        Values::Text(&[b"1.png", b"2.png"], None),
        Values::Text(&[b"one", b"two"], None),
        Values::Int32(&[5, -6], None),
    ]];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.parquet");
    fs::write(
        &path,
        write(schema, properties(Compression::SNAPPY), &groups),
    )
    .unwrap();
    let mut source = Source::new(path.to_str().unwrap());
    let text = open_source(&source).unwrap_err().to_string();
    assert!(
        text.contains("no column `path`; there are `key`, `img`, `raw`, `y`"),
        "{text}"
    );

    source.columns.image = Some("raw".into());
    source.columns.label = Some("y".into());
    let manifest = open_source(&source).unwrap();
    expect(&manifest, &[("0", Some("5")), ("1", Some("-6"))]);
    assert_eq!(manifest.read(1).unwrap(), b"two");

    source.columns.image = None;
    source.columns.path = Some("img".into());
    source.columns.id = Some("key".into());
    expect(
        &open_source(&source).unwrap(),
        &[("k1", Some("5")), ("k2", Some("-6"))],
    );
    source.columns.vector = Some("raw".into());
    let text = open_source(&source).unwrap_err().to_string();
    assert!(text.contains("list of float"), "{text}");
}

#[test]
fn duplicates_name_file_and_row() {
    let groups = [
        vec![
            Values::Text(&[b"a.png", b"b.png"], None),
            Values::Text(&[], Some(&[0, 0])),
        ],
        vec![
            Values::Text(&[b"a.png"], None),
            Values::Text(&[], Some(&[0])),
        ],
    ];
    let text = refusal(&write(PATHS, properties(Compression::SNAPPY), &groups));
    assert!(
        text.contains("set.parquet row 1, and ") && text.ends_with("set.parquet row 3"),
        "{text}"
    );
}

#[test]
fn refuses_codecs_that_inflate_without_a_limit() {
    let groups = || {
        [vec![
            Values::Text(&[b"a.png"], None),
            Values::Text(&[], Some(&[0])),
        ]]
    };
    let brotli = properties(Compression::BROTLI(Default::default()));
    let text = refusal(&write(PATHS, brotli, &groups()));
    assert!(
        text.contains("column `label`") && text.contains("is not read"),
        "{text}"
    );
}

/// A gzip page that claims a few bytes and holds a gigabyte.
#[test]
fn refuses_a_page_that_inflates_beyond_its_claim() {
    use std::io::Write;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..1024).for_each(|_| bomb.write_all(&zeros).unwrap());
    let bomb = bomb.finish().unwrap();
    let chunks = chunks::testing_chunks(&bomb);
    let error = chunks.unwrap_err().to_string();
    assert!(error.contains("512 MiB"), "{error}");
}

/// A file whose schema has `count` groups, each with as many children as `claim`, a varint, says.
fn hostile(count: u32, claim: &[u8]) -> Vec<u8> {
    let mut footer = vec![0x15, 0x02, 0x19, 0xfc];
    footer.extend([
        count as u8 | 0x80,
        (count >> 7) as u8 | 0x80,
        (count >> 14) as u8,
    ]);
    for _ in 0..count {
        footer.extend([0x35, 0x02, 0x18, 0x01, b'g', 0x15]);
        footer.extend(claim);
        footer.push(0x00);
    }
    // No rows in no row groups.
    footer.extend([0x16, 0x00, 0x19, 0x0c, 0x00]);
    let length = (footer.len() as u32).to_le_bytes();
    [&b"PAR1"[..], &footer[..], &length[..], &b"PAR1"[..]].concat()
}

/// Crate `parquet` would overflow the stack, or allocate what a group claims; either ends the process.
#[test]
fn refuses_hostile_schemas() {
    let text = refusal(&hostile(100_000, &[0x02]));
    assert!(text.contains("more than 65,536 elements"), "{text}");
    let text = refusal(&hostile(65_536, &[0x02]));
    assert!(text.contains("deeper than 64 levels"), "{text}");
    let text = refusal(&hostile(1, &[0xfe, 0xff, 0xff, 0xff, 0x0f]));
    assert!(text.contains("more children than it has"), "{text}");
}

#[test]
fn accepts_schemas_of_every_type() {
    let schema = "message m {
        required int32 decimal (DECIMAL(9,2));
        required int32 time (TIME(MILLIS,true));
        required int64 timestamp (TIMESTAMP(MICROS,false));
        required int32 integer (INTEGER(16,true));
        required int32 date (DATE);
        required binary json (JSON);
        required fixed_len_byte_array(16) uuid (UUID);
        optional group map (MAP) {
            repeated group key_value { required binary key (UTF8); optional double value; }
        }
        required binary path (UTF8);
    }";
    let bytes = write(schema, properties(Compression::SNAPPY), &[]);
    let end = bytes.len() - 8;
    let length = u32::from_le_bytes(*bytes[end..].first_chunk().unwrap()) as usize;
    schema::check_schema(&bytes[end - length..end]).unwrap();
}

fn survive(path: &Path) {
    if let Ok(manifest) = open(path) {
        for index in 0..manifest.len().min(32) {
            let _ = manifest.read(index);
        }
    }
}

#[test]
fn notices_truncation_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.parquet");
    let bytes = paths();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let text = open(&path).unwrap_err().to_string();
        assert!(text.contains("set.parquet"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Bytes changed anywhere, and most often in the footer, which says where everything is.
    #[test]
    fn survives_changed_bytes(
        kind in 0..3_usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<bool>(), any::<u8>()), 1..5),
    ) {
        let vectors = [vec![
            Values::Text(&[b"a", b"b"], None),
            Values::Lists(&[1.0; 6], &[3; 6], &[0, 1, 1, 0, 1, 1]),
        ]];
        let mut bytes = match kind {
            0 => paths(),
            1 => images(Compression::ZSTD(ZstdLevel::default()), &[5, 100, 7, 300]).0,
            _ => write(VECTORS, properties(Compression::SNAPPY), &vectors),
        };
        let footer = u32::from_le_bytes(*bytes[bytes.len() - 8..].first_chunk().unwrap()) as usize;
        let start = bytes.len() - 8 - footer;
        for (at, in_footer, byte) in changes {
            let at = if in_footer { start + at.index(footer) } else { at.index(bytes.len()) };
            bytes[at] = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.parquet");
        fs::write(&path, bytes).unwrap();
        survive(&path);
    }
}
