//! Local files: opened, then checked for what they turned out to be.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::allow::Rules;
use super::error::AccessError;
use super::stamp::{Look, Stamp};
use crate::place::Place;

/// The file at `path`, which the rules allow under the name it was asked for and under the one it resolves to.
pub(super) fn open(rules: &Rules, path: &Path) -> Result<(File, Stamp), AccessError> {
    let place = Place::Local(path.to_path_buf());
    resolve(rules, path)?;
    let file = open_without_waiting(path).map_err(AccessError::io(&place))?;
    rules.check_opened(path, &file)?;
    let metadata = file.metadata().map_err(AccessError::io(&place))?;
    if !metadata.is_file() {
        return Err(AccessError::NotAFile {
            place: place.to_string(),
        });
    }
    Ok((file, Stamp::of(&metadata)))
}

/// What is at `path`.
pub(super) fn look(rules: &Rules, path: &Path) -> Result<Look, AccessError> {
    let place = Place::Local(path.to_path_buf());
    resolve(rules, path)?;
    let metadata = fs::metadata(path).map_err(AccessError::io(&place))?;
    if metadata.is_dir() {
        Ok(Look::Folder)
    } else if metadata.is_file() {
        Ok(Look::File(Stamp::of(&metadata)))
    } else {
        Err(AccessError::NotAFile {
            place: place.to_string(),
        })
    }
}

/// The whole file, of at most `limit` bytes.
pub(super) fn read(rules: &Rules, path: &Path, limit: u64) -> Result<Vec<u8>, AccessError> {
    let place = Place::Local(path.to_path_buf());
    let (file, stamp) = open(rules, path)?;
    let expected = super::bounded(&place, stamp.size.unwrap_or(0), limit)?;
    let mut bytes = Vec::with_capacity(expected);
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(AccessError::io(&place))?;
    super::bounded(&place, bytes.len() as u64, limit)?;
    Ok(bytes)
}

/// `path` without links, where the rules allow both. Nothing is looked at that they forbid by name.
pub(super) fn resolve(rules: &Rules, path: &Path) -> Result<(), AccessError> {
    if rules.allow_anything() {
        return Ok(());
    }
    rules.check_path(path, path)?;
    let real =
        fs::canonicalize(path).map_err(AccessError::io(&Place::Local(path.to_path_buf())))?;
    rules.check_path(path, &real)
}

/// Opens without waiting for the writer of a pipe.
#[cfg(unix)]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// Where an open file lies now, without links; `None` where the system does not say.
pub(super) fn path_of(file: &File) -> Option<PathBuf> {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        None
    }
}
