//! A bad shared library is an error: never a panic, an abort, or another library.
//!
//! ONNX Runtime loads once in a process and is named by its environment, so each case is a child.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use curriculum_extractor::{Extractor, Model, Options};

/// The child of the tests below: opens a model twice and prints what came of it.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn open_and_report() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/linear.onnx");
    let model = Model::from_file(&path).unwrap();
    for _ in 0..2 {
        let opened = Extractor::open(&model, &Options::default());
        println!(
            "opened: {:?}",
            opened.map(|extractor| extractor.dimension())
        );
    }
}

fn open_with(library: &Path) -> String {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["open_and_report", "--exact", "--ignored", "--nocapture"])
        .env("ORT_DYLIB_PATH", library)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(
        child.status.success(),
        "{output}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    output
}

fn assert_unusable(library: &Path) {
    let output = open_with(library);
    assert_eq!(
        output.matches("opened: Err(LibraryUnusable").count(),
        2,
        "{output}"
    );
    assert!(output.contains(library.to_str().unwrap()), "{output}");
}

#[test]
fn missing_library_is_an_error() {
    assert_unusable(Path::new("/no/such/libonnxruntime.so"));
}

#[test]
fn file_that_is_no_library_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    fs::write(&text, "no library").unwrap();
    assert_unusable(&text);
}

#[cfg(target_os = "linux")]
#[test]
fn another_library_is_an_error() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps
        .split_whitespace()
        .find(|word| word.contains("libc.so") || word.contains("libc-"));
    assert_unusable(Path::new(libc.expect("the test binary is linked to libc")));
}
