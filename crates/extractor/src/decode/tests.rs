use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba};
use proptest::prelude::*;

use super::{Buffer, guarded};
use crate::ImageError;

fn decode(bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let mut buffer = Buffer::default();
    let image = super::decode(bytes, &mut buffer)?;
    let (width, height) = (image.width as u32, image.height() as u32);
    Ok(RgbImage::from_raw(width, height, image.pixels.to_vec()).unwrap())
}

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
    for side in [10_000, 70_000, 1_000_000] {
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

/// A JPEG whose header says otherwise.
fn jpeg_of_size(width: u16, height: u16, start_of_frame: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture()
        .write_with_encoder(JpegEncoder::new(&mut bytes))
        .unwrap();
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    bytes[frame + 1] = start_of_frame;
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[test]
fn jpegs_are_bounded_by_all_that_the_decoder_holds() {
    let error = decode(&jpeg_of_size(65_535, 65_535, 0xc0)).unwrap_err();
    let shown =
        "too large: 65535×65535 pixels take 12287 MiB; at most 65535 a side and 256 MiB decoded";
    assert_eq!(error.to_string(), shown);
    // 36 million pixels fit as RGB, but not together with their coefficients.
    let error = decode(&jpeg_of_size(6000, 6000, 0xc2)).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
}

#[test]
fn jpegs_have_a_limited_number_of_scans() {
    let mut bytes = encode(picture(), ImageFormat::Jpeg);
    let scan = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xda])
        .unwrap();
    let scans = bytes[scan..bytes.len() - 2].repeat(101);
    bytes.splice(scan..bytes.len() - 2, scans);
    let error = decode(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "too large: 101 scans; a JPEG may have at most 100"
    );
}

#[test]
fn truncated_jpegs_are_errors_even_behind_a_preview() {
    let whole = encode(picture(), ImageFormat::Jpeg);
    // The preview, itself whole, in a segment of the header.
    let length = (whole.len() as u16 + 2).to_be_bytes();
    let segment = [&[0xff, 0xe1], &length[..], &whole].concat();
    let previewed = [&whole[..2], &segment, &whole[2..]].concat();
    for bytes in [whole, previewed] {
        decode(&bytes).unwrap();
        let error = decode(&bytes[..bytes.len() - 2]).unwrap_err();
        assert!(error.to_string().contains("truncated"), "{error}");
    }
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
