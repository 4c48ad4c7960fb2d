//! Samples of this machine on their way to a server.
//!
//! A push goes on where the server says it stands, so a connection that breaks, or a command that is
//! killed and run again, sends nothing twice but what was not durable yet.

mod batches;

use crate::{
    backoff::Backoff,
    client::ServerArgs,
    exit::BadInput,
    progress::{Display, Progress},
    watch::{is_passing, pause, text},
};
use batches::Batches;
use curriculum_manifest::{Kind, Manifest};
use curriculum_proto::v1::{
    self, push_features_request::Part as FeaturesPart, push_images_request::Part as ImagesPart,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Status};

/// Messages that wait for the server.
const WAITING: usize = 2;

/// Between two looks at what was sent.
const TICK: Duration = Duration::from_millis(250);

/// A push from a manifest of this machine.
pub(crate) struct Pusher {
    pub(crate) server: ServerArgs,
    pub(crate) name: String,
    pub(crate) manifest: Arc<Manifest>,
    /// From [`fingerprint`].
    pub(crate) fingerprint: String,
}

/// Samples that are read for a fingerprint.
const PROBES: u64 = 16;

/// Tells a source from others: what the listing says of it, and some of its samples, since files of equal
/// size and time may differ.
///
/// # Errors
/// [`BadInput`] when a sample cannot be read.
pub(crate) fn fingerprint(manifest: &Manifest) -> Result<String, BadInput> {
    let bad = |error: &dyn std::fmt::Display| BadInput(error.to_string());
    let listed = manifest.fingerprint().map_err(|error| bad(&error))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(listed.as_bytes());
    let last = manifest.len().saturating_sub(1);
    let probes = PROBES.min(manifest.len());
    for probe in 0..probes {
        // From the first to the last.
        let index = u128::from(last) * u128::from(probe) / u128::from(probes - 1).max(1);
        let bytes = manifest.read(index as u64).map_err(|error| bad(&error))?;
        hasher.update(blake3::hash(&bytes).as_bytes());
    }
    Ok(hasher.finalize().to_string())
}

/// A part of a push, of either kind.
pub(crate) enum Message {
    Header(v1::PushHeader),
    Rows(v1::FeatureRows),
    Images(v1::ImageSamples),
    End(v1::PushEnd),
}

impl Pusher {
    /// Sends what the server does not have, and finishes the push.
    ///
    /// # Errors
    /// [`BadInput`] when a sample cannot be read, or the push holds others; [`crate::exit::Unreachable`] when the
    /// server stays away; or the server's status.
    pub(crate) async fn run(&self, mut backoff: Backoff) -> anyhow::Result<v1::PushResponse> {
        let mut display = Display::new();
        let mut known = 0;
        loop {
            let before = Instant::now();
            let error = match self.go_on(&mut display, &mut backoff, &mut known).await {
                Ok(state) => {
                    display.finish();
                    return Ok(state);
                }
                Err(error) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            let note = format!(
                "connection lost after {:.1} s, trying again: {}",
                before.elapsed().as_secs_f64(),
                text(&error)
            );
            let pause = pause(&mut backoff, &self.server, error)?;
            display.note(&note);
            tokio::time::sleep(pause).await;
        }
    }

    /// One connection; `before` is what the server had at the one before.
    async fn go_on(
        &self,
        display: &mut Display,
        backoff: &mut Backoff,
        before: &mut u64,
    ) -> anyhow::Result<v1::PushResponse> {
        let mut client = self.server.ingest().await?;
        let request = v1::GetPushRequest {
            push: self.name.clone(),
        };
        let known = match client.get_push(request).await {
            Ok(state) => {
                let state = state.into_inner();
                self.check(&state)?;
                state
            }
            Err(status) if status.code() == Code::NotFound => v1::PushResponse::default(),
            Err(status) => return Err(status.into()),
        };
        // An answer alone is no progress: a server whose disk is full gives one each time.
        if known.samples > *before {
            *before = known.samples;
            backoff.heard();
        }
        if known.complete {
            return Ok(known);
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        let sent = Arc::new(AtomicU64::new(known.samples));
        let batches = Batches {
            push: self.name.clone(),
            fingerprint: self.fingerprint.clone(),
            manifest: Arc::clone(&self.manifest),
            next: known.samples,
            sent: Arc::clone(&sent),
        };
        let reading = tokio::task::spawn_blocking(move || batches.send(&sender));
        let messages = ReceiverStream::new(receiver);
        let answer = async {
            match self.manifest.kind() {
                Kind::Features { .. } => client.push_features(messages.map(features)).await,
                Kind::Images | Kind::Assignments => client.push_images(messages.map(images)).await,
            }
        };
        let answer = self.watched(display, &sent, known.samples, answer).await;
        // A sample that cannot be read ends the stream early: that is the cause, if there is one.
        reading.await??;
        Ok(answer?.into_inner())
    }

    async fn watched<T>(
        &self,
        display: &mut Display,
        sent: &AtomicU64,
        before: u64,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let mut answer = std::pin::pin!(answer);
        let started = Instant::now();
        loop {
            let done = sent.load(Ordering::Relaxed);
            display.show(&Progress {
                stage: "push",
                activity: "sending samples",
                done,
                total: self.manifest.len(),
                rate: (done - before) as f64 / started.elapsed().as_secs_f64().max(1e-9),
            });
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Whether what the server has was pushed from what is here.
    fn check(&self, known: &v1::PushResponse) -> anyhow::Result<()> {
        match known.fingerprint == self.fingerprint {
            true => Ok(()),
            false => Err(BadInput(format!(
                "push `{}` on the server was begun with the samples of another source, or of one that \
                 changed since: choose another --id",
                self.name
            ))
            .into()),
        }
    }
}

fn features(message: Message) -> v1::PushFeaturesRequest {
    let part = match message {
        Message::Header(header) => Some(FeaturesPart::Header(header)),
        Message::Rows(rows) => Some(FeaturesPart::Rows(rows)),
        Message::End(end) => Some(FeaturesPart::End(end)),
        Message::Images(_) => None,
    };
    v1::PushFeaturesRequest { part }
}

fn images(message: Message) -> v1::PushImagesRequest {
    let part = match message {
        Message::Header(header) => Some(ImagesPart::Header(header)),
        Message::Images(samples) => Some(ImagesPart::Samples(samples)),
        Message::End(end) => Some(ImagesPart::End(end)),
        Message::Rows(_) => None,
    };
    v1::PushImagesRequest { part }
}
