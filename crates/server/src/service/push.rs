//! The streams of `PushFeatures` and `PushImages`: one message is written before the next is read, so
//! that a client sends no faster than the disk takes it.

use super::{COME_BACK, blocking};
use crate::{
    error::{ServiceError, overloaded},
    from_proto::push::Part,
    to_proto,
};
use curriculum_pipeline::metrics::INGEST_SAMPLES;
use curriculum_proto::v1;
use curriculum_store::push::{Push, Pushes};
use metrics::counter;
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tonic::{Status, Streaming};

/// How long a client may say nothing: one that has more to send later comes back and goes on.
const SILENCE: Duration = Duration::from_secs(120);

/// How many pushes and imports may be under way at once: one holds a place among all open calls, and must
/// leave some to others.
const MOST: usize = 64;

/// What all pushes of a server share.
#[derive(Clone)]
pub(crate) struct Receiver {
    pushes: Arc<Pushes>,
    /// True once the server stops: pushes that are under way end then.
    stopping: watch::Receiver<bool>,
    places: Arc<Semaphore>,
}

/// The right to send data, until it is dropped.
pub(super) struct Sending(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

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

impl Receiver {
    /// `calls` is how many calls of any kind the server takes at once.
    pub(crate) fn new(pushes: Arc<Pushes>, stopping: watch::Receiver<bool>, calls: usize) -> Self {
        // Half of those that one client may have.
        let places = Arc::new(Semaphore::new((calls / 4).clamp(1, MOST)));
        Self {
            pushes,
            stopping,
            places,
        }
    }

    pub(super) fn pushes(&self) -> &Arc<Pushes> {
        &self.pushes
    }

    /// # Errors
    /// When too many clients send already.
    pub(super) fn begin(&self) -> Result<Sending, Status> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| {
            let text = "too many pushes are under way, come back later";
            overloaded(text, COME_BACK)
        });
        place.map(Sending)
    }

    pub(super) fn stopping(&self) -> &watch::Receiver<bool> {
        &self.stopping
    }
}

/// What came of waiting for a message.
enum Awaited<M> {
    /// `None` at the end of the stream.
    Message(Option<M>),
    Nothing(&'static str),
}

async fn next<M>(
    messages: &mut Streaming<M>,
    stopping: &mut watch::Receiver<bool>,
) -> Result<Awaited<M>, Status> {
    let message = tokio::select! {
        message = messages.message() => Awaited::Message(message?),
        _ = stopping.wait_for(|stopping| *stopping) => Awaited::Nothing("the server is stopping"),
        () = tokio::time::sleep(SILENCE) => {
            Awaited::Nothing("no message came for two minutes: go on where GetPush says")
        }
    };
    Ok(message)
}

/// Takes a push to the end of its stream.
pub(super) async fn receive<M>(
    receiver: Receiver,
    mut messages: Streaming<M>,
    part: fn(M) -> Result<Part, ServiceError>,
) -> Result<v1::PushResponse, Status> {
    let _sending = receiver.begin()?;
    let Receiver {
        pushes,
        mut stopping,
        ..
    } = receiver;
    let first = match next(&mut messages, &mut stopping).await? {
        Awaited::Message(message) => message.map(part).transpose()?,
        Awaited::Nothing(reason) => return Err(Status::unavailable(reason)),
    };
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
        let message = match next(&mut messages, &mut stopping).await? {
            Awaited::Message(message) => message,
            Awaited::Nothing(reason) => {
                // Before the answer: once all calls have ended, the process does too.
                push.with(|push| Ok(push.sync()?)).await?;
                return Err(Status::unavailable(reason));
            }
        };
        match message.map(part).transpose()? {
            Some(Part::Samples(batch)) => {
                let append = move |push: &mut Push| {
                    let samples = batch.samples();
                    push.append(batch.offset, &samples)?;
                    counter!(INGEST_SAMPLES, "status" => "pushed").increment(samples.len() as u64);
                    Ok(())
                };
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
