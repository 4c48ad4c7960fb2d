//! Samples in a known order, with the remote ones fetched ahead.
//!
//! A request to an object store takes some ten milliseconds, most of it waiting. A reader that knows which samples
//! come next keeps many requests under way, within bounds in number and bytes, and hands the bytes out by index to
//! whichever thread asks. Samples whose bytes lie close together in one object, such as the members of a tar file,
//! come with one request.
//!
//! | file | holds |
//! |---|---|
//! | `window` | the fetches under way, and which comes next |
//! | `group` | one fetch, and the samples whose bytes it brings |

mod group;
#[cfg(test)]
mod tests;
mod window;

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

#[cfg(doc)]
use crate::access::AccessError;
use crate::error::ReadError;
use crate::manifest::Manifest;
use crate::sample::Sample;
use group::Taken;
pub(crate) use window::Spotted;
use window::Window;

/// Reads a manifest's samples, any of them, on any thread; those that were announced to it come faster.
#[derive(Debug)]
pub struct Reader<'a> {
    manifest: &'a Manifest,
    /// `None` where nothing is remote. A std mutex: no fetch is waited for under it.
    window: Option<Mutex<Window<'a>>>,
}

impl Manifest {
    /// A reader that fetches remote samples ahead, in the order of `ahead`. Local ones it reads when they are asked
    /// for, as [`read`](Self::read) does.
    ///
    /// At most [`concurrency`](crate::AccessOptions::concurrency) requests are under way, and what lies ready is at
    /// most [`prefetch_bytes`](crate::AccessOptions::prefetch_bytes), not counting what threads wait for.
    #[must_use]
    pub fn reader<'a>(&'a self, ahead: Box<dyn Iterator<Item = u64> + Send + 'a>) -> Reader<'a> {
        let window = self
            .may_be_remote()
            .then(|| Mutex::new(Window::new(self, ahead)));
        Reader {
            manifest: self,
            window,
        }
    }
}

impl Reader<'_> {
    /// The bytes of the sample at `index`, as [`Manifest::read`] gives them.
    ///
    /// An index that was not announced, that was read before, or that is asked for long before its turn, costs a
    /// request of its own.
    ///
    /// # Errors
    ///
    /// As for [`Manifest::read`].
    pub fn read(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        self.read_unless(index, &AtomicBool::new(false))
    }

    /// As [`read`](Self::read), until `stop` is set: within a tenth of a second the answer is then an error of
    /// [`AccessError::Interrupted`], whatever the store is doing. What is local is read all the same.
    ///
    /// # Errors
    ///
    /// As for [`Manifest::read`].
    pub fn read_unless(&self, index: u64, stop: &AtomicBool) -> Result<Vec<u8>, ReadError> {
        let Some(window) = &self.window else {
            return self.manifest.read(index);
        };
        let slot = window
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(index);
        match slot.map(|slot| slot.wait(stop)) {
            Some(Taken::Bytes(bytes)) => self.manifest.of_fetched(index, bytes),
            Some(Taken::Failed(source)) => {
                let Sample { id, .. } = self.manifest.sample(index)?;
                let id = id.into();
                Err(ReadError::Access { id, source })
            }
            // What failed may have been about a neighbour.
            Some(Taken::Again) | None => self.manifest.read(index),
        }
    }
}
