//! The newest job of each curriculum: readers ask for names by the thousand, and must not read the records.

use curriculum_store::{Digest, JobRecord};
use std::collections::{BTreeMap, HashMap};

/// Curricula that are known, some hundred bytes each. Those whose newest job is the oldest go first.
const MOST: usize = 1 << 16;

/// By name, and by age.
#[derive(Default)]
pub(crate) struct Newest {
    jobs: HashMap<String, (u64, Digest)>,
    /// Names by the sequence number of the job.
    ages: BTreeMap<u64, String>,
}

impl Newest {
    /// A job that was submitted after all jobs noted before.
    pub(crate) fn note(&mut self, job: &JobRecord) {
        self.note_within(job, MOST);
    }

    fn note_within(&mut self, job: &JobRecord, most: usize) {
        let name = job.curriculum.clone();
        let before = self.jobs.insert(name.clone(), (job.sequence, job.id));
        if let Some((sequence, _)) = before {
            self.ages.remove(&sequence);
        }
        self.ages.insert(job.sequence, name);
        while self.jobs.len() > most
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.jobs.remove(&oldest);
        }
    }

    /// The newest job of a curriculum.
    pub(crate) fn of(&self, curriculum: &str) -> Option<Digest> {
        self.jobs.get(curriculum).map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn the_last_job_of_a_name_counts_and_the_oldest_names_go() {
        let mut newest = Newest::default();
        let job = |sequence, name: &str| JobRecord {
            sequence,
            curriculum: name.to_owned(),
            ..record(sequence, 0)
        };
        for (sequence, name) in (1..).zip(["a", "b", "a", "c"]) {
            newest.note_within(&job(sequence, name), 2);
        }
        assert_eq!(newest.of("a"), Some(record(3, 0).id));
        assert_eq!(newest.of("b"), None);
        assert_eq!(newest.of("c"), Some(record(4, 0).id));
        assert_eq!((newest.jobs.len(), newest.ages.len()), (2, 2));
    }
}
