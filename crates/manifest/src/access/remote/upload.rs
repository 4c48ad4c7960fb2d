//! Objects written: small ones in one piece, others in parts as they come.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::{ObjectStoreExt, PutPayload};
use tokio::io::AsyncWriteExt;

use super::Net;
use super::failure::translate;
use super::wait::wait;
use crate::access::error::AccessError;
use crate::place::Remote;

/// Bytes of a part. Some stores want all parts but the last to be as long, and 10,000 of them at most: 80 GB.
const PART: usize = 8 << 20;
/// Parts on their way at one time.
const PARTS: usize = 4;
/// Bytes that are handed over at once.
const PIECE: usize = 1 << 20;

/// An object that is being written. It is there, whole, after [`finish`](Self::finish); dropped before, it never is.
#[derive(Debug)]
pub struct Upload {
    net: Arc<Net>,
    remote: Remote,
    /// `None` after a failure.
    writer: Option<BufWriter>,
    piece: Vec<u8>,
}

impl Net {
    /// Writes a small object.
    pub(in crate::access) fn put(
        &self,
        remote: &Remote,
        bytes: Vec<u8>,
    ) -> Result<(), AccessError> {
        let (shared, asked) = (Arc::clone(&self.shared), remote.clone());
        self.run(remote, async move {
            let (store, path) = shared.store(&asked)?;
            let put = store.put(&path, PutPayload::from(bytes)).await;
            put.map(drop).map_err(|error| translate(&asked, &error))
        })
    }

    /// Removes an object; one that is not there is no error.
    pub(in crate::access) fn delete(&self, remote: &Remote) -> Result<(), AccessError> {
        let (shared, asked) = (Arc::clone(&self.shared), remote.clone());
        self.run(remote, async move {
            let (store, path) = shared.store(&asked)?;
            match store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(translate(&asked, &error)),
            }
        })
    }

    /// Begins to write an object of any size.
    pub(in crate::access) fn upload(
        self: &Arc<Self>,
        remote: &Remote,
    ) -> Result<Upload, AccessError> {
        let (store, path) = self.shared.store(remote)?;
        let writer = BufWriter::with_capacity(store, path, PART).with_max_concurrency(PARTS);
        Ok(Upload {
            net: Arc::clone(self),
            remote: remote.clone(),
            writer: Some(writer),
            piece: Vec::with_capacity(PIECE),
        })
    }
}

impl Upload {
    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// When the store does not take it; nothing is there then.
    pub fn finish(mut self) -> Result<(), AccessError> {
        self.send()?;
        let Some(mut writer) = self.writer.take() else {
            return Err(self.failed());
        };
        let remote = self.remote.clone();
        self.net.run(&self.remote, async move {
            let finished = writer.shutdown().await;
            finished.map_err(|error| of_writer(&remote, error))
        })
    }

    /// Hands the piece over.
    fn send(&mut self) -> Result<(), AccessError> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let Some(mut writer) = self.writer.take() else {
            return Err(self.failed());
        };
        let piece = Bytes::from(std::mem::replace(
            &mut self.piece,
            Vec::with_capacity(PIECE),
        ));
        let remote = self.remote.clone();
        let writer = self.net.run(&self.remote, async move {
            match writer.put(piece).await {
                Ok(()) => Ok(writer),
                Err(error) => {
                    // The store forgets parts of its own accord too, some day.
                    let _ = writer.abort().await;
                    Err(translate(&remote, &error))
                }
            }
        })?;
        self.writer = Some(writer);
        Ok(())
    }

    fn failed(&self) -> AccessError {
        AccessError::Remote {
            place: self.remote.to_string(),
            reason: "the transfer has failed before".to_owned(),
        }
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() >= PIECE {
            self.send()?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            let aborted = self.net.spawn(async move { writer.abort().await });
            let _ = wait(aborted);
        }
    }
}

/// The writer wraps the store's error.
fn of_writer(remote: &Remote, error: io::Error) -> AccessError {
    match error.downcast::<object_store::Error>() {
        Ok(error) => translate(remote, &error),
        Err(source) => AccessError::Io {
            place: remote.to_string(),
            source,
        },
    }
}
