//! Which samples there are: ids, labels, and what stands for each one's bytes. That names the content,
//! and so the version.
//!
//! Samples are kept chunk by chunk under the key of their listing, so an interrupted run goes on
//! after the last chunk, and a job over an unchanged source reads nothing. A listing never changes: a
//! sample that could not be read before is tried again, and if it can be read now, the samples are
//! kept under another key.

use super::{Context, StageError};
use crate::{CommitPoint, SampleError, request::version_id, tolerance::Tolerance};
use curriculum_manifest::{ContentDigest, Manifest, Sample};
use curriculum_store::{Digest, ReadFailure, SAMPLES_PER_CHUNK, SampleRecord, Store, StoreError};
use rayon::prelude::*;
use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    cx.store.clear_job_errors(cx.job.id)?;
    cx.job.failed_count = 0;
    let total = cx.job.sample_count;
    let mut tolerance = Tolerance::new(total, cx.job.parameters.max_failed_fraction);
    let mut content = ContentDigest::new();
    let mut listing = Listing {
        key: cx.job.listing,
        base: None,
    };
    for chunk in 0..total.div_ceil(SAMPLES_PER_CHUNK) {
        cx.check_interrupt()?;
        let range = chunk * SAMPLES_PER_CHUNK..total.min((chunk + 1) * SAMPLES_PER_CHUNK);
        let samples = listing.chunk(cx, chunk, range.clone())?;
        for (index, sample) in range.clone().zip(&samples) {
            push(&mut content, sample);
            note_failure(cx, index, sample, &mut tolerance)?;
        }
        cx.reporter.report(range.end, total, "hashing samples");
    }
    cx.job.failed_count = tolerance.failed();
    tolerance.check()?;
    let content = Digest::from(*content.finish().as_bytes());
    cx.job.listing = listing.key;
    cx.job.version = Some(version_id(cx.job, content));
    cx.job.content = Some(content);
    Ok(())
}

/// Where the samples are kept.
struct Listing {
    key: Digest,
    /// The listing that this one repairs; what is missing here is taken from there.
    base: Option<Digest>,
}

impl Listing {
    /// The samples of a chunk: kept ones, of which those that failed are tried again, or new ones.
    fn chunk(
        &mut self,
        cx: &mut Context<'_>,
        chunk: u64,
        range: Range<u64>,
    ) -> Result<Vec<SampleRecord>, StageError> {
        let mut kept = kept(cx.store, self.key, chunk, &range)?;
        let is_here = kept.is_some();
        if let (None, Some(base)) = (&kept, self.base) {
            kept = self::kept(cx.store, base, chunk, &range)?;
        }
        let Some(kept) = kept else {
            let samples = read((cx.interrupt, cx.manifest()?), range, &[])?;
            self.put(cx, chunk, &samples)?;
            return Ok(samples);
        };
        cx.reporter.skip(range.end - range.start);
        let repaired = match kept.iter().any(|sample| sample.failure.is_some()) {
            true => read((cx.interrupt, cx.manifest()?), range, &kept)?,
            false => kept.clone(),
        };
        if !is_here {
            self.put(cx, chunk, &repaired)?;
        } else if repaired != kept {
            self.fork(cx, chunk, &repaired)?;
        }
        Ok(repaired)
    }

    fn put(
        &self,
        cx: &Context<'_>,
        chunk: u64,
        samples: &[SampleRecord],
    ) -> Result<(), StoreError> {
        cx.store.put_sample_chunk(self.key, chunk, samples)?;
        cx.hook().reached(CommitPoint::Samples(chunk));
        Ok(())
    }

    /// Goes on under a key of its own, which follows from the first repair.
    fn fork(
        &mut self,
        cx: &Context<'_>,
        chunk: u64,
        repaired: &[SampleRecord],
    ) -> Result<(), StageError> {
        let base = self.key;
        let place = chunk.to_le_bytes();
        let digests = repaired.iter().flat_map(|sample| match &sample.digest {
            Some(digest) => *digest.as_bytes(),
            None => [0; 32],
        });
        let digests: Vec<u8> = digests.collect();
        self.key = Digest::of_parts([base.as_bytes().as_slice(), &place, &digests]);
        self.base = Some(base);
        for earlier in 0..chunk {
            cx.check_interrupt()?;
            if cx.store.sample_chunk(self.key, earlier)?.is_none()
                && let Some(samples) = cx.store.sample_chunk(base, earlier)?
            {
                self.put(cx, earlier, &samples)?;
            }
        }
        Ok(self.put(cx, chunk, repaired)?)
    }
}

/// A whole chunk of a listing; a damaged one counts as missing.
fn kept(
    store: &Store,
    listing: Digest,
    chunk: u64,
    range: &Range<u64>,
) -> Result<Option<Vec<SampleRecord>>, StageError> {
    match store.sample_chunk(listing, chunk) {
        Ok(samples) => {
            Ok(samples.filter(|samples| samples.len() as u64 == range.end - range.start))
        }
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::warn!(%error, "samples are read again");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the samples of `range`, in parallel; of kept ones those that failed. Stops at the next
/// sample once interrupted.
fn read(
    (interrupt, manifest): (&AtomicBool, &Manifest),
    range: Range<u64>,
    kept: &[SampleRecord],
) -> Result<Vec<SampleRecord>, StageError> {
    let samples = manifest.samples(range.clone())?;
    let read = |(position, sample): (usize, &Sample)| {
        if interrupt.load(Ordering::Relaxed) {
            return Err(StageError::Interrupted);
        }
        if let Some(kept) = kept.get(position).filter(|kept| kept.failure.is_none()) {
            return Ok(kept.clone());
        }
        let mut record = SampleRecord {
            id: sample.id.to_string(),
            label: sample.label.as_deref().map(str::to_owned),
            ..SampleRecord::default()
        };
        match manifest.read(range.start + position as u64) {
            Ok(bytes) => record.digest = Some(Digest::from(*blake3::hash(&bytes).as_bytes())),
            Err(error) => {
                record.failure = Some(ReadFailure {
                    kind: error.kind().as_str().to_owned(),
                    reason: error.to_string(),
                });
            }
        }
        Ok(record)
    };
    samples.par_iter().enumerate().map(read).collect()
}

fn push(content: &mut ContentDigest, sample: &SampleRecord) {
    let bytes = match (&sample.digest, &sample.failure) {
        (Some(digest), _) => Ok(blake3::Hash::from_bytes(*digest.as_bytes())),
        (None, failure) => Err(failure.as_ref().map_or("io", |failure| &failure.kind)),
    };
    content.push_kept(&sample.id, sample.label.as_deref(), bytes);
}

fn note_failure(
    cx: &Context<'_>,
    index: u64,
    sample: &SampleRecord,
    tolerance: &mut Tolerance,
) -> Result<(), StoreError> {
    let Some(failure) = &sample.failure else {
        return Ok(());
    };
    let error = SampleError {
        index,
        id: sample.id.clone(),
        reason: failure.reason.clone(),
    };
    cx.store.put_job_error(cx.job.id, index, &error.reason)?;
    tolerance.add(&error);
    cx.reporter.failed(error, tolerance.failed());
    Ok(())
}
