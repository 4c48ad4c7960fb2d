//! What a user of the crate sees, whatever the format.

#![expect(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use std::ops::ControlFlow;

use curriculum_manifest::{
    Access, ContentDigest, Format, Kind, Manifest, ManifestError, ReadError, ReadErrorKind, Source,
};
use tempfile::TempDir;

const IMAGES: [(&str, &[u8]); 3] = [
    ("cat/1.png", b"first"),
    ("cat/2.png", b""),
    ("dog/1.png", b"third"),
];

fn write_images(root: &Path) {
    for (path, bytes) in IMAGES {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn write_tar(path: &Path) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in IMAGES {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).unwrap();
    }
    tar.finish().unwrap();
}

fn write_jsonl(path: &Path) {
    let row = |(path, _): &(&str, &[u8])| {
        let class = &path[..3];
        format!("{{\"id\":\"{path}\",\"path\":\"images/{path}\",\"label\":\"{class}\"}}\n")
    };
    fs::write(path, IMAGES.iter().map(row).collect::<String>()).unwrap();
}

fn open(path: &Path) -> Result<Manifest, ManifestError> {
    let source = Source::new(path.to_str().unwrap());
    Manifest::open(&source, &Access::unrestricted(), &mut |_| {
        ControlFlow::Continue(())
    })
}

/// The same images as each of the formats.
fn sources() -> (TempDir, [(PathBuf, Format); 3]) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name| folder.path().join(name);
    write_images(&at("images"));
    write_tar(&at("images.tar"));
    write_jsonl(&at("images.jsonl"));
    let sources = [
        (at("images"), Format::ImageFolder),
        (at("images.tar"), Format::WebDataset),
        (at("images.jsonl"), Format::Jsonl),
    ];
    (folder, sources)
}

fn content(manifest: &Manifest) -> String {
    let mut digest = ContentDigest::new();
    for (index, sample) in (0..).zip(manifest.samples(0..manifest.len()).unwrap()) {
        let bytes = manifest.read(index);
        digest.push(
            &sample,
            bytes.map(|b| blake3::hash(&b)).map_err(|e| e.kind()),
        );
    }
    digest.finish().to_string()
}

#[test]
fn every_format_lists_and_reads_the_same_samples() {
    let (_folder, sources) = sources();
    for (source, format) in sources {
        let manifest = open(&source).unwrap();
        assert_eq!(manifest.format(), format);
        assert_eq!(manifest.kind(), Kind::Images);
        assert_eq!(manifest.source().uri, source.to_str().unwrap());
        assert_eq!((manifest.len(), manifest.unlabelled()), (3, None));
        let samples = manifest.samples(0..3).unwrap();
        for ((index, sample), (path, bytes)) in (0..).zip(samples).zip(IMAGES) {
            assert_eq!(&*sample.id, path, "{format}");
            assert_eq!(sample.label.as_deref(), Some(&path[..3]), "{format}");
            assert_eq!(manifest.read(index).unwrap(), bytes, "{format}");
        }
        let error = manifest.read(3).unwrap_err();
        assert!(matches!(
            error,
            ReadError::NoSuchSample { index: 3, len: 3 }
        ));
    }
}

#[test]
fn many_threads_read_one_manifest() {
    let (_folder, sources) = sources();
    for (source, _) in sources {
        let manifest = open(&source).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..300 {
                        let index = turn % IMAGES.len();
                        assert_eq!(manifest.read(index as u64).unwrap(), IMAGES[index].1);
                    }
                });
            }
        });
    }
}

#[test]
fn empty_sources_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("a.tar");
    tar::Builder::new(File::create(&tar).unwrap())
        .finish()
        .unwrap();
    let jsonl = folder.path().join("a.jsonl");
    fs::write(&jsonl, "\u{feff}\n\n").unwrap();
    for source in [tar, jsonl] {
        let error = open(&source).unwrap_err();
        assert!(
            matches!(error, ManifestError::Empty { place } if place == source.to_str().unwrap())
        );
    }
}

#[test]
fn a_row_without_its_file_fails_alone() {
    let (folder, [_, _, (jsonl, _)]) = sources();
    fs::remove_file(folder.path().join("images/cat/2.png")).unwrap();
    let manifest = open(&jsonl).unwrap();
    let error = manifest.read(1).unwrap_err();
    assert_eq!(error.kind(), ReadErrorKind::NotFound);
    assert!(error.to_string().contains("`cat/2.png`"), "{error}");
    assert_eq!(manifest.read(2).unwrap(), b"third");
}

#[test]
fn content_digest_ignores_the_place_and_sees_the_bytes() {
    let (_a, sources_a) = sources();
    let (b, sources_b) = sources();
    let contents = |sources: &[(PathBuf, Format); 3]| {
        sources
            .each_ref()
            .map(|(source, _)| content(&open(source).unwrap()))
    };
    let before = contents(&sources_b);
    assert_eq!(contents(&sources_a), before);
    assert!(
        before.iter().all(|content| *content == before[0]),
        "ids and labels agree, so formats do not matter"
    );

    fs::write(b.path().join("images/cat/1.png"), b"FIRST").unwrap();
    let after = contents(&sources_b);
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
    fs::remove_file(b.path().join("images/cat/1.png")).unwrap();
    assert_ne!(
        contents(&[
            sources_b[2].clone(),
            sources_b[1].clone(),
            sources_b[2].clone()
        ])[0],
        after[2]
    );
}

#[test]
fn fingerprint_follows_the_source() {
    let (folder, sources) = sources();
    let [images, tar, jsonl] = sources.map(|(source, _)| source);
    let fingerprint = |source: &Path| open(source).unwrap().fingerprint().unwrap();
    let all = || [&images, &tar, &jsonl].map(|source| fingerprint(source));
    let first = all();
    assert_eq!(all(), first);
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);

    // The same size at another time, seen by a manifest opened before.
    let opened = open(&images).unwrap();
    touch(&folder.path().join("images/dog/1.png"));
    touch(&tar);
    assert_ne!(opened.fingerprint().unwrap(), first[0]);
    let touched = all();
    assert!((0..3).all(|i| touched[i] != first[i]));

    // One more file; one more row; one fewer file.
    fs::write(folder.path().join("images/dog/2.png"), "x").unwrap();
    assert_ne!(fingerprint(&images), touched[0]);
    assert_eq!(fingerprint(&jsonl), touched[2]);
    let rows = fs::read_to_string(&jsonl).unwrap();
    fs::write(&jsonl, rows.replace("\"dog\"", "\"wolf\"")).unwrap();
    assert_ne!(fingerprint(&jsonl), touched[2]);
    fs::write(&jsonl, rows).unwrap();
    fs::remove_file(folder.path().join("images/dog/1.png")).unwrap();
    assert_ne!(fingerprint(&jsonl), touched[2]);
}

#[test]
fn fingerprint_ignores_where_the_source_lies() {
    let (folder, sources) = sources();
    let fingerprints = |at: &Path| {
        ["images", "images.tar", "images.jsonl"]
            .map(|name| open(&at.join(name)).unwrap().fingerprint().unwrap())
    };
    let before = fingerprints(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    for (source, _) in sources {
        fs::rename(&source, elsewhere.path().join(source.file_name().unwrap())).unwrap();
    }
    assert_eq!(fingerprints(elsewhere.path()), before);
}

fn touch(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    let earlier = SystemTime::now() - Duration::from_secs(1000);
    file.set_modified(earlier).unwrap();
}

#[test]
fn lists_the_fashion_mnist_archive() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/fashion_mnist/train-2000.tar"
    );
    let manifest = open(Path::new(path)).unwrap();
    assert_eq!(manifest.len(), 2000);
    let mut per_class = std::collections::BTreeMap::new();
    for (index, sample) in (0..).zip(manifest.samples(0..2000).unwrap()) {
        let class = sample.label.clone().unwrap();
        assert!(sample.id.starts_with(&format!("{class}/")), "{}", sample.id);
        assert!(manifest.read(index).unwrap().starts_with(b"\x89PNG"));
        *per_class.entry(class).or_insert(0) += 1;
    }
    assert_eq!(per_class.len(), 10);
    assert!(per_class.values().all(|count| *count == 200));
}
