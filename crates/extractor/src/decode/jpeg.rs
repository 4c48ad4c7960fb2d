//! JPEG through `zune-jpeg`, into a buffer that is used again.
//!
//! It computes as libjpeg-turbo does, but its inverse transform and upsampling round otherwise: a
//! value may differ from Pillow's by a few steps where colours are sharp. Arithmetic coding, lossless
//! JPEG and 12 bits are not supported.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{MAX_SIDE, check_size};
use crate::ImageError;
use crate::vectorize::vectorize;

const START: [u8; 3] = [0xff, 0xd8, 0xff];
const START_OF_SCAN: [u8; 2] = [0xff, 0xda];
const END: [u8; 2] = [0xff, 0xd9];
/// Each goes over the whole image; encoders write about ten.
const MAX_SCANS: usize = 100;

pub(super) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&START)
}

/// Replaces what `rgb` holds; returns the width.
pub(super) fn decode(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<usize, ImageError> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(MAX_SIDE as usize)
        .set_max_height(MAX_SIDE as usize)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let undecodable = |error: zune_jpeg::errors::DecodeErrors| ImageError::Undecodable {
        reason: error.to_string(),
    };
    decoder.decode_headers().map_err(undecodable)?;
    let scans = check_scans(bytes)?;
    let Some(info) = decoder.info() else {
        return Err(undecodable("it has no header".into()));
    };
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let pixels = u64::from(width) * u64::from(height);
    // Two bytes for each coefficient, unless one scan has all.
    let buffered = scans > 1 || !info.sof.is_sequential_dct();
    let coefficients = if buffered {
        2 * u64::from(info.components)
    } else {
        0
    };
    check_size(width, height, pixels * (3 + coefficients))?;

    rgb.clear();
    rgb.resize(3 * pixels as usize, 0);
    decoder.decode_into(rgb).map_err(undecodable)?;
    Ok(width as usize)
}

/// The number of scans, at most [`MAX_SCANS`]; an error too where the file ends before its end
/// marker, which the decoder would fill with grey and Pillow refuses.
///
/// Two bytes that mark a scan or the end cannot occur within a scan. A preview in the header has them too, so the
/// header is skipped.
fn check_scans(bytes: &[u8]) -> Result<usize, ImageError> {
    let scans = &bytes[header_length(bytes).unwrap_or(START.len())..];
    if !scans.windows(END.len()).rev().any(|pair| pair == END) {
        return Err(ImageError::Undecodable {
            reason: "the JPEG is truncated: it has no end marker".to_owned(),
        });
    }
    let following = scans.get(1..).unwrap_or_default();
    let count = vectorize(
        #[inline(always)]
        || {
            let pairs = scans.iter().zip(following);
            pairs
                .filter(|(first, second)| [**first, **second] == START_OF_SCAN)
                .count()
        },
    );
    if count > MAX_SCANS {
        let reason = format!("{count} scans; a JPEG may have at most {MAX_SCANS}");
        return Err(ImageError::TooLarge { reason });
    }
    Ok(count)
}

/// Bytes before the first scan, by the lengths of the segments; none where they are broken.
fn header_length(bytes: &[u8]) -> Option<usize> {
    let mut place = 2;
    loop {
        let [first, marker] = *bytes.get(place..)?.first_chunk()?;
        match [first, marker] {
            START_OF_SCAN => return Some(place),
            [0xff, 0xff] => place += 1,
            [0xff, _] => {
                let length = bytes.get(place + 2..)?.first_chunk()?;
                place += 2 + usize::from(u16::from_be_bytes(*length));
            }
            _ => return None,
        }
    }
}
