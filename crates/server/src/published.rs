//! Published versions in memory: what every read needs, loaded on first use.
//!
//! A version takes its sketch, some hundred kilobytes; weights take 4 bytes a sample more, and draws 8: these
//! have three quarters of a bound of bytes. Each control order takes its own, and so does each window without
//! replacement, 4 bytes a draw: clients may ask for any number of them, and they have the last quarter. What is
//! not there is made for so many calls at a time ([`loads`]), apart for either part.

mod cache;
mod chunks;
mod loads;
mod lookup;
mod version;

use crate::{config::Storage, error::ServiceError};
use cache::{Cache, Kept};
pub(crate) use chunks::{ChunkOf, Chunks};
use curriculum::{Order, Sampler, Stream};
use curriculum_pipeline::Pipeline;
use curriculum_store::{
    Column, CurriculumRecord, Digest, JobState, Reference, Store, VersionRecord,
};
use loads::Loads;
pub(crate) use lookup::{Difficulties, Lack, Lookup};
use std::{num::NonZero, sync::Arc, thread};
pub(crate) use version::LoadedVersion;

/// The difficulty of every sample; of a control order, as reassigned.
pub(crate) struct Difficulty(Vec<f32>);

/// What is kept, as it is counted.
pub(crate) const KINDS: [&str; 5] = ["version", "difficulty", "sampler", "window", chunks::KIND];

/// Finds versions by name and keeps what was recently used of them. Its methods block on the store.
pub(crate) struct Published {
    store: Arc<Store>,
    pipeline: Arc<Pipeline>,
    /// Of the versions themselves.
    versions: Cache<Key>,
    version_loads: Loads,
    /// Control orders and windows.
    variants: Cache<Key>,
    variant_loads: Loads,
    chunks: Chunks,
}

/// The draws of a window without replacement, of all ranks.
pub(crate) struct Window(Vec<u32>);

/// Which window, beside version and order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WindowOf {
    pub(crate) seed: u64,
    /// The first holds the iterations below `iterations`.
    pub(crate) number: u64,
    pub(crate) iterations: u64,
    /// Draws of an iteration.
    pub(crate) batch: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    version: Digest,
    /// Easy first for what both plain orders share.
    order: Order,
    window: Option<WindowOf>,
}

impl Published {
    pub(crate) fn new(store: Arc<Store>, pipeline: Arc<Pipeline>, storage: &Storage) -> Self {
        let variants = storage.cache_bytes / 4;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            store,
            pipeline,
            versions: Cache::new("versions", storage.cache_bytes - variants),
            version_loads: Loads::new(cores),
            variants: Cache::new("orders", variants),
            variant_loads: Loads::new(cores),
            chunks: Chunks::new(storage.weights_cache_bytes),
        }
    }

    /// Weights that were sent lately.
    pub(crate) fn chunks(&self) -> &Chunks {
        &self.chunks
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
        Ok(version::record(&self.store, id)?)
    }

    fn cache(&self, key: &Key) -> &Cache<Key> {
        match key.is_variant() {
            true => &self.variants,
            false => &self.versions,
        }
    }

    fn loads(&self, key: &Key) -> &Loads {
        match key.is_variant() {
            true => &self.variant_loads,
            false => &self.version_loads,
        }
    }

    /// Reads the version, if need be; as the next three, in one of the places of [`Loads`].
    fn loaded(&self, id: Digest) -> Result<Arc<LoadedVersion>, ServiceError> {
        let load = || Ok(LoadedVersion::load(&self.store, id)?);
        self.versions.get(Key::new(id, Order::EasyFirst), load)
    }

    /// Each sample's difficulty in this order.
    fn difficulty(
        &self,
        version: &LoadedVersion,
        order: Order,
    ) -> Result<Arc<Difficulty>, ServiceError> {
        let key = Key::new(version.id, order);
        self.cache(&key).get(key, || self.read(version, order))
    }

    /// The samples, ready for draws in this order.
    fn sampler(&self, version: &LoadedVersion, order: Order) -> Result<Arc<Sampler>, ServiceError> {
        let load = || {
            // Not kept: draws need no difficulties once the samples are sorted.
            let Difficulty(difficulty) = self.read(version, order)?;
            let sampler = Sampler::new(&difficulty);
            sampler.map_err(|error| ServiceError::invalid("curriculum", error.to_string()))
        };
        let key = Key::new(version.id, order);
        self.cache(&key).get(key, load)
    }

    /// The draws of a window, which are fewer than the samples.
    fn window(
        &self,
        version: &LoadedVersion,
        order: Order,
        of: WindowOf,
    ) -> Result<Arc<Window>, ServiceError> {
        let draw = || {
            let sampler = self.sampler(version, order)?;
            let first = of.number * of.iterations;
            let iterations = first..first + of.iterations;
            let temperatures: Vec<f64> = iterations
                .map(|iteration| version.entry(order, iteration).temperature)
                .collect();
            let stream = Stream::of_window(version.number(), of.seed, of.number);
            let drawn = sampler.window(order, &temperatures, of.batch as u32, stream);
            drawn
                .map(Window)
                .map_err(|error| ServiceError::invalid("window", error.to_string()))
        };
        let key = Key::of_window(version.id, order, of);
        self.variants.get(key, draw)
    }

    /// Whether draws of this version, or those windows of it, are in memory.
    pub(crate) fn can_draw(
        &self,
        name: &str,
        version: &Reference,
        order: Order,
        mut windows: impl Iterator<Item = WindowOf>,
    ) -> bool {
        let Ok(Some(record)) = self.store.curriculum(name) else {
            return false;
        };
        let Some(version) = record.resolve(version) else {
            return false;
        };
        let key = Key::new(version, order);
        let loaded = Key::new(version, Order::EasyFirst);
        self.versions.holds::<LoadedVersion>(loaded)
            && self.cache(&key).holds::<Sampler>(key)
            && windows.all(|of| {
                self.variants
                    .holds::<Window>(Key::of_window(version, order, of))
            })
    }

    /// The difficulties of an answer, if they are in memory.
    pub(crate) fn at_hand(&self, difficulties: &Difficulties) -> Option<Arc<Difficulty>> {
        self.lookup().of(difficulties).ok()
    }

    fn read(&self, version: &LoadedVersion, order: Order) -> Result<Difficulty, ServiceError> {
        let column = (self.store).column(version.id, Column::Difficulty, version.samples())?;
        let difficulty: Vec<f32> = column.into_iter().map(f32::from_le_bytes).collect();
        match order {
            Order::EasyFirst | Order::HardFirst => Ok(Difficulty(difficulty)),
            Order::Reversed | Order::Shuffled { .. } => {
                let reassigned = order.reassign(&difficulty);
                let reassigned = reassigned
                    .map_err(|error| ServiceError::invalid("order", error.to_string()))?;
                Ok(Difficulty(reassigned.into_owned()))
            }
        }
    }

    /// A name without versions is unknown, or its job has not come that far.
    fn why_missing(&self, name: &str) -> ServiceError {
        let newest = match self.pipeline.newest_job_of(name) {
            Ok(newest) => newest,
            Err(error) => return error.into(),
        };
        match newest {
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

impl Difficulty {
    /// Of samples `range`, which lies within the version.
    pub(crate) fn range(&self, range: std::ops::Range<u64>) -> &[f32] {
        let range = range.start as usize..range.end as usize;
        self.0.get(range).unwrap_or_default()
    }
}

impl Window {
    /// The draws of an iteration of it, from 0.
    pub(crate) fn iteration(&self, number: u64, batch: u64) -> &[u32] {
        let start = (number * batch) as usize;
        self.0
            .get(start..start + batch as usize)
            .unwrap_or_default()
    }
}

impl Key {
    fn new(version: Digest, order: Order) -> Self {
        let order = match order {
            Order::EasyFirst | Order::HardFirst => Order::EasyFirst,
            Order::Reversed | Order::Shuffled { .. } => order,
        };
        Self {
            version,
            order,
            window: None,
        }
    }

    /// Whether clients may ask for any number of them.
    fn is_variant(&self) -> bool {
        let control = match self.order {
            Order::EasyFirst | Order::HardFirst => false,
            Order::Reversed | Order::Shuffled { .. } => true,
        };
        control || self.window.is_some()
    }

    /// Its order is the one asked for: the two plain orders draw other windows.
    fn of_window(version: Digest, order: Order, of: WindowOf) -> Self {
        Self {
            version,
            order,
            window: Some(of),
        }
    }
}

impl Kept for LoadedVersion {
    const KIND: &str = KINDS[0];

    fn bytes(&self) -> usize {
        LoadedVersion::bytes(self)
    }
}

impl Kept for Difficulty {
    const KIND: &str = KINDS[1];

    fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}

impl Kept for Window {
    const KIND: &str = KINDS[3];

    fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}

impl Kept for Sampler {
    const KIND: &str = KINDS[2];

    fn bytes(&self) -> usize {
        Sampler::bytes(self)
    }
}
