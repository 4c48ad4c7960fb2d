//! Versions on their way out and in: files of any size, a piece at a time.

use super::{Messages, blocking};
use crate::error::ServiceError;
use curriculum_proto::v1::{
    self, export_version_response::Part as ExportPart, import_version_request::Part as ImportPart,
};
use curriculum_store::{Digest, Store};
use std::{
    io::{self, Read, Write},
    sync::Arc,
};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, once, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

/// Bytes of a message.
const PIECE: usize = 1 << 20;

/// Pieces on their way; the writer waits for the client beyond.
const WAITING: usize = 2;

/// The file of `version`, after a header that names it.
pub(super) fn export(store: Arc<Store>, version: Digest) -> Messages<v1::ExportVersionResponse> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces {
            sender: sender.clone(),
            buffer: Vec::with_capacity(PIECE),
        };
        let exported = store.export_version(version, &mut pieces);
        match exported {
            // A client that went away needs no answer.
            Ok(_) => drop(pieces.flush()),
            Err(error) => {
                let _ = sender.blocking_send(Err(ServiceError::from(error).into()));
            }
        }
    });
    let header = v1::ExportHeader {
        version: version.to_string(),
    };
    let header = v1::ExportVersionResponse {
        part: Some(ExportPart::Header(header)),
    };
    Box::pin(once(Ok(header)).chain(ReceiverStream::new(receiver)))
}

/// Takes the file of a version, as the newest of the curriculum that the header names.
pub(super) async fn import(
    store: Arc<Store>,
    mut messages: Streaming<v1::ImportVersionRequest>,
) -> Result<Digest, Status> {
    let first = messages.message().await?.and_then(|message| message.part);
    let Some(ImportPart::Header(v1::ImportHeader { curriculum })) = first else {
        return Err(ServiceError::invalid("part", "the first message must be the header").into());
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let work = blocking(move || {
        let mut arriving = Arriving {
            receiver,
            piece: io::Cursor::default(),
        };
        let imported = store.import_version(&mut arriving, &curriculum)?;
        store.flush()?;
        Ok(imported.version.id)
    });
    let forward = async move {
        loop {
            let wrong = match messages.message().await {
                Ok(Some(message)) => match message.part {
                    Some(ImportPart::Data(data)) => match sender.send(Ok(data)).await {
                        Ok(()) => continue,
                        // The import has ended, and says why.
                        Err(_) => return Ok(()),
                    },
                    Some(ImportPart::Header(_)) | None => {
                        ServiceError::invalid("part", "a message without data").into()
                    }
                },
                Ok(None) => return Ok(()),
                Err(status) => status,
            };
            // Not the end of the file: the import must not take what came for a version.
            let broken = io::Error::other("the file broke off");
            return sender
                .send(Err(broken))
                .await
                .map_or(Ok(()), |()| Err(wrong));
        }
    };
    let (version, sent) = tokio::join!(work, forward);
    sent?;
    Ok(version?)
}

/// What is written, cut into messages.
struct Pieces {
    sender: mpsc::Sender<Result<v1::ExportVersionResponse, Status>>,
    buffer: Vec<u8>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        let data = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        let message = v1::ExportVersionResponse {
            part: Some(ExportPart::Data(data)),
        };
        let sent = self.sender.blocking_send(Ok(message));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PIECE {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.buffer.is_empty() {
            true => Ok(()),
            false => self.send(),
        }
    }
}

/// What arrives, as a reader.
struct Arriving {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = io::Cursor::new(piece?),
                None => return Ok(0),
            }
        }
    }
}
