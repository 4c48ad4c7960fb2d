//! The seam to the model.

mod parse;

pub(crate) use parse::{Parser, parsed_assignments, parsed_features};

use curriculum_extractor::{Extractor, ExtractorError, Model, Options, Read, Sink};
use curriculum_store::Digest;

/// Turns encoded images into features. The real one runs a model; tests count calls.
pub trait FeatureExtractor: Send {
    /// Name of the model.
    fn model(&self) -> &str;

    /// Hash of the model and its preprocessing: equal digests give equal features.
    fn digest(&self) -> Digest;

    /// Length of a feature vector.
    fn dimension(&self) -> usize;

    /// Reads the samples at the given indices, and hands each one's features to `sink`, in that
    /// order. A sample's features depend on its bytes alone; on a GPU their rounding also on the batch
    /// size and the device.
    ///
    /// # Errors
    /// When the model itself fails, or `read` says that a sample must not be left out.
    fn extract(
        &mut self,
        samples: &mut (dyn Iterator<Item = usize> + Send),
        read: &Read<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), String>;

    /// Gives memory that only extraction needed back to the device.
    fn release(&mut self) {}
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

    /// The model on its devices.
    #[must_use]
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
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
        samples: &mut (dyn Iterator<Item = usize> + Send),
        read: &Read<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), String> {
        let timing = self.extractor.run(samples, read, sink);
        let timing = timing.map_err(|error| error.to_string())?;
        tracing::info!(
            session_s = timing.session.as_secs_f64(),
            load_s = timing.load.as_secs_f64(),
            total_s = timing.total.as_secs_f64(),
            "extracted"
        );
        Ok(())
    }

    fn release(&mut self) {
        if let Err(error) = self.extractor.release() {
            tracing::warn!(%error, "memory was not given back");
        }
    }
}
