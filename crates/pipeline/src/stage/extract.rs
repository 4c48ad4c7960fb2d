//! Features of every sample, in chunk files. The first missing file is where an earlier run stopped.

use super::{Context, StageError};
use crate::{SampleError, progress::Reporter};
use curriculum_extractor::ReadError;
use curriculum_manifest::Manifest;
use curriculum_store::{
    ChunkFailure, Digest, FeatureChunk, FeatureFiles, JobRecord, SampleRecord, Store, StoreError,
};
use std::{borrow::Cow, ops::ControlFlow, ops::Range, sync::atomic::Ordering};

/// Samples per chunk file: the most work that a kill can cost.
pub(crate) const CHUNK: usize = 256;

/// Samples between two reports.
const REPORTED: usize = 32;

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (content, _) = cx.identity()?;
    let files = cx.store.features(cx.features_key()?)?;
    let samples = cx.store.samples(content)?;
    cx.store.clear_job_errors(cx.job.id)?;
    cx.job.failed_count = 0;
    cx.manifest()?;
    let Context {
        job,
        store,
        extractor,
        reporter,
        interrupt,
        manifest,
    } = cx;
    let (Some(manifest), Some(extractor)) = (manifest.as_ref(), extractor) else {
        return Err(StageError::Failed("no manifest or no model".to_owned()));
    };
    let mut chunks = Chunks {
        job,
        store,
        reporter,
        files,
        samples: &samples,
        dimension: extractor.dimension(),
        done: 0,
        open: FeatureChunk::default(),
    };
    let missing = chunks.missing()?;
    if missing.is_empty() {
        return Ok(());
    }
    if interrupt.load(Ordering::Relaxed) {
        return Err(StageError::Interrupted);
    }
    let mut indices = missing.iter().flat_map(|index| range(*index, &samples));
    let mut outcome = Ok(());
    let extracted = extractor.extract(
        &mut indices,
        &|index| read(manifest, &samples, index),
        &mut |index, row| {
            outcome = chunks.take(index, row);
            // Between chunks: what is finished of one is not thrown away.
            if outcome.is_ok() && chunks.is_between() && interrupt.load(Ordering::Relaxed) {
                outcome = Err(StageError::Interrupted);
            }
            match outcome {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        },
    );
    extractor.release();
    extracted.map_err(StageError::Failed)?;
    outcome
}

/// The samples of a chunk.
fn range(index: usize, samples: &[SampleRecord]) -> Range<usize> {
    index * CHUNK..samples.len().min((index + 1) * CHUNK)
}

/// The features of a job on their way into files.
struct Chunks<'a, 'r> {
    job: &'a mut JobRecord,
    store: &'a Store,
    reporter: &'a mut Reporter<'r>,
    files: FeatureFiles,
    samples: &'a [SampleRecord],
    dimension: usize,
    /// Samples whose features are in a file or in the open chunk.
    done: usize,
    /// What has come of the chunk at work.
    open: FeatureChunk,
}

impl Chunks<'_, '_> {
    /// Numbers of the chunks that no earlier run has written. What failed in the others counts.
    fn missing(&mut self) -> Result<Vec<usize>, StageError> {
        let mut missing = Vec::new();
        for index in 0..self.samples.len().div_ceil(CHUNK) {
            let range = range(index, self.samples);
            match finished(&self.files, index, &range, self.dimension)? {
                Some(chunk) => {
                    self.reporter.skip(range.len() as u64);
                    self.done += range.len();
                    self.count_failures(&chunk, range.start)?;
                }
                None => missing.push(index),
            }
        }
        Ok(missing)
    }

    /// Whether a chunk is complete and another to follow.
    fn is_between(&self) -> bool {
        self.open.features.is_empty() && self.done < self.samples.len()
    }

    /// Adds a sample to its chunk, and writes the chunk after its last one.
    fn take(&mut self, index: usize, row: Result<&[f32], String>) -> Result<(), StageError> {
        let (chunk, place) = (index / CHUNK, index % CHUNK);
        match row {
            Ok(row) => self.open.features.extend_from_slice(row),
            Err(reason) => {
                let length = self.open.features.len() + self.dimension;
                self.open.features.resize(length, 0.0);
                let row = place as u32;
                self.open.failures.push(ChunkFailure { row, reason });
            }
        }
        self.done += 1;
        if index + 1 == range(chunk, self.samples).end {
            let full = std::mem::take(&mut self.open);
            let full = FeatureChunk {
                dimension: self.dimension,
                ..full
            };
            self.files.write(chunk, &full)?;
            self.count_failures(&full, chunk * CHUNK)?;
        }
        if self.done.is_multiple_of(REPORTED) || self.done == self.samples.len() {
            let (done, total) = (self.done as u64, self.samples.len() as u64);
            self.reporter.report(done, total, "extracting features");
        }
        Ok(())
    }

    /// Notes the failures of a chunk that begins at sample `start`, and fails if there are too many
    /// by now.
    fn count_failures(&mut self, chunk: &FeatureChunk, start: usize) -> Result<(), StageError> {
        for failure in &chunk.failures {
            let index = start as u64 + u64::from(failure.row);
            let reason = failure.reason.clone();
            self.store.put_job_error(self.job.id, index, &reason)?;
            self.job.failed_count += 1;
            let sample = self.samples.get(index as usize);
            let id = sample.map_or_else(String::new, |sample| sample.id.clone());
            let error = SampleError { index, id, reason };
            self.reporter.failed(error, self.job.failed_count);
        }
        let (failed, total) = (self.job.failed_count, self.samples.len() as u64);
        let allowed = self.job.parameters.max_failed_fraction;
        if failed < total && failed as f64 <= allowed * total as f64 {
            return Ok(());
        }
        let first = self.store.job_errors(self.job.id, None, 1)?;
        let example = first.first().map_or(String::new(), |(index, reason)| {
            let sample = self.samples.get(*index as usize);
            let id = sample.map_or("", |sample| &sample.id);
            format!("; the first is sample {index} (`{id}`): {reason}")
        });
        let reason = format!(
            "{failed} of {total} samples failed so far, max_failed_fraction is {allowed}{example}"
        );
        Err(StageError::Failed(reason))
    }
}

/// A chunk that an earlier run wrote; a damaged one counts as missing.
fn finished(
    files: &FeatureFiles,
    index: usize,
    range: &Range<usize>,
    dimension: usize,
) -> Result<Option<FeatureChunk>, StageError> {
    match files.read(index) {
        Ok(Some(chunk)) => {
            let fits =
                chunk.dimension == dimension && chunk.features.len() == range.len() * dimension;
            Ok(fits.then_some(chunk))
        }
        Ok(None) => Ok(None),
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::warn!(%error, "features are extracted again");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Bytes of a sample; one that could not be read when its bytes were hashed has failed.
///
/// Chunks are kept under the hash of the content, so only what follows from the content may go into
/// them: a sample that was readable then and is not now fails the stage, not the sample.
fn read<'a>(
    manifest: &Manifest,
    samples: &[SampleRecord],
    index: usize,
) -> Result<Cow<'a, [u8]>, ReadError> {
    let sample = &samples[index];
    let Some(expected) = sample.digest else {
        return Err(ReadError::Sample(why_unreadable(manifest, index)));
    };
    let bytes = manifest
        .read(index as u64)
        .map_err(|error| ReadError::Fatal(error.to_string()))?;
    if Digest::from(*blake3::hash(&bytes).as_bytes()) == expected {
        return Ok(Cow::Owned(bytes));
    }
    let id = &sample.id;
    Err(ReadError::Fatal(format!(
        "sample {index} (`{id}`): its bytes changed while the job ran"
    )))
}

/// For people only: nothing that is computed depends on it.
fn why_unreadable(manifest: &Manifest, index: usize) -> String {
    match manifest.read(index as u64) {
        Err(error) => error.to_string(),
        Ok(_) => "could not be read when its bytes were hashed".to_owned(),
    }
}
