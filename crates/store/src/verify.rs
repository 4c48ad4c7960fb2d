//! Reads everything that is kept and tells what is damaged or missing.
//!
//! Every value is read and its checksum verified, and every reference is followed: from a curriculum to
//! its versions, from a version to its columns, sketch, clustering and samples, from the index to the
//! packs. What was pushed is read too. What nothing refers to is read too and is no damage; [`crate::garbage`] removes it.
//!
//! The folder must be opened for it, and sled cannot open without writing (it writes its snapshot anew).
//! Nothing else is written, and [`Store::open_existing`] creates nothing.

mod data;
mod records;

use crate::{Digest, Result, Store, StoreError};
use std::{collections::BTreeMap, ops::ControlFlow};

/// Damages that are listed; further ones are only counted.
pub const LISTED: usize = 1000;

/// What was read, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Jobs.
    pub jobs: Counted,
    /// Errors of single samples.
    pub job_errors: Counted,
    /// Curricula.
    pub curricula: Counted,
    /// Versions: records, sketches and outcomes of clustering.
    pub versions: Counted,
    /// Columns of versions.
    pub columns: Counted,
    /// Chunks of samples.
    pub sample_chunks: Counted,
    /// Packs of features.
    pub packs: Counted,
    /// Entries of the indices of features.
    pub index_entries: Counted,
    /// Samples that clients pushed.
    pub pushes: Counted,
    /// The first [`LISTED`] damages.
    pub damaged: Vec<Damage>,
    /// How many there are.
    pub damaged_count: u64,
    /// Whether everything was read; not when the caller broke off.
    pub complete: bool,
}

/// How many, and how large together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Number of them.
    pub count: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

/// Something that is damaged or missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Which value or file.
    pub what: String,
    /// How that was noticed.
    pub reason: String,
}

/// Where a verification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyProgress {
    /// What is read now, for people.
    pub activity: &'static str,
    /// Bytes read so far.
    pub bytes: u64,
    /// Damages found so far.
    pub damaged: u64,
}

/// The caller broke off.
struct Stopped;

type Step<T = ()> = std::result::Result<T, Interruption>;

enum Interruption {
    Stopped(Stopped),
    Failed(StoreError),
}

impl From<Stopped> for Interruption {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<StoreError> for Interruption {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<sled::Error> for Interruption {
    fn from(error: sled::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Store {
    /// Verifies everything. `progress` is called after each value or file and may break off.
    ///
    /// # Errors
    /// When a folder or the database cannot be read at all; what is damaged is reported instead.
    pub fn verify(
        &self,
        progress: &mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> Result<Verification> {
        let mut verifier = Verifier {
            store: self,
            progress,
            found: Verification::default(),
            listings: BTreeMap::new(),
            activity: "records",
        };
        match verifier.run() {
            Ok(()) => verifier.found.complete = true,
            Err(Interruption::Stopped(Stopped)) => {}
            Err(Interruption::Failed(error)) => return Err(error),
        }
        Ok(verifier.found)
    }
}

struct Verifier<'a> {
    store: &'a Store,
    progress: &'a mut dyn FnMut(VerifyProgress) -> ControlFlow<()>,
    found: Verification,
    /// Samples of each listing whose chunks are complete and undamaged up to the last.
    listings: BTreeMap<Digest, u64>,
    activity: &'static str,
}

impl Verifier<'_> {
    fn run(&mut self) -> Step {
        if let Err(error) = self.store.flushed().check() {
            self.note(error)?;
        }
        for part in [
            Self::jobs,
            Self::samples,
            Self::versions,
            Self::curricula,
            Self::features,
            Self::pushes,
        ] {
            match part(self) {
                // Of the database itself, or of a folder: what the others hold is read all the same.
                Err(Interruption::Failed(error)) => self.note(error)?,
                other => other?,
            }
        }
        Ok(())
    }

    /// Notes a damage, or passes on what is wrong with the database as a whole.
    fn note(&mut self, error: StoreError) -> Result<()> {
        match error {
            StoreError::Corrupt { what, reason } => self.damage(what, reason.to_owned()),
            StoreError::Io { path, source, .. } => {
                self.damage(path.display().to_string(), source.to_string());
            }
            other @ (StoreError::InUse { .. }
            | StoreError::Schema { .. }
            | StoreError::DiskFull { .. }
            | StoreError::Held { .. }
            | StoreError::NotFound(_)
            | StoreError::Invalid(_)
            | StoreError::Portable(_)
            | StoreError::Database(_)) => return Err(other),
        }
        Ok(())
    }

    fn damage(&mut self, what: String, reason: String) {
        self.found.damaged_count += 1;
        if self.found.damaged.len() < LISTED {
            self.found.damaged.push(Damage { what, reason });
        }
    }

    /// Tells the caller where this stands.
    fn report(&mut self) -> Step {
        let found = &self.found;
        let parts = [
            found.jobs,
            found.job_errors,
            found.curricula,
            found.versions,
            found.columns,
            found.sample_chunks,
            found.packs,
            found.index_entries,
            found.pushes,
        ];
        let progress = VerifyProgress {
            activity: self.activity,
            bytes: parts.iter().map(|part| part.bytes).sum(),
            damaged: found.damaged_count,
        };
        match (self.progress)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stopped.into()),
        }
    }
}

impl Counted {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests;
