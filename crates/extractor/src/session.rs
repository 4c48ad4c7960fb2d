//! A loaded graph, checked against its entry, and running it.

use ort::environment::Environment;
use ort::ep;
use ort::session::builder::{AutoDevicePolicy, SessionBuilder};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use crate::ExtractorError;
use crate::library;
use crate::model::Model;
use crate::options::{ExecutionProvider, MAX_BATCH, Options};
use crate::output::{Output, Pooling};
use crate::preprocess::CHANNELS;

/// A graph that has run once, so that its output is known to be usable.
pub(crate) struct Session {
    session: ort::session::Session,
    model: String,
    input: String,
    output: String,
    pooling: Pooling,
    side: usize,
    dimension: usize,
    batch: Batch,
}

/// How many images a run holds.
#[derive(Debug, Clone, Copy)]
enum Batch {
    UpTo(usize),
    /// The graph's batch dimension is fixed, or (CUDA) its kernels, and with them an image's
    /// features, would depend on the number of images.
    Exactly(usize),
}

impl Session {
    pub(crate) fn open(model: &Model, options: &Options) -> Result<Self, ExtractorError> {
        options.check()?;
        let environment = library::environment()?;
        let session = commit(&environment, model, options)?;
        let entry = model.entry();
        let side = entry.preprocessing.crop as usize;
        let rejected = |reason| ExtractorError::ModelRejected {
            model: entry.name.clone(),
            reason,
        };
        let batch = match fixed_batch(session.inputs(), &entry.input, side).map_err(rejected)? {
            Some(images) => Batch::Exactly(images),
            None if options.execution_provider == ExecutionProvider::Cuda => {
                Batch::Exactly(options.batch_size)
            }
            None => Batch::UpTo(options.batch_size),
        };
        let mut session = Self {
            session,
            model: entry.name.clone(),
            input: entry.input.clone(),
            output: entry.output.clone(),
            pooling: Pooling::of(entry),
            side,
            dimension: 0,
            batch,
        };
        session.dimension = session.probe().map_err(rejected)?;
        Ok(session)
    }

    /// Length of a feature vector, at least 1.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Most images of one run.
    pub(crate) fn batch_size(&self) -> usize {
        let (Batch::UpTo(images) | Batch::Exactly(images)) = self.batch;
        images
    }

    /// Images that a run must hold for `images` of them to be of interest.
    pub(crate) fn run_length(&self, images: usize) -> usize {
        match self.batch {
            Batch::UpTo(_) => images,
            Batch::Exactly(length) => length,
        }
    }

    /// `pixels` (run length, 3, crop, crop) to the first rows of its features, as many as fit.
    pub(crate) fn run(
        &mut self,
        pixels: &[f32],
        features: &mut [f32],
    ) -> Result<(), ExtractorError> {
        let dimension = self.dimension;
        let pooled = self.with_output(pixels, |output| {
            if output.dimension() != Some(dimension) {
                return Err(format!("its output has shape {:?}", output.shape));
            }
            output.pool(dimension, features);
            Ok(())
        });
        pooled.map_err(|reason| ExtractorError::RunFailed {
            model: self.model.clone(),
            reason,
        })
    }

    /// Runs black images; the dimension of their features.
    fn probe(&mut self) -> Result<usize, String> {
        // Two where possible, which tells the batch dimension from the others.
        let images = self.run_length(self.batch_size().min(2));
        let pixels = vec![0.0; images * CHANNELS * self.side * self.side];
        let name = self.output.clone();
        self.with_output(&pixels, |output| {
            let expected = "must be (batch, D), (batch, tokens, D) or (batch, D, h, w)";
            let refused = || format!("output {name} {expected}, not {:?}", output.shape);
            output.dimension().ok_or_else(refused)
        })
    }

    fn with_output<T>(
        &mut self,
        pixels: &[f32],
        read: impl FnOnce(Output<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let images = pixels.len() / (CHANNELS * self.side * self.side);
        let shape = [images, CHANNELS, self.side, self.side];
        let tensor =
            TensorRef::from_array_view((shape, pixels)).map_err(|error| error.to_string())?;
        let inputs = ort::inputs![self.input.as_str() => tensor];
        let outputs = self
            .session
            .run(inputs)
            .map_err(|error| error.to_string())?;
        let output = outputs
            .get(&self.output)
            .ok_or_else(|| format!("it has no output {}", self.output))?;
        let (shape, values) = output
            .try_extract_tensor::<f32>()
            .map_err(|error| error.to_string())?;
        read(Output {
            images,
            pooling: self.pooling,
            shape,
            values,
        })
    }
}

fn commit(
    environment: &Environment,
    model: &Model,
    options: &Options,
) -> Result<ort::session::Session, ExtractorError> {
    let on_cpu = || builder(environment, options)?.commit_from_memory(model.onnx());
    let rejected = |error: ort::Error| ExtractorError::ModelRejected {
        model: model.entry().name.clone(),
        reason: error.to_string(),
    };
    match options.execution_provider {
        ExecutionProvider::Cpu => on_cpu().map_err(rejected),
        ExecutionProvider::Cuda => {
            let on_cuda = with_cuda(environment, options)
                .and_then(|mut builder| builder.commit_from_memory(model.onnx()));
            on_cuda.map_err(|error| match on_cpu() {
                Ok(_) => ExtractorError::CudaUnavailable {
                    reason: error.to_string(),
                },
                Err(error) => rejected(error),
            })
        }
    }
}

fn builder(environment: &Environment, options: &Options) -> ort::Result<SessionBuilder> {
    let builder = ort::session::Session::builder(environment)?
        // Otherwise ONNX Runtime may pick a device by itself, such as CoreML on macOS.
        .with_auto_device(AutoDevicePolicy::PreferCPU)?
        .with_deterministic_compute(true)?
        // Threads that spin between operators take the cores from decoding: 1.35 times the images
        // per second without, on two busy cores.
        .with_intra_op_spinning(false)?
        .with_intra_threads(options.threads())?;
    Ok(builder)
}

fn with_cuda(environment: &Environment, options: &Options) -> ort::Result<SessionBuilder> {
    // TF32 keeps 10 bits of the mantissa, which would set features apart from the CPU's.
    let cuda = ep::CUDA::default()
        .with_tf32(false)
        .build()
        .error_on_failure();
    Ok(builder(environment, options)?.with_execution_providers([cuda])?)
}

/// Checks the graph's inputs; the size of the batch dimension where it is fixed.
fn fixed_batch(inputs: &[Outlet], name: &str, side: usize) -> Result<Option<usize>, String> {
    let [input] = inputs else {
        let names: Vec<_> = inputs.iter().map(Outlet::name).collect();
        return Err(format!("it must have one input, not {names:?}"));
    };
    if input.name() != name {
        return Err(format!("its input is {}, not {name}", input.name()));
    }
    let ValueType::Tensor {
        ty: TensorElementType::Float32,
        shape,
        ..
    } = input.dtype()
    else {
        return Err(format!("input {name} must be an f32 tensor"));
    };
    let fits = |found: i64, wanted: usize| found == -1 || usize::try_from(found) == Ok(wanted);
    match **shape {
        [batch, channels, height, width]
            if fits(channels, CHANNELS) && fits(height, side) && fits(width, side) =>
        {
            match usize::try_from(batch) {
                Err(_) => Ok(None),
                Ok(images @ 1..=MAX_BATCH) => Ok(Some(images)),
                Ok(images) => Err(format!(
                    "its batch dimension must be 1 to {MAX_BATCH}, not {images}"
                )),
            }
        }
        _ => Err(format!(
            "input {name} must be (batch, 3, {side}, {side}), not {:?}",
            &**shape
        )),
    }
}
