//! Which samples of a job are those of the version that it extends.

use super::super::{Context, StageError};
use curriculum_store::{Column, Digest, SampleRecord, Store, StoreError, VersionRecord};

/// For a sample that is new.
const NEW: u64 = u64::MAX;

/// Of every sample of the job its index in the base, if it is there with the same id, label and
/// content, and has features there.
///
/// Memory is 8 bytes for each sample, and while it is made 24 bytes for each sample of the base.
pub(super) struct Origins(Vec<u64>);

impl Origins {
    pub(super) fn find(cx: &Context<'_>, base: &VersionRecord) -> Result<Self, StageError> {
        let known = known(cx, base)?;
        let mut origins = Vec::with_capacity(cx.job.sample_count as usize);
        visit(cx, cx.job.listing, cx.job.sample_count, |_, sample| {
            let place = known.binary_search_by_key(&key(sample), |(key, _)| *key);
            let found = place.ok().and_then(|place| known.get(place));
            let found = found.filter(|_| sample.digest.is_some());
            origins.push(found.map_or(NEW, |(_, index)| *index));
            Ok(())
        })?;
        Ok(Self(origins))
    }

    pub(super) fn is_new(&self, index: u64) -> bool {
        self.of(index as usize).is_none()
    }

    /// Index in the base.
    pub(super) fn of(&self, index: usize) -> Option<usize> {
        let origin = self.0.get(index).copied().filter(|origin| *origin != NEW)?;
        Some(origin as usize)
    }

    /// Samples of the base that are there.
    pub(super) fn kept(&self) -> u64 {
        self.0.iter().filter(|origin| **origin != NEW).count() as u64
    }

    /// For every sample its value of `base` if it is old; else the next of `new`, which has those of
    /// the new samples that are not `absent`.
    pub(super) fn merge<'a, T: Copy>(
        &'a self,
        base: &'a [T],
        mut new: impl Iterator<Item = T> + 'a,
    ) -> impl ExactSizeIterator<Item = T> + 'a
    where
        T: Default,
    {
        (0..self.0.len()).map(move |index| {
            // One for every sample, of which those of the old are passed over.
            let value = new.next().unwrap_or_default();
            match self.of(index) {
                Some(origin) => base.get(origin).copied().unwrap_or(value),
                None => value,
            }
        })
    }
}

type Key = [u64; 2];

/// Keys and indices of the usable samples of the base, sorted.
fn known(cx: &Context<'_>, base: &VersionRecord) -> Result<Vec<(Key, u64)>, StageError> {
    let count = base.summary.sample_count;
    let mut known = Vec::with_capacity(count as usize);
    let cluster = cx.store.column(base.id, Column::Cluster, count)?;
    visit(cx, base.listing, count, |index, sample| {
        let cluster = cluster.get(index as usize).copied().map(u32::from_le_bytes);
        if cluster != Some(u32::MAX) {
            known.push((key(sample), index));
        }
        Ok(())
    })?;
    known.sort_unstable();
    Ok(known)
}

/// A hash so long that two samples do not share it.
fn key(sample: &SampleRecord) -> Key {
    let label = sample.label.as_deref();
    let digest = sample.digest.map_or([0; 32], |digest| *digest.as_bytes());
    let digest = Digest::of_parts([
        sample.id.as_bytes(),
        &[u8::from(label.is_some())],
        label.unwrap_or_default().as_bytes(),
        &digest,
    ]);
    let halves = digest.as_bytes().as_chunks::<8>().0;
    [0, 1].map(|half: usize| halves.get(half).copied().map_or(0, u64::from_be_bytes))
}

fn visit(
    cx: &Context<'_>,
    listing: Digest,
    count: u64,
    mut visit: impl FnMut(u64, &SampleRecord) -> Result<(), StageError>,
) -> Result<(), StageError> {
    let store: &Store = cx.store;
    let mut next = 0;
    while next < count {
        cx.check_interrupt()?;
        let samples: Result<_, StoreError> = store.some_samples(listing, next..count);
        for sample in samples? {
            visit(next, &sample)?;
            next += 1;
        }
    }
    Ok(())
}
