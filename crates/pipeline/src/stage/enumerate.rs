//! Hashes every sample's bytes, which names the content and so the version.

use super::{Context, StageError};
use crate::request::version_id;
use curriculum_manifest::{ContentDigest, Manifest, ReadErrorKind};
use curriculum_store::{Digest, SampleRecord};
use rayon::prelude::*;
use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

/// Samples hashed between two reports.
const BLOCK: usize = 1024;

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let total = cx.manifest()?.len() as usize;
    let mut content = ContentDigest::new();
    let mut records = Vec::with_capacity(total);
    for start in (0..total).step_by(BLOCK) {
        let end = total.min(start + BLOCK);
        let interrupt = cx.interrupt;
        let manifest = cx.manifest()?;
        let samples = manifest.samples(start as u64..end as u64)?;
        let hashes = hashes(manifest, start..end, interrupt)?;
        for (sample, hash) in samples.iter().zip(hashes) {
            records.push(SampleRecord {
                id: sample.id.to_string(),
                label: sample.label.as_deref().map(str::to_owned),
                digest: hash
                    .as_ref()
                    .ok()
                    .map(|hash| Digest::from(*hash.as_bytes())),
            });
            content.push(sample, hash);
        }
        cx.reporter
            .report(end as u64, total as u64, "hashing samples");
    }
    let content = Digest::from(*content.finish().as_bytes());
    cx.store.put_samples(content, &records)?;
    cx.job.version = Some(version_id(cx.job, content));
    cx.job.content = Some(content);
    Ok(())
}

/// Stops at the next sample once interrupted.
fn hashes(
    manifest: &Manifest,
    range: Range<usize>,
    interrupt: &AtomicBool,
) -> Result<Vec<Result<blake3::Hash, ReadErrorKind>>, StageError> {
    let hash = |index| {
        if interrupt.load(Ordering::Relaxed) {
            return Err(StageError::Interrupted);
        }
        Ok(match manifest.read(index as u64) {
            Ok(bytes) => Ok(blake3::hash(&bytes)),
            Err(error) => Err(error.kind()),
        })
    };
    range.into_par_iter().map(hash).collect()
}
