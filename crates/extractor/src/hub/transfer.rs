//! One file over connections that may break.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::CONTENT_RANGE;

use super::http::{Client, Remote};
use super::patience::Failure;
use super::slot::{cannot_write, digest_of, hex};
use super::{HubError, Progress};

/// Twice what ONNX allows, so that no disk fills with what cannot be used.
const MAX_BYTES: u64 = 4 << 30;

/// What a connection must have brought for the next to count as the first.
const PROGRESS: u64 = 1 << 20;

/// A download into a file that keeps what came, with the checksum of it so far.
pub(super) struct Transfer {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    done: u64,
    total: Option<u64>,
}

impl Transfer {
    /// Goes on with what is at `path`, where the checksum to come will tell whether it belongs to it.
    pub(super) fn begin(path: PathBuf, remote: &Remote) -> Result<Self, HubError> {
        if let Some(bytes) = remote.bytes.filter(|bytes| *bytes > MAX_BYTES) {
            return Err(too_large(&remote.url, bytes));
        }
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let mut file = open.map_err(cannot_write(&path))?;
        let end = file.seek(SeekFrom::End(0)).map_err(cannot_write(&path))?;
        let usable = remote.sha256.is_some() && end <= remote.bytes.unwrap_or(0);
        let hasher = match usable {
            true => digest_of(&path).map_err(|source| HubError::CannotRead {
                path: path.clone(),
                source,
            })?,
            false => Sha256::new(),
        };
        let mut transfer = Self {
            path,
            file,
            hasher,
            done: end,
            total: remote.bytes,
        };
        if !usable {
            transfer.restart()?;
        }
        Ok(transfer)
    }

    /// The file, its SHA-256 and its size.
    pub(super) fn run(
        mut self,
        client: &Client,
        url: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(PathBuf, String, u64), HubError> {
        let mut attempts = client.patience.attempts();
        let mut secured = self.done;
        while self.total != Some(self.done) {
            match self.attempt(client, url, progress) {
                Ok(()) => break,
                Err(failure) => {
                    if self.done >= secured.saturating_add(PROGRESS) {
                        secured = self.done;
                        attempts.start_over();
                    }
                    attempts.after(failure, url, progress)?;
                }
            }
        }
        self.file.sync_all().map_err(cannot_write(&self.path))?;
        Ok((self.path, hex(self.hasher), self.done))
    }

    /// One connection, to the end of the file.
    fn attempt(
        &mut self,
        client: &Client,
        url: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Failure> {
        let response = client.get(url, self.done)?;
        if !self.continues(&response) {
            self.restart().map_err(Failure::Final)?;
            if response.status() != 200 {
                return Err(Failure::Transient("other bytes than asked for".to_owned()));
            }
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 18];
        loop {
            let (done, total) = (self.done, self.total);
            progress(Progress::Downloading { done, total });
            let read = match body.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Transient(error.to_string())),
            };
            if read == 0 {
                break;
            }
            self.append(url, buffer.get(..read).unwrap_or_default())
                .map_err(Failure::Final)?;
        }
        match self.total {
            Some(total) if self.done < total => Err(Failure::Transient(format!(
                "it ended after {} of {total} bytes",
                self.done
            ))),
            _ => Ok(()),
        }
    }

    /// Whether `response` goes on where the file ends.
    fn continues(&self, response: &Response<Body>) -> bool {
        match response.status().as_u16() {
            200 => self.done == 0,
            206 => {
                let range = response.headers().get(CONTENT_RANGE);
                let range = range.and_then(|range| range.to_str().ok());
                let (start, total) = range.and_then(parse_range).unwrap_or_default();
                start == self.done
                    && (total.is_none() || self.total.is_none() || total == self.total)
            }
            _ => false,
        }
    }

    fn append(&mut self, url: &str, bytes: &[u8]) -> Result<(), HubError> {
        let done = self.done.saturating_add(bytes.len() as u64);
        if done > self.total.unwrap_or(MAX_BYTES) {
            fs::remove_file(&self.path).map_err(cannot_write(&self.path))?;
            return Err(match self.total {
                Some(total) => HubError::Refused {
                    url: url.to_owned(),
                    answer: format!("more than the {total} bytes it announced"),
                },
                None => too_large(url, done),
            });
        }
        self.file
            .write_all(bytes)
            .map_err(cannot_write(&self.path))?;
        self.hasher.update(bytes);
        self.done = done;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), HubError> {
        self.hasher = Sha256::new();
        self.done = 0;
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(cannot_write(&self.path))
    }
}

/// `bytes START-END/TOTAL`, where the total may be `*`.
fn parse_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((start.parse().ok()?, total))
}

fn too_large(url: &str, bytes: u64) -> HubError {
    HubError::TooLarge {
        url: url.to_owned(),
        bytes,
    }
}
