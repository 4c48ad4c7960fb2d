//! Values of any kind under one bound of bytes.

use crate::{
    error::ServiceError,
    metrics::{CACHE_BYTES, CACHE_REQUESTS},
};
use metrics::{counter, gauge};
use moka::{policy::EvictionPolicy, sync::Cache as Moka};
use std::{
    any::{Any, TypeId},
    cell::Cell,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// What the cache can keep.
pub(super) trait Kept: Any + Send + Sync {
    /// How it is counted.
    const KIND: &str;

    /// Bytes in memory.
    fn bytes(&self) -> usize;
}

/// Values by key and type. The least recently used ones go when the bytes exceed the bound; a value
/// larger than the bound is never kept, which is logged the first time.
pub(super) struct Cache<K> {
    /// How its bytes are counted.
    name: &'static str,
    entries: Moka<(TypeId, K), Entry>,
    kibibytes: u64,
    said_too_large: AtomicBool,
}

#[derive(Clone)]
struct Entry {
    value: Arc<dyn Any + Send + Sync>,
    kibibytes: u32,
}

impl<K: Eq + Hash + Send + Sync + 'static> Cache<K> {
    /// Within `bytes`, counted in whole KiB.
    pub(super) fn new(name: &'static str, bytes: u64) -> Self {
        let entries = Moka::builder()
            .max_capacity(bytes >> 10)
            .weigher(|_, entry: &Entry| entry.kibibytes)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            name,
            entries,
            kibibytes: bytes >> 10,
            said_too_large: AtomicBool::new(false),
        }
    }

    /// Whether the value of type `T` under `key` is there.
    pub(super) fn holds<T: Kept>(&self, key: K) -> bool {
        self.entries.contains_key(&(TypeId::of::<T>(), key))
    }

    /// The value of type `T` under `key`, if it is there.
    pub(super) fn kept<T: Kept>(&self, key: K) -> Option<Arc<T>> {
        let entry = self.entries.get(&(TypeId::of::<T>(), key))?;
        look_up(T::KIND, false);
        entry.value.downcast().ok()
    }

    /// The value of type `T` under `key`. Concurrent callers of a value that is not there `load` it
    /// once; a failure is each caller's own.
    pub(super) fn get<T: Kept>(
        &self,
        key: K,
        load: impl Fn() -> Result<T, ServiceError>,
    ) -> Result<Arc<T>, ServiceError> {
        let key = (TypeId::of::<T>(), key);
        let missed = Cell::new(false);
        let loaded = self.entries.try_get_with(key, || {
            missed.set(true);
            let entry = Entry::new(load()?);
            self.check(entry.kibibytes);
            Ok(entry)
        });
        look_up(T::KIND, missed.get());
        if missed.get() {
            // Else it would not know of the new entry yet.
            self.entries.run_pending_tasks();
            let bytes = self.entries.weighted_size() << 10;
            gauge!(CACHE_BYTES, "cache" => self.name).set(bytes as f64);
        }
        match loaded {
            Ok(entry) => match entry.value.downcast() {
                Ok(value) => Ok(value),
                // The type is part of the key.
                Err(_) => load().map(Arc::new),
            },
            Err(error) => match Arc::try_unwrap(error) {
                Ok(error) => Err(error),
                // Another caller holds the same error: load once more for one of our own.
                Err(_) => load().map(Arc::new),
            },
        }
    }
}

impl<K> Cache<K> {
    /// Whether it can be kept.
    pub(super) fn fits<T: Kept>(&self, value: &T) -> bool {
        u64::from(kibibytes(value)) <= self.kibibytes
    }

    /// What is not kept is made anew for every call, which takes seconds.
    fn check(&self, kibibytes: u32) {
        if u64::from(kibibytes) > self.kibibytes
            && !self.said_too_large.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                needed_bytes = u64::from(kibibytes) << 10,
                cache_bytes = self.kibibytes << 10,
                "a version, or its control order, does not fit into memory, and each call makes it anew: raise storage.cache_bytes"
            );
        }
    }
}

/// Counts a look-up. Callers that wait for another's load found it there.
pub(super) fn look_up(kind: &'static str, missed: bool) {
    let outcome = if missed { "miss" } else { "hit" };
    counter!(CACHE_REQUESTS, "kind" => kind, "outcome" => outcome).increment(1);
}

impl Entry {
    fn new<T: Kept>(value: T) -> Self {
        Self {
            kibibytes: kibibytes(&value),
            value: Arc::new(value),
        }
    }
}

fn kibibytes(value: &impl Kept) -> u32 {
    u32::try_from(value.bytes().div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Barrier, atomic::AtomicU32};

    impl Kept for Vec<u8> {
        const KIND: &str = "test";

        fn bytes(&self) -> usize {
            self.len()
        }
    }

    impl Kept for String {
        const KIND: &str = "test";

        fn bytes(&self) -> usize {
            self.len()
        }
    }

    fn bytes(cache: &Cache<u8>, key: u8, length: usize, loads: &AtomicU32) -> usize {
        let load = || {
            loads.fetch_add(1, Ordering::Relaxed);
            Ok(vec![key; length])
        };
        let found = cache.get(key, load).unwrap().len();
        cache.entries.run_pending_tasks();
        found
    }

    #[test]
    fn all_types_share_one_bound_and_the_least_recent_use_goes() {
        let cache = Cache::new("test", 100 << 10);
        let loads = AtomicU32::new(0);
        for key in [1, 2, 1, 3] {
            bytes(&cache, key, 40 << 10, &loads);
        }
        assert!(!cache.holds::<Vec<u8>>(2));
        assert!(cache.holds::<Vec<u8>>(1));
        assert_eq!(loads.load(Ordering::Relaxed), 3);
        let text = || Ok("x".repeat(70 << 10));
        assert_eq!(cache.get(1, text).unwrap().len(), 70 << 10);
        cache.entries.run_pending_tasks();
        assert!(cache.holds::<String>(1));
        assert!(!cache.holds::<Vec<u8>>(3));
    }

    #[test]
    fn what_is_too_large_is_answered_all_the_same() {
        let cache = Cache::new("test", 100 << 10);
        let loads = AtomicU32::new(0);
        bytes(&cache, 1, 40 << 10, &loads);
        assert!(!cache.said_too_large.load(Ordering::Relaxed));
        assert_eq!(bytes(&cache, 2, 200 << 10, &loads), 200 << 10);
        assert!(cache.holds::<Vec<u8>>(1));
        assert!(cache.said_too_large.load(Ordering::Relaxed));
    }

    #[test]
    fn concurrent_first_uses_load_once() {
        let cache = Cache::new("test", 1 << 20);
        let loads = AtomicU32::new(0);
        let together = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    bytes(&cache, 1, 10, &loads)
                });
            }
        });
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let cache = Cache::<u8>::new("test", 1 << 20);
        let fail = || Err::<String, _>(ServiceError::UnknownCurriculum("c".to_owned()));
        assert!(cache.get(1, fail).is_err());
        assert_eq!(*cache.get(1, || Ok("there".to_owned())).unwrap(), "there");
    }
}
