//! Where the features of a job's samples are.

use curriculum_store::{Digest, FeatureSpace, Found, SampleRecord, Store, StoreError};
use std::collections::{HashMap, HashSet};

/// The samples of a job, and the space that holds the features of their contents.
pub(crate) struct Samples<'a> {
    pub(crate) store: &'a Store,
    pub(crate) space: &'a FeatureSpace,
    pub(crate) listing: Digest,
    pub(crate) count: u64,
}

/// What there is of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Features<'a> {
    /// Its features.
    At(Found),
    /// None, for good: its bytes could not be read, or not be extracted. The reason, for people.
    Failed(&'a str),
    /// None yet, or none any more.
    Missing,
}

/// Rows without features, with the reasons, of the packs that were met last.
#[derive(Default)]
struct Outlines(HashMap<u64, HashMap<u32, String>>);

impl Samples<'_> {
    /// Some samples from `next` on with what there is of each; empty after the last.
    ///
    /// # Errors
    /// When the samples or the index cannot be read.
    pub(crate) fn some(&self, next: u64) -> Result<Vec<(SampleRecord, Option<Found>)>, StoreError> {
        let samples = self
            .store
            .some_samples(self.listing, next..self.count.max(next))?;
        let digests: Vec<Digest> = samples.iter().filter_map(|sample| sample.digest).collect();
        let mut found = self.space.find(&digests)?.into_iter();
        let place = |sample: SampleRecord| {
            let found = sample.digest.and_then(|_| found.next().flatten());
            (sample, found)
        };
        Ok(samples.into_iter().map(place).collect())
    }

    /// Shows `visit` every sample, in order. A pack that turns out to be damaged is forgotten, and
    /// its samples are missing.
    ///
    /// # Errors
    /// Those of `visit`, and whatever keeps the samples or the packs from being read.
    pub(crate) fn visit<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(u64, &SampleRecord, Features<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut outlines = Outlines::default();
        let mut next = 0;
        while next < self.count {
            let samples = self.some(next)?;
            outlines.meet(self.space, samples.iter().filter_map(|(_, found)| *found))?;
            for (index, (sample, found)) in (next..).zip(&samples) {
                visit(index, sample, outlines.features(sample, *found))?;
            }
            next += samples.len() as u64;
        }
        Ok(())
    }
}

impl Outlines {
    /// Reads the outlines of the packs of `found`, and drops all others.
    fn meet(
        &mut self,
        space: &FeatureSpace,
        found: impl Iterator<Item = Found>,
    ) -> Result<(), StoreError> {
        let packs: HashSet<u64> = found.map(|found| found.pack).collect();
        self.0.retain(|pack, _| packs.contains(pack));
        for pack in packs {
            if self.0.contains_key(&pack) {
                continue;
            }
            match space.outline(pack) {
                Ok(outline) => {
                    let failures = outline.failures.into_iter();
                    let failures = failures.map(|failure| (failure.row, failure.reason));
                    self.0.insert(pack, failures.collect());
                }
                Err(error @ StoreError::Corrupt { .. }) => forget(space, pack, &error)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn features<'a>(&'a self, sample: &'a SampleRecord, found: Option<Found>) -> Features<'a> {
        if let Some(failure) = &sample.failure {
            return Features::Failed(&failure.reason);
        }
        let Some(found) = found else {
            return Features::Missing;
        };
        match self.0.get(&found.pack) {
            None => Features::Missing,
            Some(failures) => match failures.get(&found.row) {
                Some(reason) => Features::Failed(reason),
                None => Features::At(found),
            },
        }
    }
}

/// Lets the samples of a damaged pack be extracted again.
pub(crate) fn forget(
    space: &FeatureSpace,
    pack: u64,
    damage: &StoreError,
) -> Result<(), StoreError> {
    tracing::warn!(pack, %damage, "features are damaged and will be extracted again");
    space.forget(pack)
}
