use image::Rgb;
use proptest::prelude::*;

use super::*;

/// What `tests/data/preprocess.py` got from torchvision.
const REFERENCE: &[u8] = include_bytes!("../../tests/data/preprocess.f32");
const RESIZE: u32 = 20;
const CROP: u32 = 16;

fn preprocessor(interpolation: Interpolation) -> Preprocessor {
    Preprocessor::new(&Preprocessing {
        resize: RESIZE,
        crop: CROP,
        interpolation,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    })
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
    let preprocessor = preprocessor(interpolation);
    let mut pixels = vec![f32::NAN; preprocessor.len()];
    preprocessor
        .run(image, &mut Resizer::new(), &mut pixels)
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
    // One 8-bit step over the smallest std, for the resampler's own rounding; nothing where the
    // size is right already.
    const STEP: f32 = 1.001 / 255.0 / 0.224;
    let cases = [
        (97, 61, Bicubic, STEP),
        (61, 97, Bilinear, STEP),
        (20, 33, Bicubic, 0.0),
        (20, 35, Bicubic, 0.0),
        (9, 7, Bicubic, STEP),
        (400, 3, Bicubic, STEP),
        (1, 64, Bicubic, STEP),
        (640, 480, Bilinear, STEP),
        (640, 480, Bicubic, STEP),
    ];
    for (case, (width, height, interpolation, tolerance)) in cases.into_iter().enumerate() {
        let ours = run(&picture(width, height), interpolation);
        let worst = ours
            .iter()
            .zip(reference(case))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(
            worst <= tolerance,
            "{width}x{height} {interpolation:?}: off by {worst}"
        );
    }
    assert_eq!(
        reference(cases.len() - 1).count() * 4 * cases.len(),
        REFERENCE.len()
    );
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
fn strips_work_up_to_the_limit() {
    for (width, height) in [(16_384, 1), (1, 16_384)] {
        let resized = resized_size((width, height), RESIZE).unwrap();
        assert_eq!(resized.0.max(resized.1), RESIZE * 16_384);
        let pixels = run(
            &RgbImage::from_pixel(width, height, Rgb([255; 3])),
            Interpolation::Bicubic,
        );
        assert_eq!(pixels[0], (1.0 - 0.485) / 0.229);
        let error = resized_size((width, height), 224).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    }
    assert_eq!(resized_size((500, 375), 256).unwrap(), (341, 256));
    assert_eq!(resized_size((2048, 8192), 2048).unwrap(), (2048, 8192));
}

proptest! {
    #[test]
    fn one_colour_stays_one_colour(width in 1_u32..400, height in 1_u32..400, value: u8) {
        let pixels = run(&RgbImage::from_pixel(width, height, Rgb([value; 3])), Interpolation::Bicubic);
        let expected = preprocessor(Interpolation::Bicubic).normalised;
        for (values, table) in pixels.chunks_exact(pixels.len() / CHANNELS).zip(expected) {
            prop_assert!(values.iter().all(|found| *found == table[usize::from(value)]));
        }
    }
}
