//! Decoding and preprocessing beside Pillow and torchvision, whose results `data/make_reference.py`
//! wrote.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

use std::fs;
use std::path::{Path, PathBuf};

use curriculum_extractor::{
    Interpolation, Layout, ModelEntry, Preprocessing, Preprocessor, Scratch, Tokens,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images")
}

/// Values come out as they are, divided by 255.
fn entry(resize: u32, crop: u32, layout: Layout) -> ModelEntry {
    ModelEntry {
        name: "plain".to_owned(),
        description: String::new(),
        input: "pixels".to_owned(),
        layout,
        output: "features".to_owned(),
        tokens: Tokens::Class,
        prefix_tokens: 1,
        preprocessing: Preprocessing {
            resize,
            crop,
            interpolation: Interpolation::Bicubic,
            mean: [0.0; 3],
            std: [1.0; 3],
        },
    }
}

/// Differences from the reference, in steps of 255, least first.
fn differences(name: &str, resize: u32) -> Vec<u32> {
    let reference = image::open(folder().join(format!("reference/{name}.png"))).unwrap().into_rgb8();
    let preprocessor = Preprocessor::new(&entry(resize, reference.width(), Layout::Nhwc));
    let mut pixels = vec![f32::NAN; preprocessor.len()];
    let encoded = fs::read(folder().join(name)).unwrap();
    preprocessor.run(&encoded, &mut Scratch::default(), &mut pixels).unwrap_or_else(|error| panic!("{name}: {error}"));
    let pairs = pixels.iter().zip(reference.as_raw());
    let mut differences: Vec<_> = pairs.map(|(ours, theirs)| (ours * 255.0 - f32::from(*theirs)).abs().round() as u32).collect();
    differences.sort_unstable();
    differences
}

#[test]
fn probe() {
    let mut names: Vec<_> = fs::read_dir(folder()).unwrap().map(|e| e.unwrap()).filter(|e| e.file_type().unwrap().is_file()).map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    for name in names {
        let resize = match &*name { "coffee.jpg" => 256, "chelsea.jpg" | "astronaut.jpg" => 128, _ => 40 };
        let r = std::panic::catch_unwind(|| differences(&name, resize));
        match r { Ok(d) => println!("{name}: p99.9 {} max {} nonzero {:.3}", d[d.len() * 999 / 1000], d.last().unwrap(), d.iter().filter(|x| **x>0).count() as f64 / d.len() as f64), Err(_) => println!("{name} FAILED") }
    }
}
