//! Samples that clients push: bytes that live in no file of their own.
//!
//! ```text
//! DATA_DIR/pushed/<id>/
//!   samples.bin       the samples' bytes, one after the other
//!   manifest.jsonl    a row each: id, path, offset, length, label
//!   STATE             what is on disk for certain: samples, and bytes of both files
//! ```
//!
//! Data first, marker last: at intervals the bytes, then the rows, then the state are made durable. What
//! a kill leaves beyond the state is cut when the push is opened again, and its client sends it again.
//! The last state says that the push is complete; only then is its manifest a source.

mod error;
mod state;

pub use error::PushError;
pub use state::{PushKind, PushState};

use crate::Store;
use serde::Serialize;
use state::{State, write_state};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of a sample, at most.
pub const MAX_SAMPLE_BYTES: usize = 32 << 20;

/// Bytes of an id or a label, at most.
pub const MAX_TEXT: usize = 1024;

/// Length of the name of a push.
const MAX_NAME: usize = 128;

/// Bytes of samples, and number of rows, after which all is made durable.
const SYNC_BYTES: u64 = 32 << 20;
const SYNC_ROWS: usize = 1 << 16;

const SAMPLES: &str = "samples.bin";
const MANIFEST: &str = "manifest.jsonl";

type Result<T> = std::result::Result<T, PushError>;

/// All pushes of a data folder.
#[derive(Debug)]
pub struct Pushes {
    folder: PathBuf,
    limits: PushLimits,
    /// Names of those that are being written. Nothing blocks while it is locked.
    open: Mutex<HashSet<String>>,
}

/// What all pushes must keep to.
#[derive(Clone, Copy, Debug)]
pub struct PushLimits {
    /// Samples of one push.
    pub max_samples: u64,
    /// Bytes that must stay free on the disk of the data folder.
    pub min_free_bytes: u64,
}

/// A sample on its way in.
#[derive(Clone, Copy, Debug)]
pub struct PushedSample<'a> {
    /// Not empty; that no two samples share one is checked when the manifest is opened.
    pub id: &'a str,
    /// Empty for none.
    pub label: &'a str,
    /// An image file, or a row of f32, little endian.
    pub bytes: &'a [u8],
}

/// A push that is being written; one at a time by name.
#[derive(Debug)]
pub struct Push {
    pushes: Arc<Pushes>,
    name: String,
    folder: PathBuf,
    samples: File,
    rows: File,
    /// With what was appended since the last time all was made durable.
    state: State,
    /// Of the manifest, for samples whose bytes may not be durable yet.
    waiting: Vec<u8>,
    waiting_rows: usize,
    /// A sync failed: the system may have dropped what it could not write, and a second sync would not
    /// say so.
    failed: bool,
    durable: State,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    path: &'a str,
    offset: u64,
    length: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
}

impl Pushes {
    /// Those of the data folder of `store`.
    #[must_use]
    pub fn new(store: &Store, limits: PushLimits) -> Arc<Self> {
        Arc::new(Self {
            folder: store.root().join("pushed"),
            limits,
            open: Mutex::default(),
        })
    }

    /// Where a push stands; `None` when there is none of that name.
    ///
    /// # Errors
    /// When the name is none, or the state is damaged.
    pub fn state(&self, name: &str) -> Result<Option<PushState>> {
        check_name(name)?;
        let state = state::read_state(&self.folder.join(name), name)?;
        Ok(state.map(|state| state.public()))
    }

    /// The manifest of a complete push, and what it holds.
    ///
    /// # Errors
    /// [`PushError::Unknown`] and [`PushError::Incomplete`].
    pub fn manifest(&self, name: &str) -> Result<(PathBuf, PushKind)> {
        match self.state(name)? {
            None => Err(PushError::Unknown(name.to_owned())),
            Some(state) if !state.complete => Err(PushError::Incomplete {
                name: name.to_owned(),
                samples: state.samples,
            }),
            Some(state) => Ok((self.folder.join(name).join(MANIFEST), state.kind)),
        }
    }

    /// Begins a push, or goes on with one of the same kind, after what was durable of it.
    ///
    /// # Errors
    /// [`PushError::Busy`] while another client writes it, [`PushError::OtherKind`], or when the disk
    /// refuses.
    pub fn open(self: &Arc<Self>, name: &str, kind: PushKind) -> Result<Push> {
        check_name(name)?;
        kind.check()?;
        let claim = Claim::new(self, name)?;
        let folder = self.folder.join(name);
        let state = match state::read_state(&folder, name)? {
            Some(state) if state.kind != kind => {
                return Err(PushError::OtherKind {
                    name: name.to_owned(),
                    present: state.kind,
                });
            }
            Some(state) => state,
            None => self.create(&folder, kind)?,
        };
        let samples = open_cut(&folder.join(SAMPLES), state.bytes)?;
        let rows = open_cut(&folder.join(MANIFEST), state.row_bytes)?;
        claim.keep();
        Ok(Push {
            pushes: Arc::clone(self),
            name: name.to_owned(),
            folder,
            samples,
            rows,
            durable: state.clone(),
            state,
            waiting: Vec::new(),
            waiting_rows: 0,
            failed: false,
        })
    }

    fn create(&self, folder: &Path, kind: PushKind) -> Result<State> {
        fs::create_dir_all(folder).map_err(PushError::io("create", folder))?;
        let state = State::new(kind);
        for file in [SAMPLES, MANIFEST] {
            let path = folder.join(file);
            let synced = File::create(&path).and_then(|file| file.sync_all());
            synced.map_err(PushError::io("create", &path))?;
        }
        write_state(folder, &state)?;
        let root = self.folder.parent().unwrap_or(&self.folder);
        for folder in [&self.folder, root] {
            state::sync_folder(folder).map_err(PushError::io("sync", folder))?;
        }
        Ok(state)
    }

    fn release(&self, name: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(name);
    }
}

impl Push {
    /// Samples that were taken so far, durable or not.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.state.samples
    }

    /// Takes samples, the first of which is number `offset`. Those that are there already are skipped,
    /// so that a client may send again what it does not know to have arrived.
    ///
    /// # Errors
    /// [`PushError::Gap`] when samples between are missing; [`PushError::Sample`] for one that cannot be
    /// taken, before which all are; [`PushError::Complete`], or when the disk is full or refuses.
    pub fn append(&mut self, offset: u64, samples: &[PushedSample<'_>]) -> Result<()> {
        let known = self
            .state
            .samples
            .checked_sub(offset)
            .ok_or(PushError::Gap {
                offset,
                expected: self.state.samples,
            })?;
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let new = samples.get(known..).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        if self.state.complete {
            return Err(PushError::Complete(self.name.clone()));
        }
        let needed = new.iter().map(|sample| sample.bytes.len() as u64).sum();
        self.check_room(needed)?;
        for sample in new {
            self.check(sample)?;
            self.push(sample)?;
        }
        let unsynced = self.state.bytes - self.durable.bytes;
        if unsynced >= SYNC_BYTES
            || self.waiting_rows >= SYNC_ROWS
            || self.waiting.len() as u64 >= SYNC_BYTES
        {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes durable what was taken; the number of samples that are.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn sync(&mut self) -> Result<u64> {
        if self.state == self.durable {
            return Ok(self.state.samples);
        }
        let at = |file| self.folder.join(file);
        self.failed = true;
        self.samples
            .sync_data()
            .map_err(PushError::io("sync", at(SAMPLES)))?;
        // Over what a write that failed may have left.
        self.rows
            .seek(SeekFrom::Start(self.state.row_bytes))
            .and_then(|_| self.rows.write_all(&self.waiting))
            .and_then(|()| self.rows.sync_data())
            .map_err(PushError::io("write", at(MANIFEST)))?;
        self.state.row_bytes += self.waiting.len() as u64;
        self.waiting.clear();
        self.waiting_rows = 0;
        write_state(&self.folder, &self.state)?;
        self.durable.clone_from(&self.state);
        self.failed = false;
        Ok(self.durable.samples)
    }

    /// Makes the push complete, with `samples` samples: from now on it is a source.
    ///
    /// # Errors
    /// [`PushError::Count`] when it has another number of them, or none; or when the disk refuses.
    pub fn finish(&mut self, samples: u64) -> Result<PushState> {
        if samples != self.state.samples || samples == 0 {
            return Err(PushError::Count {
                name: self.name.clone(),
                claimed: samples,
                taken: self.state.samples,
            });
        }
        self.state.complete = true;
        self.sync()?;
        Ok(self.state.public())
    }

    fn push(&mut self, sample: &PushedSample<'_>) -> Result<()> {
        let path = self.folder.join(SAMPLES);
        let row = Row {
            id: sample.id,
            path: SAMPLES,
            offset: self.state.bytes,
            length: sample.bytes.len() as u64,
            label: sample.label,
        };
        let rows = self.waiting.len();
        if let Err(error) = serde_json::to_writer(&mut self.waiting, &row) {
            self.waiting.truncate(rows);
            return Err(PushError::io("write", &path)(error.into()));
        }
        if let Err(error) = self.samples.write_all(sample.bytes) {
            // The row must not speak of bytes that are not there, nor the next sample follow a half.
            self.waiting.truncate(rows);
            let _ = self.samples.seek(SeekFrom::Start(self.state.bytes));
            return Err(PushError::io("write", &path)(error));
        }
        self.waiting.push(b'\n');
        self.waiting_rows += 1;
        self.state.samples += 1;
        self.state.bytes += sample.bytes.len() as u64;
        sample.id.clone_into(&mut self.state.last_id);
        Ok(())
    }

    fn check(&self, sample: &PushedSample<'_>) -> Result<()> {
        let at = self.state.samples;
        let refuse = |reason: String| Err(PushError::Sample { at, reason });
        if sample.id.is_empty() || sample.id.len() > MAX_TEXT {
            let length = sample.id.len();
            return refuse(format!(
                "its id has {length} bytes, but must have 1 to {MAX_TEXT}"
            ));
        }
        if sample.label.len() > MAX_TEXT {
            let length = sample.label.len();
            return refuse(format!(
                "its label has {length} bytes, at most {MAX_TEXT} may be"
            ));
        }
        let length = sample.bytes.len();
        match self.state.kind {
            PushKind::Images if length == 0 || length > MAX_SAMPLE_BYTES => refuse(format!(
                "it has {length} bytes, but must have 1 to {MAX_SAMPLE_BYTES}"
            )),
            PushKind::Features { dimension } if length != dimension as usize * size_of::<f32>() => {
                refuse(format!(
                    "it has {length} bytes, but {dimension} f32 need another number"
                ))
            }
            PushKind::Images | PushKind::Features { .. }
                if at >= self.pushes.limits.max_samples =>
            {
                refuse(format!(
                    "a push may have {} samples (sources.max_samples)",
                    self.pushes.limits.max_samples
                ))
            }
            PushKind::Images | PushKind::Features { .. } => Ok(()),
        }
    }

    fn check_room(&self, needed: u64) -> Result<()> {
        let found = rustix::fs::statvfs(&self.folder)
            .map_err(|error| PushError::io("measure", &self.folder)(error.into()))?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let needed = needed.saturating_add(self.pushes.limits.min_free_bytes);
        match free < needed {
            true => Err(PushError::DiskFull {
                path: self.folder.clone(),
                free,
                needed,
            }),
            false => Ok(()),
        }
    }
}

impl Drop for Push {
    /// What was taken stays, where the disk allows it.
    fn drop(&mut self) {
        if !self.failed {
            let _ = self.sync();
        }
        self.pushes.release(&self.name);
    }
}

/// The right to write a push, given back unless it is kept.
struct Claim<'a> {
    pushes: &'a Pushes,
    name: &'a str,
    kept: bool,
}

impl<'a> Claim<'a> {
    fn new(pushes: &'a Pushes, name: &'a str) -> Result<Self> {
        let mut open = pushes.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.insert(name.to_owned()) {
            true => Ok(Self {
                pushes,
                name,
                kept: false,
            }),
            false => Err(PushError::Busy(name.to_owned())),
        }
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.pushes.release(self.name);
        }
    }
}

/// The file, cut to what is known to be durable, to be written from there on.
fn open_cut(path: &Path, length: u64) -> Result<File> {
    let open = || {
        let mut file = File::options().write(true).open(path)?;
        let present = file.metadata()?.len();
        if present < length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        // Cutting to the present length would change the time of a complete push, and so its fingerprint.
        if present > length {
            file.set_len(length)?;
        }
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => PushError::damaged(
            path.display().to_string(),
            "shorter than what was made durable",
        ),
        _ => PushError::io("open", path)(error),
    })
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let bad = name.is_empty()
        || name.len() > MAX_NAME
        || name.starts_with('.')
        || !name.chars().all(allowed);
    match bad {
        true => Err(PushError::Name(MAX_NAME)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
