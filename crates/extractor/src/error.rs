//! Failures of the whole extractor, and of single images.

use std::path::PathBuf;

use crate::model::{ENTRY_SCHEMA, known_names};
use crate::options::ExecutionProvider;

/// Why no features came out of a call.
///
/// Reasons given as text are ONNX Runtime's own words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractorError {
    /// The name is neither a known model nor an `.onnx` file.
    #[error(
        "unknown model \"{name}\": known are {}, or give the path of an .onnx file",
        known_names()
    )]
    UnknownModel {
        /// The name as given.
        name: String,
    },
    /// A model of the hub that is not in the cache.
    #[error("{name} is not on this machine: run `curriculum models pull {name}`")]
    NotPulled {
        /// The model.
        name: String,
    },
    /// A cached model that is not the one that was pulled.
    #[error(
        "{} has checksum {found}, but pinned is {pinned}; `curriculum models pull {name}` restores it",
        path.display()
    )]
    PinBroken {
        /// The model.
        name: String,
        /// Its file.
        path: PathBuf,
        /// SHA-256 recorded when it was pulled.
        pinned: String,
        /// SHA-256 of the file.
        found: String,
    },
    /// A file of the model cannot be read.
    #[error("cannot read {}", path.display())]
    ModelUnreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Larger than a protobuf message, hence than an ONNX file, can be.
    #[error("{} has {bytes} bytes: an ONNX file has at most 2 GiB", path.display())]
    ModelTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The ONNX file refers to other files for its weights.
    #[error(
        "{} keeps its weights in other files: save it as one file, in torch.onnx.export with \
         external_data=False",
        path.display()
    )]
    WeightsElsewhere {
        /// The file.
        path: PathBuf,
    },
    /// What is in the file cannot be told.
    #[error("the graph of {model} cannot be read: {reason}")]
    GraphMalformed {
        /// The model's name or file.
        model: String,
        /// What is wrong.
        reason: String,
    },
    /// No tensor of this name is computed in the graph.
    #[error(
        "{model} has no tensor \"{tensor}\"{}; `curriculum models inspect` lists all",
        near_names(near)
    )]
    UnknownTensor {
        /// The model's name.
        model: String,
        /// As asked for.
        tensor: String,
        /// Names that are like it, the most alike first.
        near: Vec<String>,
    },
    /// Past the last transformer block, or no transformer.
    #[error("{model} has no block:{block}: {}", block_range(*.blocks))]
    NoSuchBlock {
        /// The model's name.
        model: String,
        /// As asked for, from 0.
        block: usize,
        /// Blocks found.
        blocks: usize,
    },
    /// An ONNX file without its entry beside it.
    #[error("the model needs an entry: write {} like this:\n{ENTRY_SCHEMA}", path.display())]
    EntryMissing {
        /// The file to write.
        path: PathBuf,
    },
    /// The entry is not TOML, or has unknown, missing or mistyped fields.
    #[error("{file} is no model entry: {reason}")]
    EntryMalformed {
        /// The entry's file.
        file: String,
        /// Place and cause.
        reason: String,
    },
    /// A field of the entry is outside its range.
    #[error("{file}: {field} {reason}")]
    EntryOutOfRange {
        /// The entry's file.
        file: String,
        /// The field, with its table.
        field: &'static str,
        /// The range and the value.
        reason: String,
    },
    /// ONNX Runtime's shared library is in none of the places searched.
    #[error(
        "ONNX Runtime's shared library was not found. Installed by pip: `pip install onnxruntime`, or \
         `onnxruntime-gpu`, into the same environment; built from source: `make onnxruntime`; or set \
         ORT_DYLIB_PATH to the library. Looked in: {}",
        list(looked_in)
    )]
    LibraryNotFound {
        /// The folders searched, in order.
        looked_in: Vec<PathBuf>,
    },
    /// The file exists but is no ONNX Runtime, or one too old.
    #[error("{} cannot be used as ONNX Runtime: {reason}", path.display())]
    LibraryUnusable {
        /// The library.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The model would not run where it should; there is no silent fall back to the CPU.
    #[error("execution provider {provider} cannot be used: {reason}")]
    ProviderUnavailable {
        /// What was asked for.
        provider: ExecutionProvider,
        /// The cause.
        reason: String,
    },
    /// An option is outside its range.
    #[error("option {option} {reason}")]
    OptionOutOfRange {
        /// The field of [`crate::Options`].
        option: &'static str,
        /// The range and the value.
        reason: String,
    },
    /// ONNX Runtime does not accept the graph, or the graph does not fit its entry.
    #[error("model {model} cannot be used: {reason}")]
    ModelRejected {
        /// The model's name.
        model: String,
        /// The cause.
        reason: String,
    },
    /// The graph failed on a batch of images.
    #[error("model {model} failed: {reason}")]
    RunFailed {
        /// The model's name.
        model: String,
        /// The cause.
        reason: String,
    },
    /// The caller could not read a sample, and does not want to go on without it.
    #[error("{reason}")]
    Unreadable {
        /// The caller's words.
        reason: String,
    },
    /// Threads for decoding cannot be started.
    #[error("cannot start threads: {reason}")]
    NoThreads {
        /// The cause.
        reason: String,
    },
    /// The caller's slice does not hold one row per image.
    #[error("features need room for {expected} values, not {actual}")]
    FeaturesLength {
        /// Images times dimension.
        expected: usize,
        /// Length of the slice.
        actual: usize,
    },
}

/// Why one image has no features.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The first bytes are those of no format known here.
    #[error("not a JPEG, PNG, WebP, BMP, TIFF, PNM or GIF image, nor a .npy tensor")]
    UnknownFormat,
    /// Broken, truncated, or of a kind its decoder does not support.
    #[error("cannot be decoded: {reason}")]
    Undecodable {
        /// The decoder's words.
        reason: String,
    },
    /// More pixels or memory than an image may take.
    #[error("too large: {reason}")]
    TooLarge {
        /// Which limit.
        reason: String,
    },
    /// A `.npy` file, but not of the model's input.
    #[error("not the input of this model: {reason}")]
    NotInput {
        /// What is wrong with it.
        reason: String,
    },
    /// The resampler refuses its size.
    #[error("cannot be resized: {reason}")]
    Unresizable {
        /// The cause.
        reason: String,
    },
    /// The decoder panicked, which is a defect in it; the image counts as broken.
    #[error("the decoder failed on it")]
    DecoderPanicked,
    /// The model's answer holds NaN or infinity.
    #[error("its features are not finite")]
    NotFinite,
}

fn near_names(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!(", but {}", near.join(", ")),
    }
}

fn block_range(blocks: usize) -> String {
    match blocks.checked_sub(1) {
        None => "no transformer blocks were recognised, choose a tensor by its name".to_owned(),
        Some(last) => format!("it has {blocks}, block:0 to block:{last}"),
    }
}

fn list(folders: &[PathBuf]) -> String {
    let names: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    names.join(", ")
}
