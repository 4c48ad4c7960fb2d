//! Verifies what sled keeps, and the references between records.

use super::{Step, Verifier};
use crate::{
    Column, CurriculumRecord, Digest, JobRecord, SAMPLES_PER_CHUNK, StoreError, VersionRecord,
    envelope,
};

impl Verifier<'_> {
    pub(super) fn jobs(&mut self) -> Step {
        self.activity = "jobs";
        for entry in &self.store.jobs {
            let (key, value) = entry?;
            self.found.jobs.add((key.len() + value.len()) as u64);
            let what = || name("job", &key);
            match envelope::open_json::<JobRecord>(&value, what) {
                Ok(job) if *key == *job.id.as_bytes() => {}
                Ok(_) => self.damage(what(), "lies under another id".to_owned()),
                Err(error) => self.note(error)?,
            }
            self.report()?;
        }
        for entry in &self.store.job_errors {
            let (key, value) = entry?;
            self.found.job_errors.add((key.len() + value.len()) as u64);
            let what = || name("a sample error of job", &key);
            match envelope::open(&value, what) {
                Ok(_) if key.len() == 40 => {}
                Ok(_) => self.damage(what(), "wrong key".to_owned()),
                Err(error) => self.note(error)?,
            }
            self.report()?;
        }
        Ok(())
    }

    pub(super) fn curricula(&mut self) -> Step {
        self.activity = "curricula";
        for entry in &self.store.curricula {
            let (key, value) = entry?;
            self.found.curricula.add((key.len() + value.len()) as u64);
            let curriculum = String::from_utf8_lossy(&key).into_owned();
            let what = || format!("curriculum {curriculum}");
            match envelope::open_json::<CurriculumRecord>(&value, what) {
                Ok(record) => self.curriculum(&what(), &record)?,
                Err(error) => self.note(error)?,
            }
            self.report()?;
        }
        Ok(())
    }

    fn curriculum(&mut self, what: &str, record: &CurriculumRecord) -> Step {
        for version in &record.versions {
            if !self.store.versions.contains_key(version.as_bytes())? {
                self.damage(what.to_owned(), format!("version {version} is missing"));
            }
        }
        for (alias, history) in &record.aliases {
            let known = history.iter().all(|v| record.versions.contains(v));
            if history.is_empty() || !known {
                let reason = format!("alias {alias} points at no version of it");
                self.damage(what.to_owned(), reason);
            }
        }
        Ok(())
    }

    pub(super) fn versions(&mut self) -> Step {
        self.activity = "versions";
        for entry in &self.store.versions {
            let (key, value) = entry?;
            self.found.versions.add((key.len() + value.len()) as u64);
            let what = || name("version", &key);
            match envelope::open_json::<VersionRecord>(&value, what) {
                Ok(version) if *key == *version.id.as_bytes() => self.version(&version)?,
                Ok(_) => self.damage(what(), "lies under another id".to_owned()),
                Err(error) => self.note(error)?,
            }
            self.report()?;
        }
        // Whatever a version was found to be, its other parts are read too, and those without one.
        for tree in [&self.store.sketches, &self.store.clusterings] {
            for entry in tree {
                let (key, value) = entry?;
                self.found.versions.bytes += (key.len() + value.len()) as u64;
                let part = name("sketch or clustering of version", &key);
                if let Err(error) = envelope::open(&value, || part) {
                    self.note(error)?;
                }
            }
        }
        self.activity = "columns";
        self.columns()
    }

    /// Follows the references of a version.
    fn version(&mut self, version: &VersionRecord) -> Step {
        let id = version.id;
        let samples = version.summary.sample_count;
        match self.store.sketch(id) {
            Ok(sketch) if sketch.samples() == samples => {}
            Ok(_) => self.unfit(id, "the sketch is of another number of samples"),
            Err(error) => self.note(error)?,
        }
        match self.store.clustering(id) {
            Ok(_) => {}
            Err(error) => self.note(error)?,
        }
        if let Err(error) = self.store.check_columns(version) {
            self.note(error)?;
        }
        if self.listings.get(&version.listing) != Some(&samples) {
            let chunks = samples.div_ceil(SAMPLES_PER_CHUNK);
            let reason = format!("its {samples} samples are not in {chunks} undamaged chunks");
            self.damage(format!("version {id}"), reason);
        }
        Ok(())
    }

    fn unfit(&mut self, version: Digest, reason: &str) {
        self.damage(format!("version {version}"), reason.to_owned());
    }
}

impl crate::Store {
    /// Whether the columns of a version are there, each of its length.
    pub(crate) fn check_columns(&self, version: &VersionRecord) -> crate::Result<()> {
        let clustering = self.clustering(version.id)?;
        for column in Column::ALL {
            let file = self.open_column(version.id, column)?;
            if file.values != column.length(version, &clustering) {
                let what = format!("{column:?} of version {}", version.id);
                return Err(StoreError::corrupt(what, "of another length"));
            }
        }
        Ok(())
    }
}

/// `kind` and the digest that its key begins with.
fn name(kind: &str, key: &[u8]) -> String {
    match key.first_chunk() {
        Some(id) => format!("{kind} {}", Digest::from(*id)),
        None => format!("{kind} of a short key"),
    }
}
