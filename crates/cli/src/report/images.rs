//! Thumbnails of the samples that the report shows.

use crate::extraction;
use base64::{Engine, engine::general_purpose::STANDARD};
use curriculum_manifest::Manifest;
use curriculum_proto::v1;
use image::{
    DynamicImage, ImageError, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
};
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, HashMap},
    io::Cursor,
    path::Path,
};

/// Longest side of a thumbnail in pixels; smaller images keep their pixels.
const THUMBNAIL_SIDE: u32 = 96;

/// Up to this side an image is enlarged as squares: blurring would hide what it shows.
const PIXELATED_SIDE: u32 = 48;

const JPEG_QUALITY: u8 = 82;

/// Limits of decoding: a report must not take the machine's memory for one hostile file.
const MAX_SIDE: u32 = 20_000;
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Images in one report, about 4 KB each; with many clusters each one shows fewer.
const MAX_IMAGES: usize = 4_800;

/// A small image, ready for an `src` attribute.
pub(crate) struct Thumbnail {
    pub(crate) data_uri: String,
    /// So small that a browser should enlarge it as squares.
    pub(crate) pixelated: bool,
}

/// The thumbnails by sample index, or why there are none.
pub(crate) struct Images {
    thumbnails: HashMap<u64, Result<Thumbnail, String>>,
    /// Samples shown per cluster and side.
    pub(crate) per_side: usize,
    /// Why there are no images at all.
    pub(crate) note: Option<String>,
}

impl Images {
    /// Reads what `summary` names from `source`. What cannot be read is told, never an error.
    pub(crate) fn read(source: &Path, summary: &v1::Summary) -> Self {
        let per_side = (MAX_IMAGES / 2 / summary.clusters.len().max(1)).max(1);
        let shown = shown(summary, per_side);
        match open(source, summary, &shown) {
            Err(reason) => {
                let note = Some(format!("Shown without images: {reason}."));
                Self {
                    thumbnails: HashMap::new(),
                    per_side,
                    note,
                }
            }
            Ok(manifest) => {
                let read = |index: &u64| (*index, thumbnail_of(&manifest, *index));
                let indices: Vec<u64> = shown.into_keys().collect();
                Self {
                    thumbnails: indices.par_iter().map(read).collect(),
                    per_side,
                    note: None,
                }
            }
        }
    }

    /// The image of a sample, or why it cannot be shown; `None` where there are no images at all.
    pub(crate) fn get(&self, index: u64) -> Option<&Result<Thumbnail, String>> {
        self.thumbnails.get(&index)
    }
}

/// Index and id of every sample that the report shows.
fn shown(summary: &v1::Summary, per_side: usize) -> BTreeMap<u64, &str> {
    let sides = summary
        .clusters
        .iter()
        .flat_map(|cluster| [&cluster.nearest, &cluster.farthest]);
    sides
        .flat_map(|side| side.iter().take(per_side))
        .map(|s| (s.index, s.id.as_str()))
        .collect()
}

/// Opens `source` if it is the one that `summary` was made from.
fn open(
    source: &Path,
    summary: &v1::Summary,
    shown: &BTreeMap<u64, &str>,
) -> Result<Manifest, String> {
    let manifest = extraction::open(source).map_err(|error| error.to_string())?;
    if manifest.len() != summary.sample_count {
        return Err(format!(
            "{} lists {} samples, the version has {}",
            source.display(),
            manifest.len(),
            summary.sample_count
        ));
    }
    for (index, id) in shown {
        let found = manifest.sample(*index);
        if !found.is_ok_and(|sample| &*sample.id == *id) {
            return Err(format!(
                "{} has another sample at index {index}",
                source.display()
            ));
        }
    }
    Ok(manifest)
}

fn thumbnail_of(manifest: &Manifest, index: u64) -> Result<Thumbnail, String> {
    let bytes = manifest.read(index).map_err(|error| error.to_string())?;
    thumbnail(&bytes).map_err(|error| error.to_string())
}

/// Decodes, shrinks where needed and encodes again, so that nothing of the file but its pixels
/// reaches the report.
fn thumbnail(bytes: &[u8]) -> Result<Thumbnail, ImageError> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let full = reader.decode()?;
    let side = full.width().max(full.height());
    let (mime, encoded) = if side > THUMBNAIL_SIDE && !full.color().has_alpha() {
        (
            "image/jpeg",
            jpeg(&full.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE))?,
        )
    } else if side > THUMBNAIL_SIDE {
        (
            "image/png",
            png(&full.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE))?,
        )
    } else {
        ("image/png", png(&full)?)
    };
    let data_uri = format!("data:{mime};base64,{}", STANDARD.encode(encoded));
    Ok(Thumbnail {
        data_uri,
        pixelated: side <= PIXELATED_SIDE,
    })
}

fn jpeg(image: &DynamicImage) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    image
        .to_rgb8()
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
    Ok(bytes)
}

/// With 8 bits a channel: browsers and the encoder know nothing of float images.
fn png(image: &DynamicImage) -> Result<Vec<u8>, ImageError> {
    let color = image.color();
    let plain: DynamicImage = match (color.has_color(), color.has_alpha()) {
        (false, false) => image.to_luma8().into(),
        (true, false) => image.to_rgb8().into(),
        (_, true) => image.to_rgba8().into(),
    };
    let mut bytes = Cursor::new(Vec::new());
    plain.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Rgb32FImage, RgbImage, RgbaImage};

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn decoded(thumbnail: &Thumbnail, mime: &str) -> DynamicImage {
        let base64 = thumbnail
            .data_uri
            .strip_prefix(&format!("data:{mime};base64,"))
            .unwrap();
        image::load_from_memory(&STANDARD.decode(base64).unwrap()).unwrap()
    }

    #[test]
    fn tiny_images_keep_their_pixels() {
        let gray = GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * 8 + y) as u8]));
        let shown = thumbnail(&encoded(&gray.clone().into(), ImageFormat::Png)).unwrap();
        assert!(shown.pixelated);
        assert_eq!(decoded(&shown, "image/png").to_luma8(), gray);
    }

    #[test]
    fn large_images_shrink_and_keep_their_shape() {
        let photo = encoded(&RgbImage::new(400, 200).into(), ImageFormat::Jpeg);
        let shown = thumbnail(&photo).unwrap();
        let small = decoded(&shown, "image/jpeg");
        assert_eq!(
            (small.width(), small.height(), shown.pixelated),
            (96, 48, false)
        );
        let transparent = encoded(&RgbaImage::new(10, 1000).into(), ImageFormat::Png);
        let small = decoded(&thumbnail(&transparent).unwrap(), "image/png");
        assert_eq!((small.width(), small.height()), (1, 96));
    }

    #[test]
    fn float_images_become_eight_bits() {
        let bytes = png(&Rgb32FImage::new(3, 3).into()).unwrap();
        assert_eq!(
            image::load_from_memory(&bytes).unwrap().color(),
            image::ColorType::Rgb8
        );
    }

    #[test]
    fn broken_images_say_why() {
        let whole = encoded(&RgbImage::new(8, 8).into(), ImageFormat::Png);
        for broken in [
            &b""[..],
            b"<svg onload=alert(1)>",
            &whole[..whole.len() / 2],
        ] {
            assert!(!thumbnail(broken).err().unwrap().to_string().is_empty());
        }
    }

    #[test]
    fn an_image_beyond_the_limits_is_refused() {
        // A PGM header that promises more pixels than the limits allow.
        let error = thumbnail(b"P5 30000 30000 255\n0").err().unwrap();
        assert!(matches!(error, ImageError::Limits(_)), "{error}");
    }

    fn summary(ids: &[&str]) -> v1::Summary {
        let sample = |(index, id): (usize, &&str)| v1::SampleSummary {
            index: index as u64,
            id: (*id).to_owned(),
            ..Default::default()
        };
        let nearest = ids.iter().enumerate().map(sample).collect();
        let clusters = vec![v1::ClusterSummary {
            nearest,
            ..Default::default()
        }];
        v1::Summary {
            sample_count: ids.len() as u64,
            clusters,
            ..Default::default()
        }
    }

    #[test]
    fn images_come_from_a_source_with_the_same_ids() {
        let folder = tempfile::tempdir().unwrap();
        let class = folder.path().join("class");
        std::fs::create_dir(&class).unwrap();
        let whole = encoded(&GrayImage::new(4, 4).into(), ImageFormat::Png);
        std::fs::write(class.join("a.png"), whole).unwrap();
        std::fs::write(class.join("b.png"), b"broken").unwrap();
        let images = Images::read(folder.path(), &summary(&["class/a.png", "class/b.png"]));
        assert_eq!(images.note, None);
        assert!(images.get(0).unwrap().is_ok());
        assert!(images.get(1).unwrap().is_err());
        for other in [&["class/a.png", "class/c.png"][..], &["class/a.png"]] {
            let images = Images::read(folder.path(), &summary(other));
            assert!(images.note.is_some() && images.get(0).is_none());
        }
        assert!(
            Images::read(&folder.path().join("none"), &summary(&["a"]))
                .note
                .is_some()
        );
    }

    #[test]
    fn many_clusters_show_fewer_samples_each() {
        let clusters = vec![v1::ClusterSummary::default(); 978];
        let summary = v1::Summary {
            clusters,
            ..Default::default()
        };
        assert_eq!(Images::read(Path::new("none"), &summary).per_side, 2);
    }
}
