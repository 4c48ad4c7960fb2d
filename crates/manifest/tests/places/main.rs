//! What a manifest may and may not read, whatever its rows and links say.

#![expect(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod s3;
#[expect(dead_code, reason = "other tests use the rest")]
mod web;

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use curriculum_manifest::{
    Access, AccessError, AccessOptions, Allow, ContentDigest, Manifest, ManifestError, ReadError,
    Source,
};
use tempfile::TempDir;

use s3::S3;
use web::{Reply, Web};

const SECRET: &[u8] = b"SECRET";

fn options() -> AccessOptions {
    AccessOptions {
        first_backoff: Duration::from_millis(1),
        retries: 3,
        ..AccessOptions::default()
    }
}

/// A folder that may be read, beside one that may not.
struct Ground {
    folder: TempDir,
    s3: S3,
}

impl Ground {
    fn new() -> Self {
        let ground = Self {
            folder: tempfile::tempdir().unwrap(),
            s3: S3::start(),
        };
        ground.write("open/cat/1.png", b"one");
        ground.write("open/dog/2.png", b"two");
        ground.write("secret/cat/1.png", SECRET);
        ground.s3.put("open", "cat/1.png", b"one");
        ground.s3.put("secret", "cat/1.png", SECRET);
        ground
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        write(&self.at(path), bytes);
    }

    fn access(&self) -> Access {
        let allow = vec![self.text("open"), "s3://open/".to_owned()];
        Access::new(AccessOptions {
            allow: Allow::Only(allow),
            settings: self.s3.settings().into_iter().collect(),
            ..options()
        })
        .unwrap()
    }

    fn open(&self, uri: &str) -> Result<Manifest, ManifestError> {
        open(uri, &self.access())
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn open(uri: &str, access: &Access) -> Result<Manifest, ManifestError> {
    Manifest::open(
        &Source::new(uri),
        access,
        &mut |_| ControlFlow::Continue(()),
    )
}

fn refusal(opened: Result<Manifest, ManifestError>) -> String {
    match opened {
        Err(ManifestError::Access(error @ AccessError::Refused { .. })) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

/// What every sample gave.
fn read_all(manifest: &Manifest) -> Vec<Result<Vec<u8>, ReadError>> {
    (0..manifest.len())
        .map(|index| manifest.read(index))
        .collect()
}

#[test]
fn sources_outside_the_allow_list_are_refused() {
    let ground = Ground::new();
    for uri in [
        ground.text("open"),
        "s3://open/".to_owned(),
        "s3://open".to_owned(),
    ] {
        assert!(ground.open(&uri).is_ok(), "{uri}");
    }
    symlink(ground.at("secret"), ground.at("open/link")).unwrap();
    for uri in [
        ground.text("secret"),
        ground.text("open/../secret"),
        ground.text("open/link"),
        ground.text("open/link/cat"),
        format!("file://{}", ground.text("secret")),
        "s3://secret/".to_owned(),
        "s3://secret/cat/1.png".to_owned(),
        "http://169.254.169.254/latest/meta-data/x.jsonl".to_owned(),
        "https://example.org/x.tar".to_owned(),
    ] {
        let text = refusal(ground.open(&uri));
        assert!(
            text.contains("sources.allow") || text.contains(".."),
            "{text}"
        );
    }
}

#[test]
fn links_in_a_folder_of_images_lead_nowhere_else() {
    let ground = Ground::new();
    symlink(ground.at("secret/cat/1.png"), ground.at("open/cat/0.png")).unwrap();
    let manifest = ground.open(&ground.text("open")).unwrap();
    let read = read_all(&manifest);
    assert_eq!(read.len(), 3);
    let error = read[0].as_ref().unwrap_err().to_string();
    assert!(
        error.contains("cat/0.png") && error.contains("sources.allow"),
        "{error}"
    );
    assert_eq!(read[1].as_ref().unwrap(), b"one");
    assert_eq!(read[2].as_ref().unwrap(), b"two");

    symlink(ground.at("secret/cat"), ground.at("open/eel")).unwrap();
    let text = refusal(ground.open(&ground.text("open")));
    assert!(text.contains("eel"), "{text}");
}

#[test]
fn rows_lead_nowhere_else() {
    let ground = Ground::new();
    let web = Web::start(|request| Reply::object(request, SECRET));
    let outside = [
        ground.text("secret/cat/1.png"),
        "../secret/cat/1.png".to_owned(),
        "cat/../../secret/cat/1.png".to_owned(),
        format!("file://{}", ground.text("secret/cat/1.png")),
        "s3://secret/cat/1.png".to_owned(),
        web.url("/x.png?sig=TOKEN"),
        "http://[::ffff:169.254.169.254]/x.png".to_owned(),
        "http://user:TOKEN@example.org/x.png".to_owned(),
        "ftp://example.org/x.png".to_owned(),
    ];
    let inside = [
        "cat/1.png".to_owned(),
        ground.text("open/cat/1.png"),
        "s3://open/cat/1.png".to_owned(),
    ];
    let paths = || inside.iter().chain(&outside).enumerate();
    let json: String = paths()
        .map(|(id, path)| format!("{{\"id\":\"{id}\",\"path\":\"{path}\"}}\n"))
        .collect();
    let csv: String = paths().map(|(id, path)| format!("{id},{path}\n")).collect();
    ground.write("open/rows.jsonl", json.as_bytes());
    ground.write("open/rows.csv", format!("id,path\n{csv}").as_bytes());
    for source in ["open/rows.jsonl", "open/rows.csv"] {
        let manifest = ground.open(&ground.text(source)).unwrap();
        let ahead = manifest.reader(Box::new(0..manifest.len()));
        for (index, direct) in (0..).zip(read_all(&manifest)) {
            match (index < inside.len() as u64, direct, ahead.read(index)) {
                (true, Ok(one), Ok(other)) => {
                    assert_eq!((&*one, &*other), (&b"one"[..], &b"one"[..]))
                }
                (false, Err(one), Err(other)) => {
                    assert_eq!(one.to_string(), other.to_string());
                    assert!(
                        one.to_string().contains(&format!("sample `{index}`")),
                        "{one}"
                    );
                    assert!(!format!("{one} {one:?}").contains("TOKEN"), "{one:?}");
                }
                (_, direct, ahead) => panic!("{source} {index}: {direct:?} {ahead:?}"),
            }
        }
    }
    // A list in a bucket may name files of this machine, if they may be read.
    ground.s3.put("open", "rows.jsonl", &json);
    let manifest = ground.open("s3://open/rows.jsonl").unwrap();
    for (index, read) in read_all(&manifest).into_iter().enumerate() {
        assert_eq!(read.is_ok(), index < inside.len(), "{index}: {read:?}");
    }
    assert!(web.seen().is_empty());
}

#[test]
fn lists_of_files_and_patterns_lead_nowhere_else() {
    let ground = Ground::new();
    ground.write("secret/x.jsonl", b"{\"path\":\"cat/1.png\"}\n");
    ground.write(
        "open/all.txt",
        format!("{}\n", ground.text("secret/x.jsonl")).as_bytes(),
    );
    for uri in [
        ground.text("open/all.txt"),
        ground.text("{open,secret}/x.jsonl"),
        format!("{}/{{cat,../secret}}/x.jsonl", ground.text("open")),
    ] {
        let opened = ground.open(&uri);
        let text = match opened {
            Err(error) => error.to_string(),
            Ok(manifest) => panic!("{uri}: {manifest:?}"),
        };
        assert!(!text.contains("SECRET"), "{text}");
        assert!(
            text.contains("refused") || text.contains("no such file"),
            "{text}"
        );
    }
}

#[test]
fn a_trusted_source_reads_its_own_folder_and_no_more() {
    let ground = Ground::new();
    ground.write(
        "secret/rows.jsonl",
        b"{\"path\":\"cat/1.png\"}\n{\"id\":\"x\",\"path\":\"../open/cat/1.png\"}\n",
    );
    let source = Source {
        trusted: true,
        ..Source::new(ground.text("secret/rows.jsonl"))
    };
    let manifest = Manifest::open(
        &source,
        &ground.access(),
        &mut |_| ControlFlow::Continue(()),
    )
    .unwrap();
    assert_eq!(manifest.read(0).unwrap(), SECRET);
    assert!(
        manifest
            .read(1)
            .unwrap_err()
            .to_string()
            .contains("refused")
    );
}

#[test]
fn a_remote_listing_is_counted_and_can_be_stopped() {
    let ground = Ground::new();
    for number in 0..30 {
        ground.s3.put("open", &format!("many/a/{number}.png"), b"x");
    }
    let access = Access::new(AccessOptions {
        settings: ground.s3.settings().into_iter().collect(),
        max_samples: 29,
        ..options()
    });
    let error = open("s3://open/many", &access.unwrap()).unwrap_err();
    assert!(error.to_string().contains("29"), "{error}");
}

#[test]
fn an_object_that_changes_gives_another_fingerprint() {
    let ground = Ground::new();
    let manifest = ground.open("s3://open/").unwrap();
    assert_eq!(manifest.read(0).unwrap(), b"one");
    let before = manifest.fingerprint().unwrap();
    ground.s3.put("open", "cat/1.png", b"two");
    let again = ground.open("s3://open/").unwrap();
    assert_ne!(again.fingerprint().unwrap(), before);
    assert_eq!(again.read(0).unwrap(), b"two");
    let samples = again.samples(0..1).unwrap();
    let stop = AtomicBool::new(false);
    let etags = [&manifest, &again].map(|manifest| {
        manifest.etags(&samples, &stop)[0]
            .as_ref()
            .unwrap()
            .is_some()
    });
    assert_eq!(etags, [true; 2]);
}

#[test]
fn a_shaky_server_gives_the_same_content() {
    // Every third answer fails in its own way.
    let body = |path: &str| path.repeat(50).into_bytes();
    let rows: String = (0..60)
        .map(|i| format!("{{\"path\":\"x/{i}.png\"}}\n"))
        .collect();
    let web = Web::start(move |request| {
        let whole = match request.path.strip_prefix("/x/") {
            Some(_) => body(&request.path),
            None => rows.clone().into_bytes(),
        };
        let reply = Reply::object(request, &whole).header("ETag", "\"v\"");
        match request.before % 12 {
            2 => Reply::status(500),
            5 => Reply::status(429),
            8 => reply.cut(10),
            11 => reply.cut(0),
            _ => reply,
        }
    });
    let manifest = open(&web.url("/rows.jsonl"), &Access::new(options()).unwrap()).unwrap();
    let reader = manifest.reader(Box::new(0..60));
    let mut digest = ContentDigest::new();
    for (index, sample) in (0..).zip(manifest.samples(0..60).unwrap()) {
        let bytes = reader.read(index).unwrap();
        assert_eq!(bytes, body(&format!("/x/{index}.png")));
        digest.push(&sample, Ok(blake3::hash(&bytes)));
    }
}
