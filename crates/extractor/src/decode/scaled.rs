//! JPEGs at a half, a quarter or an eighth of their size, from the low frequencies of each block.
//!
//! Little more than reading the entropy code is left to do, so a large photograph that is made small
//! anyway takes half the time. An inverse transform of a block's N lowest frequencies gives N pixels
//! a side, as libjpeg's `scale_num` does; subsampled colour takes more frequencies, and so needs no
//! interpolation. Only what cameras write is read: one sequential scan, grey or YCbCr. Anything else,
//! broken data included, is left to the full decoder, which has the errors too.

mod bits;
mod header;
mod transform;

use bits::Bits;
use header::{Component, Header};
use transform::{Cosines, Frequencies};

use crate::vectorize::vectorize;

/// Pixels and frequencies of a block, a side.
const BLOCK: usize = 8;
/// Place by rows of each frequency, in the order of the file.
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Replaces what `rgb` holds; returns the width. `shrink` is 2, 4 or 8; sides are rounded up. `None`
/// where the file is not of the kind read here, or broken.
pub(super) fn decode(bytes: &[u8], shrink: usize, rgb: &mut Vec<u8>) -> Option<usize> {
    let header = Header::read(bytes)?;
    let mut planes = Planes::new(&header, BLOCK / shrink);
    let (width, height) = (
        header.width.div_ceil(shrink),
        header.height.div_ceil(shrink),
    );
    rgb.clear();
    rgb.resize(3 * width * height, 0);
    let mut rows = rgb.chunks_mut(3 * width * planes.rows);
    vectorize(
        #[inline(always)]
        || planes.decode(&header, width, &mut rows),
    )?;
    Some(width)
}

/// One row of units, and what goes on from one to the next.
#[derive(Debug)]
struct Planes {
    cosines: Cosines,
    planes: Vec<Plane>,
    /// Pixels of a row, those that fill up the last unit included.
    stride: usize,
    /// Rows of pixels in one of units.
    rows: usize,
    units: usize,
}

#[derive(Debug)]
struct Plane {
    values: Vec<u8>,
    /// Pixels that a block gives, across and down.
    pixels: (usize, usize),
    /// Of the block before.
    mean: i32,
    /// Factor of each frequency, in the order of the file; 0 where it is not needed.
    factors: [f32; 64],
}

impl Planes {
    fn new(header: &Header<'_>, pixels: usize) -> Self {
        let most =
            |of: fn(&Component) -> usize| header.components.iter().map(of).max().unwrap_or(1);
        let (across, down) = (
            most(|component| component.across),
            most(|component| component.down),
        );
        let units = header.width.div_ceil(BLOCK * across);
        let (stride, rows) = (units * across * pixels, down * pixels);
        let plane = |component: &Component| {
            let (x, y) = (
                pixels * across / component.across,
                pixels * down / component.down,
            );
            let is_needed =
                |place: u8| usize::from(place) % BLOCK < x && usize::from(place) / BLOCK < y;
            Plane {
                values: vec![0; stride * rows],
                pixels: (x, y),
                mean: 0,
                factors: std::array::from_fn(|index| {
                    let factor = f32::from(component.quantization[index]);
                    if is_needed(ZIGZAG[index]) {
                        factor
                    } else {
                        0.0
                    }
                }),
            }
        };
        Self {
            cosines: Cosines::new(),
            planes: header.components.iter().map(plane).collect(),
            stride,
            rows,
            units,
        }
    }

    #[inline(always)]
    fn decode<'a>(
        &mut self,
        header: &Header<'_>,
        width: usize,
        rows: &mut impl Iterator<Item = &'a mut [u8]>,
    ) -> Option<()> {
        let mut bits = Bits::new(header.scan);
        let mut until_restart = header.restart_interval;
        for rgb in rows {
            for unit in 0..self.units {
                if header.restart_interval > 0 {
                    if until_restart == 0 {
                        bits.restart()?;
                        self.planes.iter_mut().for_each(|plane| plane.mean = 0);
                        until_restart = header.restart_interval;
                    }
                    until_restart -= 1;
                }
                for (plane, component) in self.planes.iter_mut().zip(&header.components) {
                    plane.decode_unit(&mut bits, component, &self.cosines, unit, self.stride)?;
                }
            }
            if bits.is_overread() {
                return None;
            }
            self.convert(width, rgb);
        }
        Some(())
    }

    #[inline(always)]
    fn convert(&self, width: usize, rgb: &mut [u8]) {
        for (y, row) in rgb.chunks_exact_mut(3 * width).enumerate() {
            let start = y * self.stride;
            let pixels = row.as_chunks_mut::<3>().0.iter_mut();
            match &self.planes[..] {
                [luma, blue, red] => {
                    let colours = blue.values[start..].iter().zip(&red.values[start..]);
                    for ((pixel, luma), (blue, red)) in
                        pixels.zip(&luma.values[start..]).zip(colours)
                    {
                        *pixel = colour(*luma, *blue, *red);
                    }
                }
                planes => {
                    for (pixel, grey) in pixels.zip(&planes[0].values[start..]) {
                        *pixel = [*grey; 3];
                    }
                }
            }
        }
    }
}

impl Plane {
    /// All blocks of one unit.
    #[inline(always)]
    fn decode_unit(
        &mut self,
        bits: &mut Bits<'_>,
        component: &Component,
        cosines: &Cosines,
        unit: usize,
        stride: usize,
    ) -> Option<()> {
        let (across, down) = self.pixels;
        for y in 0..component.down {
            for x in 0..component.across {
                let frequencies = self.decode_block(bits, component)?;
                let place = y * down * stride + (unit * component.across + x) * across;
                cosines.invert(&frequencies, self.pixels, &mut self.values[place..], stride);
            }
        }
        Some(())
    }

    #[inline(always)]
    fn decode_block(&mut self, bits: &mut Bits<'_>, component: &Component) -> Option<Frequencies> {
        let mut frequencies = [0.0; BLOCK * BLOCK];
        let size = bits.symbol(&component.first)?;
        if size > 11 {
            return None;
        }
        self.mean = self.mean.wrapping_add(bits.value(u32::from(size)));
        frequencies[0] = self.mean as f32 * self.factors[0];
        let mut index = 1;
        while index < BLOCK * BLOCK {
            let symbol = bits.symbol(&component.others)?;
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            match (zeros, size) {
                (15, 0) => index += 16,
                (_, 0) => break,
                _ => {
                    index += zeros;
                    let place = usize::from(*ZIGZAG.get(index)?);
                    frequencies[place] = bits.value(size) as f32 * self.factors[index];
                    index += 1;
                }
            }
        }
        Some(frequencies)
    }
}

/// ITU-R BT.601 in 16-bit fixed point, as libjpeg has it.
#[inline(always)]
fn colour(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let luma = (i32::from(luma) << 16) + (1 << 15);
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    let sums = [
        luma + 91_881 * red,
        luma - 22_554 * blue - 46_802 * red,
        luma + 116_130 * blue,
    ];
    sums.map(|sum| (sum >> 16).clamp(0, 255) as u8)
}
