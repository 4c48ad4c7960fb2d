//! The one that writes a push.

use super::{
    CHECKSUMS, MANIFEST, MAX_SAMPLE_BYTES, MAX_TEXT, PushError, PushKind, PushState, PushedSample,
    Pushes, Result, SAMPLES,
    checksums::{self, Stretch},
    state::{State, write_state},
};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of samples, and number of rows, after which all is made durable.
const SYNC_BYTES: u64 = 32 << 20;
const SYNC_ROWS: usize = 1 << 16;

/// A push that is being written; one at a time by name.
#[derive(Debug)]
pub struct Push {
    pushes: Arc<Pushes>,
    name: String,
    folder: PathBuf,
    samples: File,
    rows: File,
    checksums: File,
    /// Of the samples' bytes that are not durable yet.
    unsynced: blake3::Hasher,
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
    blake3: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
}

impl Push {
    /// Goes on after what `state` says is durable in `folder`.
    pub(super) fn resume(
        pushes: Arc<Pushes>,
        name: &str,
        folder: PathBuf,
        state: State,
    ) -> Result<Self> {
        let samples = open_cut(&folder.join(SAMPLES), state.bytes)?;
        let rows = open_cut(&folder.join(MANIFEST), state.row_bytes)?;
        let length = checksums::length(&state.stretches);
        let checksums = open_cut(&folder.join(CHECKSUMS), length)?;
        Ok(Self {
            pushes,
            name: name.to_owned(),
            folder,
            samples,
            rows,
            checksums,
            unsynced: blake3::Hasher::new(),
            durable: state.clone(),
            state,
            waiting: Vec::new(),
            waiting_rows: 0,
            failed: false,
        })
    }

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
        let mut state = self.state.clone();
        state.row_bytes += self.waiting.len() as u64;
        if !self.waiting.is_empty() {
            let stretch = Stretch {
                bytes: state.bytes,
                row_bytes: state.row_bytes,
                samples: self.unsynced.finalize(),
                rows: blake3::hash(&self.waiting),
            };
            checksums::append(&mut self.checksums, &mut state.stretches, &stretch)
                .map_err(PushError::io("write", at(CHECKSUMS)))?;
        }
        write_state(&self.folder, &state)?;
        self.waiting.clear();
        self.waiting_rows = 0;
        self.unsynced.reset();
        self.durable.clone_from(&state);
        self.state = state;
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
        let hash = blake3::hash(sample.bytes).to_hex();
        let row = Row {
            id: sample.id,
            path: SAMPLES,
            offset: self.state.bytes,
            length: sample.bytes.len() as u64,
            blake3: &hash,
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
        self.unsynced.update(sample.bytes);
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
            PushKind::Images if length > MAX_SAMPLE_BYTES => refuse(format!(
                "it has {length} bytes, at most {MAX_SAMPLE_BYTES} may be"
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
