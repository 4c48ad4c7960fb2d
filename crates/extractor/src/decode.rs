//! Encoded bytes to 8-bit RGB, as Pillow's `convert("RGB")` gives it.
//!
//! Grey is repeated, alpha dropped without blending, the first frame of an animation taken. Of 16
//! bits the high byte is kept; so it is for grey too, where Pillow clips nearly all of it to white.
//! EXIF orientation and colour profiles are not applied.

use std::io::Cursor;
use std::panic;

use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Limits, Pixel, Rgb, RgbImage};

use crate::ImageError;

const MAX_SIDE: u32 = 16_384;
/// Of one decoded image, whichever of its forms is largest.
const MAX_BYTES: u64 = 256 << 20;

/// Decodes an image of any size within the limits, never with a side of 0.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    guarded(|| decode_rgb(bytes))
}

/// Turns a decoder's panic into an error.
///
/// Decoders are others' parsers of hostile bytes, and a panic in one would end the whole job. It
/// cannot leave broken state behind: all it touched is dropped here.
fn guarded<T>(
    decoder: impl FnOnce() -> Result<T, ImageError> + panic::UnwindSafe,
) -> Result<T, ImageError> {
    panic::catch_unwind(decoder).unwrap_or(Err(ImageError::DecoderPanicked))
}

fn decode_rgb(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|_| ImageError::UnknownFormat)?;
    if reader.format().is_none() {
        return Err(ImageError::UnknownFormat);
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);

    let decoder = reader.into_decoder().map_err(undecodable)?;
    check_size(&decoder)?;
    let image = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    Ok(into_rgb(image))
}

/// Before any pixel is decoded: the decoded form and the RGB made of it must both fit.
fn check_size(decoder: &impl ImageDecoder) -> Result<(), ImageError> {
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(ImageError::Undecodable {
            reason: "it has no pixels".to_owned(),
        });
    }
    let rgb = u64::from(width) * u64::from(height) * 3;
    if width > MAX_SIDE || height > MAX_SIDE || decoder.total_bytes().max(rgb) > MAX_BYTES {
        let reason = format!(
            "{width}×{height} pixels; at most {MAX_SIDE} a side and {} MiB decoded",
            MAX_BYTES >> 20
        );
        return Err(ImageError::TooLarge { reason });
    }
    Ok(())
}

fn undecodable(error: image::ImageError) -> ImageError {
    let reason = error.to_string();
    if matches!(error, image::ImageError::Limits(_)) {
        ImageError::TooLarge { reason }
    } else {
        ImageError::Undecodable { reason }
    }
}

fn into_rgb(image: DynamicImage) -> RgbImage {
    match image {
        DynamicImage::ImageLuma16(grey) => high_bytes(&grey),
        DynamicImage::ImageLumaA16(grey) => high_bytes(&grey),
        DynamicImage::ImageRgb16(colour) => high_bytes(&colour),
        DynamicImage::ImageRgba16(colour) => high_bytes(&colour),
        image => image.into_rgb8(),
    }
}

fn high_bytes<P: Pixel<Subpixel = u16>>(image: &ImageBuffer<P, Vec<u16>>) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgb(channels) = image.get_pixel(x, y).to_rgb();
        Rgb(channels.map(|value| value.to_be_bytes()[0]))
    })
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Luma, LumaA, Rgba};
    use proptest::prelude::*;

    use super::*;

    fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn picture() -> RgbImage {
        RgbImage::from_fn(7, 5, |x, y| Rgb([x as u8 * 30, y as u8 * 50, 200]))
    }

    #[test]
    fn lossless_formats_keep_every_pixel() {
        for format in [
            ImageFormat::Png,
            ImageFormat::WebP,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
            ImageFormat::Pnm,
        ] {
            assert_eq!(
                decode(&encode(picture(), format)).unwrap(),
                picture(),
                "{format:?}"
            );
        }
    }

    #[test]
    fn lossy_formats_decode_to_the_same_size() {
        for format in [ImageFormat::Jpeg, ImageFormat::Gif] {
            assert_eq!(
                decode(&encode(picture(), format)).unwrap().dimensions(),
                (7, 5),
                "{format:?}"
            );
        }
    }

    #[test]
    fn grey_is_repeated_alpha_dropped_and_16_bit_cut() {
        let size = (1, 1);
        let one = |bytes: Vec<u8>| decode(&bytes).unwrap().get_pixel(0, 0).0;
        let grey = ImageBuffer::from_pixel(size.0, size.1, Luma([77_u8]));
        assert_eq!(one(encode(grey, ImageFormat::Png)), [77; 3]);
        let clear = ImageBuffer::from_pixel(size.0, size.1, Rgba([10_u8, 20, 30, 0]));
        assert_eq!(one(encode(clear, ImageFormat::Png)), [10, 20, 30]);
        let deep = ImageBuffer::from_pixel(size.0, size.1, Rgb([0x00ff_u16, 0x0100, 0xfeff]));
        assert_eq!(one(encode(deep, ImageFormat::Png)), [0, 1, 254]);
        let deep_grey = ImageBuffer::from_pixel(size.0, size.1, LumaA([0x80ff_u16, 0]));
        assert_eq!(one(encode(deep_grey, ImageFormat::Png)), [128; 3]);
    }

    #[test]
    fn bombs_are_refused_before_decoding() {
        let header = |side: u32| [b"P6\n", format!("{side} {side}\n255\n").as_bytes()].concat();
        for side in [10_000, 20_000, 1_000_000] {
            let error = decode(&header(side)).unwrap_err();
            assert!(
                matches!(error, ImageError::TooLarge { .. }),
                "{side}: {error}"
            );
        }
        // A grey image of this size fits, the RGB made of it would not.
        let grey = [b"P5\n".as_slice(), b"16000 16000\n255\n"].concat();
        assert!(matches!(decode(&grey), Err(ImageError::TooLarge { .. })));
    }

    #[test]
    fn no_image_is_an_error() {
        assert!(matches!(decode(b""), Err(ImageError::UnknownFormat)));
        assert!(matches!(
            decode(b"hello, world"),
            Err(ImageError::UnknownFormat)
        ));
        assert!(matches!(
            decode(b"P6\n0 4\n255\n"),
            Err(ImageError::Undecodable { .. })
        ));
    }

    #[test]
    fn a_panic_in_a_decoder_is_an_error() {
        let failed = guarded::<()>(|| panic!("defect"));
        assert!(matches!(failed, Err(ImageError::DecoderPanicked)));
    }

    proptest! {
        #[test]
        fn damaged_images_never_panic(
            format in prop::sample::select(vec![
                ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff,
                ImageFormat::Pnm, ImageFormat::Jpeg, ImageFormat::Gif,
            ]),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encode(picture(), format);
            for (place, value) in damage {
                *place.get_mut(&mut bytes) = value;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            let decoded = decode(&bytes);
            prop_assert!(!matches!(decoded, Err(ImageError::DecoderPanicked)));
        }
    }
}
