//! Features on disk, by the content of the samples: what one job extracted, all others find.
//!
//! ```text
//! features/<model digest>/
//!   pack-00000000.features     digests, features and failures of 1 to 256 samples
//!   pack-00000007.forgotten    digests that earlier packs hold in vain
//!   index-…-….run              where each digest lies, sorted; made from the packs and replaceable
//! ```
//!
//! A file appears under its name only when it is complete, and never changes, so an interrupted
//! extraction goes on with the digests that are in no pack. It is on disk for certain after a flush. The index is derived: at
//! opening, packs that no run covers are read again. See [`index`] for how it stays small in memory.

mod format;
mod index;
mod names;
mod packs;
mod run;
mod space;

pub(crate) use packs::Packs;
pub use space::FeatureSpace;

use crate::{Digest, Result, Store, StoreError, files};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

/// Features of some samples, in one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pack {
    /// Content hash of the sample in each row; 1 to 256.
    pub digests: Vec<Digest>,
    /// Row-major; rows of failed samples are zero.
    pub features: Vec<f32>,
    /// Samples without features, by row.
    pub failures: Vec<PackFailure>,
}

/// What a pack says of itself. Only [`FeatureSpace::read`] verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackOutline {
    /// Content hash of the sample in each row.
    pub digests: Vec<Digest>,
    /// Samples without features, by row.
    pub failures: Vec<PackFailure>,
}

/// A sample without features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackFailure {
    /// Row in its pack.
    pub row: u32,
    /// Why, for people.
    pub reason: String,
}

/// Where the features of a sample are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Number of the pack.
    pub pack: u64,
    /// Row in it.
    pub row: u32,
}

impl Store {
    /// The features that the model of digest `model` gave, `dimension` values a sample. Handles of one
    /// model share their state: one thread appends while others read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the model was opened with another dimension before; and when the
    /// folder cannot be created or read.
    pub fn feature_space(&self, model: Digest, dimension: usize) -> Result<FeatureSpace> {
        // Held while a space is opened, so that it is opened once.
        let mut spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        let space = match spaces.get(&model) {
            Some(space) => FeatureSpace::clone(space),
            None => {
                let space = {
                    let folder = self.space_folder(model);
                    let unsynced = self.unsynced().clone();
                    FeatureSpace::open(folder, dimension, self.room(), unsynced)?
                };
                spaces.insert(model, space.clone());
                space
            }
        };
        if space.dimension() == dimension {
            Ok(space)
        } else {
            let what = format!("features of model {model}");
            Err(StoreError::corrupt(what, "of another dimension"))
        }
    }

    /// Lets go of a space whose files are to be removed.
    pub(crate) fn close_space(&self, model: Digest) {
        let mut spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        spaces.remove(&model);
    }

    pub(crate) fn space_folder(&self, model: Digest) -> PathBuf {
        self.root().join("features").join(model.to_string())
    }
}

/// Whether a file of a space holds a run of its index, by its name.
pub(crate) fn is_run(name: &str) -> bool {
    run::Run::parse_name(name).is_some()
}

/// Whether a file of a space is a pack, of features or of what was forgotten, by its name.
pub(crate) fn is_pack(name: &str) -> bool {
    names::number(name, ".features").is_some() || names::number(name, ".forgotten").is_some()
}

/// Verifies a pack; its dimension is returned, unless it lists what was forgotten.
pub(crate) fn verify_pack(path: &Path) -> Result<Option<usize>> {
    let damaged = |reason| StoreError::corrupt(path.display().to_string(), reason);
    let bytes = files::read_whole(path, LONGEST_PACK)?.ok_or_else(|| damaged("missing"))?;
    let (_, dimension) = format::decode(&bytes).map_err(damaged)?;
    let forgotten = path.extension().is_some_and(|e| e == "forgotten");
    Ok((!forgotten).then_some(dimension))
}

/// Verifies a run of an index: how many entries it has, and how many of them are damaged.
pub(crate) fn verify_run(path: &Path) -> Result<(u64, u64)> {
    let run = run::Run::open(path.to_owned())?;
    let mut damaged = 0;
    let mut whole = 0;
    for entry in run.entries(&mut damaged)? {
        entry?;
        whole += 1;
    }
    Ok((whole + damaged, damaged))
}

/// Entries of a run; 0 when it is damaged.
pub(crate) fn run_entries(path: &Path) -> u64 {
    run::Run::open(path.to_owned()).map_or(0, |run| run.entries)
}

/// Of any dimension that a model might have.
const LONGEST_PACK: u64 = 1 << 32;

/// Spaces in use.
pub(crate) type Spaces = std::collections::HashMap<Digest, FeatureSpace>;

/// Shared parts of a space.
type Shared<T> = Arc<T>;

#[cfg(test)]
mod tests;
