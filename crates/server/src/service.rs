//! One file per gRPC service; `difficulty`, `push`, `versions` and `weights` hold the messages of
//! streams, `sampling` the answer of one call.

pub(crate) mod curriculum;
mod difficulty;
pub(crate) mod ingest;
pub(crate) mod push;
mod sampling;
mod versions;
mod weights;

use crate::error::ServiceError;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::Status;
use tracing::{Instrument, Span};

/// The messages of a streaming answer.
pub(crate) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// When a client that found no place for a push, an export or an import may ask again.
const COME_BACK: Duration = Duration::from_secs(5);

/// Runs `work`, which blocks or computes, away from the async workers. Work that has not begun when its caller
/// leaves is not done.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let span = Span::current();
    let mut task = Abandoned(tokio::task::spawn_blocking(move || span.in_scope(work)));
    (&mut task.0).await?
}

/// Runs `work` also while nobody asks how far it is, until its caller leaves.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    let mut task = Abandoned(tokio::spawn(work.in_current_span()));
    (&mut task.0).await.map_err(ServiceError::from)?
}

/// Work whose caller leaves when this is dropped.
struct Abandoned<T>(JoinHandle<T>);

impl<T> Drop for Abandoned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Dropped with the call that holds it, also when its client leaves before the answer.
pub(crate) struct Caller(Arc<AtomicBool>);

impl Caller {
    /// With the flag that says, to another thread, that it was dropped.
    pub(crate) fn new() -> (Self, Arc<AtomicBool>) {
        let left = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&left)), left)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
