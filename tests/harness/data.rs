//! Small datasets: parts of the Fashion-MNIST archive in every layout, and broken ones.

use image::{ImageFormat, imageops::FilterType};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

/// One image of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Path in the archive, such as `coat/00028.png`: its id.
    pub key: String,
    /// Its class.
    pub label: String,
    /// The PNG file; tests may replace it by anything.
    pub bytes: Vec<u8>,
}

/// The archive: 2,000 images of 28×28, 200 of each class.
#[must_use]
pub fn archive() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fashion_mnist/train-2000.tar")
}

/// Features, labels, and what the public code returns for them: 3,000 samples of 32 dimensions.
#[must_use]
pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden/reference_a.npz")
}

/// A `.npy` file of any content, whatever its header claims.
pub fn write_npy(path: &Path, descr: &str, fortran_order: bool, shape: &str, items: &[u8]) {
    let order = if fortran_order { "True" } else { "False" };
    let fields = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    let header = format!("{fields:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.into_bytes());
    bytes.extend(items);
    fs::write(path, bytes).unwrap();
}

/// The first `count` images of the archive.
#[must_use]
pub fn images(count: usize) -> Vec<Image> {
    let mut archive = tar::Archive::new(File::open(archive()).unwrap());
    let members = archive.entries().unwrap().take(count);
    let images: Vec<_> = members.map(|member| image(member.unwrap())).collect();
    assert_eq!(images.len(), count);
    images
}

fn image(mut member: tar::Entry<'_, File>) -> Image {
    let name = member.path().unwrap().into_owned();
    let name = name.to_str().unwrap();
    let (label, _) = name.split_once('/').unwrap();
    let mut bytes = Vec::new();
    member.read_to_end(&mut bytes).unwrap();
    Image {
        key: name.to_owned(),
        label: label.to_owned(),
        bytes,
    }
}

/// Writes `images` as a WebDataset archive, in order.
pub fn write_tar(path: &Path, images: &[Image]) {
    let mut builder = tar::Builder::new(File::create(path).unwrap());
    for image in images {
        let mut header = tar::Header::new_ustar();
        header.set_size(image.bytes.len() as u64);
        header.set_mode(0o644);
        let name = &image.key;
        builder
            .append_data(&mut header, name, image.bytes.as_slice())
            .unwrap();
    }
    builder.finish().unwrap();
}

/// Writes `images` as an image folder, one sub-folder per class.
pub fn write_folder(root: &Path, images: &[Image]) {
    for image in images {
        let path = root.join(&image.key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &image.bytes).unwrap();
    }
}

/// Writes the files of `images` into `root` and a manifest of them, in order; the manifest's path.
#[must_use]
pub fn write_jsonl(root: &Path, images: &[Image]) -> PathBuf {
    write_folder(root, images);
    let rows = images
        .iter()
        .map(|image| row(&image.key, &image.key, &image.label));
    write_rows(root, rows)
}

/// A dataset that keeps a server busy: `count` images of `side`² pixels, whose decoding takes
/// milliseconds, no two of the same content. Returns the manifest's path.
#[must_use]
pub fn write_slow_jsonl(root: &Path, count: usize, side: u32) -> PathBuf {
    let large: Vec<_> = images(16)
        .into_iter()
        .map(|image| enlarge(image, side))
        .collect();
    let images: Vec<_> = (0..count)
        .map(|index| {
            let mut image = large[index % large.len()].clone();
            image.key = format!("{}/{index}.png", image.label);
            // Decoders stop at a PNG's end; its content is another all the same.
            image.bytes.extend((index as u64).to_le_bytes());
            image
        })
        .collect();
    write_folder(root, &images);
    let rows = (images.iter().enumerate())
        .map(|(index, image)| row(&format!("sample-{index}"), &image.key, &image.label));
    write_rows(root, rows)
}

/// Writes a manifest of raw lines; its path.
#[must_use]
pub fn write_rows(root: &Path, rows: impl IntoIterator<Item = String>) -> PathBuf {
    let path = root.join("manifest.jsonl");
    let text: String = rows
        .into_iter()
        .flat_map(|row| [row, "\n".to_owned()])
        .collect();
    fs::create_dir_all(root).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// One line of a manifest.
#[must_use]
pub fn row(id: &str, path: &str, label: &str) -> String {
    json!({"id": id, "path": path, "label": label}).to_string()
}

fn enlarge(mut image: Image, side: u32) -> Image {
    let small = image::load_from_memory(&image.bytes).unwrap();
    let large = small.resize_exact(side, side, FilterType::Nearest);
    let mut bytes = Cursor::new(Vec::new());
    large.write_to(&mut bytes, ImageFormat::Png).unwrap();
    image.bytes = bytes.into_inner();
    image
}
