use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use proptest::prelude::*;

use super::*;

/// What `tests/data/preprocess.py` got from torchvision.
const REFERENCE: &[u8] = include_bytes!("../../tests/data/preprocess.f32");
const RESIZE: u32 = 20;
const CROP: u32 = 16;

fn preprocessor(interpolation: Interpolation) -> Preprocessor {
    Preprocessor {
        resize: RESIZE,
        crop: CROP,
        layout: Layout::Nchw,
        filter: interpolation,
        scaled: Scaled::Off,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    }
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([0, 1, 2].map(|c| {
            let edges = 90 * ((x / 7 + y / 5 + c) % 2);
            ((3 * x + 5 * y + 40 * c + edges) % 256) as u8
        }))
    })
}

fn run(image: &RgbImage, interpolation: Interpolation) -> Vec<f32> {
    let mut encoded = Cursor::new(Vec::new());
    image.write_to(&mut encoded, ImageFormat::Pnm).unwrap();
    let preprocessor = preprocessor(interpolation);
    let mut pixels = vec![f32::NAN; preprocessor.len()];
    preprocessor
        .run(encoded.get_ref(), &mut Scratch::default(), &mut pixels)
        .unwrap();
    pixels
}

fn reference(case: usize) -> impl Iterator<Item = f32> {
    let bytes = (CHANNELS as u32 * CROP * CROP * 4) as usize;
    let values = REFERENCE[case * bytes..][..bytes].as_chunks().0;
    values.iter().map(|value| f32::from_le_bytes(*value))
}

#[test]
fn agrees_with_torchvision() {
    use Interpolation::{Bicubic, Bilinear};
    let cases = [
        (97, 61, Bicubic),
        (61, 97, Bilinear),
        (20, 33, Bicubic),
        (20, 35, Bicubic),
        (9, 7, Bicubic),
        (400, 3, Bicubic),
        (1, 64, Bicubic),
        (640, 480, Bilinear),
        (640, 480, Bicubic),
        (12, 12, Bicubic),
        (12, 31, Bicubic),
        (64, 1, Bilinear),
        (1, 1, Bicubic),
        (2, 1, Bicubic),
        (3, 4001, Bicubic),
        (4001, 3, Bilinear),
        (1, 16_384, Bicubic),
        (19, 15, Bilinear),
        (16, 1999, Bicubic),
    ];
    for (case, (width, height, interpolation)) in cases.into_iter().enumerate() {
        let ours = run(&picture(width, height), interpolation);
        assert!(
            ours.into_iter().eq(reference(case)),
            "{width}x{height} {interpolation:?}"
        );
    }
    assert_eq!(
        reference(cases.len() - 1).count() * 4 * cases.len(),
        REFERENCE.len()
    );
}

#[test]
fn what_preprocessing_makes_is_taken_back_bit_for_bit() {
    for layout in [Layout::Nchw, Layout::Nhwc] {
        let preprocessor = Preprocessor {
            layout,
            ..preprocessor(Interpolation::Bicubic)
        };
        let mut encoded = Cursor::new(Vec::new());
        let image = picture(97, 61);
        image.write_to(&mut encoded, ImageFormat::Pnm).unwrap();
        let (mut made, mut taken) = (vec![0.0; preprocessor.len()], vec![0.0; preprocessor.len()]);
        let scratch = &mut Scratch::default();
        preprocessor
            .run(encoded.get_ref(), scratch, &mut made)
            .unwrap();
        // The file has the channels first whatever the model's layout is.
        let values = run(&image, Interpolation::Bicubic);
        let values = values.iter().flat_map(|value| value.to_le_bytes());
        let side = CROP as usize;
        let header = curriculum_npy::header("<f4", &[CHANNELS, side, side]);
        let file: Vec<u8> = header.into_iter().chain(values).collect();
        preprocessor.run(&file, scratch, &mut taken).unwrap();
        assert_eq!(made, taken);
    }
}

#[test]
fn halves_round_to_even() {
    let offsets = [
        (16, 0),
        (17, 0),
        (18, 1),
        (19, 2),
        (20, 2),
        (21, 2),
        (23, 4),
    ];
    for (resized, offset) in offsets {
        assert_eq!(crop_offset(resized, 16), offset, "{resized}");
    }
}

#[test]
fn strips_of_the_greatest_length_are_no_burden() {
    for (width, height) in [(65_535, 1), (1, 65_535)] {
        let white = RgbImage::from_pixel(width, height, Rgb([255; 3]));
        let pixels = run(&white, Interpolation::Bicubic);
        assert_eq!(pixels[0], (1.0 - 0.485) / 0.229);
    }
    assert_eq!(resized_size((65_535, 1), 2048), (65_535 * 2048, 2048));
    assert_eq!(resized_size((500, 375), 256), (341, 256));
}

#[test]
fn a_scratch_gives_the_memory_of_large_images_back() {
    let preprocessor = preprocessor(Interpolation::Bicubic);
    let mut scratch = Scratch::default();
    let mut pixels = vec![0.0; preprocessor.len()];
    let mut encoded = b"P5\n8000 4000\n255\n".to_vec();
    encoded.resize(encoded.len() + 32_000_000, 7);
    preprocessor
        .run(&encoded, &mut scratch, &mut pixels)
        .unwrap();
    assert!(scratch.decoded.capacity() <= KEPT_BYTES);
}

proptest! {
    #[test]
    fn one_colour_stays_one_colour(width in 1_u32..400, height in 1_u32..400, value: u8) {
        let pixels = run(&RgbImage::from_pixel(width, height, Rgb([value; 3])), Interpolation::Bicubic);
        let preprocessor = preprocessor(Interpolation::Bicubic);
        for (channel, values) in pixels.chunks_exact(pixels.len() / CHANNELS).enumerate() {
            let expected = preprocessor.normalised(channel, value);
            prop_assert!(values.iter().all(|found| *found == expected));
        }
    }
}
