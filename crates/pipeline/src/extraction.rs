//! The seam to the model.

use curriculum_extractor::{Extractor, ExtractorError, Model, Options};
use curriculum_store::Digest;

/// Turns encoded images into features. The real one runs a model; tests count calls.
pub trait FeatureExtractor: Send {
    /// Name of the model.
    fn model(&self) -> &str;

    /// Hash of the model and its preprocessing: equal digests give equal features.
    fn digest(&self) -> Digest;

    /// Length of a feature vector.
    fn dimension(&self) -> usize;

    /// Fills `features`, row-major, one row per image. An image's row depends on that image alone.
    ///
    /// Returns the positions of images that could not be used, with the reason; their rows are zero.
    ///
    /// # Errors
    /// When the model itself fails.
    fn extract(
        &mut self,
        images: &[Vec<u8>],
        features: &mut [f32],
    ) -> Result<Vec<(usize, String)>, String>;
}

/// A model on ONNX Runtime.
pub struct OnnxExtractor {
    name: String,
    digest: Digest,
    extractor: Extractor,
}

impl OnnxExtractor {
    /// Loads the model.
    ///
    /// # Errors
    /// When the library, the execution provider or the model cannot be used.
    pub fn open(model: &Model, options: &Options) -> Result<Self, ExtractorError> {
        Ok(Self {
            name: model.entry().name.clone(),
            digest: Digest::from(model.digest()),
            extractor: Extractor::open(model, options)?,
        })
    }
}

impl FeatureExtractor for OnnxExtractor {
    fn model(&self) -> &str {
        &self.name
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn dimension(&self) -> usize {
        self.extractor.dimension()
    }

    fn extract(
        &mut self,
        images: &[Vec<u8>],
        features: &mut [f32],
    ) -> Result<Vec<(usize, String)>, String> {
        let failures = self
            .extractor
            .extract(images, features)
            .map_err(|error| error.to_string())?;
        Ok(failures
            .into_iter()
            .map(|failure| (failure.position, failure.error.to_string()))
            .collect())
    }
}
