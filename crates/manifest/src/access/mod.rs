//! The way to bytes, wherever they lie: local files, buckets, web servers.
//!
//! [`Access`] is the one door: every look, listing and read goes through it, and it holds the rules of what may be
//! read. It blocks; call it from plain threads.
//!
//! | file | holds |
//! |---|---|
//! | `options` | [`AccessOptions`]: rules, limits, patience |
//! | `allow` | the rules, checked |
//! | `local` | files: opened, then checked for what they turned out to be |
//! | `remote/` | buckets and web servers, behind a runtime of their own |
//! | `object`, `blocks` | one open file or object, read in pieces or from front to back |
//! | `shared` | [`SharedFolder`]: objects that servers read and write |
//! | `stamp` | what is known without reading |

mod allow;
mod blocks;
mod error;
mod local;
mod object;
mod options;
mod remote;
mod shared;
mod stamp;
#[cfg(test)]
pub(crate) mod testing;

use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use allow::Rules;
pub use error::AccessError;
pub(crate) use object::{Object, Sequential};
pub use options::{AccessOptions, Allow, MAX_SAMPLE_BYTES, Settings};
pub use remote::Upload;
pub(crate) use remote::{Ahead, Budget, Question, Share};
use remote::{Net, Wanted};
pub use shared::{Content, SharedFolder};
pub(crate) use stamp::{Listed, Look, Stamp};

use crate::place::{Place, Remote};

/// The way to files and objects, with its rules and limits. Clones share everything, connections included.
#[derive(Debug, Clone)]
pub struct Access {
    rules: Arc<Rules>,
    options: Arc<AccessOptions>,
    /// Made when the first remote place is read: most jobs need no runtime and no certificates.
    net: Arc<Mutex<Option<Arc<Net>>>>,
}

impl Access {
    /// # Errors
    ///
    /// [`AccessError::Malformed`] names an entry of the allow-list that is neither an absolute path nor a URL.
    pub fn new(options: AccessOptions) -> Result<Self, AccessError> {
        let rules = Rules::of(&options.allow)?;
        Ok(Self::with(rules, Arc::new(options)))
    }

    /// All that the process may read, with the usual limits.
    #[must_use]
    pub fn unrestricted() -> Self {
        Self::with(Rules::Anything, Arc::new(AccessOptions::default()))
    }

    /// The same limits, with one rule: `folder` and what lies under it. For files that we wrote ourselves.
    ///
    /// # Errors
    ///
    /// [`AccessError::Malformed`] where `folder` is not absolute.
    pub fn only_under(&self, folder: &Path) -> Result<Self, AccessError> {
        let allow = Allow::Only(vec![folder.to_string_lossy().into_owned()]);
        Ok(Self::with(Rules::of(&allow)?, Arc::clone(&self.options)))
    }

    fn with(rules: Rules, options: Arc<AccessOptions>) -> Self {
        Self {
            rules: Arc::new(rules),
            options,
            net: Arc::default(),
        }
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
            Place::Remote(remote) => self.net_for(remote)?.look(remote),
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
                let net = self.net_for(remote)?;
                let stamp = net.stamp(remote)?;
                Ok(Arc::new(Object::remote(remote.clone(), net, stamp)))
            }
        }
    }

    /// The objects below a remote folder, at any depth, in the store's order, until `visit` breaks.
    pub(crate) fn list(
        &self,
        folder: &Place,
        visit: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>,
    ) -> Result<(), AccessError> {
        match folder {
            Place::Local(_) => Err(AccessError::NotAFile {
                place: folder.to_string(),
            }),
            Place::Remote(remote) => self.net_for(remote)?.list(remote, visit),
        }
    }

    #[cfg(test)]
    pub(crate) fn read(
        &self,
        place: &Place,
        range: Option<Range<u64>>,
    ) -> Result<Vec<u8>, AccessError> {
        self.read_same(place, range, None)
    }

    /// The bytes at `place`, or those of the range, at most [`AccessOptions::max_sample_bytes`]. With an etag, the
    /// object must still have it; files have none.
    pub(crate) fn read_same(
        &self,
        place: &Place,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Vec<u8>, AccessError> {
        match place {
            Place::Local(path) => self.read_local(place, path, range),
            Place::Remote(remote) => {
                let wanted = self.wanted(place, range, etag)?;
                self.net_for(remote)?.fetch(remote, wanted)
            }
        }
    }

    /// Begins to read what lies at a remote place, as [`read_same`](Self::read_same) does.
    pub(crate) fn ahead(
        &self,
        remote: &Remote,
        range: Option<Range<u64>>,
        etag: Option<&str>,
        budget: &Budget,
    ) -> Result<Ahead, AccessError> {
        let wanted = self.wanted(&Place::Remote(remote.clone()), range, etag)?;
        Ok(self.net_for(remote)?.ahead(remote, wanted, budget))
    }

    /// Asks for the state of a remote object.
    pub(crate) fn ask(&self, remote: &Remote) -> Result<Question, AccessError> {
        Ok(self.net_for(remote)?.ask(remote))
    }

    fn read_local(
        &self,
        place: &Place,
        path: &Path,
        range: Option<Range<u64>>,
    ) -> Result<Vec<u8>, AccessError> {
        let limit = self.options.max_sample_bytes;
        let Some(range) = range else {
            return local::read(&self.rules, path, limit);
        };
        let length = bounded(place, range.end.saturating_sub(range.start), limit)?;
        self.open(place)?.read_at(range.start, length)
    }

    fn wanted(
        &self,
        place: &Place,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Wanted, AccessError> {
        let limit = self.options.max_sample_bytes;
        if let Some(range) = &range {
            bounded(place, range.end.saturating_sub(range.start), limit)?;
        }
        Ok(Wanted {
            range,
            etag: etag.map(str::to_owned),
            limit,
        })
    }

    /// The network, for a place that the rules allow.
    fn net_for(&self, remote: &Remote) -> Result<Arc<Net>, AccessError> {
        self.rules.check_remote(remote)?;
        remote::check_host(&self.rules, remote)?;
        // A std mutex: nothing waits under it. It is held while the clients are made, once.
        let mut net = self.net.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(net) = &*net {
            return Ok(Arc::clone(net));
        }
        let made = Net::new(Arc::clone(&self.options), &self.rules);
        let made = Arc::new(made.map_err(|source| AccessError::Io {
            place: remote.to_string(),
            source,
        })?);
        *net = Some(Arc::clone(&made));
        Ok(made)
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
