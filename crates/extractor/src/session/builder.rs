//! From a model's bytes to a session on the wanted device.

use std::path::Path;

use ort::environment::Environment;
use ort::ep::{self, ArenaExtendStrategy, ExecutionProviderDispatch};
use ort::session::Session;
use ort::session::builder::{AutoDevicePolicy, SessionBuilder};

use crate::ExtractorError;
use crate::model::Model;
use crate::options::{ExecutionProvider, Options};

/// Loads the graph on one device; every node is profiled into a file that begins with `profile`.
pub(super) fn commit(
    environment: &Environment,
    model: &Model,
    options: &Options,
    device: u32,
    profile: &Path,
) -> Result<Session, ExtractorError> {
    let load = |providers: Vec<ExecutionProviderDispatch>| {
        builder(environment, options)?
            .with_execution_providers(providers)?
            .with_profiling(profile)?
            .commit_from_memory(model.onnx())
    };
    let rejected = |error: ort::Error| ExtractorError::ModelRejected {
        model: model.entry().name.clone(),
        reason: error.to_string(),
    };
    let provider = options.execution_provider;
    load(providers(options, device)).map_err(|error| {
        // The same graph on the CPU tells whether the device or the model is at fault.
        match provider.is_gpu().then(|| load(Vec::new())) {
            Some(Ok(_)) => ExtractorError::ProviderUnavailable {
                provider,
                reason: error.to_string(),
            },
            Some(Err(error)) => rejected(error),
            None => rejected(error),
        }
    })
}

fn builder(environment: &Environment, options: &Options) -> ort::Result<SessionBuilder> {
    let builder = Session::builder(environment)?
        // Otherwise ONNX Runtime may pick a device by itself, such as CoreML on macOS.
        .with_auto_device(AutoDevicePolicy::PreferCPU)?
        .with_deterministic_compute(true)?
        // Threads that spin between operators take the cores from decoding: 1.35 times the images
        // per second without, on two busy cores.
        .with_intra_op_spinning(false)?
        .with_intra_threads(options.threads())?;
    Ok(builder)
}

/// In order of preference; each an error if it cannot be used.
fn providers(options: &Options, device: u32) -> Vec<ExecutionProviderDispatch> {
    let id = device as i32;
    let mut wanted = Vec::new();
    if options.execution_provider == ExecutionProvider::TensorRt {
        let mut tensorrt = ep::TensorRT::default().with_device_id(id);
        if let Some(bytes) = options.gpu_memory_limit {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            tensorrt = tensorrt.with_max_workspace_size(bytes);
        }
        if let Some(folder) = &options.engine_cache {
            tensorrt = tensorrt
                .with_engine_cache(true)
                .with_engine_cache_path(folder.display());
        }
        wanted.push(tensorrt.build().error_on_failure());
    }
    if options.execution_provider.is_gpu() {
        let mut cuda = ep::CUDA::default()
            .with_device_id(id)
            // TF32 keeps 10 bits of the mantissa, which would set features apart from the CPU's.
            .with_tf32(false)
            // Grown in powers of two, an arena would hold twice what is needed, and could not shrink.
            .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested);
        if let Some(bytes) = options.gpu_memory_limit {
            cuda = cuda.with_memory_limit(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        wanted.push(cuda.build().error_on_failure());
    }
    wanted
}
