//! Samples through reading, decoding and the model, each step beside the others.
//!
//! ```text
//! indices ─▶ loaders: read, decode and resize in the pool ─▶ one session per device ─▶ in order
//!               ▲                                                                        │
//!               └────────────────────────── empty batches ◀──────────────────────────────┘
//! ```
//!
//! A batch of pixels goes round and is never reallocated. There are as many as the steps can hold,
//! so memory depends neither on the number of samples nor on which step is slow.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use metrics::histogram;
use rayon::ThreadPool;
use tracing::Span;

use crate::metrics::{BATCH_SAMPLES, BATCH_SECONDS};
use crate::preprocess::{Preprocessor, Scratch};
use crate::session::{Pixels, Session};
use crate::{ExtractorError, ImageError};

/// Why a sample's bytes are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// It counts as failed, like an image that cannot be decoded.
    Sample(String),
    /// The whole run ends.
    Fatal(String),
}

/// Encoded bytes of the sample at an index; called from several threads, in no order.
pub type Read<'a> = dyn Fn(usize) -> Result<Cow<'a, [u8]>, ReadError> + Sync + 'a;

/// Takes each sample's index with its features, or the reason why it has none; in the order of the
/// indices. `Break` ends the run.
pub type Sink<'a> = dyn FnMut(usize, Result<&[f32], String>) -> ControlFlow<()> + 'a;

/// Where the time of a run went.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// Inside sessions, over all devices.
    pub session: Duration,
    /// Reading, decoding and resizing; beside the sessions.
    pub load: Duration,
    /// From the first sample to the last.
    pub total: Duration,
}

/// What a run needs.
pub(crate) struct Stream<'a, 'r> {
    pub(crate) preprocessor: &'a Preprocessor,
    pub(crate) pool: &'a ThreadPool,
    pub(crate) read: &'a Read<'r>,
}

/// A batch on its way.
struct Batch {
    /// Place among all batches.
    number: u64,
    samples: Vec<usize>,
    pixels: Pixels,
    /// One per sample.
    failures: Vec<Option<String>>,
    /// Shape (samples, D).
    features: Vec<f32>,
    spent: Timing,
}

/// The samples still to be read, cut into batches.
struct Queue<'a> {
    samples: &'a mut (dyn Iterator<Item = usize> + Send),
    next: u64,
}

impl Stream<'_, '_> {
    /// Runs all samples, `size` at a time.
    pub(crate) fn run(
        &self,
        sessions: &mut [Session],
        size: usize,
        samples: &mut (dyn Iterator<Item = usize> + Send),
        sink: &mut Sink<'_>,
    ) -> Result<Timing, ExtractorError> {
        let begun = Instant::now();
        let loaders = sessions.len() + 1;
        let (give_back, empty) = unbounded();
        for session in sessions.iter().cycle().take(loaders + 2 * sessions.len()) {
            let _ = give_back.send(Batch::empty(session.pixels(size)?));
        }
        let queue = Mutex::new(Queue { samples, next: 0 });
        let (loaded_to, loaded) = unbounded();
        let (done_to, done) = unbounded();
        let stopped = AtomicBool::new(false);
        // What is logged belongs to the job.
        let span = &Span::current();
        let mut timing = thread::scope(|scope| {
            for _ in 0..loaders {
                let (empty, loaded_to, done_to) =
                    (empty.clone(), loaded_to.clone(), done_to.clone());
                let (queue, stopped) = (&queue, &stopped);
                scope.spawn(move || {
                    let (_alarm, _job) = (Alarm(&done_to), span.enter());
                    self.load((queue, size), stopped, &empty, &loaded_to, &done_to);
                });
            }
            for session in sessions {
                let (loaded, done_to) = (loaded.clone(), done_to.clone());
                let stopped = &stopped;
                scope.spawn(move || {
                    let (_alarm, _job) = (Alarm(&done_to), span.enter());
                    extract(session, stopped, &loaded, &done_to);
                });
            }
            drop((empty, loaded_to, loaded, done_to));
            let timing = deliver(&done, &give_back, sink);
            // Sessions would go on with what is loaded; loaders wait for batches.
            stopped.store(true, Ordering::Relaxed);
            drop(give_back);
            timing
        })?;
        timing.total = begun.elapsed();
        Ok(timing)
    }

    fn load(
        &self,
        (queue, size): (&Mutex<Queue<'_>>, usize),
        stopped: &AtomicBool,
        empty: &Receiver<Batch>,
        loaded: &Sender<Batch>,
        done: &Sender<Result<Batch, ExtractorError>>,
    ) {
        while let Ok(mut batch) = empty.recv() {
            let begun = Instant::now();
            (batch.number, batch.samples) = {
                let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.take(size)
            };
            if batch.samples.is_empty() || stopped.load(Ordering::Relaxed) {
                return;
            }
            let filled = self.fill(&mut batch, stopped);
            batch.spent.load = begun.elapsed();
            let sent = match filled {
                Ok(()) => loaded.send(batch).is_ok(),
                Err(reason) => done
                    .send(Err(ExtractorError::Unreadable { reason }))
                    .is_ok(),
            };
            if !sent {
                return;
            }
        }
    }

    /// Fills the pixels of a batch; the reason if a sample must not be left out.
    fn fill(&self, batch: &mut Batch, stopped: &AtomicBool) -> Result<(), String> {
        let load = |sample: &usize, scratch: &mut Scratch, place: &mut [f32]| {
            if stopped.load(Ordering::Relaxed) {
                return Err(ReadError::Fatal("stopped".to_owned()));
            }
            let encoded = (self.read)(*sample)?;
            let run = self.preprocessor.run(&encoded, scratch, place);
            run.map_err(|error| ReadError::Sample(error.to_string()))
        };
        let Batch {
            samples, pixels, ..
        } = batch;
        let outcomes = self
            .pool
            .install(|| pixels.fill(samples, Scratch::default, load));
        batch.failures.clear();
        for outcome in outcomes {
            batch.failures.push(match outcome {
                Ok(()) => None,
                Err(ReadError::Sample(reason)) => Some(reason),
                Err(ReadError::Fatal(reason)) => return Err(reason),
            });
        }
        Ok(())
    }
}

/// Tells of a thread that panics: the others would wait for its batch for ever. The panic itself goes
/// on when the threads are joined.
struct Alarm<'a>(&'a Sender<Result<Batch, ExtractorError>>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason = "internal error".to_owned();
            let _ = self.0.send(Err(ExtractorError::Unreadable { reason }));
        }
    }
}

/// Runs loaded batches until there are no more.
fn extract(
    session: &mut Session,
    stopped: &AtomicBool,
    loaded: &Receiver<Batch>,
    done: &Sender<Result<Batch, ExtractorError>>,
) {
    for mut batch in loaded {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        let begun = Instant::now();
        let images = batch.samples.len();
        batch.features.clear();
        batch.features.resize(images * session.dimension(), 0.0);
        let mut outcome = Ok(());
        if batch.failures.iter().any(Option::is_none) {
            outcome = session.run(&batch.pixels, images, &mut batch.features);
        }
        batch.spent.session = begun.elapsed();
        if done.send(outcome.map(|()| batch)).is_err() {
            return;
        }
    }
}

/// Hands over batches in their order, and each, once done with, back to the loaders.
fn deliver(
    done: &Receiver<Result<Batch, ExtractorError>>,
    give_back: &Sender<Batch>,
    sink: &mut Sink<'_>,
) -> Result<Timing, ExtractorError> {
    let mut timing = Timing::default();
    let (mut early, mut next) = (BTreeMap::new(), 0);
    for batch in done {
        let batch = batch?;
        early.insert(batch.number, batch);
        while let Some(batch) = early.remove(&next) {
            next += 1;
            timing.load += batch.spent.load;
            timing.session += batch.spent.session;
            trace(&batch);
            if batch.hand_over(sink).is_break() {
                return Ok(timing);
            }
            // Once all samples are taken nobody waits for it.
            let _ = give_back.send(batch);
        }
    }
    Ok(timing)
}

impl Batch {
    fn empty(pixels: Pixels) -> Self {
        Self {
            number: 0,
            samples: Vec::new(),
            pixels,
            failures: Vec::new(),
            features: Vec::new(),
            spent: Timing::default(),
        }
    }

    fn hand_over(&self, sink: &mut Sink<'_>) -> ControlFlow<()> {
        let dimension = self.features.len() / self.samples.len().max(1);
        let rows = self.features.chunks_exact(dimension.max(1));
        for ((&sample, failure), row) in self.samples.iter().zip(&self.failures).zip(rows) {
            let features = match failure {
                Some(reason) => Err(reason.clone()),
                None if row.iter().all(|feature| feature.is_finite()) => Ok(row),
                None => Err(ImageError::NotFinite.to_string()),
            };
            sink(sample, features)?;
        }
        ControlFlow::Continue(())
    }
}

impl Queue<'_> {
    fn take(&mut self, size: usize) -> (u64, Vec<usize>) {
        let number = self.next;
        self.next += 1;
        (number, self.samples.take(size).collect())
    }
}

fn trace(batch: &Batch) {
    let failed = batch.failures.iter().flatten().count();
    let load_us = batch.spent.load.as_micros() as u64;
    let session_us = batch.spent.session.as_micros() as u64;
    histogram!(BATCH_SECONDS, "step" => "load").record(batch.spent.load);
    histogram!(BATCH_SECONDS, "step" => "session").record(batch.spent.session);
    histogram!(BATCH_SAMPLES).record(batch.samples.len() as f64);
    tracing::debug!(
        images = batch.samples.len(),
        failed,
        load_us,
        session_us,
        "extracted batch"
    );
}
