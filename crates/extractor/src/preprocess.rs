//! RGB pixels to the model's input, as torchvision does it on Pillow images.
//!
//! `Resize` (shorter side, antialiased), `CenterCrop`, `ToTensor`, `Normalize`, in that order.
//! Resampling works on 8-bit values, horizontally and then vertically, like Pillow's, but with
//! weights of 16 bits instead of 22: a value may differ from Pillow's by one of 255 steps.

use std::borrow::Cow;
use std::error::Error;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;

use crate::ImageError;
use crate::model::{Interpolation, Preprocessing};

/// Planes of an image in the model's input.
pub(crate) const CHANNELS: usize = 3;
/// Of a resized image: bounds the memory that a long strip takes (100 MB), while the largest
/// `resize`, 2048, still allows four sides to one.
const MAX_PIXELS: u64 = 1 << 25;

/// A model's preprocessing, ready for many images.
#[derive(Debug)]
pub(crate) struct Preprocessor {
    resize: u32,
    crop: u32,
    filter: FilterType,
    /// `(value / 255 − mean) / std` for each channel and 8-bit value, in torch's f32 steps.
    normalised: [[f32; 256]; CHANNELS],
}

impl Preprocessor {
    pub(crate) fn new(parameters: &Preprocessing) -> Self {
        let Preprocessing {
            resize,
            crop,
            interpolation,
            mean,
            std,
        } = *parameters;
        let filter = match interpolation {
            Interpolation::Bicubic => FilterType::CatmullRom,
            Interpolation::Bilinear => FilterType::Bilinear,
        };
        let normalised = std::array::from_fn(|channel| {
            std::array::from_fn(|value| (value as f32 / 255.0 - mean[channel]) / std[channel])
        });
        Self {
            resize,
            crop,
            filter,
            normalised,
        }
    }

    /// Side of the crop, in pixels.
    pub(crate) fn side(&self) -> usize {
        self.crop as usize
    }

    /// Values of one image: 3·crop².
    pub(crate) fn len(&self) -> usize {
        CHANNELS * self.side() * self.side()
    }

    /// Fills `pixels`, of [`Self::len`] values, with one image as (3, crop, crop).
    pub(crate) fn run(
        &self,
        image: &RgbImage,
        resizer: &mut Resizer,
        pixels: &mut [f32],
    ) -> Result<(), ImageError> {
        let (width, height) = resized_size(image.dimensions(), self.resize)?;
        let resized = self.resized(image, width, height, resizer)?;
        let (left, top) = (
            crop_offset(width, self.crop),
            crop_offset(height, self.crop),
        );
        let rows = resized
            .chunks_exact(width as usize * CHANNELS)
            .skip(top as usize);
        for (y, row) in rows.take(self.side()).enumerate() {
            let row = row
                .as_chunks::<CHANNELS>()
                .0
                .iter()
                .skip(left as usize)
                .take(self.side());
            for (x, rgb) in row.enumerate() {
                for (channel, value) in rgb.iter().enumerate() {
                    let place = (channel * self.side() + y) * self.side() + x;
                    pixels[place] = self.normalised[channel][usize::from(*value)];
                }
            }
        }
        Ok(())
    }

    /// Interleaved RGB of the new size; the image's own pixels where it has that size.
    ///
    /// Each pass is a call of its own, for the resizer by itself works vertically first, and overshoot
    /// at edges is clipped between the passes: steps of three were seen. Nor is its crop box used:
    /// `fast_image_resize` 6.1.0 underflows where a window's first weight is exactly 0, such as 12 to
    /// 20 pixels cropped to 16.
    fn resized<'a>(
        &self,
        image: &'a RgbImage,
        width: u32,
        height: u32,
        resizer: &mut Resizer,
    ) -> Result<Cow<'a, [u8]>, ImageError> {
        if image.dimensions() == (width, height) {
            return Ok(Cow::Borrowed(image.as_raw()));
        }
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(self.filter));
        let source = ImageRef::new(
            image.width(),
            image.height(),
            image.as_raw(),
            PixelType::U8x3,
        )
        .map_err(unresizable)?;
        let mut widened = Image::new(width, image.height(), PixelType::U8x3);
        resizer
            .resize(&source, &mut widened, &options)
            .map_err(unresizable)?;
        let mut resized = Image::new(width, height, PixelType::U8x3);
        resizer
            .resize(&widened, &mut resized, &options)
            .map_err(unresizable)?;
        Ok(Cow::Owned(resized.into_vec()))
    }
}

fn unresizable(error: impl Error) -> ImageError {
    ImageError::Unresizable {
        reason: error.to_string(),
    }
}

/// torchvision's rule: the shorter side becomes `resize`, the longer `int(resize * long / short)`,
/// for which integer division gives the same in this range.
fn resized_size((width, height): (u32, u32), resize: u32) -> Result<(u32, u32), ImageError> {
    let shorter = u64::from(width.min(height));
    let side = |side: u32| u64::from(resize) * u64::from(side) / shorter;
    let (new_width, new_height) = (side(width), side(height));
    if new_width * new_height > MAX_PIXELS {
        let reason = format!(
            "{width}×{height} pixels become {new_width}×{new_height}; at most {MAX_PIXELS} fit"
        );
        return Err(ImageError::TooLarge { reason });
    }
    Ok((new_width as u32, new_height as u32))
}

/// Python's `round((resized - crop) / 2)`: halves go to the even neighbour.
fn crop_offset(resized: u32, crop: u32) -> u32 {
    let excess = resized - crop;
    let half = excess / 2;
    half + (excess % 2) * (half % 2)
}

#[cfg(test)]
mod tests;
