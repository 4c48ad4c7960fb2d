//! Any bytes as an `.npy` file of features, as one of labels and as a tensor: an error or an array, never a panic.
//!
//! In `crates/npy`: `cargo install cargo-fuzz`, then `cargo +nightly fuzz run npy`.

#![no_main]

use curriculum_npy::{Features, NpyProblem, Tensor, parse_labels};
use libfuzzer_sys::fuzz_target;

/// Rows in a block.
const BLOCK: usize = 3;

fuzz_target!(|bytes: &[u8]| {
    read_features(bytes);
    read_labels(bytes);
    read_tensor(bytes);
});

fn read_features(bytes: &[u8]) {
    let Ok(features) = Features::from_bytes(bytes.to_vec()) else {
        return;
    };
    let mut buffer = Vec::new();
    let mut values = 0;
    for start in (0..features.rows()).step_by(BLOCK) {
        let end = features.rows().min(start + BLOCK);
        values += features.block(start..end, &mut buffer).len();
    }
    assert_eq!(values, features.rows() * features.dimension());
    assert!(values <= bytes.len() / 2);
}

/// The number of labels is the one that the file claims, so that their content is reached.
fn read_labels(bytes: &[u8]) {
    let Err(NpyProblem::LabelCount { labels, .. }) = parse_labels(bytes, 0) else {
        return;
    };
    let Ok(rows) = usize::try_from(labels) else {
        return;
    };
    let Ok(labels) = parse_labels(bytes, rows) else {
        return;
    };
    assert_eq!(labels.classes.len(), rows);
    for class in 0..labels.names.len() {
        assert!(labels.classes.contains(&(class as u32)));
    }
    let last = labels.classes.iter().max();
    assert!(last.is_none_or(|&last| (last as usize) < labels.names.len()));
}

/// Of the shape that a small model takes.
fn read_tensor(bytes: &[u8]) {
    if let Ok(tensor) = Tensor::parse(bytes, &[3, 2, 2]) {
        tensor.copy_to(0, &mut [0.0; 12]);
    }
}
