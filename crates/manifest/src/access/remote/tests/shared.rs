//! Folders that servers share, in a real S3-compatible server.

use std::io::{Read, Write};

use super::buckets::access;
use super::*;
use crate::access::SharedFolder;
use crate::access::testing::s3::S3;

fn folder(s3: &S3) -> SharedFolder {
    let _ = s3.bucket("shared");
    SharedFolder::new(&access(s3), "s3://shared/versions/").unwrap()
}

#[test]
fn what_is_written_is_read_until_it_changes() {
    let s3 = S3::start();
    let folder = folder(&s3);
    assert_eq!(folder.read_unless("index", None).unwrap(), None);
    assert!(!folder.holds("index").unwrap());
    folder.write("index", b"one".to_vec()).unwrap();
    let one = folder.read_unless("index", None).unwrap().unwrap();
    assert_eq!(one.bytes, b"one");
    assert_eq!(
        folder.read_unless("index", one.etag.as_deref()).unwrap(),
        None
    );
    folder.write("index", b"two".to_vec()).unwrap();
    let two = folder.read_unless("index", one.etag.as_deref()).unwrap();
    assert_eq!(two.unwrap().bytes, b"two");
    for _ in 0..2 {
        folder.delete("index").unwrap();
    }
    let gone = folder
        .read_unless("index", one.etag.as_deref())
        .unwrap_err();
    assert!(matches!(gone, AccessError::NotFound { .. }), "{gone}");
}

#[test]
fn an_object_of_any_size_arrives_whole_or_not_at_all() {
    let s3 = S3::start();
    let folder = folder(&s3);
    for length in [0, 1, 1 << 20, (20 << 20) + 3] {
        let bytes = (0..length).map(|i| (i * 7 / 3) as u8).collect::<Vec<_>>();
        let mut upload = folder.upload("deep/object").unwrap();
        upload.write_all(&bytes).unwrap();
        upload.finish().unwrap();
        let mut read = Vec::new();
        folder
            .reader("deep/object")
            .unwrap()
            .read_to_end(&mut read)
            .unwrap();
        assert!(read == bytes, "{length}");
    }
    let mut upload = folder.upload("broken").unwrap();
    upload.write_all(&vec![1; 9 << 20]).unwrap();
    drop(upload);
    assert!(!folder.holds("broken").unwrap());
}

#[test]
fn a_store_that_refuses_is_an_error() {
    let s3 = S3::start();
    let settings = s3.settings().into_iter();
    let other = ("AWS_SECRET_ACCESS_KEY".to_owned(), "another".to_owned());
    let stranger = Access::new(AccessOptions {
        settings: settings.chain([other]).collect(),
        ..options()
    });
    let refused = SharedFolder::new(&stranger.unwrap(), "s3://shared/versions").unwrap();
    for error in [
        refused.write("index", vec![1]).unwrap_err(),
        refused.delete("index").unwrap_err(),
        refused.read_unless("index", None).unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.starts_with("s3://shared/versions/index: "), "{error}");
    }
    let mut upload = refused.upload("object").unwrap();
    let written = upload.write_all(&vec![1; 20 << 20]);
    assert!(written.is_err() || upload.finish().is_err());
}

#[test]
fn other_places_are_refused() {
    let access = anything();
    for url in [
        "/data/versions",
        "file:///data",
        "https://h.example/a?sig=SECRET",
    ] {
        let error = SharedFolder::new(&access, url).unwrap_err().to_string();
        assert!(
            error.contains("s3://") && !error.contains("SECRET"),
            "{error}"
        );
    }
    let web = SharedFolder::new(&access, "https://h.example/versions/").unwrap();
    assert!(!web.is_writable());
    let error = web.write("index", Vec::new()).unwrap_err().to_string();
    assert!(error.contains("object stores"), "{error}");
}
