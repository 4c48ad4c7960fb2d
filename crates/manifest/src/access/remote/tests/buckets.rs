//! Against a real S3-compatible server.

use std::io::{BufReader, Read};
use std::ops::ControlFlow;

use super::*;
use crate::access::testing::s3::S3;
use crate::access::{Look, Stamp};

pub(super) fn access(s3: &S3) -> Access {
    let settings: Settings = s3.settings().into_iter().collect();
    Access::new(AccessOptions {
        settings,
        ..options()
    })
    .unwrap()
}

fn listed(access: &Access, folder: &str) -> Vec<(String, Stamp)> {
    let mut all = Vec::new();
    let mut visit = |object: crate::access::Listed<'_>| {
        all.push((object.relative.to_owned(), object.stamp));
        ControlFlow::Continue(())
    };
    access.list(&place(folder), &mut visit).unwrap();
    all
}

/// Bytes that tell where they are from.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32)
        .flat_map(u32::to_le_bytes)
        .take(length)
        .collect()
}

#[test]
fn reads_objects_whole_and_in_part() {
    let s3 = S3::start();
    let access = access(&s3);
    let bytes = pattern(300_000);
    s3.put("data", "a/b.tar", &bytes);
    s3.put("data", "empty", b"");

    assert_eq!(read(&access, "s3://data/a/b.tar").unwrap(), bytes);
    assert_eq!(read(&access, "s3://data/empty").unwrap(), b"");
    let range = |range| access.read(&place("s3://data/a/b.tar"), Some(range));
    assert_eq!(range(1000..1007).unwrap(), bytes[1000..1007]);
    assert_eq!(range(299_999..300_000).unwrap(), bytes[299_999..]);
    assert_eq!(range(5..5).unwrap(), b"");
    for past in [299_999..300_001, 300_000..300_010] {
        let error = range(past.clone()).unwrap_err();
        assert!(
            !matches!(error, AccessError::NotFound { .. }),
            "{past:?}: {error}"
        );
    }
}

#[test]
fn keys_are_taken_to_the_letter() {
    let s3 = S3::start();
    let access = access(&s3);
    for key in [
        "a b/ü.png",
        "50%/a.png",
        "a%20b.png",
        "q?x=1.png",
        "h#1.png",
        "a+b&c=d;e.png",
        "猫.png",
    ] {
        s3.put("data", key, key);
        assert_eq!(
            read(&access, &format!("s3://data/{key}")).unwrap(),
            key.as_bytes()
        );
    }
    let mut names: Vec<_> = listed(&access, "s3://data")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    assert_eq!(names.len(), 7);
    assert!(names.contains(&"a%20b.png".to_owned()) && names.contains(&"a b/ü.png".to_owned()));
}

#[test]
fn tells_files_from_folders() {
    let s3 = S3::start();
    let access = access(&s3);
    s3.put("data", "set/cat/1.png", b"12345");
    let look = |text| access.look(&place(text));

    let Look::File(stamp) = look("s3://data/set/cat/1.png").unwrap() else {
        panic!("not a file");
    };
    assert_eq!(stamp.size, Some(5));
    assert!(stamp.etag.is_some_and(|etag| !etag.contains('"')));
    assert!(stamp.modified_ns.is_some());
    for folder in [
        "s3://data/set",
        "s3://data/set/",
        "s3://data/set/cat",
        "s3://data",
        "s3://data/",
    ] {
        assert_eq!(look(folder).unwrap(), Look::Folder, "{folder}");
    }
    for absent in ["s3://data/se", "s3://data/set/dog/", "s3://data/set/cat/1"] {
        let error = look(absent).unwrap_err();
        assert!(
            matches!(error, AccessError::NotFound { .. }),
            "{absent}: {error}"
        );
    }
    let error = look("s3://absent/x/").unwrap_err();
    assert!(error.to_string().starts_with("s3://absent/x/: "), "{error}");
}

#[test]
fn lists_a_folder_of_more_objects_than_a_page() {
    let s3 = S3::start();
    let access = access(&s3);
    let mut expected: Vec<String> = (0..1234).map(|i| format!("{}/{i}.png", i % 7)).collect();
    for name in &expected {
        s3.put("data", &format!("set/{name}"), name);
    }
    s3.put("data", "set-2/x.png", b"");
    s3.put("data", "set.png", b"");
    expected.sort_unstable();

    let all = listed(&access, "s3://data/set");
    let names: Vec<&String> = all.iter().map(|(name, _)| name).collect();
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    for (name, stamp) in &all {
        assert_eq!(stamp.size, Some(name.len() as u64));
    }

    let mut seen = 0;
    let mut stop = |_: crate::access::Listed<'_>| {
        seen += 1;
        if seen == 10 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    access.list(&place("s3://data/set"), &mut stop).unwrap();
    assert_eq!(seen, 10);
}

#[test]
fn reads_a_large_object_from_front_to_back() {
    let s3 = S3::start();
    let access = access(&s3);
    let bytes = pattern(20 << 20);
    s3.put("data", "big.tar", &bytes);
    let object = access.open(&place("s3://data/big.tar")).unwrap();
    assert_eq!(object.len(), bytes.len() as u64);

    let mut read = Vec::new();
    BufReader::new(object.reader(0))
        .read_to_end(&mut read)
        .unwrap();
    assert!(read == bytes);

    for offset in [1_000, 15_000_000, bytes.len()] {
        let mut read = Vec::new();
        let mut reader = object.reader(offset as u64);
        reader.read_to_end(&mut read).unwrap();
        assert!(read == bytes[offset..]);
    }
}

#[test]
fn reads_here_and_there_from_blocks() {
    let s3 = S3::start();
    let access = access(&s3);
    let bytes = pattern(3_000_001);
    s3.put("data", "x.parquet", &bytes);
    let object = access.open(&place("s3://data/x.parquet")).unwrap();
    let mut buffer = [0; 100];
    for offset in [2_999_990, 0, 50, 1_048_570, 2_097_152, 7, 2_999_901] {
        let read = object.read_some(offset as u64, &mut buffer).unwrap();
        assert!(read > 0);
        assert_eq!(buffer[..read], bytes[offset..offset + read]);
    }
    assert_eq!(object.read_some(3_000_001, &mut buffer).unwrap(), 0);
    assert!(object.read_at(3_000_000, 2).is_err());
}

#[test]
fn an_object_that_changed_is_an_error() {
    let s3 = S3::start();
    let access = access(&s3);
    s3.put("data", "x.tar", vec![1; 100_000]);
    let object = access.open(&place("s3://data/x.tar")).unwrap();
    assert_eq!(object.read_at(0, 10).unwrap(), [1; 10]);

    s3.put("data", "x.tar", vec![2; 100_000]);
    let error = object.read_at(0, 10).unwrap_err();
    assert!(matches!(error, AccessError::Changed { .. }), "{error}");
    assert!(error.to_string().contains("s3://data/x.tar"));
    let mut bytes = Vec::new();
    let error = object.reader(0).read_to_end(&mut bytes).unwrap_err();
    let error = AccessError::of_reader(object.place())(error);
    assert!(matches!(error, AccessError::Changed { .. }), "{error}");
    let etag = object.stamp().etag.as_deref();
    let error = access.read_same(object.place(), None, etag).unwrap_err();
    assert!(matches!(error, AccessError::Changed { .. }), "{error}");
}

#[test]
fn what_is_absent_denied_or_too_large_says_so() {
    let s3 = S3::start();
    let access = access(&s3);
    s3.put("data", "x.png", [0; 100]);
    let error = read(&access, "s3://data/y.png").unwrap_err();
    assert!(matches!(error, AccessError::NotFound { .. }), "{error}");

    let wrong = s3.settings().into_iter().map(|(name, value)| match &*name {
        "AWS_SECRET_ACCESS_KEY" => (name, "WRONG-SECRET".to_owned()),
        _ => (name, value),
    });
    let denied = Access::new(AccessOptions {
        settings: wrong.collect(),
        max_sample_bytes: 99,
        ..options()
    });
    let error = read(&denied.unwrap(), "s3://data/x.png").unwrap_err();
    assert!(matches!(error, AccessError::Denied { .. }), "{error}");
    assert!(!error.to_string().contains("SECRET"), "{error}");

    let small = Access::new(AccessOptions {
        settings: s3.settings().into_iter().collect(),
        max_sample_bytes: 99,
        ..options()
    })
    .unwrap();
    let error = read(&small, "s3://data/x.png").unwrap_err();
    assert!(
        matches!(
            error,
            AccessError::TooLarge {
                bytes: 100,
                limit: 99,
                ..
            }
        ),
        "{error}"
    );
    let error = small
        .read(&place("s3://data/x.png"), Some(0..u64::MAX))
        .unwrap_err();
    assert!(matches!(error, AccessError::TooLarge { .. }), "{error}");
}

#[test]
fn plain_http_to_a_store_must_be_allowed() {
    let s3 = S3::start();
    let settings = s3
        .settings()
        .into_iter()
        .filter(|(name, _)| name != "AWS_ALLOW_HTTP");
    let access = Access::new(AccessOptions {
        settings: settings.collect(),
        ..options()
    });
    let text = refusal(read(&access.unwrap(), "s3://data/x.png"));
    assert!(text.contains("AWS_ALLOW_HTTP"), "{text}");
}

#[test]
fn nothing_panics_where_the_caller_is_in_a_runtime_of_its_own() {
    let s3 = S3::start();
    s3.put("data", "x.png", b"x");
    let access = access(&s3);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async move {
        assert_eq!(read(&access, "s3://data/x.png").unwrap(), b"x");
        drop(access);
    });
}
