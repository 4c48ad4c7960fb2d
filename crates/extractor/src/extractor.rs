//! Batches of encoded images to rows of features.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::model::Model;
use crate::options::Options;
use crate::preprocess::{Preprocessor, Scratch};
use crate::session::Session;
use crate::{ExtractorError, ImageError};

/// A model, loaded and ready.
///
/// Holds the pixels of one run between calls; one extractor serves one thread at a time, and uses
/// rayon's threads for decoding and its own for the graph.
pub struct Extractor {
    session: Session,
    preprocessor: Preprocessor,
    /// (run length, 3, crop, crop)
    pixels: Vec<f32>,
}

/// An image without features.
#[derive(Debug)]
pub struct ImageFailure {
    /// Position in the slice of images.
    pub position: usize,
    /// Why.
    pub error: ImageError,
}

impl Extractor {
    /// Loads ONNX Runtime, on the first call in a process, and the model, and runs it once.
    pub fn open(model: &Model, options: &Options) -> Result<Self, ExtractorError> {
        let session = Session::open(model, options)?;
        let preprocessor = Preprocessor::new(model.entry());
        Ok(Self {
            session,
            preprocessor,
            pixels: Vec::new(),
        })
    }

    /// D, the length of a feature vector.
    pub fn dimension(&self) -> usize {
        self.session.dimension()
    }

    /// Encoded images to `features` (images, D), row-major.
    ///
    /// A broken image is a failure of its own, in order of position, and its row is zero; an error
    /// means that no row can be used. Any number of images may be given: they run in batches of
    /// [`Options::batch_size`], so the memory needed does not grow with it.
    pub fn extract(
        &mut self,
        images: &[impl AsRef<[u8]> + Sync],
        features: &mut [f32],
    ) -> Result<Vec<ImageFailure>, ExtractorError> {
        let dimension = self.dimension();
        let expected = images.len() * dimension;
        if features.len() != expected {
            return Err(ExtractorError::FeaturesLength {
                expected,
                actual: features.len(),
            });
        }
        let batch = self.session.batch_size();
        let mut failures = Vec::new();
        let batches = images
            .chunks(batch)
            .zip(features.chunks_mut(batch * dimension));
        for (index, (images, rows)) in batches.enumerate() {
            let failed = self.extract_batch(images, rows)?;
            failures.extend(failed.into_iter().map(|(offset, error)| ImageFailure {
                position: index * batch + offset,
                error,
            }));
        }
        Ok(failures)
    }

    fn extract_batch(
        &mut self,
        images: &[impl AsRef<[u8]> + Sync],
        rows: &mut [f32],
    ) -> Result<Vec<(usize, ImageError)>, ExtractorError> {
        let start = Instant::now();
        let mut errors = self.preprocess(images);
        let preprocessed = start.elapsed();
        if errors.iter().any(Option::is_none) {
            self.session.run(&self.pixels, rows)?;
        }
        for (row, error) in rows
            .chunks_exact_mut(self.session.dimension())
            .zip(&mut errors)
        {
            if error.is_none() && !row.iter().all(|feature| feature.is_finite()) {
                *error = Some(ImageError::NotFinite);
            }
            if error.is_some() {
                row.fill(0.0);
            }
        }
        let failed: Vec<_> = errors
            .into_iter()
            .enumerate()
            .filter_map(|(offset, error)| Some((offset, error?)))
            .collect();
        trace(images.len(), failed.len(), preprocessed, start.elapsed());
        Ok(failed)
    }

    /// Fills `pixels` with one run; images that fail, and places without an image, are zero.
    fn preprocess(&mut self, images: &[impl AsRef<[u8]> + Sync]) -> Vec<Option<ImageError>> {
        let Self {
            session,
            preprocessor,
            pixels,
        } = self;
        pixels.clear();
        pixels.resize(session.run_length(images.len()) * preprocessor.len(), 0.0);
        let places = pixels.par_chunks_exact_mut(preprocessor.len());
        let outcomes = places
            .zip(images)
            .map_init(Scratch::default, |scratch, (pixels, image)| {
                preprocessor.run(image.as_ref(), scratch, pixels)
            });
        outcomes.map(Result::err).collect()
    }
}

fn trace(images: usize, failed: usize, preprocessed: Duration, total: Duration) {
    let preprocess_us = preprocessed.as_micros() as u64;
    let session_us = (total - preprocessed).as_micros() as u64;
    tracing::debug!(images, failed, preprocess_us, session_us, "extracted batch");
}
