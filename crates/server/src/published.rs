//! Published versions in memory: what every read needs, loaded once.

use crate::error::ServiceError;
use curriculum::{
    CurriculumError, Entry, Order, Schedule, ScheduleOptions, Sketch, Weights, effective,
};
use curriculum_pipeline::{Page, Pipeline};
use curriculum_store::{
    Column, CurriculumRecord, Digest, JobState, Reference, ScheduleRecord, Store, StoreError,
    VersionRecord,
};
use moka::sync::Cache;
use std::{ops::Range, sync::Arc};

/// A version, ready to answer.
pub(crate) struct LoadedVersion {
    pub(crate) id: Digest,
    /// Of a control order, the reassigned difficulties.
    difficulty: Vec<f32>,
    sketch: Sketch,
    schedule: Schedule,
}

impl LoadedVersion {
    fn load(store: &Store, id: Digest) -> Result<Arc<Self>, StoreError> {
        let record = record(store, id)?;
        let samples = record.summary.sample_count;
        let schedule = schedule(&record.parameters.schedule, samples)
            .map_err(|_| damaged(id, "its schedule is out of range"))?;
        let sketch = store.sketch(id)?;
        if sketch.samples() != samples {
            return Err(damaged(id, "its sketch is of another size"));
        }
        let difficulty = store.column(id, Column::Difficulty, samples)?;
        let difficulty = difficulty.into_iter().map(f32::from_le_bytes).collect();
        Ok(Arc::new(Self {
            id,
            difficulty,
            sketch,
            schedule,
        }))
    }

    /// The same version with the difficulties that a control order gives to its samples.
    fn reassigned(&self, order: Order) -> Result<Arc<Self>, CurriculumError> {
        Ok(Arc::new(Self {
            id: self.id,
            difficulty: order.reassign(&self.difficulty)?.into_owned(),
            sketch: self.sketch.clone(),
            schedule: self.schedule,
        }))
    }

    pub(crate) fn samples(&self) -> u64 {
        self.difficulty.len() as u64
    }

    pub(crate) fn entry(&self, order: Order, iteration: u64) -> Entry {
        self.schedule.entry(&self.sketch, order, iteration)
    }

    pub(crate) fn weights(&self, order: Order, temperature: f64) -> Weights {
        Weights::new(&self.sketch, order, temperature)
    }

    /// Difficulties of `range`, which lies within the samples.
    pub(crate) fn difficulty(&self, range: Range<u64>) -> &[f32] {
        self.difficulty
            .get(range.start as usize..range.end as usize)
            .unwrap_or_default()
    }

    fn bytes(&self) -> u32 {
        let bytes = size_of_val(self.difficulty.as_slice()) + size_of_val(self.sketch.points());
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// Finds versions by name and keeps the recently used ones in memory. Its methods block on the store.
pub(crate) struct Published {
    store: Arc<Store>,
    pipeline: Arc<Pipeline>,
    /// By version and, for its reassigned difficulties, control order: all within one bound of bytes.
    loaded: Cache<(Digest, Option<Order>), Arc<LoadedVersion>>,
}

impl Published {
    pub(crate) fn new(store: Arc<Store>, pipeline: Arc<Pipeline>, cache_bytes: u64) -> Self {
        let loaded = Cache::builder()
            .max_capacity(cache_bytes)
            .weigher(|_, v: &Arc<LoadedVersion>| v.bytes())
            .build();
        Self {
            store,
            pipeline,
            loaded,
        }
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// A curriculum, and the version of it that is meant.
    pub(crate) fn find(
        &self,
        name: &str,
        version: &Reference,
    ) -> Result<(CurriculumRecord, Digest), ServiceError> {
        let record = self.store.curriculum(name)?.unwrap_or_default();
        if record.versions.is_empty() {
            return Err(self.why_missing(name));
        }
        match record.resolve(version) {
            Some(id) => Ok((record, id)),
            None => Err(ServiceError::UnknownVersion {
                curriculum: name.to_owned(),
                version: version.to_string(),
            }),
        }
    }

    /// What is known of the version asked for.
    pub(crate) fn describe(
        &self,
        name: &str,
        version: &Reference,
    ) -> Result<VersionRecord, ServiceError> {
        let (_, id) = self.find(name, version)?;
        Ok(record(&self.store, id)?)
    }

    /// The version asked for, loaded.
    pub(crate) fn load(
        &self,
        name: &str,
        version: &Reference,
    ) -> Result<Arc<LoadedVersion>, ServiceError> {
        let (_, id) = self.find(name, version)?;
        self.loaded(id)
    }

    /// The version asked for, loaded, with each sample's difficulty in this order.
    pub(crate) fn load_ordered(
        &self,
        name: &str,
        version: &Reference,
        order: Order,
    ) -> Result<Arc<LoadedVersion>, ServiceError> {
        let version = self.load(name, version)?;
        match order {
            Order::EasyFirst | Order::HardFirst => Ok(version),
            Order::Reversed | Order::Shuffled { .. } => {
                let key = (version.id, Some(order));
                let reassigned = self.loaded.try_get_with(key, || version.reassigned(order));
                reassigned.map_err(|error: Arc<CurriculumError>| {
                    ServiceError::invalid("order", error.to_string())
                })
            }
        }
    }

    /// Concurrent first reads load a version once.
    fn loaded(&self, id: Digest) -> Result<Arc<LoadedVersion>, ServiceError> {
        let loaded = self
            .loaded
            .try_get_with((id, None), || LoadedVersion::load(&self.store, id));
        loaded.map_err(|error: Arc<StoreError>| match Arc::try_unwrap(error) {
            Ok(error) => error.into(),
            // Another caller holds the same error: read once more for one of our own.
            Err(shared) => match LoadedVersion::load(&self.store, id) {
                Err(error) => error.into(),
                Ok(_) => StoreError::Corrupt {
                    what: shared.to_string(),
                    reason: "only at first",
                }
                .into(),
            },
        })
    }

    /// A name without versions is unknown, or its job has not come that far.
    fn why_missing(&self, name: &str) -> ServiceError {
        let all = Page {
            after: None,
            limit: usize::MAX,
        };
        let jobs = match self.pipeline.jobs(all) {
            Ok(jobs) => jobs,
            Err(error) => return error.into(),
        };
        match jobs.into_iter().find(|job| job.record.curriculum == name) {
            None => ServiceError::UnknownCurriculum(name.to_owned()),
            Some(job) => ServiceError::NotPublished {
                curriculum: name.to_owned(),
                stage: job.record.stage,
                state: match job.record.state {
                    JobState::Queued => "queued",
                    JobState::Running => "running",
                    JobState::Succeeded => "succeeded",
                    JobState::Failed { .. } => "failed",
                    JobState::Cancelled => "cancelled",
                },
            },
        }
    }
}

fn record(store: &Store, id: Digest) -> Result<VersionRecord, StoreError> {
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
