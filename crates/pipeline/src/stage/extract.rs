//! Features of every sample, in chunk files. The first missing file is where an earlier run stopped.

use super::{Context, StageError};
use curriculum_manifest::Manifest;
use curriculum_store::{
    ChunkFailure, Digest, FeatureChunk, FeatureFiles, SampleRecord, StoreError,
};
use rayon::prelude::*;
use std::ops::Range;

/// Samples per chunk file: the most work that a kill can cost.
pub(super) const CHUNK: usize = 256;

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
    let read = read(cx.manifest()?, samples, range);
    let (images, unreadable): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let dimension = cx.extractor.dimension();
    let mut features = vec![0.0; images.len() * dimension];
    let mut failures = cx
        .extractor
        .extract(&images, &mut features)
        .map_err(StageError::Failed)?;
    // An unreadable sample went through as an empty image: keep the first reason, not its echo.
    failures.retain(|(row, _)| unreadable[*row].is_none());
    failures.extend(
        unreadable
            .into_iter()
            .enumerate()
            .filter_map(|(row, reason)| Some((row, reason?))),
    );
    failures.sort();
    for (row, _) in &failures {
        features[row * dimension..][..dimension].fill(0.0);
    }
    let failures = failures
        .into_iter()
        .map(|(row, reason)| ChunkFailure {
            row: row as u32,
            reason,
        })
        .collect();
    Ok(FeatureChunk {
        dimension,
        features,
        failures,
    })
}

/// Bytes of each sample, or no bytes and the reason.
fn read(
    manifest: &Manifest,
    samples: &[SampleRecord],
    range: Range<usize>,
) -> Vec<(Vec<u8>, Option<String>)> {
    let read = |index: usize| match manifest.read(index) {
        Ok(bytes)
            if Some(Digest::from(*blake3::hash(&bytes).as_bytes())) == samples[index].digest =>
        {
            (bytes, None)
        }
        Ok(_) => (
            Vec::new(),
            Some("its bytes changed while the job ran".to_owned()),
        ),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    range.into_par_iter().map(read).collect()
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
