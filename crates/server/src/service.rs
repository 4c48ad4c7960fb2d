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
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::Status;
use tracing::Span;

/// The messages of a streaming answer.
pub(crate) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Runs `work`, which blocks or computes, away from the async workers.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await?
}

#[cfg(test)]
mod tests;
