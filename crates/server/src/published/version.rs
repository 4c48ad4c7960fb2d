//! What answers for a version, apart from what grows with its samples.

use curriculum::{
    CurriculumError, Entry, Order, Schedule, ScheduleOptions, Sketch, Weights, effective,
};
use curriculum_store::{Digest, ScheduleRecord, Store, StoreError, VersionRecord};

/// Schedule and sketch of a version.
pub(crate) struct LoadedVersion {
    pub(crate) id: Digest,
    sketch: Sketch,
    schedule: Schedule,
}

impl LoadedVersion {
    pub(super) fn load(store: &Store, id: Digest) -> Result<Self, StoreError> {
        let record = record(store, id)?;
        let samples = record.summary.sample_count;
        let schedule = schedule(&record.parameters.schedule, samples)
            .map_err(|_| damaged(id, "its schedule is out of range"))?;
        let sketch = store.sketch(id)?;
        if sketch.samples() != samples {
            return Err(damaged(id, "its sketch is of another size"));
        }
        Ok(Self {
            id,
            sketch,
            schedule,
        })
    }

    pub(crate) fn samples(&self) -> u64 {
        self.sketch.samples()
    }

    pub(crate) fn entry(&self, order: Order, iteration: u64) -> Entry {
        self.schedule.entry(&self.sketch, order, iteration)
    }

    pub(crate) fn weights(&self, order: Order, temperature: f64) -> Weights {
        Weights::new(&self.sketch, order, temperature)
    }

    /// A number that draws of this version, and no other, are made from.
    pub(crate) fn number(&self) -> u64 {
        let [first, ..] = self.id.as_bytes().as_chunks().0 else {
            return 0;
        };
        u64::from_le_bytes(*first)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.sketch.points())
    }
}

pub(super) fn record(store: &Store, id: Digest) -> Result<VersionRecord, StoreError> {
    store.version(id)?.ok_or_else(|| damaged(id, "missing"))
}

fn damaged(id: Digest, reason: &'static str) -> StoreError {
    StoreError::Corrupt {
        what: format!("version {id}"),
        reason,
    }
}

/// The ceiling of uniform weights is worked out again: on another machine its last bit may differ,
/// and a stored one may not lie above it.
fn schedule(record: &ScheduleRecord, samples: u64) -> Result<Schedule, CurriculumError> {
    let uniform = effective::ceiling(samples, record.draws);
    let options = ScheduleOptions {
        initial_effective_fraction: Some(record.initial),
        warmup_iterations: Some(record.warmup),
        pacing: Some(record.pacing),
        min_temperature: record.min_temperature,
        max_temperature: record.max_temperature,
        max_effective_ratio: Some(record.ceiling).filter(|ceiling| *ceiling < uniform),
        draws: Some(record.draws),
    };
    Schedule::new(&options, samples)
}
