//! Decoding and preprocessing beside torchvision (Pillow's loader, one thread), in one run and on the
//! same files, so that the ratios can be read off. torchvision runs in the Python that
//! `PEERS_PYTHON` names, where `peers.py` needs torch, torchvision and pillow; without it only our
//! own figures are shown.
//!
//! JPEGs are made of the tests' photographs at quality 90, and the one at 500x375 that subsamples
//! colour, as cameras' do, is taken as it is. Figures are images per second on one thread, the best
//! of several rounds. Arguments choose cases by a part of their name.

#![expect(clippy::print_stdout, reason = "a table is what this is for")]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use curriculum_extractor::{
    Interpolation, Layout, ModelEntry, Preprocessing, Preprocessor, Scratch, Tokens,
};
use image::DynamicImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;

const ROUNDS: usize = 8;
const ROUND_SECONDS: f64 = 0.4;

const OFF: &[bool] = &[false];
const ALL: &[bool] = &[false, true];

struct Case {
    name: &'static str,
    resize: u32,
    crop: u32,
    scaled: &'static [bool],
    files: Vec<Vec<u8>>,
}

fn main() {
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let python = std::env::var_os("PEERS_PYTHON").map(PathBuf::from);
    for case in cases() {
        if !wanted.is_empty() && !wanted.iter().any(|part| case.name.contains(part.as_str())) {
            continue;
        }
        let theirs = python.as_ref().map(|python| peers(python, &case));
        for scaled in case.scaled {
            let ours = ours(&case, *scaled);
            print!(
                "{:<20} scaled {:<5} ours {ours:>8.1} img/s per core",
                case.name,
                format!("{scaled:?}")
            );
            match theirs {
                Some(theirs) => println!("   torchvision {theirs:>7.1}   {:.2} x", ours / theirs),
                None => println!(),
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let photographs: Vec<_> = ["coffee", "chelsea", "astronaut"].map(photograph).into();
    let jpegs = |name, width, height, scaled| Case {
        name,
        resize: 256,
        crop: 224,
        scaled,
        files: photographs
            .iter()
            .map(|(_, image)| jpeg(image, width, height))
            .collect(),
    };
    let small = |(_, image): &(_, DynamicImage)| {
        let mut bytes = Cursor::new(Vec::new());
        let small = image
            .resize_exact(28, 28, FilterType::Triangle)
            .into_luma8();
        small
            .write_to(&mut bytes, image::ImageFormat::Png)
            .expect("a PNG can be written");
        bytes.into_inner()
    };
    vec![
        Case {
            name: "jpeg 500x375 4:2:0",
            resize: 256,
            crop: 224,
            scaled: OFF,
            files: vec![photographs[0].0.clone()],
        },
        jpegs("jpeg 500x375 4:4:4", 500, 375, OFF),
        jpegs("jpeg 2000x1500 4:4:4", 2000, 1500, ALL),
        Case {
            name: "png 28x28 grey",
            resize: 32,
            crop: 32,
            scaled: OFF,
            files: photographs.iter().map(small).collect(),
        },
    ]
}

fn photograph(name: &str) -> (Vec<u8>, DynamicImage) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
    let bytes = fs::read(folder.join(format!("{name}.jpg")))
        .expect("the photographs are in the repository");
    let image = image::load_from_memory(&bytes).expect("the photographs can be decoded");
    (bytes, image)
}

fn jpeg(image: &DynamicImage, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let resized = image
        .resize_exact(width, height, FilterType::Lanczos3)
        .into_rgb8();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 90);
    resized
        .write_with_encoder(encoder)
        .expect("a JPEG can be written");
    bytes
}

fn ours(case: &Case, scaled: bool) -> f64 {
    let preprocessor = Preprocessor::new(&entry(case, scaled));
    let mut scratch = Scratch::default();
    let mut pixels = vec![0.0; preprocessor.len()];
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let (start, mut images) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < ROUND_SECONDS {
            for file in &case.files {
                preprocessor
                    .run(file, &mut scratch, &mut pixels)
                    .expect("the images can be decoded");
                std::hint::black_box(&pixels);
            }
            images += case.files.len();
        }
        best = best.max(images as f64 / start.elapsed().as_secs_f64());
    }
    best
}

fn entry(case: &Case, scaled_decoding: bool) -> ModelEntry {
    ModelEntry {
        name: "bench".to_owned(),
        description: String::new(),
        input: "pixels".to_owned(),
        layout: Layout::Nchw,
        output: "features".to_owned(),
        tokens: Tokens::Class,
        prefix_tokens: 1,
        preprocessing: Preprocessing {
            resize: case.resize,
            crop: case.crop,
            interpolation: Interpolation::Bicubic,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            scaled_decoding,
        },
    }
}

/// torchvision's images per second, in as many rounds of the same length.
fn peers(python: &Path, case: &Case) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (index, file) in case.files.iter().enumerate() {
        fs::write(folder.path().join(index.to_string()), file).expect("the folder can be written");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/decode/peers.py");
    let output = Command::new(python)
        .arg(script)
        .arg(folder.path())
        .args([case.resize.to_string(), case.crop.to_string()])
        .args([ROUNDS.to_string(), ROUND_SECONDS.to_string()])
        .output()
        .expect("PEERS_PYTHON can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}
