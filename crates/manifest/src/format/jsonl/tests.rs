use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sample::Sample;
use crate::source::Source;
use crate::testing::{open_bytes, open_source, samples};

fn rows(text: impl AsRef<[u8]>) -> Result<Vec<Sample>, ManifestError> {
    open_bytes("list.jsonl", text.as_ref()).map(|manifest| samples(&manifest))
}

fn refusal(text: impl AsRef<[u8]>) -> String {
    rows(text).unwrap_err().to_string()
}

fn file(sample: &Sample) -> String {
    let place = sample.place(&Place::Local("root".into())).unwrap();
    place.to_string()
}

#[test]
fn reads_rows_in_order() {
    let text = "\u{feff}\r\n{\"id\":\"b\",\"path\":\"x/b.png\",\"label\":\"cat\"}\r\n \t \n\
                {\"note\":{\"k\":[1]},\"label\":7,\"path\":\"/abs/a.JPG\",\"id\":\"a\"}\n\
                {\"id\":\"c.png\",\"path\":\"c.png\",\"label\":null}";
    let samples = rows(text).unwrap();
    let seen: Vec<_> = samples
        .iter()
        .map(|sample| (&*sample.id, sample.label.as_deref(), file(sample)))
        .collect();
    let expected = [
        ("b", Some("cat"), "root/x/b.png".to_owned()),
        ("a", Some("7"), "/abs/a.JPG".to_owned()),
        ("c.png", None, "root/c.png".to_owned()),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn names_the_line_of_a_bad_row() {
    let good = r#"{"id":"a","path":"a.png"}"#;
    for (bad, reason) in [
        (r#"{"id":"b"}"#, "missing field `path`"),
        (r#"{"path":""}"#, "id is empty"),
        (r#"{"path":"b.png","offset":1}"#, "`offset` without"),
        (r#"{"path":"b","length":1}"#, "`length` without"),
        (
            r#"{"path":"b","offset":9,"length":18446744073709551615}"#,
            "past the end",
        ),
        (r#"{"path":"b","offset":-1,"length":1}"#, "integer `-1`"),
        (r#"{"path":"b.png","file_name":"c.png"}"#, "duplicate field"),
        (r#"{"id":3,"path":"b.png"}"#, "integer `3`"),
        (r#"{"id":"","path":"b.png"}"#, "id is empty"),
        (r#"{"id":"b","path":["b.png"]}"#, "sequence"),
        (
            r#"{"id":"b","path":"b.png","label":1.5}"#,
            "a string or an integer",
        ),
        (
            r#"{"id":"b","path":"b.png","id":"c"}"#,
            "duplicate field `id`",
        ),
        (r#"{"id":"b","path":"b.png"} x"#, "trailing characters"),
        (r#"{"id":"b","path":"b.png""#, "EOF"),
        (r#"{"id":"b","path":"b.gif"}"#, "`b.gif`"),
        (r#"["b","b.png"]"#, "not a JSON object"),
        ("null", "not a JSON object"),
    ] {
        let text = refusal(format!("{good}\n\n{bad}\n"));
        assert!(text.contains("list.jsonl: line 3: "), "{text}");
        assert!(text.contains(reason), "{text}");
        assert!(!text.contains("line 1"), "{text}");
    }
    let text = refusal(b"{\"id\":\"\xff\",\"path\":\"b.png\"}");
    assert!(text.contains("line 1: invalid utf-8"), "{text}");
}

#[test]
fn ids_are_paths_where_there_is_none() {
    let samples = rows("{\"path\":\"x/a.png\"}\n{\"file_name\":\"http://h/b.png?s=.x\"}").unwrap();
    let ids: Vec<&str> = samples.iter().map(|sample| &*sample.id).collect();
    assert_eq!(ids, ["x/a.png", "http://h/b.png?s=.x"]);
    assert_eq!(file(&samples[0]), "root/x/a.png");
    assert_eq!(file(&samples[1]), "http://h/b.png");
}

#[test]
fn reads_runs_of_bytes_and_named_fields() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("pack.bin"), b"0123456789").unwrap();
    let rows = "{\"key\":\"a\",\"file\":\"pack.bin\",\"y\":1,\"offset\":2,\"length\":3}\n\
                {\"key\":\"b\",\"file\":\"pack.bin\",\"offset\":8,\"length\":3}\n";
    std::fs::write(at("list.jsonl"), rows).unwrap();
    let mut source = Source::new(at("list.jsonl").to_str().unwrap());
    source.columns.id = Some("key".into());
    source.columns.path = Some("file".into());
    source.columns.label = Some("y".into());
    let manifest = open_source(&source).unwrap();
    assert_eq!(samples(&manifest)[0].label.as_deref(), Some("1"));
    assert_eq!(manifest.read(0).unwrap(), b"234");
    assert!(manifest.read(1).is_err(), "past the end of the file");
}

#[test]
fn bytes_of_another_hash_are_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.jsonl");
    std::fs::write(folder.path().join("pack.bin"), b"0123456789").unwrap();
    let row = |id: &str, hash: &str| {
        format!(
            "{{\"id\":\"{id}\",\"path\":\"pack.bin\",\"offset\":2,\"length\":3,\"blake3\":{hash}}}\n"
        )
    };
    let hash = |bytes: &[u8]| format!("\"{}\"", blake3::hash(bytes).to_hex());
    let rows = row("a", &hash(b"234")) + &row("b", &hash(b"235")) + &row("c", "null");
    std::fs::write(&path, &rows).unwrap();
    let source = Source::new(path.to_str().unwrap());
    let manifest = open_source(&source).unwrap();
    assert_eq!(manifest.read(0).unwrap(), b"234");
    assert_eq!(manifest.read(2).unwrap(), b"234");
    let error = manifest.read(1).unwrap_err();
    assert_eq!(error.kind(), crate::error::ReadErrorKind::Malformed);
    assert!(error.to_string().contains("blake3"), "{error}");
    let before = manifest.fingerprint().unwrap();
    std::fs::write(&path, rows.replace(&hash(b"235"), &hash(b"234"))).unwrap();
    let mended = open_source(&source).unwrap();
    assert_ne!(mended.fingerprint().unwrap(), before);
    std::fs::write(&path, row("a", "\"12\"")).unwrap();
    let error = open_source(&source).unwrap_err().to_string();
    assert!(error.contains("line 1: `blake3`"), "{error}");
}

#[test]
fn a_named_label_that_no_row_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.jsonl");
    std::fs::write(
        &path,
        "{\"path\":\"a.png\",\"y\":1}\n{\"path\":\"b.png\"}\n",
    )
    .unwrap();
    let mut source = Source::new(path.to_str().unwrap());
    source.columns.label = Some("y".into());
    assert_eq!(open_source(&source).unwrap().len(), 2);
    source.columns.label = Some("z".into());
    let error = open_source(&source).unwrap_err().to_string();
    assert!(error.contains("no column `z`"), "{error}");
    let image = folder.path().join("a.png");
    std::fs::write(image, "x").unwrap();
    let mut source = Source::new(folder.path().to_str().unwrap());
    source.columns.label = Some("y".into());
    let error = open_source(&source).unwrap_err().to_string();
    assert!(error.contains("no column `y`"), "{error}");
}

#[test]
fn vectors_have_as_many_bytes_as_they_must() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.jsonl");
    std::fs::write(folder.path().join("pack.bin"), [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let mut source = Source::new(path.to_str().unwrap());
    source.vectors = Some(1);
    let row = |id: &str, length: u32| {
        format!("{{\"id\":\"{id}\",\"path\":\"pack.bin\",\"offset\":4,\"length\":{length}}}\n")
    };
    std::fs::write(&path, row("a", 4)).unwrap();
    let manifest = open_source(&source).unwrap();
    assert_eq!(manifest.kind(), Kind::Features { dimension: 1 });
    assert_eq!(manifest.read(0).unwrap(), [5, 6, 7, 8]);
    std::fs::write(&path, row("a", 4) + &row("b", 8)).unwrap();
    let error = open_source(&source).unwrap_err().to_string();
    assert!(error.contains("line 2: 8 bytes"), "{error}");
}

#[test]
fn decompresses_and_says_where_it_cannot() {
    use std::io::Write;
    let text = "{\"path\":\"a.png\"}\n{\"path\":\"b.png\"}\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("l.jsonl.gz", gzip), ("l.jsonl.zst", zstd)] {
        assert_eq!(open_bytes(name, &bytes).unwrap().len(), 2);
        let twice = [&bytes[..], &bytes].concat();
        let error = open_bytes(name, &twice).unwrap_err().to_string();
        assert!(
            error.contains("line 1, and "),
            "two parts are one text: {error}"
        );
        for cut in 1..bytes.len() {
            let error = open_bytes(name, &bytes[..cut]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(name), "{text}");
            assert!(
                matches!(error, ManifestError::BadCompression { .. }),
                "{cut}: {text}"
            );
        }
    }
}

#[test]
fn names_both_lines_of_a_duplicate_id() {
    let text = refusal(
        "{\"id\":\"a\",\"path\":\"1.png\"}\n\n{\"id\":\"b\",\"path\":\"2.png\"}\n\
         {\"id\":\"a\",\"path\":\"3.png\"}\n",
    );
    assert!(
        text.contains("list.jsonl line 1, and ") && text.ends_with("list.jsonl line 4"),
        "{text}"
    );
}

#[test]
fn bounds_the_length_of_a_line() {
    let limit = usize::try_from(super::super::lines::MAX_LINE_BYTES).unwrap();
    let row = |length: usize| {
        let rest = r#"{"note":"","path":"a.png"}"#.len();
        format!(
            r#"{{"note":"{}","path":"a.png"}}"#,
            "i".repeat(length - rest)
        )
    };
    assert_eq!(rows(row(limit - 1) + "\n").unwrap().len(), 1);
    for line in [row(limit) + "\n", " ".repeat(2 * limit)] {
        let error = rows(format!("\n{line}")).unwrap_err();
        assert!(matches!(error, ManifestError::LineTooLong { line: 2, .. }));
    }
}

#[test]
fn bounds_ids_and_labels() {
    let long = "i".repeat(4097);
    for (row, what) in [
        (format!(r#"{{"id":"{long}","path":"a.png"}}"#), "id"),
        (format!(r#"{{"label":"{long}","path":"a.png"}}"#), "label"),
    ] {
        let error = rows(format!("{{\"path\":\"b.png\"}}\n{row}")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("row 1, counted from 0: its {what}")),
            "{text}"
        );
    }
}

proptest! {
    #[test]
    fn round_trips_any_text(given in proptest::collection::hash_map(
        "\\PC{1,8}|[\\x00-\\x7f\u{2028}\u{fffd}\u{10ffff}]{1,8}",
        (proptest::char::any(), proptest::option::of("\\PC{0,4}|[\\n\"\\\\]{1,3}")),
        1..8,
    )) {
        let given: Vec<_> = given.into_iter().collect();
        let text: String = given
            .iter()
            .map(|(id, (c, label))| {
                json!({"id": id, "path": format!("x{c}.png"), "label": label}).to_string() + "\n"
            })
            .collect();
        let samples = rows(text).unwrap();
        prop_assert_eq!(samples.len(), given.len());
        for (sample, (id, (c, label))) in samples.iter().zip(&given) {
            prop_assert_eq!(&*sample.id, id);
            prop_assert_eq!(sample.label.as_deref(), label.as_deref());
            prop_assert_eq!(file(sample), format!("root/x{c}.png"));
        }
    }

    #[test]
    fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = rows(bytes);
    }

    #[test]
    fn survives_any_json_like_text(text in "[\\[{\"idpathlbe:,.png0-9\\\\\n}\\] ]{0,64}") {
        let _ = rows(text);
    }
}
