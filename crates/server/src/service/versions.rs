//! Versions on their way out and in: files of any size, a piece at a time. Neither way takes a thread of the
//! pool while it waits for its client.

use super::{COME_BACK, Messages, blocking};
use crate::error::{ServiceError, overloaded};
use curriculum_proto::v1::{
    self, export_version_response::Part as ExportPart, import_version_request::Part as ImportPart,
};
use curriculum_store::{Digest, Export, Store, StoreError};
use futures_util::stream;
use std::{
    io::{self, Read},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_stream::{Stream, StreamExt, once};
use tonic::Status;
use tracing::Span;

/// Bytes of a message.
const PIECE: usize = 1 << 20;

/// Pieces on their way in; the client waits beyond.
const WAITING: usize = 2;

/// How long a client may send nothing.
const SILENCE: Duration = Duration::from_secs(120);

/// How many may be under way at once, exports and imports each.
const MOST: usize = 16;

/// Bounds what is under way.
#[derive(Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Free again when what it returns is dropped.
    fn take(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = Arc::clone(&self.0).try_acquire_owned();
        place.map_err(|_| {
            let text = "too many versions are under way, come back later";
            overloaded(text, COME_BACK)
        })
    }
}

/// A version on its way out. Between two pieces it holds what it made beyond the first, less than a piece
/// and a frame of the file, and one open file.
struct Leaving {
    store: Arc<Store>,
    export: Export,
    frames: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

/// The file of `version`, after a header that names it.
pub(super) async fn export(
    store: Arc<Store>,
    places: &Places,
    find: impl FnOnce() -> Result<Digest, ServiceError> + Send + 'static,
) -> Result<Messages<v1::ExportVersionResponse>, Status> {
    let place = places.take()?;
    let (version, leaving) = blocking(move || {
        let version = find()?;
        let leaving = Leaving {
            export: Export::of(&store, version)?,
            store,
            frames: Vec::new(),
            _place: place,
        };
        Ok((version, leaving))
    })
    .await?;
    let header = ExportPart::Header(v1::ExportHeader {
        version: version.to_string(),
    });
    let pieces = stream::try_unfold(leaving, |mut leaving| async move {
        let (piece, leaving) = blocking(move || Ok((leaving.piece()?, leaving))).await?;
        Ok(piece.map(|piece| (message(ExportPart::Data(piece)), leaving)))
    });
    Ok(Box::pin(once(Ok(message(header))).chain(pieces)))
}

fn message(part: ExportPart) -> v1::ExportVersionResponse {
    v1::ExportVersionResponse { part: Some(part) }
}

impl Leaving {
    /// The next piece, full unless it is the last.
    fn piece(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        while self.frames.len() < PIECE && self.export.next(&self.store, &mut self.frames)? {}
        let piece = self.frames.len().min(PIECE);
        let data = self.frames[..piece].to_vec();
        self.frames.drain(..piece);
        Ok(Some(data).filter(|data| !data.is_empty()))
    }
}

/// What a client sends, or a test.
pub(super) trait Messaging:
    Stream<Item = Result<v1::ImportVersionRequest, Status>> + Unpin
{
}

impl<S: Stream<Item = Result<v1::ImportVersionRequest, Status>> + Unpin> Messaging for S {}

/// The messages of a version on its way in.
pub(super) struct Incoming<S> {
    messages: S,
    stopping: watch::Receiver<bool>,
    silence: Duration,
}

/// Takes the file of a version, as the newest of the curriculum that the header names.
pub(super) async fn import<S: Messaging>(
    store: Arc<Store>,
    places: &Places,
    mut incoming: Incoming<S>,
) -> Result<Digest, Status> {
    let place = places.take()?;
    let first = incoming.next().await?;
    let Some(Some(ImportPart::Header(v1::ImportHeader { curriculum }))) = first else {
        return Err(ServiceError::invalid("part", "the first message must be the header").into());
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let work = move || -> Result<Digest, ServiceError> {
        let _place = place;
        let mut arriving = Arriving {
            receiver,
            piece: io::Cursor::default(),
            ended: false,
        };
        let imported = store.import_version(&mut arriving, &curriculum)?;
        store.flush()?;
        Ok(imported.version.id)
    };
    let outcome = on_own_thread(work)?;
    let forwarded = incoming.forward(sender).await;
    // Before the answer: once all calls have ended, the process does too.
    let outcome = outcome.await;
    forwarded?;
    let outcome = outcome.map_err(|_| Status::internal("the import failed"))?;
    Ok(outcome?)
}

/// Runs `work`, which waits for a client, on a thread of its own.
fn on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, Status> {
    let (sender, receiver) = oneshot::channel();
    let span = Span::current();
    let run = move || drop(sender.send(span.in_scope(work)));
    match thread::Builder::new().name("import".to_owned()).spawn(run) {
        Ok(_) => Ok(receiver),
        Err(error) => {
            tracing::error!(%error, "no thread for an import");
            Err(Status::unavailable("there is no thread for it"))
        }
    }
}

impl<S: Messaging> Incoming<S> {
    /// Ends when the server is `stopping`.
    pub(super) fn new(messages: S, stopping: watch::Receiver<bool>) -> Self {
        Self {
            messages,
            stopping,
            silence: SILENCE,
        }
    }

    /// Hands on what arrives until it ends, or until the import takes no more. Without [`Piece::End`] it was
    /// not whole.
    async fn forward(&mut self, sender: mpsc::Sender<Piece>) -> Result<(), Status> {
        loop {
            let part = tokio::select! {
                part = self.next() => part?,
                () = sender.closed() => return Ok(()),
            };
            let piece = match part {
                Some(Some(ImportPart::Data(data))) => Piece::Data(data),
                Some(_) => return Err(ServiceError::invalid("part", "must be data").into()),
                None => Piece::End,
            };
            let ended = matches!(piece, Piece::End);
            if sender.send(piece).await.is_err() || ended {
                return Ok(());
            }
        }
    }

    /// What the next message says; `None` at the end of the stream.
    async fn next(&mut self) -> Result<Option<Option<ImportPart>>, Status> {
        tokio::select! {
            message = self.messages.next() => Ok(message.transpose()?.map(|message| message.part)),
            _ = self.stopping.wait_for(|stopping| *stopping) => {
                Err(Status::unavailable("the server is stopping"))
            }
            () = tokio::time::sleep(self.silence) => {
                let text = format!("no message came for {} seconds", self.silence.as_secs());
                Err(Status::deadline_exceeded(text))
            }
        }
    }
}

enum Piece {
    Data(Vec<u8>),
    End,
}

/// What arrives, as a reader.
struct Arriving {
    receiver: mpsc::Receiver<Piece>,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 || buffer.is_empty() || self.ended {
                return Ok(read);
            }
            match self.receiver.blocking_recv() {
                Some(Piece::Data(data)) => self.piece = io::Cursor::new(data),
                Some(Piece::End) => self.ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }
}

#[cfg(test)]
impl<S: Messaging> Incoming<S> {
    pub(super) fn ending_after(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }
}
