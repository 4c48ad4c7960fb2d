//! What is made for calls: so much at the same time, each value once, and only for somebody who waits.

use super::{Key, Published};
use crate::error::ServiceError;
use std::{
    any::{Any, TypeId},
    collections::{HashMap, hash_map},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::Status;
use tracing::{Instrument, Span};

/// A value by type and key.
pub(super) type Id = (TypeId, Key);

/// A value that is to be made.
pub(crate) struct Load {
    pub(super) id: Id,
    pub(super) make: Make,
}

/// Makes the value, or finds it in the cache; blocks on the store and computes.
pub(super) type Make = Box<dyn FnOnce(&Published) -> Result<Value, ServiceError> + Send>;

pub(super) type Value = Arc<dyn Any + Send + Sync>;

/// A value that was made for some calls, and the place in which it was: the next is made when they have
/// used it, so that memory does not grow with the calls.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) value: Value,
    place: Option<Arc<OwnedSemaphorePermit>>,
}

impl Made {
    /// Before its call waits for another place: no two calls may wait for each other's.
    pub(super) fn leave_place(&mut self) {
        self.place = None;
    }
}

/// None until it is there.
type Outcome = Option<Result<Made, Status>>;

pub(super) struct Loads {
    places: Arc<Semaphore>,
    /// A std mutex: nothing awaits under it.
    under_way: Mutex<HashMap<Id, Arc<watch::Sender<Outcome>>>>,
}

impl Loads {
    /// At most `places` at the same time.
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            under_way: Mutex::default(),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Id, Arc<watch::Sender<Outcome>>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, made with whoever else waits for it. What nobody waits for any more is not begun.
    ///
    /// # Errors
    /// What is wrong with it, the same for all who wait.
    pub(super) async fn bring(published: &Arc<Published>, load: Load) -> Result<Made, Status> {
        let loads = published.loads(&load.id.1);
        let mut outcome = match loads.under_way().entry(load.id) {
            hash_map::Entry::Occupied(entry) => entry.get().subscribe(),
            hash_map::Entry::Vacant(entry) => {
                let (sender, receiver) = watch::channel(None);
                let sender = Arc::new(sender);
                entry.insert(Arc::clone(&sender));
                let run = Self::run(Arc::clone(published), load, sender);
                tokio::spawn(run.instrument(Span::current()));
                receiver
            }
        };
        let outcome = match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone(),
            Err(_) => None,
        };
        outcome.unwrap_or_else(|| Err(Status::unavailable("the server is stopping")))
    }

    async fn run(published: Arc<Published>, load: Load, sender: Arc<watch::Sender<Outcome>>) {
        let id = load.id;
        let loads = published.loads(&id.1);
        let mut place = pin!(Arc::clone(&loads.places).acquire_owned());
        let place = loop {
            let place = tokio::select! {
                place = &mut place => Some(place),
                () = sender.closed() => None,
            };
            // Under the lock: nobody joins meanwhile.
            let mut under_way = loads.under_way();
            if sender.receiver_count() == 0 {
                under_way.remove(&id);
                return;
            }
            match place {
                Some(Ok(place)) => break place,
                // It is never closed.
                Some(Err(_)) => return,
                None => {}
            }
        };
        let place = Arc::new(place);
        let (span, maker) = (Span::current(), Arc::clone(&published));
        let make = move || {
            let value = span.in_scope(|| (load.make)(&maker))?;
            Ok(Made {
                value,
                place: Some(place),
            })
        };
        let made = tokio::task::spawn_blocking(make).await;
        let outcome = made.unwrap_or_else(|error| Err(ServiceError::from(error)));
        // By now it is in the cache, so that whoever comes next finds it there.
        loads.under_way().remove(&id);
        sender.send_replace(Some(outcome.map_err(Status::from)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Storage;
    use curriculum::Order;
    use curriculum_pipeline::{Pipeline, PipelineOptions};
    use curriculum_store::{Digest, Store};
    use std::{
        sync::{
            atomic::{AtomicU32, Ordering},
            mpsc,
        },
        time::Duration,
    };

    /// The longest that anything is waited for.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// Waits until `reached` holds.
    async fn until(reached: impl Fn() -> bool) {
        let wait = async {
            while !reached() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }

    fn published(folder: &tempfile::TempDir) -> Arc<Published> {
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let pipeline = Pipeline::start(Arc::clone(&store), PipelineOptions::default()).unwrap();
        Arc::new(Published::new(
            store,
            Arc::new(pipeline),
            &Storage::default(),
        ))
    }

    fn load(order: Order, make: impl FnOnce() + Send + 'static) -> Load {
        let key = Key::new(Digest::from([1; 32]), order);
        Load {
            id: (TypeId::of::<u8>(), key),
            make: Box::new(|_| {
                make();
                Ok(Arc::new(7u8))
            }),
        }
    }

    fn shuffled(seed: u64) -> Order {
        Order::Shuffled { seed }
    }

    #[tokio::test]
    async fn each_is_made_once_and_not_for_nobody_and_versions_do_not_wait_for_orders() {
        let folder = tempfile::tempdir().unwrap();
        let published = published(&folder);
        let bring = |load| {
            let published = Arc::clone(&published);
            tokio::spawn(async move { Loads::bring(&published, load).await.map(drop) })
        };
        let places = published.variant_loads.places.available_permits() as u64;
        let begun = Arc::new(AtomicU32::new(0));
        let (mut gates, mut slow) = (Vec::new(), Vec::new());
        for seed in 0..places {
            let (gate, closed) = mpsc::channel::<()>();
            gates.push(gate);
            slow.push(bring(load(shuffled(seed), move || {
                let _ = closed.recv();
            })));
        }
        until(|| published.variant_loads.places.available_permits() == 0).await;
        let counted = |order| {
            let begun = Arc::clone(&begun);
            load(order, move || {
                begun.fetch_add(1, Ordering::Relaxed);
            })
        };
        let left = bring(counted(shuffled(1_000)));
        let together: Vec<_> = (0..8).map(|_| bring(counted(shuffled(1_001)))).collect();
        let all = places as usize + 2;
        until(|| published.variant_loads.under_way().len() >= all).await;
        left.abort();
        assert!(left.await.unwrap_err().is_cancelled());
        bring(load(Order::EasyFirst, || {})).await.unwrap().unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 0);

        drop(gates);
        for call in slow.into_iter().chain(together) {
            call.await.unwrap().unwrap();
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        assert!(published.variant_loads.under_way().is_empty());
    }

    #[tokio::test]
    async fn a_place_is_free_once_the_value_was_used() {
        let folder = tempfile::tempdir().unwrap();
        let published = published(&folder);
        let free = || published.variant_loads.places.available_permits();
        let places = free();
        let made = Loads::bring(&published, load(shuffled(1), || {})).await;
        let mut made = made.unwrap_or_else(|status| panic!("{status}"));
        assert_eq!(free(), places - 1);
        made.leave_place();
        assert_eq!(free(), places);
        assert_eq!(made.value.downcast_ref(), Some(&7u8));
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let published = published(&folder);
        let fails = || Load {
            make: Box::new(|_| Err(ServiceError::UnknownCurriculum("c".to_owned()))),
            ..load(shuffled(1), || {})
        };
        let (one, other) = tokio::join!(
            Loads::bring(&published, fails()),
            Loads::bring(&published, fails())
        );
        for outcome in [one, other] {
            assert_eq!(outcome.err().unwrap().code(), tonic::Code::NotFound);
        }
        assert!(
            Loads::bring(&published, load(shuffled(1), || {}))
                .await
                .is_ok()
        );
    }
}
