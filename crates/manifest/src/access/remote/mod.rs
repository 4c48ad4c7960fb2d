//! Objects in buckets and on web servers.
//!
//! A small runtime of our own does the waiting; callers are plain threads and block. Requests are made again with
//! back-off by the object store's own client; what is added here is a bound on every answer, answers that break off,
//! and the check that an object is still the one that was looked at.

mod address;
mod ahead;
mod client;
mod failure;
mod fetch;
mod question;
mod refusal;
mod resolver;
mod stores;
mod stream;
#[cfg(test)]
mod tests;
mod upload;
mod wait;

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, JoinHandle};

pub(crate) use self::ahead::{Ahead, Budget, Share};
use self::client::Clients;
pub(super) use self::fetch::Wanted;
pub(crate) use self::question::Question;
use self::stores::Stores;
pub(super) use self::stream::Download;
pub use self::upload::Upload;
use super::allow::{Rules, refused};
use super::error::AccessError;
use super::options::AccessOptions;
use super::stamp::{Listed, Look, Stamp};
use crate::place::{Remote, Scheme};

/// Threads that move bytes; decoding and everything else happens on the callers'.
const THREADS: usize = 2;

/// The runtime, the clients and the open stores.
#[derive(Debug)]
pub(super) struct Net {
    shared: Arc<Shared>,
    handle: Handle,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// What the tasks of the runtime hold on to.
#[derive(Debug)]
struct Shared {
    stores: Stores,
    options: Arc<AccessOptions>,
}

impl Net {
    pub(super) fn new(options: Arc<AccessOptions>, rules: &Arc<Rules>) -> io::Result<Self> {
        let clients = Clients::new(&options, rules).map_err(io::Error::other)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("remote-io")
            .enable_all()
            .build()?;
        let stores = Stores::new(clients, Arc::clone(&options));
        Ok(Self {
            shared: Arc::new(Shared { stores, options }),
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// What is at `remote`. On a web server that is a file or nothing.
    pub(super) fn look(&self, remote: &Remote) -> Result<Look, AccessError> {
        let (shared, asked) = (Arc::clone(&self.shared), remote.clone());
        self.run(remote, async move { fetch::look(&shared, &asked).await })
    }

    /// Asks for the state of the object.
    pub(super) fn ask(&self, remote: &Remote) -> Question {
        Question::ask(self, remote)
    }

    /// The state of the object.
    pub(super) fn stamp(&self, remote: &Remote) -> Result<Stamp, AccessError> {
        let (shared, asked) = (Arc::clone(&self.shared), remote.clone());
        self.run(remote, async move { fetch::stamp(&shared, &asked).await })
    }

    /// The bytes that are wanted.
    pub(super) fn fetch(&self, remote: &Remote, wanted: Wanted) -> Result<Vec<u8>, AccessError> {
        let (shared, asked) = (Arc::clone(&self.shared), remote.clone());
        self.run(remote, async move {
            let fetched = fetch::fetch(&shared, &asked, &wanted, &fetch::Room::Free).await;
            fetched.map(|(bytes, _)| bytes)
        })
    }

    /// Begins to fetch them.
    pub(super) fn ahead(&self, remote: &Remote, wanted: Wanted, budget: &Budget) -> Ahead {
        Ahead::start(self, remote, wanted, budget)
    }

    /// The bytes from `offset` on, as they come.
    pub(super) fn download(&self, remote: &Remote, stamp: &Stamp, offset: u64) -> Download {
        Download::start(self, remote, stamp, offset)
    }

    /// Calls `visit` for every object below the folder, in the store's order, until it breaks.
    pub(super) fn list(
        &self,
        folder: &Remote,
        visit: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>,
    ) -> Result<(), AccessError> {
        if matches!(folder.scheme, Scheme::Http | Scheme::Https) {
            let rule = "a web server does not list its folders; name the files, or a list of them";
            return Err(refused(folder, rule));
        }
        fetch::list(self, folder, visit)
    }

    fn run<T: Send + 'static>(
        &self,
        remote: &Remote,
        future: impl Future<Output = Result<T, AccessError>> + Send + 'static,
    ) -> Result<T, AccessError> {
        finish(remote, self.spawn(future))
    }

    fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.handle.spawn(future)
    }
}

/// A runtime may not wait for its threads where its owner is dropped inside another runtime.
impl Drop for Net {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for a task.
fn finish<T>(remote: &Remote, task: JoinHandle<Result<T, AccessError>>) -> Result<T, AccessError> {
    wait::wait(task).unwrap_or_else(|error| given_up(remote, &error))
}

fn given_up<T>(remote: &Remote, error: &JoinError) -> Result<T, AccessError> {
    Err(AccessError::Remote {
        place: remote.to_string(),
        reason: format!("the transfer was given up: {error}"),
    })
}

/// Refuses an address that a user wrote down as such. Names are judged when they are resolved.
pub(super) fn check_host(rules: &Rules, remote: &Remote) -> Result<(), AccessError> {
    if !matches!(remote.scheme, Scheme::Http | Scheme::Https) {
        return Ok(());
    }
    let name = remote.host_name();
    let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() else {
        return Ok(());
    };
    resolver::check(name, address::class_of(address), rules.names_host(name))
        .map_err(|refusal| refused(remote, &refusal.0))
}

impl Shared {
    fn store(&self, remote: &Remote) -> Result<(Arc<dyn ObjectStore>, Path), AccessError> {
        let failed = |error| failure::translate(remote, &error);
        let store = self.stores.of(remote).map_err(failed)?;
        let path = Path::parse(&remote.key).map_err(|error| failed(error.into()))?;
        Ok((store, path))
    }
}
