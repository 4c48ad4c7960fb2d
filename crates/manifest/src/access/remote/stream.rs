//! One object from front to back, read ahead of its user.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use super::failure::translate;
use super::fetch::{back_off, check_etag, ended, get_options};
use super::wait::wait;
use super::{Net, Shared};
use crate::access::error::AccessError;
use crate::access::stamp::Stamp;
use crate::place::Remote;

/// Parts that wait to be read. A part is what came in one piece: some ten to some hundred KiB.
const PARTS_AHEAD: usize = 32;
/// How often in a row the transfer may break off without a byte in between.
const ATTEMPTS: u32 = 5;

/// The bytes of an object, as they come in.
#[derive(Debug)]
pub(in crate::access) struct Download {
    parts: Receiver<Result<Bytes, AccessError>>,
    current: Bytes,
    task: JoinHandle<()>,
}

impl Download {
    pub(super) fn start(net: &Net, remote: &Remote, stamp: &Stamp, offset: u64) -> Self {
        let (sender, parts) = mpsc::channel(PARTS_AHEAD);
        let mut transfer = Transfer {
            shared: Arc::clone(&net.shared),
            remote: remote.clone(),
            etag: stamp.etag.clone(),
            next: offset,
            end: stamp.size.unwrap_or(0),
        };
        let task = net.spawn(async move {
            if let Err(error) = transfer.run(&sender).await {
                // No receiver: nobody reads on.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self {
            parts,
            current: Bytes::new(),
            task,
        }
    }

    /// Into `buffer`; 0 after the last byte.
    pub(in crate::access) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match wait(self.parts.recv()) {
                Some(part) => self.current = part?,
                None => return Ok(0),
            }
        }
        let read = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Transfer {
    shared: Arc<Shared>,
    remote: Remote,
    etag: Option<String>,
    next: u64,
    end: u64,
}

impl Transfer {
    /// Sends what lies between `next` and `end`, beginning anew where the transfer broke off.
    async fn run(
        &mut self,
        sender: &Sender<Result<Bytes, AccessError>>,
    ) -> Result<(), AccessError> {
        let mut failures = 0;
        while self.next < self.end {
            let before = self.next;
            match self.send_on(sender).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(AccessError::Remote { .. } | AccessError::Io { .. })
                    if self.next > before || failures < ATTEMPTS =>
                {
                    failures = if self.next > before { 0 } else { failures + 1 };
                    let first = self.shared.options.first_backoff;
                    tokio::time::sleep(back_off(first, failures)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends one answer's parts; `false` if nobody takes them.
    async fn send_on(
        &mut self,
        sender: &Sender<Result<Bytes, AccessError>>,
    ) -> Result<bool, AccessError> {
        let (store, path) = self.shared.store(&self.remote)?;
        // The whole object is asked for without a range, which some servers do not know.
        let range = (self.next > 0).then_some(self.next..self.end);
        let found = store
            .get_opts(&path, get_options(range, self.etag.as_deref()))
            .await;
        let found = found.map_err(|error| translate(&self.remote, &error))?;
        check_etag(&self.remote, self.etag.as_deref(), &found.meta)?;
        if found.meta.size != self.end {
            return Err(AccessError::Changed {
                place: self.remote.to_string(),
            });
        }
        let mut parts = found.into_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| translate(&self.remote, &error))?;
            self.next += part.len() as u64;
            if self.next > self.end {
                return Err(AccessError::Changed {
                    place: self.remote.to_string(),
                });
            }
            if sender.send(Ok(part)).await.is_err() {
                return Ok(false);
            }
        }
        if self.next < self.end {
            return Err(ended(&self.remote, self.next, self.end));
        }
        Ok(true)
    }
}
