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
            scaled_decoding: false,
        },
    }
}

fn preprocessor(mut entry: ModelEntry, scaled_decoding: bool) -> Preprocessor {
    entry.preprocessing.scaled_decoding = scaled_decoding;
    Preprocessor::new(&entry)
}

/// Resized to 40 and cropped to 32, with a scratch of its own.
fn run(name: &str, layout: Layout) -> Vec<f32> {
    preprocessed(name, &Preprocessor::new(&entry(40, 32, layout)))
}

fn preprocessed(name: &str, preprocessor: &Preprocessor) -> Vec<f32> {
    let encoded = fs::read(folder().join(name)).unwrap();
    let mut pixels = vec![f32::NAN; preprocessor.len()];
    let outcome = preprocessor.run(&encoded, &mut Scratch::default(), &mut pixels);
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
    pixels
}

/// Differences from the reference, in steps of 255, least first.
fn differences(name: &str, resize: u32) -> Vec<u32> {
    differences_of(name, name, resize, false)
}

fn differences_of(name: &str, reference: &str, resize: u32, scaled: bool) -> Vec<u32> {
    let path = folder().join(format!("reference/{reference}.png"));
    let reference = image::open(path).unwrap().into_rgb8();
    let entry = entry(resize, reference.width(), Layout::Nhwc);
    let pixels = preprocessed(name, &preprocessor(entry, scaled));
    let pairs = pixels.iter().zip(reference.as_raw());
    let mut differences: Vec<_> = pairs
        .map(|(ours, theirs)| (ours * 255.0 - f32::from(*theirs)).abs().round() as u32)
        .collect();
    differences.sort_unstable();
    differences
}

/// Every file of the folder but these has a reference of 32 pixels, resized to 40.
const PHOTOGRAPHS: [(&str, u32); 3] = [
    ("coffee.jpg", 256),
    ("chelsea.jpg", 128),
    ("astronaut.jpg", 128),
];
/// What Pillow makes of these is not wanted, or not possible; see `decode`.
const OTHERWISE: [&str; 4] = ["grey_16.png", "grey_16.tif", "palette.tif", "rgb_1000.ppm"];

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let names = files.map(|entry| entry.file_name().into_string().unwrap());
    let names: Vec<_> = names
        .filter(|name| !OTHERWISE.contains(&name.as_str()))
        .collect();
    assert!(names.len() > 45, "{names:?}");
    names
}

fn is_lossy(name: &str) -> bool {
    name.ends_with(".jpg") || name == "jpeg.tif"
}

#[test]
fn photographs_are_within_two_steps_of_torchvision() {
    for (name, resize) in PHOTOGRAPHS {
        let differences = differences(name, resize);
        assert!(differences[differences.len() * 999 / 1000] <= 2, "{name}");
        assert!(differences[differences.len() - 1] <= 3, "{name}");
        assert_eq!(differences[differences.len() / 2], 0, "{name}");
    }
}

#[test]
fn scaled_photographs_are_within_twelve_steps() {
    // The one between them is progressive, which is always decoded in full.
    for name in ["coffee", "astronaut"] {
        let (file, reference) = (format!("{name}.jpg"), format!("{name}_quarter"));
        let differences = differences_of(&file, &reference, 64, true);
        assert!(differences[differences.len() * 999 / 1000] <= 12, "{name}");
        assert!(differences[differences.len() - 1] <= 16, "{name}");
        let full = differences_of(&file, &reference, 64, false);
        assert_ne!(differences, full, "{name} was not scaled");
    }
}

/// Mean differences in steps of 255: what is wrong about a whole kind would be larger.
#[test]
fn scaled_jpegs_of_every_kind_stay_close_to_the_full_ones() {
    let preprocessor = |scaled| preprocessor(entry(11, 11, Layout::Nchw), scaled);
    for name in names().iter().filter(|name| name.ends_with(".jpg")) {
        let full = preprocessed(name, &preprocessor(false));
        let pixels = preprocessed(name, &preprocessor(true));
        let sum: f32 = pixels.iter().zip(&full).map(|(a, b)| (a - b).abs()).sum();
        let mean = 255.0 * sum / full.len() as f32;
        assert!(mean < 5.0, "{name}: {mean}");
    }
}

#[test]
fn formats_without_a_jpeg_inside_are_exactly_torchvisions() {
    for name in names().iter().filter(|name| !is_lossy(name)) {
        assert_eq!(differences(name, 40).last(), Some(&0), "{name}");
    }
}

#[test]
fn every_kind_of_jpeg_is_within_two_steps() {
    let is_photograph = |name: &str| {
        PHOTOGRAPHS
            .iter()
            .any(|(photograph, _)| *photograph == name)
    };
    for name in names()
        .iter()
        .filter(|name| is_lossy(name) && !is_photograph(name))
    {
        let differences = differences(name, 40);
        assert!(differences[differences.len() * 999 / 1000] <= 2, "{name}");
        assert!(differences[differences.len() - 1] <= 3, "{name}");
    }
}

#[test]
fn samples_of_unusual_depth_are_scaled_to_8_bits() {
    let grey = run("grey_16.png", Layout::Nhwc);
    assert!(
        grey.as_chunks()
            .0
            .iter()
            .all(|[red, green, blue]| red == green && green == blue)
    );
    assert!(grey.iter().any(|value| *value < 0.3) && grey.iter().any(|value| *value > 0.7));
    // 16-bit grey is 257 times the 8-bit one.
    assert_eq!(
        run("grey_16.tif", Layout::Nhwc),
        run("grey.tif", Layout::Nhwc)
    );
    assert!(
        differences("rgb_1000.ppm", 40)
            .iter()
            .all(|difference| *difference <= 2)
    );
}

#[test]
fn layouts_hold_the_same_values() {
    let planes = run("palette.png", Layout::Nchw);
    let pixels = run("palette.png", Layout::Nhwc);
    let area = planes.len() / 3;
    for (place, pixel) in pixels.as_chunks::<3>().0.iter().enumerate() {
        let plane = |channel: usize| planes[channel * area + place];
        assert_eq!(*pixel, [plane(0), plane(1), plane(2)]);
    }
}

#[test]
fn what_a_scratch_held_has_no_effect() {
    let preprocessor = Preprocessor::new(&entry(40, 32, Layout::Nchw));
    let mut scratch = Scratch::default();
    let mut pixels = vec![f32::NAN; preprocessor.len()];
    for name in [
        "coffee.jpg",
        "grey.jpg",
        "palette.png",
        "lossy.webp",
        "422.jpg",
        "coffee.jpg",
    ] {
        let encoded = fs::read(folder().join(name)).unwrap();
        preprocessor
            .run(&encoded[..encoded.len() / 2], &mut scratch, &mut pixels)
            .unwrap_err();
        preprocessor
            .run(&encoded, &mut scratch, &mut pixels)
            .unwrap();
        assert_eq!(pixels, run(name, Layout::Nchw), "{name}");
    }
}
