//! What a call reads: first of what is in memory, and again after each value that is not.

use super::{
    Difficulty, Key, LoadedVersion, Published, Window, WindowOf,
    cache::Kept,
    loads::{Id, Load, Loads, Made, Value},
};
use crate::{
    error::ServiceError,
    service::{apart, blocking},
};
use curriculum::{Order, Sampler};
use curriculum_store::{Digest, Reference, StoreError};
use std::{any::TypeId, sync::Arc};
use tonic::Status;

/// Why a call cannot go on.
pub(crate) enum Lack {
    /// A value is not in memory.
    Value(Box<Load>),
    Error(ServiceError),
}

impl From<ServiceError> for Lack {
    fn from(error: ServiceError) -> Self {
        Self::Error(error)
    }
}

impl From<StoreError> for Lack {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

/// Values in memory. A version is found by name in the store, which may block.
pub(crate) struct Lookup<'a> {
    published: &'a Published,
    /// For this call, whether the cache keeps it or not: the version, and what was made last.
    made: Vec<(Id, Made)>,
}

/// Difficulties for an answer that its client may read slowly: those of a control order are looked up again
/// for each piece, as the cache bounds how many there are. What does not fit there is held.
pub(crate) struct Difficulties {
    version: Arc<LoadedVersion>,
    order: Order,
    held: Option<Arc<Difficulty>>,
}

/// Why an answer is not there yet.
enum Halt<W> {
    Failed(ServiceError),
    Lacks {
        load: Box<Load>,
        work: W,
        /// In no place any more: no two calls may wait for each other's.
        made: Vec<(Id, Made)>,
    },
}

fn attempt<T, W: FnMut(&Lookup<'_>) -> Result<T, Lack>>(
    published: &Published,
    mut work: W,
    made: Vec<(Id, Made)>,
) -> Result<T, Halt<W>> {
    let lookup = Lookup { published, made };
    let lack = match work(&lookup) {
        Ok(answer) => return Ok(answer),
        Err(lack) => lack,
    };
    let mut made = lookup.made;
    match lack {
        Lack::Error(error) => Err(Halt::Failed(error)),
        Lack::Value(load) => {
            made.retain(|(id, _)| id.0 == TypeId::of::<LoadedVersion>());
            made.iter_mut().for_each(|(_, made)| made.leave_place());
            Err(Halt::Lacks { load, work, made })
        }
    }
}

impl Published {
    /// What `work`, which must not compute for long, makes of the values in memory, away from the async
    /// workers. It runs again after each value that it lacks was made. That ends when the caller leaves.
    pub(crate) async fn answer<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnMut(&Lookup<'_>) -> Result<T, Lack> + Send + 'static,
    ) -> Result<T, Status> {
        let published = Arc::clone(self);
        let mut outcome = blocking(move || Ok(attempt(&published, work, Vec::new()))).await?;
        loop {
            let (load, work, mut made) = match outcome {
                Ok(answer) => return Ok(answer),
                Err(Halt::Failed(error)) => return Err(error.into()),
                Err(Halt::Lacks { load, work, made }) => (load, work, made),
            };
            let published = Arc::clone(self);
            // A client that takes no more can keep this call from going on, and others need the place.
            outcome = apart(async move {
                let id = load.id;
                made.push((id, Loads::bring(&published, *load).await?));
                Ok(blocking(move || Ok(attempt(&published, work, made))).await?)
            })
            .await?;
        }
    }

    /// Looks only at what is in memory.
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        Lookup {
            published: self,
            made: Vec::new(),
        }
    }
}

impl Lookup<'_> {
    /// The version asked for.
    pub(crate) fn version(
        &self,
        name: &str,
        version: &Reference,
    ) -> Result<Arc<LoadedVersion>, Lack> {
        let (_, id) = self.published.find(name, version)?;
        self.loaded(id)
    }

    fn loaded(&self, id: Digest) -> Result<Arc<LoadedVersion>, Lack> {
        self.get(Key::new(id, Order::EasyFirst), move |published| {
            published.loaded(id)
        })
    }

    /// Each sample's difficulty in this order.
    pub(crate) fn difficulty(
        &self,
        version: &Arc<LoadedVersion>,
        order: Order,
    ) -> Result<Arc<Difficulty>, Lack> {
        let of = Arc::clone(version);
        self.get(Key::new(version.id, order), move |published| {
            published.difficulty(&of, order)
        })
    }

    /// The samples, ready for draws in this order.
    pub(crate) fn sampler(
        &self,
        version: &Arc<LoadedVersion>,
        order: Order,
    ) -> Result<Arc<Sampler>, Lack> {
        let of = Arc::clone(version);
        self.get(Key::new(version.id, order), move |published| {
            published.sampler(&of, order)
        })
    }

    /// The draws of a window, which are fewer than the samples.
    pub(crate) fn window(
        &self,
        version: &Arc<LoadedVersion>,
        order: Order,
        window: WindowOf,
    ) -> Result<Arc<Window>, Lack> {
        let of = Arc::clone(version);
        self.get(
            Key::of_window(version.id, order, window),
            move |published| published.window(&of, order, window),
        )
    }

    /// Difficulties to be sent.
    pub(crate) fn difficulties(
        &self,
        version: &Arc<LoadedVersion>,
        order: Order,
    ) -> Result<Arc<Difficulties>, Lack> {
        let difficulty = self.difficulty(version, order)?;
        let key = Key::new(version.id, order);
        let again = key.is_variant() && self.published.variants.fits(&*difficulty);
        Ok(Arc::new(Difficulties {
            version: Arc::clone(version),
            order,
            held: Some(difficulty).filter(|_| !again),
        }))
    }

    /// The difficulties that a control order gives to the samples; of other orders the stored ones count.
    pub(crate) fn reassigned(
        &self,
        version: Digest,
        order: Order,
    ) -> Result<Option<Arc<Difficulties>>, Lack> {
        match order {
            Order::EasyFirst | Order::HardFirst => Ok(None),
            Order::Reversed | Order::Shuffled { .. } => {
                let version = self.loaded(version)?;
                self.difficulties(&version, order).map(Some)
            }
        }
    }

    pub(crate) fn of(&self, difficulties: &Difficulties) -> Result<Arc<Difficulty>, Lack> {
        match &difficulties.held {
            Some(difficulty) => Ok(Arc::clone(difficulty)),
            None => self.difficulty(&difficulties.version, difficulties.order),
        }
    }

    fn get<T: Kept>(
        &self,
        key: Key,
        make: impl FnOnce(&Published) -> Result<Arc<T>, ServiceError> + Send + 'static,
    ) -> Result<Arc<T>, Lack> {
        let id = (TypeId::of::<T>(), key);
        let made = self.made.iter().find(|(made, _)| *made == id);
        let made = made.map(|(_, made)| Arc::clone(&made.value).downcast());
        if let Some(Ok(value)) = made {
            return Ok(value);
        }
        if let Some(value) = self.published.cache(&key).kept(key) {
            return Ok(value);
        }
        let make = move |published: &Published| -> Result<Value, _> { Ok(make(published)?) };
        Err(Lack::Value(Box::new(Load {
            id,
            make: Box::new(make),
        })))
    }
}
