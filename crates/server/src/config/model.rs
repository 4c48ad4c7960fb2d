//! The model and where it runs; the command line's settings of the same name are these.

use curriculum_extractor::{
    self as extractor, DEFAULT_MODEL, ExecutionProvider, ExtractorError, Options,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The model and where it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Name of a model, or path of an ONNX file with a TOML of the same name beside it.
    pub name: String,
    /// `block:N`, counted from 0, or the name of a tensor; by default the entry's output.
    pub layer: Option<String>,
    /// `cls`, `mean` or `cls+mean` of a layer's tokens; by default what the entry says.
    pub tokens: Option<String>,
    /// Whether large JPEGs may be decoded at a part of their size: faster, and up to 16 of 255 steps
    /// off.
    pub scaled_decoding: bool,
    /// `cpu`, `cuda` or `tensorrt`; a GPU that cannot be used is an error, never the CPU instead.
    pub execution_provider: ExecutionProvider,
    /// GPUs to use, each with a session of its own.
    pub device_ids: Vec<u32>,
    /// Most bytes ONNX Runtime may take on each GPU, 0 for all there are.
    pub gpu_memory_limit: u64,
    /// Folder for the engines that TensorRT builds.
    pub engine_cache: Option<PathBuf>,
    /// Threads of one run of the model, 0 for one per core.
    pub threads: usize,
    /// Images per run of the model, 0 for what a short probe finds fastest.
    pub batch_size: usize,
    /// Whether the server refuses to start without the model. If not, it opens the model in the
    /// background, again every half minute until it can be used, and serves meanwhile what needs none.
    pub required: bool,
}

/// Settings of the model that were given as flags; each of the same name in the file.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the fields of `Model`")]
pub struct ModelOverrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaled_decoding: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_provider: Option<ExecutionProvider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_ids: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_cache: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
}

impl Model {
    /// The model at its layer, and how it is to be run.
    ///
    /// # Errors
    /// When there is no such model, layer or pooling, or a setting is out of its range.
    pub fn load(&self) -> Result<(extractor::Model, Options), ExtractorError> {
        let mut model = extractor::Model::resolve(&self.name)?;
        let out_of_range =
            |option| move |reason| ExtractorError::OptionOutOfRange { option, reason };
        if let Some(layer) = &self.layer {
            model = model.with_layer(&layer.parse().map_err(out_of_range("layer"))?)?;
        }
        if let Some(tokens) = &self.tokens {
            model = model.with_tokens(tokens.parse().map_err(out_of_range("tokens"))?)?;
        }
        if self.scaled_decoding {
            model = model.with_scaled_decoding();
        }
        let options = Options {
            execution_provider: self.execution_provider,
            device_ids: self.device_ids.clone(),
            gpu_memory_limit: Some(self.gpu_memory_limit).filter(|bytes| *bytes > 0),
            engine_cache: self.engine_cache.clone(),
            intra_threads: Some(self.threads).filter(|threads| *threads > 0),
            batch_size: Some(self.batch_size).filter(|images| *images > 0),
        };
        options.check()?;
        Ok((model, options))
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            name: DEFAULT_MODEL.to_owned(),
            layer: None,
            tokens: None,
            scaled_decoding: false,
            execution_provider: ExecutionProvider::Cpu,
            device_ids: vec![0],
            gpu_memory_limit: 0,
            engine_cache: None,
            threads: 0,
            batch_size: 0,
            required: true,
        }
    }
}
