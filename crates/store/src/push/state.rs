//! What is durable of a push.

use super::{CHECKSUMS, PushError, Result};
use crate::{Digest, envelope};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

const STATE: &str = "STATE";

/// While it is written. No push has a file of that name, and one that is left is written over.
const UNFINISHED: &str = "unfinished";

/// Length of a feature vector, at most.
const MAX_DIMENSION: u32 = 1 << 20;

/// What a push holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushKind {
    /// Image files.
    Images,
    /// Vectors of f32.
    Features {
        /// Their length.
        dimension: u32,
    },
}

/// Where a push stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushState {
    /// What it holds.
    pub kind: PushKind,
    /// Durable samples: the offset to go on from.
    pub samples: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Id of the last of them; empty without any.
    pub last_id: String,
    /// Whether it is a source.
    pub complete: bool,
    /// What the samples were taken from, in the words of the client that began it.
    pub fingerprint: String,
}

/// The stored form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(super) kind: PushKind,
    pub(super) samples: u64,
    /// Of the samples.
    pub(super) bytes: u64,
    /// Of the manifest.
    pub(super) row_bytes: u64,
    pub(super) last_id: String,
    pub(super) complete: bool,
    pub(super) fingerprint: String,
    pub(super) stretches: Stretches,
}

/// The records of checksums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretches {
    pub(super) count: u64,
    /// Of them all, in order.
    pub(super) digest: Digest,
}

impl Default for Stretches {
    fn default() -> Self {
        Self {
            count: 0,
            digest: Digest::from([0; 32]),
        }
    }
}

impl PushKind {
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Features { dimension } if dimension == 0 || dimension > MAX_DIMENSION => {
                let max = MAX_DIMENSION;
                Err(PushError::Dimension { dimension, max })
            }
            Self::Images | Self::Features { .. } => Ok(()),
        }
    }
}

impl fmt::Display for PushKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images => f.write_str("images"),
            Self::Features { dimension } => write!(f, "features of dimension {dimension}"),
        }
    }
}

impl State {
    pub(super) fn new(kind: PushKind, fingerprint: &str) -> Self {
        Self {
            kind,
            samples: 0,
            bytes: 0,
            row_bytes: 0,
            last_id: String::new(),
            complete: false,
            fingerprint: fingerprint.to_owned(),
            stretches: Stretches::default(),
        }
    }

    pub(super) fn public(&self) -> PushState {
        PushState {
            kind: self.kind,
            samples: self.samples,
            bytes: self.bytes,
            last_id: self.last_id.clone(),
            complete: self.complete,
            fingerprint: self.fingerprint.clone(),
        }
    }
}

/// The state of the push in `folder`, if it was begun.
pub(crate) fn read_state(folder: &Path, name: &str) -> Result<Option<State>> {
    let path = folder.join(STATE);
    match fs::read(&path) {
        Ok(value) => Ok(Some(envelope::open_json(&value, || {
            format!("state of push {name}")
        })?)),
        // Begun and killed before the first state; or the state is lost.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let checksums = folder.join(CHECKSUMS);
            match fs::metadata(&checksums).map_or(0, |file| file.len()) {
                0 => Ok(None),
                _ => Err(PushError::damaged(path.display().to_string(), "missing")),
            }
        }
        Err(error) => Err(PushError::io("read", path)(error)),
    }
}

/// Replaces the state in one step.
pub(super) fn write_state(folder: &Path, state: &State) -> Result<()> {
    let (path, temporary) = (folder.join(STATE), folder.join(UNFINISHED));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(&envelope::seal_json(state))?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_folder(folder)
    };
    write().map_err(PushError::io("write", &path))
}

/// What was renamed in `folder` survives a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
