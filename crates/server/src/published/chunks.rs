//! Weights that were sent lately, as they travel: a thousand trainers ask for the same iteration at the
//! same time, and one computes.

use super::cache::look_up;
use crate::metrics::CACHE_BYTES;
use bytes::Bytes;
use metrics::gauge;
use moka::{policy::EvictionPolicy, sync::Cache};
use std::{
    cell::Cell,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How chunks are counted.
pub(super) const KIND: &str = "weights";

/// Buffers that wait to be used again, at most.
const MAX_FREE: usize = 64;

/// Bytes of the smallest chunk that is kept: what is smaller is computed in no time, and would take more
/// memory than its bytes.
const LEAST: usize = 32 << 10;

/// Chunks of answers within a bound of bytes. Small enough to stay in a processor's cache: memory that
/// was written long ago takes longer to fill than the weights take to compute.
pub(crate) struct Chunks {
    kept: Cache<ChunkOf, Chunk>,
    buffers: Arc<Buffers>,
}

/// A chunk, and the bytes of memory that it takes.
#[derive(Clone)]
struct Chunk {
    bytes: Bytes,
    memory: u32,
}

/// Which chunk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChunkOf {
    /// Names the values of the answer.
    pub(crate) etag: Arc<str>,
    /// Its first sample.
    pub(crate) start: u64,
}

/// Memory is asked of the system once and used again and again.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

/// A buffer in use.
struct Lent {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Chunks {
    /// Within `bytes`; none are kept when that is 0.
    pub(crate) fn new(bytes: u64) -> Self {
        let kept = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, chunk: &Chunk| chunk.memory)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self {
            kept,
            buffers: Arc::default(),
        }
    }

    /// The chunk of `length` bytes. Concurrent callers of one that is not there `fill` it once.
    pub(crate) fn get(&self, of: ChunkOf, length: usize, fill: impl FnOnce(&mut [u8])) -> Bytes {
        if length < LEAST {
            let mut bytes = vec![0; length];
            fill(&mut bytes);
            look_up(KIND, true);
            return bytes.into();
        }
        let missed = Cell::new(false);
        let chunk = self.kept.get_with(of, || {
            missed.set(true);
            self.buffers.filled(length, fill)
        });
        look_up(KIND, missed.get());
        if missed.get() {
            let bytes = self.kept.weighted_size();
            gauge!(CACHE_BYTES, "cache" => "weights").set(bytes as f64);
        }
        chunk.bytes
    }
}

impl Buffers {
    fn filled(self: &Arc<Self>, length: usize, fill: impl FnOnce(&mut [u8])) -> Chunk {
        let mut bytes = self.free().pop().unwrap_or_default();
        bytes.resize(length, 0);
        fill(&mut bytes);
        let memory = u32::try_from(bytes.capacity()).unwrap_or(u32::MAX);
        let bytes = Bytes::from_owner(Lent {
            bytes,
            home: Arc::clone(self),
        });
        Chunk { bytes, memory }
    }

    /// A std mutex: nothing awaits under it.
    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.home.free();
        if free.len() < MAX_FREE {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicU32, Ordering},
        },
        thread,
    };

    fn of(etag: &str, start: u64) -> ChunkOf {
        ChunkOf {
            etag: etag.into(),
            start,
        }
    }

    /// Bytes of a chunk that is kept.
    const LONG: usize = 2 * LEAST;

    #[test]
    fn equal_requests_at_the_same_time_compute_once() {
        let chunks = Chunks::new(1 << 20);
        let (together, filled) = (Barrier::new(8), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    let chunk = chunks.get(of("a", 0), LONG, |bytes| {
                        filled.fetch_add(1, Ordering::Relaxed);
                        bytes.fill(7);
                    });
                    assert_eq!(&*chunk, [7; LONG]);
                });
            }
        });
        assert_eq!(filled.into_inner(), 1);
        for other in [of("b", 0), of("a", 1)] {
            assert_eq!(&*chunks.get(other, LONG, |bytes| bytes.fill(1)), [1; LONG]);
        }
    }

    #[test]
    fn what_is_kept_and_what_is_spare_is_bounded() {
        let chunks = Chunks::new(20 * LONG as u64);
        let held: Vec<_> = (0..200)
            .map(|start| chunks.get(of("a", start), LONG, |bytes| bytes.fill(start as u8)))
            .collect();
        for (start, chunk) in held.iter().enumerate() {
            assert_eq!(**chunk, [start as u8; LONG]);
        }
        chunks.kept.run_pending_tasks();
        assert!(chunks.kept.weighted_size() <= 20 * LONG as u64);
        drop(held);
        assert!(chunks.buffers.free().len() <= MAX_FREE);
        // A shorter chunk in a longer buffer counts as the buffer.
        let before = chunks.kept.weighted_size();
        chunks.get(of("short", 0), LEAST, |bytes| bytes.fill(1));
        chunks.kept.run_pending_tasks();
        assert!(chunks.kept.weighted_size() <= 20 * LONG as u64);
        assert_ne!(chunks.kept.weighted_size(), before + LEAST as u64);
    }

    #[test]
    fn short_chunks_are_not_kept() {
        let chunks = Chunks::new(1 << 20);
        for start in 0..100 {
            let chunk = chunks.get(of("a", start), 4, |bytes| bytes.fill(9));
            assert_eq!(&*chunk, [9; 4]);
        }
        chunks.kept.run_pending_tasks();
        assert_eq!(
            (chunks.kept.entry_count(), chunks.buffers.free().len()),
            (0, 0)
        );
    }

    #[test]
    fn nothing_is_kept_without_room() {
        let chunks = Chunks::new(0);
        for _ in 0..3 {
            assert_eq!(
                chunks.get(of("a", 0), LONG, |bytes| bytes.fill(2)).len(),
                LONG
            );
            chunks.kept.run_pending_tasks();
        }
        assert_eq!(chunks.kept.weighted_size(), 0);
    }
}
