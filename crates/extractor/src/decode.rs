//! Encoded bytes to 8-bit RGB, as Pillow's `Image.open(...).convert("RGB")` gives it.
//!
//! JPEG (baseline, extended, progressive; grey, YCbCr, RGB, CMYK, YCCK), PNG, WebP, GIF, BMP, TIFF,
//! PNM. Grey is repeated, alpha dropped without blending, a palette's colours looked up, the first
//! frame or page taken. EXIF orientation and colour profiles are not applied. CMYK in a JPEG is read
//! as Adobe writes it, inverted, with or without Adobe's marker. Pixels are Pillow's, except that
//!
//! - JPEG's are by a few steps of 255 off where colours are sharp, as its decoder rounds otherwise;
//! - 16-bit grey becomes 8-bit by its high byte, where Pillow clips nearly all of it to white;
//! - PNM of a greatest value other than 255 is scaled with another rounding, up to 2 steps off;
//! - a TIFF with a palette, and a JPEG that is lossless or coded arithmetically, are errors.
//!
//! A decoder cannot be interrupted, so time is bounded by what it may have to do: bytes, pixels,
//! memory, and in a JPEG the number of scans; the other formats decode one frame once. The longest
//! seen is 3 s, for a JPEG of 88 million pixels on a busy core.

mod jpeg;
mod scaled;

use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};

use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Limits, Pixel, RgbImage};

use crate::ImageError;

/// Of a file.
const MAX_ENCODED_BYTES: usize = 128 << 20;
/// The largest that JPEG can express.
const MAX_SIDE: u32 = 65_535;
/// Of one decoded image: the largest of its forms and, for JPEGs that need them, all coefficients.
const MAX_BYTES: u64 = 256 << 20;

/// Memory for one decoded image after the other.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<u8>);

/// A decoded image, never with a side of 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rgb<'a> {
    /// (height, width, 3)
    pub(crate) pixels: &'a [u8],
    pub(crate) width: usize,
    /// Width and height of the image itself.
    pub(crate) size: (u32, u32),
    /// How often larger that is a side, up to rounding: 1, 2, 4 or 8.
    pub(crate) shrink: u32,
}

/// Whether a JPEG may be decoded at a half, a quarter or an eighth of its size.
///
/// Faster for large photographs, but pixels stray from torchvision's: of values in steps of 1/255,
/// 99.9 % are within 2 at [`Scaled::Off`] and 12 at [`Scaled::On`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Scaled {
    /// At its size.
    #[default]
    Off,
    /// At the least of these sizes that is not smaller than the resized image.
    On,
}

/// What a decoder has put into the buffer.
struct Decoded {
    width: usize,
    size: (u32, u32),
    shrink: u32,
}

impl Scaled {
    /// For a JPEG whose shorter side becomes `resize`.
    fn shrink(self, (width, height): (u32, u32), resize: u32) -> u32 {
        if self == Self::Off {
            return 1;
        }
        let fits = |shrink: &u32| width.min(height) / shrink >= resize;
        [8, 4, 2].into_iter().find(fits).unwrap_or(1)
    }
}

impl Buffer {
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Gives memory back that only an unusually large image needed.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.0.clear();
        self.0.shrink_to(bytes);
    }
}

/// Decodes an image of any size within the limits, whose shorter side is to become `resize`.
pub(crate) fn decode<'a>(
    bytes: &[u8],
    scaled: Scaled,
    resize: u32,
    buffer: &'a mut Buffer,
) -> Result<Rgb<'a>, ImageError> {
    if bytes.len() > MAX_ENCODED_BYTES {
        let reason = format!(
            "{} bytes; at most {} MiB encoded",
            bytes.len(),
            MAX_ENCODED_BYTES >> 20
        );
        return Err(ImageError::TooLarge { reason });
    }
    let Decoded {
        width,
        size,
        shrink,
    } = guarded(|| {
        if jpeg::is_jpeg(bytes) {
            return jpeg::decode(bytes, |size| scaled.shrink(size, resize), &mut buffer.0);
        }
        let image = decode_other(bytes)?;
        let size = image.dimensions();
        buffer.0 = image.into_raw();
        Ok(Decoded {
            width: size.0 as usize,
            size,
            shrink: 1,
        })
    })?;
    Ok(Rgb {
        pixels: &buffer.0,
        width,
        size,
        shrink,
    })
}

/// Turns a decoder's panic into an error.
///
/// Decoders are others' parsers of hostile bytes, and a panic in one would end the whole job. It
/// cannot leave broken state behind: the buffer, all that outlives it, is written anew each time.
fn guarded<T>(decoder: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(decoder));
    outcome.unwrap_or(Err(ImageError::DecoderPanicked))
}

fn decode_other(bytes: &[u8]) -> Result<RgbImage, ImageError> {
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
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes())?;
    let image = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    Ok(into_rgb(image))
}

/// Before any pixel is decoded: what the decoder holds and the RGB made of it must both fit.
fn check_size(width: u32, height: u32, held: u64) -> Result<(), ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::Undecodable {
            reason: "it has no pixels".to_owned(),
        });
    }
    let rgb = u64::from(width) * u64::from(height) * 3;
    if width > MAX_SIDE || height > MAX_SIDE || held.max(rgb) > MAX_BYTES {
        let reason = format!(
            "{width}×{height} pixels take {} MiB; at most {MAX_SIDE} a side and {} MiB decoded",
            held.max(rgb) >> 20,
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
        let channels = image.get_pixel(x, y).to_rgb().0;
        image::Rgb(channels.map(|value| value.to_be_bytes()[0]))
    })
}

#[cfg(test)]
mod tests;
