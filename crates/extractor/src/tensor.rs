//! Samples that are the model's input already: `.npy` files of shape (3, side, side), f32 or f16 in C
//! order, as a trainer's own transform makes them.
//!
//! They are neither decoded, resized nor normalised, and become the input's element type and layout,
//! nothing else. The file is a peer's: it costs no memory beside its own bytes, and what is wrong with
//! it is an error of this sample alone.

use crate::ImageError;
use crate::model::Layout;
use crate::preprocess::CHANNELS;
use curriculum_npy::Tensor;

/// Fills `pixels`, the room of one image, in the model's `layout`.
pub(crate) fn read(
    file: &[u8],
    side: usize,
    layout: Layout,
    pixels: &mut [f32],
) -> Result<(), ImageError> {
    let shape = [CHANNELS as u64, side as u64, side as u64];
    let tensor = Tensor::parse(file, &shape).map_err(|problem| ImageError::NotInput {
        reason: problem.to_string(),
    })?;
    match layout {
        Layout::Nchw => tensor.copy_to(0, pixels),
        Layout::Nhwc => {
            let mut row = vec![0.0; side];
            for (first, (channel, y)) in (0..).step_by(side).zip(rows(side)) {
                tensor.copy_to(first, &mut row);
                let places = &mut pixels[y * side * CHANNELS..][..side * CHANNELS];
                let places = places.as_chunks_mut::<CHANNELS>().0.iter_mut();
                places
                    .zip(&row)
                    .for_each(|(place, value)| place[channel] = *value);
            }
        }
    }
    check(pixels, side, layout)
}

/// Channel and row, in the file's order.
fn rows(side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..CHANNELS).flat_map(move |channel| (0..side).map(move |y| (channel, y)))
}

/// The model would make NaN of them, or hide them.
fn check(pixels: &[f32], side: usize, layout: Layout) -> Result<(), ImageError> {
    if pixels
        .iter()
        .fold(true, |finite, value| finite & value.is_finite())
    {
        return Ok(());
    }
    let place = pixels.iter().position(|value| !value.is_finite());
    let place = place.unwrap_or_default();
    let [channel, y, x] = match layout {
        Layout::Nchw => [place / (side * side), place / side % side, place % side],
        Layout::Nhwc => [
            place % CHANNELS,
            place / (side * CHANNELS),
            place / CHANNELS % side,
        ],
    };
    Err(ImageError::NotInput {
        reason: format!(
            "its value at [{channel}, {y}, {x}] is {}, not a finite number",
            pixels[place]
        ),
    })
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    const SIDE: usize = 2;
    const LENGTH: usize = CHANNELS * SIDE * SIDE;

    fn file(values: [f32; LENGTH]) -> Vec<u8> {
        let values = values.iter().flat_map(|value| value.to_le_bytes());
        let header = curriculum_npy::header("<f4", &[CHANNELS, SIDE, SIDE]);
        header.into_iter().chain(values).collect()
    }

    /// Channel, row, column.
    fn values() -> [f32; LENGTH] {
        std::array::from_fn(|place| {
            let [channel, y, x] = [place / 4, place / 2 % 2, place % 2];
            (100 * channel + 10 * y + x) as f32
        })
    }

    fn read(file: &[u8], layout: Layout) -> Result<[f32; LENGTH], String> {
        let mut pixels = [f32::NAN; LENGTH];
        let read = super::read(file, SIDE, layout, &mut pixels);
        read.map(|()| pixels).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_taken_as_they_are_in_the_models_layout() {
        assert_eq!(read(&file(values()), Layout::Nchw), Ok(values()));
        let last = [0, 100, 200, 1, 101, 201, 10, 110, 210, 11, 111, 211];
        assert_eq!(
            read(&file(values()), Layout::Nhwc),
            Ok(last.map(|value| value as f32))
        );
        let halves = values().map(|value| f16::from_f32(value / 7.0));
        let header = curriculum_npy::header("<f2", &[CHANNELS, SIDE, SIDE]);
        let bytes = halves.iter().flat_map(|half| half.to_le_bytes());
        let bytes: Vec<u8> = header.into_iter().chain(bytes).collect();
        assert_eq!(read(&bytes, Layout::Nchw), Ok(halves.map(f16::to_f32)));
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        for (place, index) in [(1, "[0, 0, 1]"), (6, "[1, 1, 0]"), (11, "[2, 1, 1]")] {
            for (bad, name) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
                let mut values = values();
                values[place] = bad;
                for layout in [Layout::Nchw, Layout::Nhwc] {
                    let error = read(&file(values), layout).unwrap_err();
                    let expected = format!(
                        "not the input of this model: its value at {index} is {name}, not a finite number"
                    );
                    assert_eq!(error, expected);
                }
            }
        }
    }

    #[test]
    fn what_is_no_input_says_why() {
        let good = file(values());
        for cut in 6..good.len() {
            let error = read(&good[..cut], Layout::Nchw).unwrap_err();
            assert!(error.contains("truncated"), "{cut}: {error}");
        }
        let other = [&curriculum_npy::header("<f4", &[1, 2, 2])[..], &[0; 16]].concat();
        let error = read(&other, Layout::Nchw).unwrap_err();
        assert!(
            error.ends_with("the shape is (1, 2, 2), expected (3, 2, 2)"),
            "{error}"
        );
    }
}
