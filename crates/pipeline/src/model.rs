//! The model that jobs are checked against, and what stands for it until it is loaded.

use crate::{FeatureExtractor, PipelineError};
use curriculum_store::Digest;

/// What turns the bytes of samples into features, as records of jobs name it.
#[derive(Clone, Debug)]
pub(crate) struct LoadedModel {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) dimension: usize,
}

/// The server's model.
#[derive(Clone, Debug)]
pub(crate) enum Model {
    /// Nobody has said yet.
    Expected,
    /// It could not be opened, and why. It may come later all the same.
    Missing(String),
    Loaded(LoadedModel),
}

impl LoadedModel {
    pub(crate) fn of(extractor: &dyn FeatureExtractor) -> Self {
        Self {
            name: extractor.model().to_owned(),
            digest: extractor.digest(),
            dimension: extractor.dimension(),
        }
    }
}

impl Model {
    /// # Errors
    /// When there is none: jobs on images are refused then.
    pub(crate) fn loaded(&self) -> Result<&LoadedModel, PipelineError> {
        match self {
            Self::Loaded(model) => Ok(model),
            Self::Expected => Err(PipelineError::ModelNotReady),
            Self::Missing(reason) => Err(PipelineError::NoModel(reason.clone())),
        }
    }
}
