//! The way to bytes, wherever they lie: local files, buckets, web servers.
//!
//! [`Access`] is the one door: every look, listing and read goes through it, and it holds the rules of what may be
//! read. It blocks; call it from plain threads.

mod allow;
mod error;
mod local;
mod object;
mod options;
mod stamp;

use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use allow::Rules;
pub use error::AccessError;
pub(crate) use object::Object;
pub use options::{AccessOptions, Allow, MAX_SAMPLE_BYTES};
pub(crate) use stamp::{Listed, Look, Stamp};

use crate::place::Place;

/// The way to files and objects, with its rules and limits. Clones share everything.
#[derive(Debug, Clone)]
pub struct Access {
    rules: Arc<Rules>,
    options: Arc<AccessOptions>,
}

impl Access {
    /// # Errors
    ///
    /// [`AccessError::Malformed`] names an entry of the allow-list that is neither an absolute path nor a URL.
    pub fn new(options: AccessOptions) -> Result<Self, AccessError> {
        Ok(Self {
            rules: Arc::new(Rules::of(&options.allow)?),
            options: Arc::new(options),
        })
    }

    /// All that the process may read, with the usual limits.
    #[must_use]
    pub fn unrestricted() -> Self {
        Self {
            rules: Arc::new(Rules::Anything),
            options: Arc::new(AccessOptions::default()),
        }
    }

    /// The rules replaced by one: `folder` and what lies under it. For files that we wrote ourselves.
    ///
    /// # Errors
    ///
    /// [`AccessError::Malformed`] where `folder` is not absolute.
    pub fn only_under(&self, folder: &Path) -> Result<Self, AccessError> {
        let allow = Allow::Only(vec![folder.to_string_lossy().into_owned()]);
        Ok(Self {
            rules: Arc::new(Rules::of(&allow)?),
            options: Arc::clone(&self.options),
        })
    }

    /// The limits it was made with.
    #[must_use]
    pub fn options(&self) -> &AccessOptions {
        &self.options
    }

    /// A temporary file without a name, gone when it is closed.
    pub(crate) fn scratch_file(&self) -> io::Result<File> {
        match &self.options.scratch {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        }
    }

    /// Whether a local folder may be entered and a local file be read: the name, and what it resolves to.
    pub(crate) fn check_local(&self, path: &Path) -> Result<(), AccessError> {
        local::resolve(&self.rules, path)
    }

    /// What is at `place`.
    pub(crate) fn look(&self, place: &Place) -> Result<Look, AccessError> {
        match place {
            Place::Local(path) => local::look(&self.rules, path),
            Place::Remote(remote) => {
                self.rules.check_remote(remote)?;
                Err(unreachable(place))
            }
        }
    }

    /// The file or object at `place`, to be read in pieces.
    pub(crate) fn open(&self, place: &Place) -> Result<Arc<Object>, AccessError> {
        match place {
            Place::Local(path) => {
                let (file, stamp) = local::open(&self.rules, path)?;
                Ok(Arc::new(Object::local(place.clone(), file, stamp)))
            }
            Place::Remote(remote) => {
                self.rules.check_remote(remote)?;
                Err(unreachable(place))
            }
        }
    }

    /// The objects below a remote folder, at any depth, in the store's order (byte order of keys in S3).
    pub(crate) fn list(
        &self,
        folder: &Place,
        _visit: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>,
    ) -> Result<(), AccessError> {
        Err(unreachable(folder))
    }

    /// The bytes at `place`, or those of the range, at most [`AccessOptions::max_sample_bytes`].
    pub(crate) fn read(
        &self,
        place: &Place,
        range: Option<Range<u64>>,
    ) -> Result<Vec<u8>, AccessError> {
        let limit = self.options.max_sample_bytes;
        match (place, range) {
            (Place::Local(path), None) => local::read(&self.rules, path, limit),
            (place, Some(range)) => {
                let length = bounded(place, range.end.saturating_sub(range.start), limit)?;
                self.open(place)?.read_at(range.start, length)
            }
            (Place::Remote(_), None) => Err(unreachable(place)),
        }
    }
}

fn unreachable(place: &Place) -> AccessError {
    AccessError::Remote {
        place: place.to_string(),
        reason: "not a local place".to_owned(),
    }
}

/// A length that may be read at once.
fn bounded(place: &Place, bytes: u64, limit: u64) -> Result<usize, AccessError> {
    match usize::try_from(bytes) {
        Ok(fits) if bytes <= limit => Ok(fits),
        Ok(_) | Err(_) => Err(AccessError::TooLarge {
            place: place.to_string(),
            bytes,
            limit,
        }),
    }
}
