//! Samples that clients push: bytes that live in no file of their own.
//!
//! ```text
//! DATA_DIR/pushed/<id>/
//!   samples.bin       the samples' bytes, one after the other
//!   manifest.jsonl    a row each: id, path, offset, length, BLAKE3 hash, label
//!   CHECKSUMS         of stretches of both
//!   STATE             what is on disk for certain: samples, and bytes of both files
//! ```
//!
//! Data first, marker last: at intervals the bytes, then the rows, their checksums and the state are made
//! durable. What a kill leaves beyond the state is cut when the push is opened again, and its client sends it again.
//! The last state says that the push is complete; only then is its manifest a source.

mod checksums;
mod claim;
mod error;
mod state;
mod writer;

pub(crate) use checksums::Depth;
pub use error::PushError;
pub use state::{PushKind, PushState};
pub(crate) use state::{State, read_state};
pub use writer::Push;

use crate::Store;
use claim::Claim;
use state::write_state;
use std::{
    collections::HashSet,
    fs::{self, File},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of a sample, at most.
pub const MAX_SAMPLE_BYTES: usize = 32 << 20;

/// Bytes of an id or a label, at most: as many as a manifest takes.
pub const MAX_TEXT: usize = 4096;

/// Length of the name of a push.
const MAX_NAME: usize = 128;

const SAMPLES: &str = "samples.bin";
const MANIFEST: &str = "manifest.jsonl";
const CHECKSUMS: &str = "CHECKSUMS";

/// Bytes of a fingerprint, at most.
const MAX_FINGERPRINT: usize = 128;

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

    /// The manifest of a complete push, and what it holds, once the manifest was read and found to be as it
    /// was written; `proceed` may break off. Whoever reads a sample by it compares the row's hash.
    ///
    /// # Errors
    /// [`PushError::Unknown`], [`PushError::Incomplete`], [`PushError::Stopped`], or when it is damaged.
    pub fn manifest(
        &self,
        name: &str,
        proceed: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(PathBuf, PushKind)> {
        check_name(name)?;
        let folder = self.folder.join(name);
        match state::read_state(&folder, name)? {
            None => Err(PushError::Unknown(name.to_owned())),
            Some(state) if !state.complete => Err(PushError::Incomplete {
                name: name.to_owned(),
                samples: state.samples,
            }),
            Some(state) => match verify(&folder, &state, Depth::Rows, &mut |_| proceed())? {
                ControlFlow::Continue(()) => Ok((folder.join(MANIFEST), state.kind)),
                ControlFlow::Break(()) => Err(PushError::Stopped),
            },
        }
    }

    /// Begins a push, or goes on with one of the same kind and fingerprint, after what was durable of it.
    ///
    /// # Errors
    /// [`PushError::Busy`] while another client writes it, [`PushError::OtherKind`],
    /// [`PushError::OtherSource`], or when the disk refuses.
    pub fn open(self: &Arc<Self>, name: &str, kind: PushKind, fingerprint: &str) -> Result<Push> {
        check_name(name)?;
        kind.check()?;
        if fingerprint.len() > MAX_FINGERPRINT {
            return Err(PushError::Fingerprint(MAX_FINGERPRINT));
        }
        let claim = Claim::new(self, name)?;
        let folder = self.folder.join(name);
        let state = match state::read_state(&folder, name)? {
            Some(state) if state.kind != kind => {
                return Err(PushError::OtherKind {
                    name: name.to_owned(),
                    present: state.kind,
                });
            }
            Some(state) if state.fingerprint != fingerprint => {
                return Err(PushError::OtherSource(name.to_owned()));
            }
            Some(state) => state,
            None => self.create(&folder, State::new(kind, fingerprint))?,
        };
        let push = Push::resume(Arc::clone(self), name, folder, state)?;
        claim.keep();
        Ok(push)
    }

    fn create(&self, folder: &Path, state: State) -> Result<State> {
        fs::create_dir_all(folder).map_err(PushError::io("create", folder))?;
        for file in [SAMPLES, MANIFEST, CHECKSUMS] {
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

/// Reads what is durable of the push in `folder` again.
pub(crate) fn verify(
    folder: &Path,
    state: &State,
    depth: Depth,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let [samples, rows, records] = [SAMPLES, MANIFEST, CHECKSUMS].map(|file| folder.join(file));
    checksums::verify([&samples, &rows, &records], state, depth, progress)
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
