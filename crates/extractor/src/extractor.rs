//! A model, ready to turn samples into rows of features.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::ExtractorError;
use crate::model::Model;
use crate::options::Options;
use crate::preprocess::Preprocessor;
use crate::session::{Placement, Session};
use crate::stream::{Read, Sink, Stream, Timing};

/// A model, loaded and ready on every device.
///
/// One extractor serves one thread at a time. Its own threads, for decoding and for the graph, begin
/// with the priority of the thread that opened it.
pub struct Extractor {
    sessions: Vec<Session>,
    preprocessor: Preprocessor,
    pool: ThreadPool,
}

/// An image without features.
#[derive(Debug, PartialEq, Eq)]
pub struct ImageFailure {
    /// Position in the slice of images.
    pub position: usize,
    /// Why.
    pub reason: String,
}

impl Extractor {
    /// Loads ONNX Runtime, on the first call in a process, and the model, and runs it once on each
    /// device.
    pub fn open(model: &Model, options: &Options) -> Result<Self, ExtractorError> {
        options.check()?;
        let devices = options.devices().iter();
        let sessions: Vec<Session> = devices
            .map(|device| Session::open(model, options, *device))
            .collect::<Result<_, _>>()?;
        let pool = ThreadPoolBuilder::new()
            .thread_name(|number| format!("decode-{number}"))
            .build()
            .map_err(|error| ExtractorError::NoThreads {
                reason: error.to_string(),
            })?;
        Ok(Self {
            sessions,
            preprocessor: Preprocessor::new(model.entry()),
            pool,
        })
    }

    /// D, the length of a feature vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.sessions.first().map_or(0, Session::dimension)
    }

    /// Where the nodes of the graph run, on the first device; all are checked alike.
    #[must_use]
    pub fn placement(&self) -> Option<&Placement> {
        self.sessions.first().map(Session::placement)
    }

    /// Images of a batch. Unless the options say, the first call takes a second or two to find the
    /// fastest.
    pub fn batch_size(&mut self) -> Result<usize, ExtractorError> {
        match self.sessions.first_mut() {
            Some(session) => session.batch_size(),
            None => Ok(1),
        }
    }

    /// Extracts the samples at the given indices. Their number does not matter for memory.
    ///
    /// # Errors
    /// When the model fails, or [`Read`] gives [`crate::ReadError::Fatal`].
    pub fn run(
        &mut self,
        samples: &mut (dyn Iterator<Item = usize> + Send),
        read: &Read<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Timing, ExtractorError> {
        let size = self.batch_size()?;
        for session in &mut self.sessions {
            session.set_batch_size(size);
        }
        let stream = Stream {
            preprocessor: &self.preprocessor,
            pool: &self.pool,
            read,
        };
        stream.run(&mut self.sessions, size, samples, sink)
    }

    /// Gives memory that only batches needed back to the devices.
    ///
    /// # Errors
    /// When the model fails.
    pub fn release(&mut self) -> Result<(), ExtractorError> {
        self.sessions.iter_mut().try_for_each(Session::release)
    }

    /// Images per second of the first session alone, on black images, over at least `time`.
    ///
    /// # Errors
    /// When the model fails.
    pub fn bare_images_per_second(&mut self, time: Duration) -> Result<f64, ExtractorError> {
        let size = self.batch_size()?;
        let Some(session) = self.sessions.first_mut() else {
            return Ok(0.0);
        };
        let pixels = session.pixels(size)?;
        let mut features = vec![0.0; size * session.dimension()];
        session.run(&pixels, size, &mut features)?;
        let (begun, mut images) = (Instant::now(), 0);
        while begun.elapsed() < time {
            session.run(&pixels, size, &mut features)?;
            images += size;
        }
        Ok(images as f64 / begun.elapsed().as_secs_f64())
    }

    /// Encoded images in memory to `features` (images, D), row-major. A broken image is a failure of
    /// its own, in order of position, and its row is zero.
    ///
    /// # Errors
    /// When the model fails or `features` has another length.
    pub fn extract(
        &mut self,
        images: &[impl AsRef<[u8]> + Sync],
        features: &mut [f32],
    ) -> Result<Vec<ImageFailure>, ExtractorError> {
        let dimension = self.dimension();
        let expected = images.len() * dimension;
        if features.len() != expected {
            return Err(ExtractorError::FeaturesLength {
                expected,
                actual: features.len(),
            });
        }
        let mut failures = Vec::new();
        self.run(
            &mut (0..images.len()),
            &|index| Ok(Cow::Borrowed(images[index].as_ref())),
            &mut |position, row| {
                let place = &mut features[position * dimension..][..dimension];
                match row {
                    Ok(row) => place.copy_from_slice(row),
                    Err(reason) => {
                        place.fill(0.0);
                        failures.push(ImageFailure { position, reason });
                    }
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok(failures)
    }
}
