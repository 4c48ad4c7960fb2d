//! Any bytes as an image or a tensor: an error or finite values, never a panic, within the limits.
//!
//! In `crates/extractor`: `cargo install cargo-fuzz`, then
//! `cargo +nightly fuzz run decode tests/data/images -- -rss_limit_mb=2048 -timeout=20`.

#![no_main]

use std::cell::RefCell;

use curriculum_extractor::{
    ImageError, Interpolation, Layout, ModelEntry, Preprocessing, Preprocessor, Scratch, Tokens,
};
use libfuzzer_sys::fuzz_target;

thread_local! {
    /// One for all inputs, as a worker has.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| {
    for scaled in [false, true] {
        let preprocessor = Preprocessor::new(&entry(scaled));
        let mut pixels = vec![f32::NAN; preprocessor.len()];
        let run = |scratch: &mut Scratch| preprocessor.run(bytes, scratch, &mut pixels);
        match SCRATCH.with_borrow_mut(run) {
            Ok(()) if bytes.starts_with(b"\x93NUMPY") => {
                assert!(pixels.iter().all(|value| value.is_finite()))
            }
            Ok(()) => assert!(pixels.iter().all(|value| (0.0..=1.0).contains(value))),
            Err(error) => assert!(!matches!(error, ImageError::DecoderPanicked)),
        }
    }
});

fn entry(scaled_decoding: bool) -> ModelEntry {
    ModelEntry {
        name: "fuzz".to_owned(),
        description: String::new(),
        input: "pixels".to_owned(),
        layout: Layout::Nchw,
        output: "features".to_owned(),
        tokens: Tokens::Class,
        prefix_tokens: 1,
        preprocessing: Preprocessing {
            resize: 20,
            crop: 16,
            interpolation: Interpolation::Bicubic,
            mean: [0.0; 3],
            std: [1.0; 3],
            scaled_decoding,
        },
    }
}
