//! Jobs and their per-sample errors.

use crate::{Digest, JobRecord, Result, Store, StoreError, envelope};

impl Store {
    /// Writes `job`, replacing the record of the same id.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_job(&self, job: &JobRecord) -> Result<()> {
        self.jobs
            .insert(job.id.as_bytes(), envelope::seal_json(job))?;
        Ok(())
    }

    /// The job of that id.
    ///
    /// # Errors
    /// When the record is damaged or the database fails.
    pub fn job(&self, id: Digest) -> Result<Option<JobRecord>> {
        let value = self.jobs.get(id.as_bytes())?;
        value
            .map(|value| envelope::open_json(&value, || format!("job {id}")))
            .transpose()
    }

    /// All jobs, in order of submission, and what is wrong with the records that cannot be read.
    ///
    /// # Errors
    /// When the database fails.
    pub fn jobs(&self) -> Result<(Vec<JobRecord>, Vec<StoreError>)> {
        let (mut jobs, mut damaged) = (Vec::new(), Vec::new());
        for entry in &self.jobs {
            let (key, value) = entry?;
            let what = || match key.first_chunk() {
                Some(id) => format!("job {}", Digest::from(*id)),
                None => "a job".to_owned(),
            };
            match envelope::open_json::<JobRecord>(&value, what) {
                Ok(job) => jobs.push(job),
                Err(error) => damaged.push(error),
            }
        }
        jobs.sort_by_key(|job| job.sequence);
        Ok((jobs, damaged))
    }

    /// Notes why sample `index` of `job` could not be used.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_job_error(&self, job: Digest, index: u64, reason: &str) -> Result<()> {
        self.job_errors
            .insert(error_key(job, index), envelope::seal(reason.as_bytes()))?;
        Ok(())
    }

    /// The first `limit` errors of `job` after sample `after`, lowest index first.
    ///
    /// # Errors
    /// When a record is damaged or the database fails.
    pub fn job_errors(
        &self,
        job: Digest,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, String)>> {
        let first = match after.map(|index| index.checked_add(1)) {
            None => 0,
            Some(Some(first)) => first,
            Some(None) => return Ok(Vec::new()),
        };
        let parse = |entry: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, value) = entry?;
            let what = || format!("a sample error of job {job}");
            let index = key
                .last_chunk()
                .ok_or_else(|| StoreError::corrupt(what(), "short key"))?;
            let reason = String::from_utf8_lossy(envelope::open(&value, what)?).into_owned();
            Ok((u64::from_be_bytes(*index), reason))
        };
        self.job_errors
            .range(error_key(job, first)..=error_key(job, u64::MAX))
            .take(limit)
            .map(parse)
            .collect()
    }

    /// Forgets the errors of `job`, for a new attempt.
    ///
    /// # Errors
    /// When the database fails.
    pub fn clear_job_errors(&self, job: Digest) -> Result<()> {
        for key in self.job_errors.scan_prefix(job.as_bytes()).keys() {
            self.job_errors.remove(key?)?;
        }
        Ok(())
    }
}

/// Big endian, so that keys sort by index.
fn error_key(job: Digest, index: u64) -> Vec<u8> {
    [job.as_bytes().as_slice(), &index.to_be_bytes()].concat()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        Identity, JobState, SampleKind, Stage, parameters::tests::parameters, store::temporary,
    };

    pub(crate) fn job(sequence: u64) -> JobRecord {
        let id = Digest::of_parts([sequence.to_le_bytes().as_slice()]);
        JobRecord {
            id,
            sequence,
            curriculum: "c".to_owned(),
            source: "s".to_owned(),
            reading: "{}".to_owned(),
            kind: SampleKind::Features,
            identity: Identity::Etag,
            fingerprint: id,
            listing: id,
            model: "m".to_owned(),
            model_digest: id,
            dimension: 3,
            parameters: parameters(),
            priority: -3,
            salt: u64::MAX,
            extends: Some(id),
            attempt: 2,
            setbacks: 1,
            state: JobState::Failed {
                stage: Stage::Extracted,
                reason: "why".to_owned(),
            },
            stage: Stage::Enumerated,
            sample_count: 3,
            failed_count: 1,
            content: None,
            version: Some(id),
            submitted_at_ms: 5,
            ended_at_ms: None,
            seconds: [(Stage::Enumerated, 0.5)].into(),
            warnings: vec!["careful".to_owned()],
        }
    }

    #[test]
    fn jobs_survive_reopening_and_keep_their_order() {
        let (store, folder) = temporary();
        for sequence in [3, 1, 2] {
            store.put_job(&job(sequence)).unwrap();
        }
        store.flush().unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.jobs().unwrap().0, [job(1), job(2), job(3)]);
        assert_eq!(store.job(job(2).id).unwrap(), Some(job(2)));
        assert_eq!(store.job(job(9).id).unwrap(), None);
    }

    #[test]
    fn a_damaged_record_does_not_hide_the_others() {
        let (store, _folder) = temporary();
        store.put_job(&job(1)).unwrap();
        store.jobs.insert([2; 32], b"damaged".as_slice()).unwrap();
        let (jobs, damaged) = store.jobs().unwrap();
        assert_eq!((jobs, damaged.len()), (vec![job(1)], 1));
        assert!(store.job(Digest::from([2; 32])).is_err());
    }

    #[test]
    fn errors_come_lowest_index_first_and_only_of_their_job() {
        let (store, _folder) = temporary();
        let (a, b) = (job(1).id, job(2).id);
        for index in [300, 2, 70_000] {
            store.put_job_error(a, index, &format!("e{index}")).unwrap();
        }
        store.put_job_error(b, 1, "other").unwrap();
        assert_eq!(
            store.job_errors(a, None, 2).unwrap(),
            [(2, "e2".to_owned()), (300, "e300".to_owned())]
        );
        assert_eq!(
            store.job_errors(a, Some(300), 2).unwrap(),
            [(70_000, "e70000".to_owned())]
        );
        assert_eq!(store.job_errors(a, Some(u64::MAX), 2).unwrap(), []);
        store.clear_job_errors(a).unwrap();
        assert_eq!(store.job_errors(a, None, 9).unwrap(), []);
        assert_eq!(store.job_errors(b, None, 9).unwrap().len(), 1);
    }
}
