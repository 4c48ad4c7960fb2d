//! The model, its layer, and where it runs.

use curriculum_extractor::{ExecutionProvider, Layer, Tokens};
use curriculum_server::config::ModelOverrides;
use std::path::PathBuf;

/// What is not given comes from the settings of a server: `CURRICULUM__MODEL__…` in the environment.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ModelArgs {
    /// Name of a model, see `curriculum models list`, or an ONNX file with a TOML of the same name
    /// beside it [default: dino_fashion].
    #[arg(long, value_name = "NAME|FILE.onnx")]
    model: Option<String>,
    /// Take features after block N, counted from 0, or from any tensor of the graph; see `curriculum
    /// models inspect` [default: the model's output].
    #[arg(long, value_name = "block:N|TENSOR")]
    layer: Option<Layer>,
    /// What becomes of a layer's tokens: cls, mean or cls+mean [default: as the model's entry says].
    #[arg(long, value_name = "POOLING")]
    tokens: Option<Tokens>,
    /// Decode large JPEGs at a half, a quarter or an eighth of their size: faster, and up to 16 of 255
    /// steps off.
    #[arg(long)]
    scaled_decoding: bool,
    /// Where the model runs: cpu, cuda or tensorrt. A GPU that cannot be used is an error, never the
    /// CPU instead [default: cpu].
    #[arg(long, value_name = "PROVIDER")]
    execution_provider: Option<ExecutionProvider>,
    /// GPUs to use, as in 0,1; each gets a session of its own [default: 0].
    #[arg(long, value_name = "N", value_delimiter = ',')]
    device_id: Option<Vec<u32>>,
    /// Most bytes ONNX Runtime may take on each GPU, 0 for all there are [default: 0].
    #[arg(long, value_name = "BYTES")]
    gpu_memory_limit: Option<u64>,
    /// Folder in which TensorRT keeps the engines it builds [default: none are kept].
    #[arg(long, value_name = "DIR")]
    engine_cache: Option<PathBuf>,
    /// Images per run of the model, 0 for what a short probe finds fastest [default: 0].
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
}

impl ModelArgs {
    /// As settings; `threads` of 0 are not given.
    pub(crate) fn overrides(&self, threads: Option<usize>) -> ModelOverrides {
        ModelOverrides {
            name: self.model.clone(),
            layer: self.layer.as_ref().map(ToString::to_string),
            tokens: self.tokens.as_ref().map(ToString::to_string),
            scaled_decoding: self.scaled_decoding.then_some(true),
            execution_provider: self.execution_provider,
            device_ids: self.device_id.clone(),
            gpu_memory_limit: self.gpu_memory_limit,
            engine_cache: self.engine_cache.clone(),
            threads: threads.filter(|threads| *threads > 0),
            batch_size: self.batch_size,
        }
    }
}
