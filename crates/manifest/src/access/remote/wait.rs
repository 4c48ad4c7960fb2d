//! Waiting for a future on a plain thread.
//!
//! The runtime's own `block_on` panics when a caller is inside another runtime; parking the thread only blocks it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// How often a waiting thread looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);

/// The future's result. It must not need the runtime to be polled: handles of tasks and channels do not.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Some(output) = park_until(future.as_mut(), thread::park) {
            return output;
        }
    }
}

/// As [`wait`]; `None` where `stop` was set before the future had a result.
pub(super) fn wait_unless<F: Future>(future: F, stop: &AtomicBool) -> Option<F::Output> {
    let mut future = pin!(future);
    while !stop.load(Ordering::Relaxed) {
        let output = park_until(future.as_mut(), || thread::park_timeout(LOOK));
        if output.is_some() {
            return output;
        }
    }
    None
}

/// Polls once, and parks if that gave nothing.
fn park_until<F: Future>(future: Pin<&mut F>, park: impl FnOnce()) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    match future.poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => {
            park();
            None
        }
    }
}
