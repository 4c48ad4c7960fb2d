//! Encoded images to a model's input, as torchvision does it on Pillow images. A `.npy` file is that input
//! already; see [`crate::tensor`].
//!
//! `Resize` (shorter side, antialiased), `CenterCrop`, `ToTensor`, `Normalize`, in that order. From
//! the same pixels come the same bits as torchvision's, so only decoders can differ, and of these
//! the JPEG and WebP ones do, by rounding; see [`crate::decode`].

mod axis;
mod resample;

use crate::ImageError;
use crate::decode::{self, Rgb, Scaled};
use crate::model::{Interpolation, Layout, ModelEntry};
use crate::tensor;
use crate::vectorize::vectorize;
use axis::{Axis, AxisKey};
use resample::{Buffers, Pixel};

/// Channels of an image in the model's input.
pub(crate) const CHANNELS: usize = 3;
/// A scratch that an unusually large image has left with more bytes gives them back.
const KEPT_BYTES: usize = 32 << 20;

/// A model's decoding and preprocessing, ready for many images.
#[derive(Debug)]
pub struct Preprocessor {
    resize: u32,
    crop: u32,
    layout: Layout,
    filter: Interpolation,
    scaled: Scaled,
    mean: [f32; CHANNELS],
    std: [f32; CHANNELS],
}

/// Buffers of one thread, reused from image to image; what it held before has no effect.
#[derive(Debug, Default)]
pub struct Scratch {
    decoded: decode::Buffer,
    buffers: Buffers,
    /// Of the last image: the next one often has its size.
    axes: Option<(Axis, Axis)>,
    row: Vec<Pixel>,
}

impl Preprocessor {
    /// As the entry of a model says.
    ///
    /// # Panics
    /// If the crop is larger than `resize`; an entry that was read from a file never says so.
    pub fn new(entry: &ModelEntry) -> Self {
        let preprocessing = &entry.preprocessing;
        assert!(
            preprocessing.crop <= preprocessing.resize,
            "the crop fits the resized image"
        );
        Self {
            resize: preprocessing.resize,
            crop: preprocessing.crop,
            layout: entry.layout,
            filter: preprocessing.interpolation,
            scaled: match preprocessing.scaled_decoding {
                true => Scaled::On,
                false => Scaled::Off,
            },
            mean: preprocessing.mean,
            std: preprocessing.std,
        }
    }

    /// Side of the crop, in pixels.
    fn side(&self) -> usize {
        self.crop as usize
    }

    /// Values of one image: 3·crop².
    #[expect(clippy::len_without_is_empty, reason = "a crop has at least one pixel")]
    pub fn len(&self) -> usize {
        CHANNELS * self.side() * self.side()
    }

    /// Fills `pixels` with one encoded image: (3, crop, crop), or (crop, crop, 3) where the model's
    /// layout says so. A `.npy` file of shape (3, crop, crop) is taken as it is, neither resized nor
    /// normalised. After an error the content of `pixels` is unspecified.
    ///
    /// # Panics
    /// If `pixels` has not [`Self::len`] values.
    pub fn run(
        &self,
        encoded: &[u8],
        scratch: &mut Scratch,
        pixels: &mut [f32],
    ) -> Result<(), ImageError> {
        assert_eq!(
            pixels.len(),
            self.len(),
            "pixels has the length of one image"
        );
        if curriculum_npy::begins_npy(encoded) {
            return tensor::read(encoded, self.side(), self.layout, pixels);
        }
        let Scratch {
            decoded,
            buffers,
            axes,
            row,
        } = scratch;
        let image = decode::decode(encoded, self.scaled, self.resize, decoded)?;
        let (horizontal, vertical) = self.axes(image, axes);
        row.resize(self.side().next_multiple_of(8), Pixel::default());
        vectorize(
            #[inline(always)]
            || {
                buffers.along_rows(image, horizontal, vertical);
                self.fill(buffers, vertical, row, pixels);
            },
        );
        if buffers.bytes() > KEPT_BYTES {
            *buffers = Buffers::default();
        }
        decoded.shrink(KEPT_BYTES);
        Ok(())
    }

    /// Weights for rows and for columns, those of the last image where they fit.
    fn axes<'a>(&self, image: Rgb<'_>, last: &'a mut Option<(Axis, Axis)>) -> &'a (Axis, Axis) {
        let (width, height) = image.size;
        let (to_width, to_height) = resized_size(image.size, self.resize);
        let key = |from, to| AxisKey {
            from,
            shrink: image.shrink,
            to,
            skip: crop_offset(to, u64::from(self.crop)),
            keep: self.side(),
            filter: self.filter,
        };
        let keys = (key(width, to_width), key(height, to_height));
        let usable = last
            .take()
            .filter(|(horizontal, vertical)| (horizontal.key(), vertical.key()) == keys);
        last.insert(usable.unwrap_or_else(|| (Axis::new(keys.0), Axis::new(keys.1))))
    }

    #[inline(always)]
    fn fill(&self, buffers: &Buffers, vertical: &Axis, row: &mut [Pixel], pixels: &mut [f32]) {
        let side = self.side();
        let first = vertical.range().start;
        for (y, (start, weights)) in vertical.windows().enumerate() {
            buffers.along_columns(start - first, weights, row);
            for channel in 0..CHANNELS {
                let values = row
                    .iter()
                    .map(|pixel| self.normalised(channel, pixel[channel]));
                match self.layout {
                    Layout::Nchw => {
                        let places = &mut pixels[(channel * side + y) * side..][..side];
                        places
                            .iter_mut()
                            .zip(values)
                            .for_each(|(place, value)| *place = value);
                    }
                    Layout::Nhwc => {
                        let places = &mut pixels[y * side * CHANNELS..][..side * CHANNELS];
                        let places = places.as_chunks_mut::<CHANNELS>().0.iter_mut();
                        places
                            .zip(values)
                            .for_each(|(place, value)| place[channel] = value);
                    }
                }
            }
        }
    }

    /// In torch's f32 steps, of which none may be left out.
    #[inline(always)]
    fn normalised(&self, channel: usize, value: u8) -> f32 {
        (f32::from(value) / 255.0 - self.mean[channel]) / self.std[channel]
    }
}

/// torchvision's rule: the shorter side becomes `resize`, the longer `int(resize * long / short)`,
/// for which integer division gives the same in this range.
fn resized_size((width, height): (u32, u32), resize: u32) -> (u64, u64) {
    let shorter = u64::from(width.min(height));
    let side = |side: u32| u64::from(resize) * u64::from(side) / shorter;
    (side(width), side(height))
}

/// Python's `round((resized - crop) / 2)`: halves go to the even neighbour.
fn crop_offset(resized: u64, crop: u64) -> u64 {
    let excess = resized - crop;
    let half = excess / 2;
    half + (excess % 2) * (half % 2)
}

#[cfg(test)]
mod tests;
