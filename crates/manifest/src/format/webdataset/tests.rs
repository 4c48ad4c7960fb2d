use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::*;
use crate::manifest::Manifest;
use crate::sample::Sample;
use crate::testing::{open, open_bytes, samples};

const BLOCK: usize = 512;

/// A tar file being written to memory.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn of(members: &[(&str, &[u8])]) -> Self {
        let mut tar = Self(Builder::new(Vec::new()));
        for (name, bytes) in members {
            tar.add(name.as_bytes(), EntryType::Regular, bytes);
        }
        tar
    }

    /// Adds a member with any name a header can hold, also one that `Builder` would refuse.
    fn add(&mut self, name: &[u8], entry_type: EntryType, bytes: &[u8]) {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(entry_type);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        self.0.append(&header, bytes).unwrap();
    }

    fn with(mut self, name: &str, entry_type: EntryType, bytes: &[u8]) -> Self {
        self.add(name.as_bytes(), entry_type, bytes);
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn list(self) -> Result<Manifest, ManifestError> {
        list_bytes(&self.bytes())
    }

    fn refusal(self) -> String {
        self.list().unwrap_err().to_string()
    }
}

/// The samples stay readable: the file is open, though its name is gone.
fn list_bytes(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    open_bytes("set.tar", bytes)
}

type Seen = (String, Option<String>, Vec<u8>);

fn seen(manifest: &Manifest) -> Vec<Seen> {
    let see = |(index, sample): (u64, Sample)| {
        (
            sample.id.to_string(),
            sample.label.as_deref().map(str::to_owned),
            manifest.read(index).unwrap(),
        )
    };
    (0..).zip(samples(manifest)).map(see).collect()
}

fn expect(tar: Tar, expected: &[(&str, Option<&str>, &str)]) {
    let expected: Vec<Seen> = expected
        .iter()
        .map(|(id, label, bytes)| ((*id).into(), label.map(Into::into), (*bytes).into()))
        .collect();
    assert_eq!(seen(&tar.list().unwrap()), expected);
}

#[test]
fn groups_members_and_finds_labels() {
    let tar = Tar::of(&[
        ("cat/1.png", b"one"),
        ("./dog/2.seg.png", b"mask"),
        ("./dog/2.JPG", b"two"),
        ("3.cls", b" 7\n"),
        ("3.json", b"{\"label\": \"not this\"}"),
        ("3.webp", b""),
        ("4.json", b"{\n \"caption\": \"x\", \"label\": 12}"),
        ("4.jpeg", b"four"),
        ("a.b/5.json", b"{\"caption\": 1}"),
        ("a.b/5.jpg", b"five"),
        ("./6.json", b"[1]"),
        ("./6.jpg", b"six"),
    ]);
    expect(
        tar,
        &[
            ("cat/1.png", Some("cat"), "one"),
            ("dog/2.JPG", Some("dog"), "two"),
            ("3.webp", Some("7"), ""),
            ("4.jpeg", Some("12"), "four"),
            ("a.b/5.jpg", Some("a.b"), "five"),
            ("6.jpg", None, "six"),
        ],
    );
}

#[test]
fn skips_what_is_not_part_of_a_sample() {
    let tar = Tar::of(&[
        ("README", b"x"),
        ("._1.jpg", b"x"),
        ("cat/.DS_Store", b"x"),
        ("__meta__/info.json", b"x"),
        ("cat/1.jpg", b"one"),
    ])
    .with("cat.v2", EntryType::Directory, b"")
    .with("old.v7/", EntryType::Regular, b"")
    .with("pax.global", EntryType::XGlobalHeader, b"not even records")
    .with("latest", EntryType::Symlink, b"")
    .with("vendor.jpg", EntryType::new(b'V'), b"x")
    .with("cat/1.cls", EntryType::Continuous, b"tabby");
    expect(tar, &[("cat/1.jpg", Some("tabby"), "one")]);
}

#[test]
fn puts_long_names_together() {
    let folder = "long/".repeat(60);
    let (gnu, pax) = (format!("{folder}gnu.jpg"), format!("{folder}pax.jpg"));
    let mut tar = Tar::of(&[]);
    let mut header = Header::new_gnu();
    header.set_size(3);
    tar.0.append_data(&mut header, &gnu, &b"gnu"[..]).unwrap();
    tar.0
        .append_pax_extensions([("path", pax.as_bytes()), ("size", b"3")])
        .unwrap();
    // As writers do for lengths that a header cannot hold, the header says 0 and the record is right.
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..9].copy_from_slice(b"short.jpg");
    header.set_size(0);
    header.set_cksum();
    tar.0.append(&header, &b"pax"[..]).unwrap();
    tar.add(b"last.jpg", EntryType::Regular, b"last");
    expect(
        tar,
        &[
            (&gnu, Some("long"), "gnu"),
            (&pax, Some("long"), "pax"),
            ("last.jpg", None, "last"),
        ],
    );
}

#[test]
fn refuses_incomplete_and_ambiguous_samples() {
    let refusal = |members: &[(&str, &[u8])]| Tar::of(members).refusal();
    for (text, names) in [
        (refusal(&[("a.cls", b"1")]), ["`a`", "no image"]),
        (refusal(&[("a.v1.jpg", b"x")]), ["`a`", "no image"]),
        (
            refusal(&[("a.jpg", b"x"), ("b.jpg", b"x"), ("a.cls", b"1")]),
            ["`a`", "no image"],
        ),
        (
            refusal(&[("a.jpg", b"x"), ("a.PNG", b"x")]),
            ["`a.jpg`", "`a.PNG`"],
        ),
        (
            refusal(&[("a.jpg", b"x"), ("a.cls", b"1"), ("a.CLS", b"2")]),
            ["`a.cls`", "`a.CLS`"],
        ),
        (
            refusal(&[("a.jpg", b"x"), ("b.jpg", b"x"), ("a.jpg", b"y")]),
            ["`a.jpg`", "set.tar at byte 512, and "],
        ),
    ] {
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
    }
    let error = Tar::of(&[]).list().unwrap_err();
    assert!(matches!(error, ManifestError::Empty { .. }));
}

#[test]
fn refuses_bad_labels() {
    for (name, bytes, reason) in [
        ("a.cls", &b" \n"[..], "empty"),
        ("a.cls", b"\xff", "utf-8"),
        ("a.cls", &[b'x'; 4097], "the limit is 4096"),
        ("a.json", b"{\"label\": 1.5}", "a string or an integer"),
        ("a.json", b"{\"label\": 1", "EOF"),
    ] {
        let text = Tar::of(&[("a.jpg", b"x"), (name, bytes)]).refusal();
        assert!(text.contains(name) && text.contains(reason), "{text}");
    }
}

#[test]
fn refuses_unsafe_and_unusable_members() {
    for (name, entry_type) in [
        ("/etc/a.jpg", EntryType::Regular),
        ("cat/../../a.jpg", EntryType::Regular),
        ("..", EntryType::Directory),
        ("a.jpg", EntryType::Symlink),
        ("a.cls", EntryType::Link),
        ("anything", EntryType::GNUSparse),
    ] {
        let text = Tar::of(&[("1.jpg", b"x")])
            .with(name, entry_type, b"")
            .refusal();
        assert!(text.contains(&format!("`{name}`")), "{text}");
    }
    let mut tar = Tar::of(&[]);
    tar.0
        .append_pax_extensions([("GNU.sparse.major", &b"1"[..])])
        .unwrap();
    tar.add(b"a.jpg", EntryType::Regular, b"x");
    assert!(tar.refusal().contains("sparse"));

    let mut tar = Tar::of(&[]);
    tar.add(b"b\xffd.jpg", EntryType::Regular, b"x");
    assert!(tar.refusal().contains("b\u{fffd}d.jpg"));
}

#[test]
fn refuses_what_is_not_a_tar_file() {
    let good = Tar::of(&[("1.jpg", b"x")]).bytes();
    let mut bad_checksum = good.clone();
    bad_checksum[0] ^= 1;
    let long_name = Tar::of(&[("1.jpg", b"x")])
        .with("long", EntryType::GNULongName, &vec![b'n'; 2 << 20])
        .bytes();
    let records = Tar::of(&[("1.jpg", b"x")])
        .with("pax", EntryType::XHeader, b"99 path=x\n")
        .bytes();
    for (bytes, at) in [
        (bad_checksum, 0),
        (vec![b'a'; 2 * BLOCK], 0),
        (long_name, 2 * BLOCK),
        (records, 2 * BLOCK),
    ] {
        let error = list_bytes(&bytes).unwrap_err();
        let ManifestError::MalformedTar { offset, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(offset, at as u64);
    }
}

/// Cut anywhere before its end marker, between two members too, an archive is not taken for a shorter one.
#[test]
fn notices_truncation_at_every_byte() {
    let members: [(&str, &[u8]); 3] = [("1.jpg", &[1; 700]), ("1.cls", b"7"), ("2.jpg", b"x")];
    let tar = Tar::of(&members).with("long", EntryType::GNULongName, b"a/3.jpg\0");
    let bytes = tar.with("3", EntryType::Regular, &[3; BLOCK]).bytes();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("set.tar");
    fs::write(&path, &bytes).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    assert_eq!(open(&path).unwrap().len(), 3);

    file.set_len((end + BLOCK) as u64).unwrap();
    assert_eq!(
        open(&path).unwrap().len(),
        3,
        "one block of zeros is an end"
    );
    for length in (0..(end + BLOCK) as u64).rev() {
        file.set_len(length).unwrap();
        let error = open(&path).unwrap_err();
        assert!(
            matches!(error, ManifestError::Truncated { offset, .. } if offset == length),
            "{length}: {error}"
        );
    }
}

/// Lists what may be anything. What is listed can be read: the archive holds it.
fn survive(bytes: &[u8]) {
    if let Ok(manifest) = list_bytes(bytes) {
        let total: usize = seen(&manifest)
            .iter()
            .map(|(_, _, bytes)| bytes.len())
            .sum();
        assert!(total <= bytes.len());
    }
}

proptest! {
    #[test]
    fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        survive(&bytes);
    }

    /// Headers with some bytes changed and the checksum made right again, so that parsing goes on.
    #[test]
    fn survives_changed_headers(
        changes in proptest::collection::vec((0..7_usize, 0..BLOCK, any::<u8>()), 1..6),
        fields in proptest::collection::vec((0..7_usize, "[0-7]{1,11}|[xgLKS0-7]"), 0..3),
        cut in 0..8192_usize,
    ) {
        let tar = Tar::of(&[("a/1.jpg", b"one"), ("a/1.json", b"{\"label\": 1}")])
            .with("long", EntryType::GNULongName, b"a/2.jpg\0")
            .with("2", EntryType::Regular, b"two")
            .with("pax", EntryType::XHeader, b"16 path=a/3.jpg\n10 size=5\n");
        let mut bytes = tar.with("3", EntryType::Regular, b"three").bytes();
        // Every member above has one block of data: headers are the blocks of even number.
        let header = |i: usize| (2 * i * BLOCK).min(bytes.len() - BLOCK);
        let starts: Vec<usize> = (0..7).map(header).collect();
        for (i, text) in fields {
            let field = if text.len() == 1 { 156 } else { 124 };
            bytes[starts[i] + field..][..text.len()].copy_from_slice(text.as_bytes());
        }
        for (i, at, byte) in changes {
            bytes[starts[i] + at] = byte;
        }
        for start in starts {
            let block: &mut [u8; BLOCK] = (&mut bytes[start..start + BLOCK]).try_into().unwrap();
            let mut header = Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        bytes.truncate(cut.max(BLOCK));
        survive(&bytes);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn unpacks_compressed_archives_while_they_are_listed() {
    let tar = Tar::of(&[
        ("cat/1.png", b"one"),
        ("3.cls", b" 7\n"),
        ("3.json", b"{\"label\": \"not this\"}"),
        ("3.webp", &[9; 3000]),
        ("notes", &[1; 70_000]),
        ("4.jpeg", b"four"),
        ("4.json", b"{\"label\": 12}"),
    ]);
    let bytes = tar.bytes();
    let plain = seen(&list_bytes(&bytes).unwrap());
    assert_eq!(plain.len(), 3);
    let zstd = zstd::encode_all(bytes.as_slice(), 1).unwrap();
    for (name, packed) in [
        ("set.tar.gz", gzip(&bytes)),
        ("set.tgz", gzip(&bytes)),
        ("set.tar.zst", zstd),
    ] {
        assert_eq!(seen(&open_bytes(name, &packed).unwrap()), plain, "{name}");
        for cut in (1..packed.len()).step_by(7) {
            let text = open_bytes(name, &packed[..cut]).unwrap_err().to_string();
            assert!(text.contains(name), "{text}");
        }
    }
    // An archive cut short before it was compressed.
    for cut in (0..bytes.len() - 1024).step_by(97) {
        let error = open_bytes("set.tar.gz", &gzip(&bytes[..cut])).unwrap_err();
        assert!(
            matches!(error, ManifestError::Truncated { offset, .. } if offset <= cut as u64),
            "{cut}: {error}"
        );
    }
}

/// A gigabyte of zeros in a megabyte: a long member that is not part of a sample is passed over without being kept,
/// an image beyond the limit fails alone.
#[test]
fn a_bomb_in_an_archive_is_not_unpacked() {
    use std::io::{Read, Write};
    let huge = (1_u64 << 28) + 1;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for name in ["bomb", "bomb.png"] {
        let mut header = Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_size(huge);
        header.set_cksum();
        encoder.write_all(header.as_bytes()).unwrap();
        std::io::copy(
            &mut std::io::repeat(0).take(huge.next_multiple_of(512)),
            &mut encoder,
        )
        .unwrap();
    }
    encoder
        .write_all(&Tar::of(&[("ok.png", b"fine")]).bytes())
        .unwrap();
    let manifest = open_bytes("set.tar.gz", &encoder.finish().unwrap()).unwrap();
    assert_eq!(manifest.len(), 2);
    assert_eq!(
        manifest.read(0).unwrap_err().kind(),
        crate::ReadErrorKind::TooLarge
    );
    assert_eq!(manifest.read(1).unwrap(), b"fine");
    assert!(manifest.spool.as_ref().unwrap().metadata().unwrap().len() < 100);
}

#[test]
fn shards_are_one_list() {
    let folder = tempfile::tempdir().unwrap();
    let shard = |name: &str, members: &[(&str, &[u8])]| {
        fs::write(folder.path().join(name), Tar::of(members).bytes()).unwrap();
    };
    shard("t-00.tar", &[("cat/1.png", b"one"), ("cat/2.png", b"two")]);
    shard("t-01.tar", &[("cat/3.png", b"three")]);
    fs::write(folder.path().join("all.txt"), "t-{00..01}.tar\n").unwrap();
    let ids = |uri: &str| -> Vec<(String, Vec<u8>)> {
        let manifest = open(&folder.path().join(uri)).unwrap();
        seen(&manifest)
            .into_iter()
            .map(|(id, _, bytes)| (id, bytes))
            .collect()
    };
    let expected = [
        ("cat/1.png", "one"),
        ("cat/2.png", "two"),
        ("cat/3.png", "three"),
    ];
    let expected: Vec<(String, Vec<u8>)> = expected
        .iter()
        .map(|(id, bytes)| ((*id).into(), (*bytes).into()))
        .collect();
    for uri in ["t-{00..01}.tar", "t-0{0,1}.tar", "all.txt", ""] {
        assert_eq!(ids(uri), expected, "{uri}");
    }

    shard("t-01.tar", &[("cat/2.png", b"again")]);
    let text = open(folder.path()).unwrap_err().to_string();
    assert!(
        text.contains("`cat/2.png`")
            && text.contains("t-00.tar at byte")
            && text.contains("t-01.tar at byte"),
        "{text}"
    );
    let text = open(&folder.path().join("t-{00..02}.tar"))
        .unwrap_err()
        .to_string();
    assert!(text.contains("t-02.tar: no such file"), "{text}");
}

#[test]
fn more_shards_than_files_may_be_open_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for shard in 0..80 {
        let (name, body) = (format!("{shard}.png"), format!("image {shard}"));
        let tar = Tar::of(&[(&name, body.as_bytes())]).bytes();
        fs::write(folder.path().join(format!("{shard:02}.tar")), tar).unwrap();
    }
    let manifest = open(folder.path()).unwrap();
    for shard in (0..80).chain((0..80).rev()) {
        assert_eq!(
            manifest.read(shard).unwrap(),
            format!("image {shard}").into_bytes()
        );
    }
    // A shard replaced after it was listed, and closed since, does not pass for the one that was listed.
    fs::write(
        folder.path().join("00.tar"),
        Tar::of(&[("0.png", b"another")]).bytes(),
    )
    .unwrap();
    (1..80).for_each(|shard| drop(manifest.read(shard).unwrap()));
    let text = manifest.read(0).unwrap_err().to_string();
    assert!(text.contains("00.tar: changed"), "{text}");
}
