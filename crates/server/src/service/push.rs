//! The streams of `PushFeatures` and `PushImages`: one message is written before the next is read, so
//! that a client sends no faster than the disk takes it.

use super::blocking;
use crate::{error::ServiceError, from_proto::push::Part, to_proto};
use curriculum_proto::v1;
use curriculum_store::push::{Push, Pushes};
use std::sync::Arc;
use tokio::{runtime::Handle, sync::watch};
use tonic::{Status, Streaming};

/// Bytes of a message, at most: an image of 32 MiB and what names it.
pub(crate) const MAX_MESSAGE: usize = 36 << 20;

/// A push that another thread closes: what was taken becomes durable, however the call ends.
struct Open(Option<Push>);

impl Drop for Open {
    fn drop(&mut self) {
        let Some(push) = self.0.take() else { return };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(push))),
            Err(_) => drop(push),
        }
    }
}

impl Open {
    /// Runs `work` on the push, away from the async workers. A push whose work failed is closed.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Push) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, Status> {
        let Some(mut push) = self.0.take() else {
            return Err(Status::internal("the push is closed"));
        };
        let (push, done) = blocking(move || {
            let done = work(&mut push)?;
            Ok((push, done))
        })
        .await?;
        self.0 = Some(push);
        Ok(done)
    }
}

/// Takes a push to the end of its stream.
pub(super) async fn receive<M>(
    pushes: Arc<Pushes>,
    mut stopping: watch::Receiver<bool>,
    mut messages: Streaming<M>,
    part: fn(M) -> Result<Part, ServiceError>,
) -> Result<v1::PushResponse, Status> {
    let first = messages.message().await?.map(part).transpose()?;
    let Some(Part::Header {
        push: name,
        kind,
        fingerprint,
    }) = first
    else {
        return Err(ServiceError::invalid("part", "the first message must be the header").into());
    };
    let (known, claimed) = (Arc::clone(&pushes), name.clone());
    let push = blocking(move || Ok(known.open(&claimed, kind, &fingerprint)?)).await?;
    let mut push = Open(Some(push));
    loop {
        let message = tokio::select! {
            message = messages.message() => Some(message?),
            _ = stopping.wait_for(|stopping| *stopping) => None,
        };
        let Some(message) = message else {
            // Before the answer: once all calls have ended, the process does too.
            push.with(|push| Ok(push.sync()?)).await?;
            return Err(Status::unavailable("the server is stopping"));
        };
        match message.map(part).transpose()? {
            Some(Part::Samples(batch)) => {
                let append =
                    move |push: &mut Push| Ok(push.append(batch.offset, &batch.samples())?);
                push.with(append).await?;
            }
            Some(Part::End { samples }) => {
                push.with(move |push| Ok(push.finish(samples)?)).await?;
                break;
            }
            Some(Part::Header { .. }) => {
                return Err(ServiceError::invalid("part", "there is a second header").into());
            }
            None => {
                push.with(|push| Ok(push.sync()?)).await?;
                break;
            }
        }
    }
    state(pushes, name).await
}

/// Where a push stands.
pub(super) async fn state(pushes: Arc<Pushes>, name: String) -> Result<v1::PushResponse, Status> {
    let work = move || match pushes.state(&name)? {
        Some(state) => Ok(to_proto::push(&name, state)),
        None => Err(ServiceError::UnknownPush(name)),
    };
    Ok(blocking(work).await?)
}
