//! Removes what nothing refers to.
//!
//! What counts is what curricula name, and what jobs that are under way or failed need: their listing's
//! samples, the features of those samples, the version they build and the one they extend; and what
//! was pushed for any of them. Everything else was left by deleted versions, by jobs that were
//! cancelled, or by a kill. It is found by marking: memory holds the ids of versions and listings, and
//! a bit for each pack.
//!
//! If a record that could refer to something is damaged, nothing is removed.

mod features;
mod pushes;

use crate::{Counted, Digest, JobRecord, JobState, Result, Store, files};
use std::{collections::BTreeSet, ops::ControlFlow, path::PathBuf};

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// Records, sketches and outcomes of clustering of versions.
    pub versions: Counted,
    /// Columns of versions.
    pub columns: Counted,
    /// Chunks of samples.
    pub sample_chunks: Counted,
    /// Packs of features of which no sample is needed.
    pub packs: Counted,
    /// Entries of the indices of features that lead nowhere.
    pub index_entries: Counted,
    /// Pushes that nothing came from, untouched for a week.
    pub pushes: Counted,
    /// Errors of samples of jobs that are gone.
    pub job_errors: Counted,
    /// Whether everything was looked at; not when the caller broke off, who then removed nothing, or
    /// part of it.
    pub complete: bool,
}

impl Garbage {
    /// Bytes of all of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let parts = [
            self.versions,
            self.columns,
            self.sample_chunks,
            self.packs,
            self.index_entries,
            self.pushes,
            self.job_errors,
        ];
        parts.iter().map(|part| part.bytes).sum()
    }
}

/// What is needed.
#[derive(Debug, Default)]
struct Needed {
    jobs: BTreeSet<Digest>,
    versions: BTreeSet<Digest>,
    listings: BTreeSet<Digest>,
    /// Model, its dimension, and a listing whose features by it are needed.
    features: BTreeSet<(Digest, u32, Digest)>,
    /// Where samples come from, as submitted.
    sources: BTreeSet<String>,
}

/// One run over the folder.
struct Sweep<'a> {
    store: &'a Store,
    needed: Needed,
    dry_run: bool,
    found: Garbage,
    proceed: &'a mut dyn FnMut() -> ControlFlow<()>,
}

impl Store {
    /// Removes what nothing refers to; with `dry_run`, only tells what that is. `proceed` is asked now and
    /// then whether to go on. Nothing else may use the folder meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a record or samples that tell what is needed are damaged: nothing is
    /// removed then. And when a folder or the database cannot be read or written.
    pub fn collect_garbage(
        &self,
        dry_run: bool,
        proceed: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Garbage> {
        let mut sweep = Sweep {
            store: self,
            needed: Needed::read(self)?,
            dry_run,
            found: Garbage::default(),
            proceed,
        };
        sweep.found.complete = sweep.run()?.is_continue();
        self.flush()?;
        Ok(sweep.found)
    }
}

impl Needed {
    fn read(store: &Store) -> Result<Self> {
        let mut needed = Self::default();
        let (jobs, damaged) = store.jobs()?;
        if let Some(error) = damaged.into_iter().next() {
            return Err(error);
        }
        for job in &jobs {
            needed.jobs.insert(job.id);
            if is_live(job) {
                needed
                    .versions
                    .extend(job.version.into_iter().chain(job.extends));
                needed.listings.insert(job.listing);
                needed.sources.insert(job.source.clone());
                let features = (job.model_digest, job.dimension, job.listing);
                needed.features.insert(features);
            }
        }
        for (_, curriculum) in store.curricula()? {
            needed.versions.extend(curriculum.versions);
        }
        for id in needed.versions.clone() {
            if let Some(version) = store.version(id)? {
                needed.listings.insert(version.listing);
                needed.sources.insert(version.source);
                let dimension = version.summary.dimension;
                let features = (version.model_digest, dimension, version.listing);
                needed.features.insert(features);
            }
        }
        Ok(needed)
    }
}

/// Whether a job may go on with what is stored for it.
fn is_live(job: &JobRecord) -> bool {
    match job.state {
        JobState::Queued | JobState::Running | JobState::Failed { .. } => true,
        JobState::Succeeded | JobState::Cancelled => false,
    }
}

impl Sweep<'_> {
    /// What refers goes before what it refers to. Features first, all the same: to mark them, samples
    /// are read, and if those are damaged nothing must be gone.
    fn run(&mut self) -> Result<ControlFlow<()>> {
        if self.features()?.is_break() || (self.proceed)().is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.records()?;
        for folder in ["columns", "samples"] {
            if (self.proceed)().is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.folders(folder)?;
        }
        self.pushes()?;
        Ok(ControlFlow::Continue(()))
    }

    fn records(&mut self) -> Result<()> {
        let store = self.store;
        let trees = [&store.versions, &store.sketches, &store.clusterings];
        for (number, tree) in trees.into_iter().enumerate() {
            for entry in tree {
                let (key, value) = entry?;
                if is_among(&self.needed.versions, &key) {
                    continue;
                }
                self.found.versions.count += u64::from(number == 0);
                self.found.versions.bytes += (key.len() + value.len()) as u64;
                self.remove(tree, &key)?;
            }
            self.flush()?;
        }
        for entry in &store.job_errors {
            let (key, value) = entry?;
            if !is_among(&self.needed.jobs, &key) {
                self.found.job_errors.add((key.len() + value.len()) as u64);
                self.remove(&store.job_errors, &key)?;
            }
        }
        Ok(())
    }

    fn remove(&self, tree: &sled::Tree, key: &[u8]) -> Result<()> {
        if !self.dry_run {
            tree.remove(key)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        match self.dry_run {
            true => Ok(()),
            false => self.store.flush(),
        }
    }

    /// Folders of columns, by version, or of samples, by listing.
    fn folders(&mut self, parent: &'static str) -> Result<()> {
        for (id, folder) in digest_folders(self.store, parent)? {
            let (needed, found) = match parent {
                "columns" => (&self.needed.versions, &mut self.found.columns),
                _ => (&self.needed.listings, &mut self.found.sample_chunks),
            };
            if needed.contains(&id) {
                continue;
            }
            for name in files::names(&folder)? {
                found.add(files::file_bytes(&folder.join(name?))?);
            }
            if !self.dry_run {
                files::remove_folder(&folder)?;
            }
        }
        Ok(())
    }
}

/// Whether the digest that `key` begins with is among `needed`. What has no such key is nobody's.
fn is_among(needed: &BTreeSet<Digest>, key: &[u8]) -> bool {
    let id = key.first_chunk().copied().map(Digest::from);
    id.is_some_and(|id| needed.contains(&id))
}

/// Folders of `parent` that are named by a digest.
fn digest_folders(store: &Store, parent: &str) -> Result<Vec<(Digest, PathBuf)>> {
    let parent = store.root().join(parent);
    let mut folders = Vec::new();
    for name in files::names(&parent)? {
        let name = name?;
        if let Ok(digest) = name.parse() {
            folders.push((digest, parent.join(name)));
        }
    }
    Ok(folders)
}

#[cfg(test)]
mod tests;
