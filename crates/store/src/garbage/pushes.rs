//! Samples that clients pushed and that no version or job came from.
//!
//! A push may wait for the rest of its samples, or to be submitted, so it goes only when nothing was
//! written to it for [`GRACE`].

use super::{Needed, Sweep};
use crate::{Result, StoreError, files};
use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

/// How long a push may lie untouched.
const GRACE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Sweep<'_> {
    pub(super) fn pushes(&mut self) -> Result<()> {
        let pushed = self.store.root().join("pushed");
        for name in files::names(&pushed)? {
            let name = name?;
            let folder = pushed.join(&name);
            if self.needed.has_source(&name) || !is_old(&folder)? {
                continue;
            }
            self.found.pushes.add(files::folder_bytes(&folder)?);
            if !self.dry_run {
                files::remove_folder(&folder)?;
            }
        }
        Ok(())
    }
}

impl Needed {
    /// Whether something came from the push `name`, given by its name or by its manifest. The folder
    /// that holds it may have been named otherwise then, or moved since.
    fn has_source(&self, name: &str) -> bool {
        let tail = Path::new("pushed").join(name).join("manifest.jsonl");
        let by_name = format!("pushed:{name}");
        let lies_in = |source: &str| {
            let path = Path::new(source.strip_prefix("file://").unwrap_or(source));
            path.ends_with(&tail)
        };
        let mut sources = self.sources.iter();
        sources.any(|source| *source == by_name || lies_in(source))
    }
}

/// Whether nothing in `folder` changed lately. A file from the future is new.
fn is_old(folder: &Path) -> Result<bool> {
    let now = SystemTime::now();
    for name in files::names(folder)? {
        let path = folder.join(name?);
        let modified = match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
            Ok(modified) => modified,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        if now.duration_since(modified).is_ok_and(|age| age > GRACE) {
            continue;
        }
        return Ok(false);
    }
    Ok(true)
}
