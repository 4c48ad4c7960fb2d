//! Difficulties as tables.

use crate::fit::{fit, vector, write_golden};
use curriculum_tests::{Home, TestServer, command::curriculum_in, data, submission};
use ndarray::Array1;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use serde_json::Value;
use std::{fs::File, path::Path};

async fn export(home: &Home, arguments: &str) -> Value {
    let arguments = format!("export {arguments} --json");
    let run = curriculum_in(&home.path(""), &[], arguments.split(' ')).await;
    run.json()
}

/// Rows of a Parquet file, each with its columns in order.
fn rows(path: &Path) -> Vec<Vec<Field>> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let columns = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .to_vec();
    let names: Vec<_> = columns
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    assert_eq!(
        names,
        ["id", "index", "difficulty", "distance", "cluster", "label"]
    );
    let rows = reader.get_row_iter(None).unwrap();
    let fields = rows.map(|row| {
        row.unwrap()
            .get_column_iter()
            .map(|(_, f)| f.clone())
            .collect()
    });
    fields.collect()
}

/// Texts of an `.npz`, without NumPy's padding. Other tools than NumPy do not read them as an array.
fn texts(path: &Path, name: &str) -> Vec<String> {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut entry = archive.by_name(&format!("{name}.npy")).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
    let (header, items) = bytes.split_at(128);
    let header = String::from_utf8_lossy(header).into_owned();
    let width = header
        .split("'<U")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    let width: usize = width.parse().unwrap();
    let text = |item: &[u8]| -> String {
        let characters = item.as_chunks::<4>().0.iter();
        let characters = characters.map(|c| char::from_u32(u32::from_le_bytes(*c)).unwrap());
        characters.take_while(|c| *c != '\0').collect()
    };
    items.chunks_exact(4 * width).map(text).collect()
}

#[tokio::test]
async fn a_server_s_curriculum_is_exported_with_ids_and_labels() {
    let home = Home::new();
    let server = TestServer::start(&home).await;
    let mut images = data::images(80);
    images[9].bytes = b"not an image".to_vec();
    // One without a label.
    let _ = data::write_jsonl(&home.path("set"), &images);
    let manifest = images.iter().enumerate().map(|(i, image)| {
        let mut row = serde_json::json!({"id": image.key, "path": image.key});
        if i != 3 {
            row["label"] = image.label.clone().into();
        }
        row.to_string()
    });
    let source = data::write_rows(&home.path("set"), manifest);
    let mut request = submission("c", &source, 3);
    curriculum_tests::calls::parameters(&mut request).max_failed_fraction = Some(0.1);
    let job = server.publish(request).await;

    let url = server.url();
    let parquet = export(&home, &format!("c --out c.parquet --server {url}")).await;
    assert_eq!(
        (&parquet["samples"], &parquet["version"]),
        (&80.into(), &job.version.into())
    );
    export(&home, &format!("c --out c.npz --server {url}")).await;
    // The same features, clusters and arithmetic without a server.
    let flags = "set/manifest.jsonl --clusters 3 --max-failed-fraction 0.1 --out f.npz";
    fit(&home, flags).await;

    let (npz, fitted) = (home.path("c.npz"), home.path("f.npz"));
    for name in ["difficulty", "distance"] {
        let bits = |path| vector::<f32>(path, name).mapv(f32::to_bits);
        assert_eq!(bits(&npz), bits(&fitted), "{name}");
    }
    let cluster: Array1<u32> = vector(&npz, "cluster");
    assert_eq!(cluster, vector::<u32>(&fitted, "cluster"));
    assert_eq!(vector::<u64>(&npz, "index"), Array1::from_iter(0..80));
    let ids: Vec<_> = images.iter().map(|image| image.key.clone()).collect();
    assert_eq!(texts(&npz, "id"), ids);
    let labels = texts(&npz, "label");
    assert_eq!((labels[3].as_str(), &labels[4]), ("", &images[4].label));

    let difficulty: Array1<f32> = vector(&npz, "difficulty");
    let rows = rows(&home.path("c.parquet"));
    assert_eq!(rows.len(), 80);
    for (i, row) in rows.iter().enumerate() {
        let label = match i {
            3 => Field::Null,
            _ => Field::Str(images[i].label.clone()),
        };
        assert_eq!(row[0], Field::Str(ids[i].clone()));
        assert_eq!(row[1], Field::ULong(i as u64));
        assert_eq!(row[2], Field::Float(difficulty[i]));
        assert_eq!(row[4], Field::UInt(cluster[i]));
        assert_eq!(row[5], label);
    }
    assert_eq!(cluster[9], u32::MAX);
    assert!(matches!(rows[9][3], Field::Float(distance) if distance.is_nan()));
}

#[tokio::test]
async fn a_fit_is_exported_with_labels_of_a_file() {
    let home = Home::new();
    write_golden(&home);
    fit(&home, "x.npy --clusters 8 --out f.npz").await;
    assert_eq!(
        export(&home, "f.npz --out t.parquet").await["samples"],
        3000
    );
    let rows = rows(&home.path("t.parquet"));
    assert_eq!(
        (rows.len(), &rows[2999][0]),
        (3000, &Field::Str("2999".to_owned()))
    );
    assert!(rows.iter().all(|row| row[5] == Field::Null));
    export(&home, "f.npz --labels y.npy --out t.npz").await;
    let labels: Array1<i64> = vector(&data::golden(), "labels");
    let expected: Vec<_> = labels.iter().map(i64::to_string).collect();
    assert_eq!(texts(&home.path("t.npz"), "label"), expected);
}

#[tokio::test]
async fn tables_that_cannot_be_made_are_refused() {
    let home = Home::new();
    write_golden(&home);
    fit(&home, "x.npy --clusters 8 --out f.npz").await;
    let server = TestServer::start(&home).await;
    let server = format!("absent --out t.npz --server {}", server.url());
    for (arguments, said) in [
        ("f.npz --out t.csv", "--out t.csv"),
        ("f.npz --out no/t.npz", "no/t.npz"),
        ("f.npz --out t.npz --pin abc", "--pin"),
        ("f.npz --out t.npz --labels x.npy", "x.npy"),
        ("absent.npz --out t.npz", "absent.npz"),
        (&server, "`absent`"),
    ] {
        let arguments = format!("export {arguments}");
        let outcome = curriculum_in(&home.path(""), &[], arguments.split(' ')).await;
        outcome.refused(said);
    }
    assert!(!home.path("t.npz").exists());
}
