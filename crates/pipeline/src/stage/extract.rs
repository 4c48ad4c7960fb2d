//! Features of every sample, in chunk files. The first missing file is where an earlier run stopped.

use super::{Context, StageError};
use curriculum_manifest::Manifest;
use curriculum_store::{
    ChunkFailure, Digest, FeatureChunk, FeatureFiles, SampleRecord, StoreError,
};
use rayon::prelude::*;
use std::ops::Range;

/// Samples per chunk file: the most work that a kill can cost.
pub(crate) const CHUNK: usize = 256;

/// Samples whose encoded bytes are in memory at the same time.
const BLOCK: usize = 64;

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (content, _) = cx.identity()?;
    let files = cx.store.features(cx.features_key()?)?;
    let samples = cx.store.samples(content)?;
    let total = samples.len();
    cx.store.clear_job_errors(cx.job.id)?;
    cx.job.failed_count = 0;
    for (index, start) in (0..total).step_by(CHUNK).enumerate() {
        let range = start..total.min(start + CHUNK);
        let chunk = match finished(&files, index, &range, cx.extractor.dimension())? {
            Some(chunk) => {
                cx.reporter.skip(range.len() as u64);
                chunk
            }
            None => {
                cx.check_interrupt()?;
                let chunk = extract(cx, &samples, range.clone())?;
                files.write(index, &chunk)?;
                chunk
            }
        };
        note_failures(cx, &chunk, start)?;
        check_failures(cx, &samples)?;
        cx.reporter
            .report(range.end as u64, total as u64, "extracting features");
    }
    Ok(())
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

fn extract(
    cx: &mut Context<'_>,
    samples: &[SampleRecord],
    range: Range<usize>,
) -> Result<FeatureChunk, StageError> {
    let dimension = cx.extractor.dimension();
    let mut chunk = FeatureChunk {
        dimension,
        features: vec![0.0; range.len() * dimension],
        failures: Vec::new(),
    };
    for start in range.clone().step_by(BLOCK) {
        let block = start..range.end.min(start + BLOCK);
        let first_row = start - range.start;
        let images = read(cx.manifest()?, samples, block.clone())?;
        let rows = &mut chunk.features[first_row * dimension..][..block.len() * dimension];
        let failures = cx
            .extractor
            .extract(&images, rows)
            .map_err(StageError::Failed)?;
        for (position, reason) in failures {
            rows[position * dimension..][..dimension].fill(0.0);
            let reason = match samples[start + position].digest {
                Some(_) => reason,
                None => why_unreadable(cx.manifest()?, start + position),
            };
            chunk.failures.push(ChunkFailure {
                row: (first_row + position) as u32,
                reason,
            });
        }
    }
    Ok(chunk)
}

/// Bytes of each sample; none of a sample that could not be read when its bytes were hashed.
///
/// Chunks are kept under the hash of the content, so only what follows from the content may go into
/// them: a sample that was readable then and is not now fails the stage, not the sample.
fn read(
    manifest: &Manifest,
    samples: &[SampleRecord],
    range: Range<usize>,
) -> Result<Vec<Vec<u8>>, StageError> {
    let read = |index: usize| {
        let Some(expected) = samples[index].digest else {
            return Ok(Vec::new());
        };
        let bytes = manifest
            .read(index)
            .map_err(|error| StageError::Failed(error.to_string()))?;
        if Digest::from(*blake3::hash(&bytes).as_bytes()) == expected {
            Ok(bytes)
        } else {
            let id = &samples[index].id;
            Err(StageError::Failed(format!(
                "sample {index} (`{id}`): its bytes changed while the job ran"
            )))
        }
    };
    range.into_par_iter().map(read).collect()
}

/// For people only: nothing that is computed depends on it.
fn why_unreadable(manifest: &Manifest, index: usize) -> String {
    match manifest.read(index) {
        Err(error) => error.to_string(),
        Ok(_) => "could not be read when its bytes were hashed".to_owned(),
    }
}

fn note_failures(
    cx: &mut Context<'_>,
    chunk: &FeatureChunk,
    start: usize,
) -> Result<(), StoreError> {
    for failure in &chunk.failures {
        cx.store.put_job_error(
            cx.job.id,
            start as u64 + u64::from(failure.row),
            &failure.reason,
        )?;
    }
    cx.job.failed_count += chunk.failures.len() as u64;
    cx.reporter.failed(cx.job.failed_count);
    Ok(())
}

fn check_failures(cx: &Context<'_>, samples: &[SampleRecord]) -> Result<(), StageError> {
    let (failed, total) = (cx.job.failed_count, samples.len() as u64);
    let allowed = cx.job.parameters.max_failed_fraction;
    if failed < total && failed as f64 <= allowed * total as f64 {
        return Ok(());
    }
    let first = cx.store.job_errors(cx.job.id, 1)?;
    let example = first.first().map_or(String::new(), |(index, reason)| {
        let id = samples.get(*index as usize).map_or("", |sample| &sample.id);
        format!("; the first is sample {index} (`{id}`): {reason}")
    });
    let reason = format!(
        "{failed} of {total} samples failed so far, max_failed_fraction is {allowed}{example}"
    );
    Err(StageError::Failed(reason))
}
