//! Samples through the extractor's steps, which run beside each other.

#![expect(clippy::unwrap_used, reason = "a test stops where its set-up fails")]

use std::borrow::Cow;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use curriculum_extractor::{DEFAULT_MODEL, Extractor, Model, Options, ReadError};
use image::{GrayImage, ImageFormat, Luma};

const BATCH: usize = 4;

fn extractor() -> Extractor {
    let options = Options {
        batch_size: Some(BATCH),
        ..Options::default()
    };
    Extractor::open(&Model::embedded(DEFAULT_MODEL).unwrap(), &options).unwrap()
}

/// A picture of its own for every sample.
fn picture(sample: usize) -> Vec<u8> {
    let image = GrayImage::from_fn(28, 28, |x, y| Luma([(x * 7 + y + sample as u32 * 5) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn results_come_in_the_order_of_the_samples() {
    let mut extractor = extractor();
    let wanted: Vec<usize> = (0..90).rev().filter(|sample| sample % 3 != 0).collect();
    let mut found = Vec::new();
    let timing = extractor
        .run(
            &mut wanted.iter().copied(),
            &|sample| match sample {
                40 => Err(ReadError::Sample("away".to_owned())),
                sample => Ok(Cow::Owned(picture(sample))),
            },
            &mut |sample, row| {
                found.push((sample, row.map(<[f32]>::to_vec)));
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert!(timing.session > std::time::Duration::ZERO && timing.load <= 2 * timing.total);
    let order: Vec<usize> = found.iter().map(|(sample, _)| *sample).collect();
    assert_eq!(order, wanted);
    for (sample, row) in found {
        if sample == 40 {
            assert_eq!(row, Err("away".to_owned()));
            continue;
        }
        let mut alone = vec![0.0; extractor.dimension()];
        extractor.extract(&[picture(sample)], &mut alone).unwrap();
        assert_eq!(row, Ok(alone), "{sample}");
    }
}

#[test]
fn reading_keeps_a_bounded_distance() {
    let (read, mut delivered, mut farthest) = (AtomicUsize::new(0), 0, 0);
    extractor()
        .run(
            &mut (0..400),
            &|sample| {
                read.fetch_add(1, Ordering::Relaxed);
                Ok(Cow::Owned(picture(sample)))
            },
            &mut |_, _| {
                delivered += 1;
                farthest = farthest.max(read.load(Ordering::Relaxed) - delivered);
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert_eq!((delivered, read.into_inner()), (400, 400));
    // Two loaders and two more batches per session.
    assert!(farthest <= 4 * BATCH, "{farthest}");
}

#[test]
fn the_caller_can_stop_a_run_of_any_length() {
    let mut extractor = extractor();
    let (read, mut delivered) = (AtomicUsize::new(0), 0);
    extractor
        .run(
            &mut (0..),
            &|sample| {
                read.fetch_add(1, Ordering::Relaxed);
                Ok(Cow::Owned(picture(sample)))
            },
            &mut |_, _| {
                delivered += 1;
                match delivered {
                    10 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            },
        )
        .unwrap();
    assert_eq!(delivered, 10);
    assert!(read.into_inner() <= 10 + 5 * BATCH);
    let mut features = vec![0.0; extractor.dimension()];
    extractor.extract(&[picture(1)], &mut features).unwrap();
}

#[test]
fn a_sample_that_must_not_be_left_out_ends_the_run() {
    let read = |sample| match sample {
        33 => Err(ReadError::Fatal("the disk is gone".to_owned())),
        sample => Ok(Cow::Owned(picture(sample))),
    };
    let error = extractor()
        .run(&mut (0..1000), &read, &mut |_, _| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
}

#[test]
fn no_samples_are_no_work() {
    let mut called = false;
    extractor()
        .run(
            &mut std::iter::empty(),
            &|_| Err(ReadError::Fatal("nothing to read".to_owned())),
            &mut |_, _| {
                called = true;
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert!(!called);
}

#[test]
fn a_panic_while_reading_ends_the_run() {
    let mut extractor = extractor();
    let ran = catch_unwind(AssertUnwindSafe(|| {
        extractor.run(
            &mut (0..1000),
            &|sample| {
                assert_ne!(sample, 50, "a defect");
                Ok(Cow::Owned(picture(sample)))
            },
            &mut |_, _| ControlFlow::Continue(()),
        )
    }));
    assert!(ran.is_err());
    let mut features = vec![0.0; extractor.dimension()];
    extractor.extract(&[picture(1)], &mut features).unwrap();
}
