//! A model: an ONNX graph, and the entry that says how images become its input.

mod digest;
mod entry;
mod layer;
mod registry;

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use crate::ExtractorError;
use crate::hub::{self, HubOptions};
use crate::onnx::{Graph, GraphSummary};

pub(crate) use entry::ENTRY_SCHEMA;
pub use entry::{Interpolation, Layout, ModelEntry, Preprocessing, Tokens};
pub use layer::Layer;
pub use registry::{KnownModel, ModelSource, known_models};
pub(crate) use registry::{REGISTRY, Registered};

/// The embedded model used when a user names none.
pub const DEFAULT_MODEL: &str = "dino_fashion";

/// Protobuf's limit for one message, hence for an ONNX file that holds its weights.
const MAX_ONNX_BYTES: u64 = 1 << 31;

/// A graph and its entry, checked but not yet loaded.
#[derive(Debug, Clone)]
pub struct Model {
    entry: ModelEntry,
    onnx: Cow<'static, [u8]>,
    digest: [u8; 32],
}

impl Model {
    /// A path that ends in `.onnx`, an embedded model by name, or one of the hub's by the name it
    /// was pulled under.
    ///
    /// For a name that a peer sent use [`Model::embedded`], which never opens a file.
    ///
    /// # Errors
    /// Besides those of [`Model::from_file`]: [`ExtractorError::UnknownModel`],
    /// [`ExtractorError::NotPulled`], and [`ExtractorError::PinBroken`] for a file that is not the
    /// one that was pulled.
    pub fn resolve(name_or_file: &str) -> Result<Self, ExtractorError> {
        Self::resolve_in(name_or_file, HubOptions::from_env().cache())
    }

    /// As [`Model::resolve`], with the models of the hub in `cache`.
    pub fn resolve_in(name_or_file: &str, cache: &Path) -> Result<Self, ExtractorError> {
        let path = Path::new(name_or_file);
        if path.extension().is_some_and(|end| end == "onnx") {
            return Self::from_file(path);
        }
        match registry::registered(name_or_file) {
            Some(registered) => {
                let onnx = hub::load(registered, cache)?;
                Ok(Self::new(registered.entry(), Cow::Owned(onnx)))
            }
            None => Self::embedded(name_or_file),
        }
    }

    /// An embedded model by name.
    pub fn embedded(name: &str) -> Result<Self, ExtractorError> {
        let Some(found) = registry::embedded(name) else {
            return Err(ExtractorError::UnknownModel {
                name: name.to_owned(),
            });
        };
        let entry = ModelEntry::parse(found.entry, &format!("embedded {name}.toml"))?;
        Ok(Self::new(entry, Cow::Borrowed(found.onnx)))
    }

    /// `FILE.onnx`, with its weights inside, and its entry in `FILE.toml` beside it.
    ///
    /// # Errors
    /// Unreadable, larger than 2 GiB, weights in a file beside it, or an entry that is missing,
    /// malformed or out of range.
    pub fn from_file(path: &Path) -> Result<Self, ExtractorError> {
        check_size(path)?;
        let entry = ModelEntry::read(&path.with_extension("toml"))?;
        let onnx = read(path)?;
        // What cannot be read here is for ONNX Runtime to judge.
        if Graph::parse(&onnx).is_ok_and(|graph| graph.has_weights_elsewhere()) {
            return Err(ExtractorError::WeightsElsewhere {
                path: path.to_owned(),
            });
        }
        Ok(Self::new(entry, Cow::Owned(onnx)))
    }

    fn new(entry: ModelEntry, onnx: Cow<'static, [u8]>) -> Self {
        let digest = digest::digest(&entry, &onnx);
        Self {
            entry,
            onnx,
            digest,
        }
    }

    /// The same weights, features taken at `layer` instead of the model's output.
    ///
    /// # Errors
    /// [`ExtractorError::GraphMalformed`], [`ExtractorError::UnknownTensor`],
    /// [`ExtractorError::NoSuchBlock`].
    pub fn with_layer(self, layer: &Layer) -> Result<Self, ExtractorError> {
        let Self {
            mut entry,
            mut onnx,
            ..
        } = self;
        let tap = layer::tap(&onnx, &entry.name, layer)?;
        entry.output = tap.output;
        if !tap.suffix.is_empty() {
            onnx.to_mut().extend_from_slice(&tap.suffix);
        }
        Ok(Self::new(entry, onnx))
    }

    /// The same graph, its tokens pooled another way.
    ///
    /// # Errors
    /// [`ExtractorError::EntryOutOfRange`] for the class token of a model that has none.
    pub fn with_tokens(self, tokens: Tokens) -> Result<Self, ExtractorError> {
        let entry = ModelEntry {
            tokens,
            ..self.entry
        };
        let entry = entry.checked("--tokens")?;
        Ok(Self::new(entry, self.onnx))
    }

    /// The same graph, large JPEGs decoded at a part of their size, see
    /// [`Preprocessing::scaled_decoding`].
    #[must_use]
    pub fn with_scaled_decoding(self) -> Self {
        let mut entry = self.entry;
        entry.preprocessing.scaled_decoding = true;
        Self::new(entry, self.onnx)
    }

    /// What is in the graph: its ends, its blocks, the tensors that [`Model::with_layer`] takes.
    ///
    /// # Errors
    /// [`ExtractorError::GraphMalformed`].
    pub fn graph(&self) -> Result<GraphSummary, ExtractorError> {
        GraphSummary::of(&self.onnx, &self.entry.name)
    }

    /// Name, graph ends and preprocessing.
    pub fn entry(&self) -> &ModelEntry {
        &self.entry
    }

    /// BLAKE3 over all that features depend on: the graph, which of its ends are used, and the
    /// preprocessing. Not the name nor the description.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Size of the graph with its weights, in bytes.
    pub fn size(&self) -> usize {
        self.onnx.len()
    }

    pub(crate) fn onnx(&self) -> &[u8] {
        &self.onnx
    }
}

impl GraphSummary {
    /// What is in an ONNX file, which needs no entry for that.
    ///
    /// # Errors
    /// Unreadable, larger than 2 GiB, or [`ExtractorError::GraphMalformed`].
    pub fn of_file(path: &Path) -> Result<Self, ExtractorError> {
        check_size(path)?;
        Self::of(&read(path)?, &path.display().to_string())
    }
}

fn check_size(path: &Path) -> Result<(), ExtractorError> {
    let unreadable = |source| ExtractorError::ModelUnreadable {
        path: path.to_owned(),
        source,
    };
    match fs::metadata(path).map_err(unreadable)?.len() {
        ..MAX_ONNX_BYTES => Ok(()),
        bytes => Err(ExtractorError::ModelTooLarge {
            path: path.to_owned(),
            bytes,
        }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ExtractorError> {
    fs::read(path).map_err(|source| ExtractorError::ModelUnreadable {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn is_embedded(name: &str) -> bool {
    registry::embedded(name).is_some()
}

/// The names of all models, for messages.
pub(crate) fn known_names() -> String {
    let names: Vec<_> = known_models().map(|model| model.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
