//! Work that must not keep requests waiting.

use std::{panic, thread};

/// Added to the niceness of a thread: requests then get ten times its share of a core, at once.
const NICENESS: i32 = 10;

/// Runs `work` on a thread of low priority and waits for it. Threads that it starts inherit the
/// priority; so do those of ONNX Runtime and of a pool that it builds.
pub fn in_background<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            lower_priority();
            work()
        });
        thread
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

/// Of the calling thread. On Linux priorities belong to threads; elsewhere nothing is done.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "jobs run at the priority of requests");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap_or(i32::MIN)
    }

    #[test]
    fn only_background_threads_and_their_children_are_nice() {
        let usual = niceness();
        let (own, inherited, pooled) = in_background(|| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
            let inherited = thread::spawn(niceness).join().unwrap();
            (niceness(), inherited, pool.unwrap().install(niceness))
        });
        let expected = (usual + NICENESS).min(19);
        assert_eq!([own, inherited, pooled], [expected; 3]);
        assert_eq!(niceness(), usual);
    }
}
