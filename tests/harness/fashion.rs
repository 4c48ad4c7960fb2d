//! Fashion-MNIST in the order of an image folder: a part of it, or all of it in a long run.

use crate::data::{self, Image};
use flate2::read::GzDecoder;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::{
    env,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Names a folder with the four IDX files, such as Debian's package `dataset-fashion-mnist` has.
pub const FOLDER: &str = "CURRICULUM_FASHION_MNIST";

/// Bytes before the values of an IDX file of images, and of one of labels.
const HEADERS: (usize, usize) = (16, 8);

const SIDE: u32 = 28;

/// The label of each class, by number.
const CLASSES: [&str; 10] = [
    "t_shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle_boot",
];

/// All 60,000 training images if [`FOLDER`] is set, else `few` of those in the repository.
#[must_use]
pub fn images(few: usize) -> Vec<Image> {
    let mut images = match env::var_os(FOLDER) {
        Some(folder) => all(&PathBuf::from(folder)),
        None => data::images(few),
    };
    images.sort_by(|a, b| a.key.cmp(&b.key));
    images
}

fn all(folder: &Path) -> Vec<Image> {
    let pixels = unpack(&folder.join("train-images-idx3-ubyte.gz"));
    let labels = unpack(&folder.join("train-labels-idx1-ubyte.gz"));
    let pixels = pixels[HEADERS.0..].chunks_exact((SIDE * SIDE) as usize);
    let labels = &labels[HEADERS.1..];
    let images = pixels.zip(labels).enumerate();
    images
        .map(|(index, (pixels, label))| {
            let label = CLASSES[usize::from(*label)];
            Image {
                key: format!("{label}/{index:05}.png"),
                label: label.to_owned(),
                bytes: png(pixels),
            }
        })
        .collect()
}

fn unpack(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

fn png(pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(pixels, SIDE, SIDE, ExtendedColorType::L8)
        .unwrap();
    bytes
}
