//! A loaded graph on one device, checked against its entry, and running it.
//!
//! Input and output are bound: on a GPU both lie in pinned host memory, so that copies need no
//! intermediate buffer.

mod builder;
mod input;
mod pieces;
mod pixels;
mod placement;

use std::time::{Duration, Instant};

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{NoSelectedOutputs, RunOptions};

use crate::ExtractorError;
use crate::library;
use crate::model::Model;
use crate::options::{MAX_BATCH, Options};
use crate::output::{Output, Pooling};
use input::Input;
use pieces::{PieceError, in_pieces};
pub(crate) use pixels::Pixels;
pub use placement::Placement;

/// How long the search for a batch size may take, and its largest answer.
const TUNING: Duration = Duration::from_millis(1500);
const MOST_TUNED: usize = 256;

/// A larger batch must raise the images per second by this factor to be worth its memory.
const WORTH: f64 = 1.03;

/// A graph that has run once, so that its output is known to be usable.
pub(crate) struct Session {
    session: ort::session::Session,
    model: String,
    input: Input,
    input_name: String,
    output_name: String,
    pooling: Pooling,
    dimension: usize,
    placement: Placement,
    device: u32,
    batch: Batch,
    /// Most images of one run; less than a batch once the device ran out of memory.
    limit: usize,
}

/// Images of a batch.
#[derive(Debug, Clone, Copy)]
enum Batch {
    /// Whatever turns out fastest, up to this many.
    Probed(usize),
    UpTo(usize),
    /// On a GPU kernels, and with them an image's features, would depend on the number of images.
    Padded(usize),
    /// The graph's batch dimension is fixed.
    Fixed(usize),
}

impl Session {
    /// Loads the model and runs it once.
    pub(crate) fn open(
        model: &Model,
        options: &Options,
        device: u32,
    ) -> Result<Self, ExtractorError> {
        let environment = library::environment()?;
        let entry = model.entry();
        let rejected = |reason: String| ExtractorError::ModelRejected {
            model: entry.name.clone(),
            reason,
        };
        let folder = tempfile::tempdir().map_err(|error| rejected(error.to_string()))?;
        let profile = folder.path().join("profile");
        let session = builder::commit(&environment, model, options, device, &profile)?;
        let provider = options.execution_provider;
        let input = Input::of(session.inputs(), entry).map_err(rejected)?;
        let batch = match (input.batch, options.batch_size) {
            (Some(images), _) => Batch::Fixed(images),
            (None, Some(images)) if provider.is_gpu() => Batch::Padded(images),
            (None, Some(images)) => Batch::UpTo(images),
            (None, None) => Batch::Probed(MOST_TUNED),
        };
        let mut session = Self {
            session,
            model: entry.name.clone(),
            input,
            input_name: entry.input.clone(),
            output_name: entry.output.clone(),
            pooling: Pooling::of(entry),
            dimension: 0,
            placement: Placement {
                execution_provider: provider,
                nodes: [].into(),
            },
            device,
            batch,
            limit: MAX_BATCH,
        };
        session.dimension = session.first_run().map_err(rejected)?;
        let profile = session.session.end_profiling();
        let profile = profile.map_err(|error| rejected(error.to_string()))?;
        session.placement = Placement::read(profile.as_ref(), provider)
            .map_err(|reason| ExtractorError::ProviderUnavailable { provider, reason })?;
        Ok(session)
    }

    /// Length of a feature vector, at least 1.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(crate) fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Images of a run. The first call finds out, if nobody has said; less once memory ran out.
    pub(crate) fn batch_size(&mut self) -> Result<usize, ExtractorError> {
        if let Batch::Probed(most) = self.batch {
            let images = self.tune(most).map_err(|reason| self.failed(reason))?;
            tracing::info!(images, "batch size");
            self.set_batch_size(images);
        }
        let (Batch::Probed(images)
        | Batch::UpTo(images)
        | Batch::Padded(images)
        | Batch::Fixed(images)) = self.batch;
        Ok(images.min(self.limit))
    }

    /// Takes what another device has found out.
    pub(crate) fn set_batch_size(&mut self, images: usize) {
        if let Batch::Probed(_) = self.batch {
            self.batch = match self.placement.execution_provider.is_gpu() {
                true => Batch::Padded(images),
                false => Batch::UpTo(images),
            };
        }
    }

    /// Room for a batch.
    pub(crate) fn pixels(&self, images: usize) -> Result<Pixels, ExtractorError> {
        self.allocate(images).map_err(|reason| self.failed(reason))
    }

    /// The first `images` images to their features, row-major.
    pub(crate) fn run(
        &mut self,
        pixels: &Pixels,
        images: usize,
        features: &mut [f32],
    ) -> Result<(), ExtractorError> {
        self.run_all(pixels, images, features)
            .map_err(|reason| self.failed(reason))
    }

    /// Gives memory that only a batch needed back to the device; the next run may take all there is.
    pub(crate) fn release(&mut self) -> Result<(), ExtractorError> {
        self.limit = MAX_BATCH;
        self.shrink().map_err(|reason| self.failed(reason))
    }

    fn failed(&self, reason: String) -> ExtractorError {
        ExtractorError::RunFailed {
            model: self.model.clone(),
            reason,
        }
    }

    /// Runs black images; the dimension of their features.
    fn first_run(&mut self) -> Result<usize, String> {
        // Two where possible, which tells the batch dimension from the others.
        let images = match self.batch {
            Batch::Fixed(images) => images,
            Batch::Probed(most) | Batch::UpTo(most) | Batch::Padded(most) => most.min(2),
        };
        let pixels = self.allocate(images)?;
        let name = self.output_name.clone();
        let dimension = self.with_output(&pixels, None, |output| {
            let expected = "must be (batch, D), (batch, tokens, D) or (batch, D, h, w)";
            let refused = || format!("output {name} {expected}, not {:?}", output.shape);
            output.dimension().ok_or_else(refused)
        });
        dimension.map_err(PieceError::reason)
    }

    /// The fastest batch size per image, by doubling it as long as that pays.
    fn tune(&mut self, most: usize) -> Result<usize, String> {
        let start = Instant::now();
        let (mut best, mut images) = ((0.0, 1), 1);
        while images <= most && start.elapsed() < TUNING {
            let pixels = match self.allocate(images) {
                // A smaller batch has found its memory.
                Err(_) if images > 1 => break,
                allocated => allocated?,
            };
            let mut features = vec![0.0; images * self.dimension];
            // The first run of a size plans its memory.
            let mut per_second: f64 = 0.0;
            for _ in 0..2 {
                let begun = Instant::now();
                self.run_all(&pixels, images, &mut features)?;
                per_second = per_second.max(images as f64 / begun.elapsed().as_secs_f64());
            }
            if self.limit < images {
                break;
            }
            if per_second < best.0 * WORTH && images >= 4 * best.1 {
                break;
            }
            if per_second > best.0 * WORTH {
                best = (per_second, images);
            }
            images *= 2;
        }
        Ok(best.1.min(self.limit))
    }

    fn run_all(
        &mut self,
        pixels: &Pixels,
        images: usize,
        features: &mut [f32],
    ) -> Result<(), String> {
        let (dimension, capacity) = (self.dimension, pixels.capacity());
        let (whole, fixed) = match self.batch {
            Batch::Padded(_) => (true, false),
            Batch::Fixed(_) => (true, true),
            Batch::Probed(_) | Batch::UpTo(_) => (false, false),
        };
        let mut limit = self.limit;
        let outcome = in_pieces(images, &mut limit, |piece, limit| {
            let rows = &mut features[piece.start * dimension..piece.end * dimension];
            let read = |output: Output<'_>| {
                if output.dimension() != Some(dimension) {
                    return Err(format!("its output has shape {:?}", output.shape));
                }
                output.pool(dimension, rows);
                Ok(())
            };
            let length = if whole {
                limit.min(capacity)
            } else {
                piece.len()
            };
            let ran = if length == capacity {
                self.with_output(pixels, None, read)
            } else {
                let mut part = self.allocate(length).map_err(PieceError::of)?;
                part.copy_from(pixels, piece.start);
                self.with_output(&part, None, read)
            };
            // A batch that the graph fixes cannot be cut.
            ran.map_err(|error| match fixed {
                true => PieceError::Failed(error.reason()),
                false => error,
            })
        });
        self.limit = limit;
        outcome
    }

    /// Binds all of `pixels`: a part of a tensor could not be bound without being copied.
    fn with_output<T>(
        &mut self,
        pixels: &Pixels,
        options: Option<&RunOptions<NoSelectedOutputs>>,
        read: impl FnOnce(Output<'_>) -> Result<T, String>,
    ) -> Result<T, PieceError> {
        let memory = self
            .memory(MemoryType::CPUOutput)
            .map_err(PieceError::ort)?;
        let mut binding = self.session.create_binding().map_err(PieceError::ort)?;
        pixels
            .bind(&mut binding, &self.input_name)
            .and_then(|()| binding.bind_output_to_device(self.output_name.as_str(), &memory))
            .map_err(PieceError::ort)?;
        let outputs = match options {
            Some(options) => self.session.run_binding_with_options(&binding, options),
            None => self.session.run_binding(&binding),
        };
        let outputs = outputs.map_err(PieceError::ort)?;
        let missing = || PieceError::Failed(format!("it has no output {}", self.output_name));
        let output = outputs.get(&self.output_name).ok_or_else(missing)?;
        let wide: Vec<f32>;
        let (shape, values) = match output.try_extract_tensor::<f32>() {
            Ok((shape, values)) => (shape, values),
            Err(_) => {
                let halves = output.try_extract_tensor::<f16>();
                let (shape, halves) = halves
                    .map_err(|_| PieceError::Failed("its output must be f32 or f16".to_owned()))?;
                wide = halves.to_f32_vec();
                (shape, wide.as_slice())
            }
        };
        read(Output {
            images: pixels.capacity(),
            pooling: self.pooling,
            shape,
            values,
        })
        .map_err(PieceError::Failed)
    }

    fn allocate(&self, images: usize) -> Result<Pixels, String> {
        let memory = self.memory(MemoryType::CPUInput);
        let allocator = memory.and_then(|memory| Allocator::new(&self.session, memory));
        let [a, b, c] = self.input.shape;
        let pixels = allocator
            .and_then(|allocator| Pixels::new(&allocator, self.input.element, [images, a, b, c]));
        pixels.map_err(|error| error.to_string())
    }

    /// Host memory that the device reads and writes directly.
    fn memory(&self, direction: MemoryType) -> ort::Result<MemoryInfo<'static>> {
        let id = self.device as i32;
        match self.placement.execution_provider.is_gpu() {
            true => MemoryInfo::new(
                AllocationDevice::CUDA_PINNED,
                id,
                AllocatorType::Device,
                direction,
            ),
            false => MemoryInfo::new(
                AllocationDevice::CPU,
                0,
                AllocatorType::Device,
                MemoryType::Default,
            ),
        }
    }

    /// A run of one image, after which arenas give up what they do not hold.
    fn shrink(&mut self) -> Result<(), String> {
        let images = match self.batch {
            Batch::Fixed(images) => images,
            Batch::Probed(_) | Batch::UpTo(_) | Batch::Padded(_) => 1,
        };
        let arenas = match self.placement.execution_provider.is_gpu() {
            true => format!("cpu:0;gpu:{}", self.device),
            false => "cpu:0".to_owned(),
        };
        let options = RunOptions::new().and_then(|mut options| {
            options.set("memory.enable_memory_arena_shrinkage", arenas)?;
            Ok(options)
        });
        let options = options.map_err(|error| error.to_string())?;
        let pixels = self.allocate(images)?;
        self.with_output(&pixels, Some(&options), |_| Ok(()))
            .map_err(PieceError::reason)
    }
}
