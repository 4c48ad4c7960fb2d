//! Any bytes as a file of each format: an error or a manifest whose samples can be asked for, never a panic.
//!
//! The first byte chooses the format. In `crates/manifest`: `cargo install cargo-fuzz`, then
//! `cargo +nightly fuzz run listing`.

#![no_main]

use std::fs;
use std::ops::ControlFlow;

use curriculum_manifest::{Access, AccessOptions, Manifest, Source};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 11] = [
    "a.jsonl",
    "a.jsonl.gz",
    "a.jsonl.zst",
    "a.csv",
    "a.tsv",
    "a.parquet",
    "a.tar",
    "a.tar.gz",
    "a.tar.zst",
    "a.npy",
    "a.txt",
];
/// Samples read of each manifest.
const READ: u64 = 16;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(NAMES[usize::from(*first) % NAMES.len()]);
    fs::write(&path, bytes).expect("a temporary file");
    let options = AccessOptions {
        max_samples: 100_000,
        max_sample_bytes: 1 << 20,
        ..AccessOptions::default()
    };
    let access = Access::new(options).and_then(|access| access.only_under(folder.path()));
    let access = access.expect("an access to the folder");
    let source = Source::new(path.to_str().expect("a path in UTF-8"));
    let Ok(manifest) = Manifest::open(&source, &access, &mut |_| ControlFlow::Continue(())) else {
        return;
    };
    let samples = manifest.samples(0..READ).expect("the samples just listed");
    assert_eq!(samples.len() as u64, manifest.len().min(READ));
    for index in 0..samples.len() as u64 {
        let _ = manifest.read(index);
    }
    manifest.fingerprint().expect("a fingerprint");
});
