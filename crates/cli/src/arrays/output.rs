//! A file that is renamed once it is complete, so that nobody reads half of it after a kill.

use crate::exit::BadInput;
use std::{
    fs::{File, Permissions},
    io::BufWriter,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// A file on its way to `path`; dropped before [`commit`](Self::commit), it leaves nothing.
pub(crate) struct Output {
    file: NamedTempFile,
    path: PathBuf,
}

impl Output {
    /// Beside `path`, where renaming is one step.
    ///
    /// # Errors
    /// [`BadInput`] when there is no such folder, or it cannot be written.
    pub(crate) fn create(path: &Path) -> Result<Self, BadInput> {
        let file = tempfile::Builder::new()
            // What any new file gets: the umask decides.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder(path))
            .map_err(|error| unwritable(path, &error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Where to write.
    ///
    /// # Errors
    /// [`BadInput`] when the system gives no second handle.
    pub(crate) fn writer(&self) -> Result<BufWriter<File>, BadInput> {
        let file = self.file.as_file().try_clone();
        file.map(BufWriter::new)
            .map_err(|error| self.failed(&error))
    }

    /// Puts the file, written and flushed, in its place.
    ///
    /// # Errors
    /// [`BadInput`] when it cannot be stored or renamed.
    pub(crate) fn commit(self) -> Result<(), BadInput> {
        let stored = self.file.as_file().sync_all();
        stored.map_err(|error| unwritable(&self.path, &error))?;
        let placed = self.file.persist(&self.path);
        placed
            .map(drop)
            .map_err(|error| unwritable(&self.path, &error.error))
    }

    /// An error of writing, with the path.
    pub(crate) fn failed(&self, error: &dyn std::fmt::Display) -> BadInput {
        unwritable(&self.path, error)
    }
}

/// The folder of `path`.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Looks before long work whether there is a place for its result, given by `--out`.
///
/// # Errors
/// [`BadInput`] if there is none.
pub(crate) fn writable(out: &Path) -> Result<(), BadInput> {
    match folder(out).is_dir() && !out.is_dir() {
        true => Ok(()),
        false => Err(BadInput(format!(
            "--out {}: no such folder, or a folder itself",
            out.display()
        ))),
    }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> BadInput {
    BadInput(format!("cannot write {}: {error}", path.display()))
}
