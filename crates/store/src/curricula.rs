//! Curricula: names that point at versions, and aliases that a person moves between them.
//!
//! A version is immutable; what moves is a pointer, by one write of one record. `latest` is the newest
//! version and moves by itself; any other alias moves when somebody promotes a version to it, and
//! remembers where it was. A trainer that pins a version is moved by none of them.

use crate::{Digest, JobRecord, Result, Store, StoreError, envelope};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError, atomic::Ordering},
};

/// The alias of the newest version, which nobody can move by hand.
pub const LATEST: &str = "latest";

const MAX_ALIAS: usize = 64;

/// Longest name of a curriculum.
const MAX_NAME: usize = 128;

/// What a curriculum's name stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurriculumRecord {
    /// Newest first, each once.
    pub versions: Vec<Digest>,
    /// By alias, the versions that it pointed at: the present one first. Never empty, no two
    /// neighbours equal, and all of them in `versions`.
    pub aliases: BTreeMap<String, Vec<Digest>>,
}

/// A version as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The newest.
    Latest,
    /// The one that an alias points at.
    Alias(String),
    /// Exactly this one.
    Version(Digest),
}

impl CurriculumRecord {
    /// The newest version.
    #[must_use]
    pub fn latest(&self) -> Option<Digest> {
        self.versions.first().copied()
    }

    /// The version that an alias, or `latest`, points at.
    #[must_use]
    pub fn alias(&self, alias: &str) -> Option<Digest> {
        match alias {
            LATEST => self.latest(),
            _ => self.aliases.get(alias)?.first().copied(),
        }
    }

    /// The version that is meant.
    #[must_use]
    pub fn resolve(&self, reference: &Reference) -> Option<Digest> {
        match reference {
            Reference::Latest => self.latest(),
            Reference::Alias(alias) => self.alias(alias),
            Reference::Version(version) => self.versions.contains(version).then_some(*version),
        }
    }

    /// An alias that points at `version` now.
    #[must_use]
    pub fn holder(&self, version: Digest) -> Option<&str> {
        let mut aliases = self.aliases.iter();
        let held = aliases.find(|(_, history)| history.first() == Some(&version));
        let latest = (self.latest() == Some(version)).then_some(LATEST);
        held.map(|(alias, _)| alias.as_str()).or(latest)
    }

    fn push_front(&mut self, version: Digest) {
        self.versions.retain(|v| *v != version);
        self.versions.insert(0, version);
    }

    /// Takes `version` out of the versions, and out of what aliases remember.
    fn remove(&mut self, version: Digest) {
        self.versions.retain(|v| *v != version);
        for history in self.aliases.values_mut() {
            history.retain(|v| *v != version);
            history.dedup();
        }
        self.aliases.retain(|_, history| !history.is_empty());
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Latest => f.write_str(LATEST),
            Self::Alias(alias) => f.write_str(alias),
            Self::Version(version) => version.fmt(f),
        }
    }
}

impl Store {
    /// Makes `version` the newest of `curriculum`: the one write that publishes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such version; and when the record is damaged or the
    /// database fails.
    pub fn point(&self, curriculum: &str, version: Digest) -> Result<()> {
        let _pointing = self.pointing();
        if self.version(version)?.is_none() {
            return Err(StoreError::NotFound(format!("version {version}")));
        }
        let mut record = self.curriculum(curriculum)?.unwrap_or_default();
        record.push_front(version);
        self.put_curriculum(curriculum, &record)
    }

    /// Lets `alias` of `curriculum` point at `version`, which the curriculum must have.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] and [`StoreError::Invalid`] (`latest`, or what is no name); and when the
    /// record is damaged or the database fails.
    pub fn promote(&self, curriculum: &str, alias: &str, version: Digest) -> Result<()> {
        check_alias(alias)?;
        let _pointing = self.pointing();
        let mut record = self.existing(curriculum)?;
        if !record.versions.contains(&version) {
            return Err(unknown(curriculum, &Reference::Version(version)));
        }
        let history = record.aliases.entry(alias.to_owned()).or_default();
        if history.first() == Some(&version) {
            return Ok(());
        }
        history.insert(0, version);
        self.put_curriculum(curriculum, &record)
    }

    /// Lets `alias` point at the version before the present one again, which is returned.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such curriculum or alias, or nothing before; and when
    /// the record is damaged or the database fails.
    pub fn roll_back(&self, curriculum: &str, alias: &str) -> Result<Digest> {
        let _pointing = self.pointing();
        let mut record = self.existing(curriculum)?;
        let Some(history) = record.aliases.get_mut(alias) else {
            return Err(unknown(curriculum, &Reference::Alias(alias.to_owned())));
        };
        let Some(before) = history.get(1).copied() else {
            let what = format!("version before the present one of `{curriculum}@{alias}`");
            return Err(StoreError::NotFound(what));
        };
        history.remove(0);
        self.put_curriculum(curriculum, &record)?;
        Ok(before)
    }

    /// Takes `version` from `curriculum`. Its data goes when no other curriculum has it and no job
    /// that is under way builds on it.
    ///
    /// # Errors
    /// [`StoreError::Held`] when an alias points at it or it is the newest; [`StoreError::NotFound`]; and
    /// when a record is damaged or the database fails.
    pub fn delete_version(&self, curriculum: &str, version: Digest) -> Result<()> {
        let _pointing = self.pointing();
        let mut record = self.existing(curriculum)?;
        if !record.versions.contains(&version) {
            return Err(unknown(curriculum, &Reference::Version(version)));
        }
        if let Some(alias) = record.holder(version) {
            return Err(StoreError::Held {
                curriculum: curriculum.to_owned(),
                version,
                alias: alias.to_owned(),
            });
        }
        record.remove(version);
        self.put_curriculum(curriculum, &record)?;
        self.flush()?;
        self.drop_unreferenced(&[version])
    }

    /// Deletes all versions of `curriculum` but the `keep` newest (at least one), those that aliases
    /// point at, and those that they would roll back to. Returns what was deleted, newest first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; and when a record is damaged or the database fails.
    pub fn apply_retention(&self, curriculum: &str, keep: usize) -> Result<Vec<Digest>> {
        let _pointing = self.pointing();
        let mut record = self.existing(curriculum)?;
        let older = record.versions.iter().copied().skip(keep.max(1));
        let histories = record.aliases.values();
        let deleted: Vec<Digest> = older
            .filter(|version| {
                !histories
                    .clone()
                    .any(|h| h.iter().take(2).any(|v| v == version))
            })
            .collect();
        if deleted.is_empty() {
            return Ok(deleted);
        }
        deleted.iter().for_each(|version| record.remove(*version));
        self.put_curriculum(curriculum, &record)?;
        self.flush()?;
        self.drop_unreferenced(&deleted)?;
        Ok(deleted)
    }

    /// The version that `reference` means in `curriculum`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; and when the record is damaged or the database fails.
    pub fn resolve(&self, curriculum: &str, reference: &Reference) -> Result<Digest> {
        let record = self.existing(curriculum)?;
        let version = record.resolve(reference);
        version.ok_or_else(|| unknown(curriculum, reference))
    }

    /// What `name` stands for.
    ///
    /// # Errors
    /// When the record is damaged or the database fails.
    pub fn curriculum(&self, name: &str) -> Result<Option<CurriculumRecord>> {
        let value = self.curricula.get(name)?;
        value
            .map(|value| envelope::open_json(&value, || format!("curriculum {name}")))
            .transpose()
    }

    /// All curricula, sorted by name.
    ///
    /// # Errors
    /// When a record is damaged or the database fails.
    pub fn curricula(&self) -> Result<Vec<(String, CurriculumRecord)>> {
        let parse = |entry: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, value) = entry?;
            let name = String::from_utf8_lossy(&key).into_owned();
            let record = envelope::open_json(&value, || format!("curriculum {name}"))?;
            Ok((name, record))
        };
        self.curricula.iter().map(parse).collect()
    }

    fn existing(&self, curriculum: &str) -> Result<CurriculumRecord> {
        let record = self.curriculum(curriculum)?;
        record.ok_or_else(|| StoreError::NotFound(format!("curriculum `{curriculum}`")))
    }

    pub(crate) fn put_curriculum(&self, name: &str, record: &CurriculumRecord) -> Result<()> {
        self.curricula.insert(name, envelope::seal_json(record))?;
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Removes the data of those of `versions` that nothing refers to any more.
    pub(crate) fn drop_unreferenced(&self, versions: &[Digest]) -> Result<()> {
        let curricula = self.curricula()?;
        let (jobs, damaged) = self.jobs()?;
        if !damaged.is_empty() {
            // Who knows what they need; garbage collection may tell another day.
            return Ok(());
        }
        for version in versions {
            let named = curricula.iter().any(|(_, c)| c.versions.contains(version));
            let needs = |job: &&JobRecord| [job.version, job.extends].contains(&Some(*version));
            let built = jobs.iter().filter(needs).any(|job| !job.state.has_ended());
            if !named && !built {
                self.remove_version(*version)?;
            }
        }
        self.flush()
    }

    /// Nothing under the lock can leave a record half replaced, so poison is ignored.
    pub(crate) fn pointing(&self) -> MutexGuard<'_, ()> {
        self.pointing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(curriculum: &str, reference: &Reference) -> StoreError {
    let what = match reference {
        Reference::Latest | Reference::Alias(_) => "alias",
        Reference::Version(_) => "version",
    };
    StoreError::NotFound(format!("{what} `{reference}` of curriculum `{curriculum}`"))
}

/// An alias must not be mistaken for a version, nor break `name@alias`.
pub(crate) fn check_alias(alias: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=MAX_ALIAS).contains(&alias.len()) && alias.chars().all(allowed);
    if alias == LATEST {
        let reason = "alias `latest` is always the newest version and cannot be moved";
        return Err(StoreError::Invalid(reason.to_owned()));
    }
    if !fits || alias.starts_with('.') || alias.parse::<Digest>().is_ok() {
        return Err(StoreError::Invalid(format!(
            "alias `{alias}` must be 1 to {MAX_ALIAS} of a-z A-Z 0-9 . _ -, not start with a dot, and be no version"
        )));
    }
    Ok(())
}

/// As jobs name curricula.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed);
    match fits && !name.starts_with('.') {
        true => Ok(()),
        false => Err(StoreError::Invalid(format!(
            "curriculum must be 1 to {MAX_NAME} of a-z A-Z 0-9 . _ - and not start with a dot"
        ))),
    }
}

#[cfg(test)]
mod tests;
