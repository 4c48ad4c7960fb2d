//! Which samples there are: ids, labels, and what stands for each one's bytes. That names the content,
//! and so the version.
//!
//! Samples are kept chunk by chunk under the key of their listing, so an interrupted run goes on
//! after the last chunk, and a job over an unchanged source reads nothing. A listing never changes: a
//! sample that could not be read before is tried again, and if it can be read now, the samples are
//! kept under another key.

use super::{Context, StageError};
use crate::{
    CommitPoint, SampleError, metrics::samples as samples_of, request::version_id,
    tolerance::Tolerance,
};
use curriculum_manifest::{ContentDigest, Manifest, ReadError, ReadErrorKind, Sample};
use curriculum_store::{
    Digest, Identity, ReadFailure, SAMPLES_PER_CHUNK, SampleRecord, Store, StoreError,
};
use rayon::prelude::*;
use std::{ops::Range, sync::atomic::AtomicBool};

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
        cx.job.failed_count = tolerance.failed();
        samples_of("enumerated", range.end - range.start);
        tolerance.check()?;
        cx.reporter.report(range.end, total, "hashing samples");
    }
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
            let samples = reading(cx)?.samples(range, &[])?;
            self.put(cx, chunk, &samples)?;
            return Ok(samples);
        };
        cx.reporter.skip(range.end - range.start);
        let repaired = match kept.iter().any(|sample| sample.failure.is_some()) {
            true => reading(cx)?.samples(range, &kept)?,
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

fn reading<'a>(cx: &'a mut Context<'_>) -> Result<Reading<'a>, StageError> {
    let (interrupt, identity) = (cx.interrupt, cx.job.identity);
    Ok(Reading {
        manifest: cx.manifest()?,
        identity,
        interrupt,
    })
}

/// A sample's position in its chunk, and the hash of its bytes or why there is none.
type Hashed = (usize, Result<Digest, ReadFailure>);

/// How samples are read.
struct Reading<'a> {
    manifest: &'a Manifest,
    identity: Identity,
    interrupt: &'a AtomicBool,
}

impl Reading<'_> {
    /// The samples of `range`, in parallel; of kept ones those that failed are tried again. Stops at
    /// the next sample once interrupted.
    fn samples(
        &self,
        range: Range<u64>,
        kept: &[SampleRecord],
    ) -> Result<Vec<SampleRecord>, StageError> {
        let samples = self.manifest.samples(range.clone())?;
        let etags = match self.identity {
            Identity::Bytes => Vec::new(),
            Identity::Etag => self.manifest.etags(&samples, self.interrupt),
        };
        super::check(self.interrupt)?;
        let mut etags = etags.into_iter();
        let mut records = Vec::with_capacity(samples.len());
        let mut unread = Vec::new();
        for (position, sample) in samples.iter().enumerate() {
            let etag = etags.next();
            let kept = kept.get(position).filter(|kept| kept.failure.is_none());
            let record = match (kept, etag) {
                (Some(kept), _) => Some(kept.clone()),
                (None, Some(etag)) => by_etag(sample, etag)?,
                (None, None) => None,
            };
            if record.is_none() {
                unread.push((position, range.start + position as u64));
            }
            records.push(record.unwrap_or_else(|| bare(sample)));
        }
        for (position, outcome) in self.read(&unread)? {
            match outcome {
                Ok(digest) => records[position].digest = Some(digest),
                Err(failure) => records[position].failure = Some(failure),
            }
        }
        Ok(records)
    }

    /// Hashes samples, given by position and index. Threads take them in order, so that remote ones
    /// are fetched ahead.
    fn read(&self, samples: &[(usize, u64)]) -> Result<Vec<Hashed>, StageError> {
        let ahead = samples.iter().map(|(_, index)| *index);
        let reader = self.manifest.reader(Box::new(ahead));
        let read = |(position, index): &(usize, u64)| {
            super::check(self.interrupt)?;
            let hash = match reader.read_unless(*index, self.interrupt) {
                Ok(bytes) => Ok(Digest::from(*blake3::hash(&bytes).as_bytes())),
                Err(error) => {
                    super::check(self.interrupt)?;
                    Err(failure(&error)?)
                }
            };
            Ok((*position, hash))
        };
        samples.iter().par_bridge().map(read).collect()
    }
}

/// A sample of which nothing was read.
fn bare(sample: &Sample) -> SampleRecord {
    SampleRecord {
        id: sample.id.to_string(),
        label: sample.label.as_deref().map(str::to_owned),
        ..SampleRecord::default()
    }
}

/// A sample whose etag stands for its bytes; `None` when there is none, as for files.
fn by_etag(
    sample: &Sample,
    etag: Result<Option<blake3::Hash>, ReadError>,
) -> Result<Option<SampleRecord>, StageError> {
    let (digest, failure) = match etag {
        Ok(None) => return Ok(None),
        Ok(Some(hash)) => (Some(Digest::from(*hash.as_bytes())), None),
        Err(error) => (None, Some(failure(&error)?)),
    };
    Ok(Some(SampleRecord {
        by_etag: digest.is_some(),
        digest,
        failure,
        ..bare(sample)
    }))
}

/// A store that is away fails the job: noted as its sample's, the failure would be part of the version.
fn failure(error: &ReadError) -> Result<ReadFailure, StageError> {
    match error.kind() {
        ReadErrorKind::Unavailable => Err(StageError::Failed(error.to_string())),
        kind => Ok(ReadFailure {
            kind: kind.as_str().to_owned(),
            reason: error.to_string(),
        }),
    }
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
    samples_of("failed", 1);
    cx.store.put_job_error(cx.job.id, index, &error.reason)?;
    tolerance.add(&error);
    cx.reporter.failed(error, tolerance.failed());
    Ok(())
}
