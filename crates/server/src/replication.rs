//! Published versions in a folder of an object store: one server puts them there, any number follow.
//!
//! | object | holds |
//! |---|---|
//! | `catalogue.json` | all curricula: names, versions, aliases |
//! | `versions/<id>` | a version, as `curriculum export` writes it |
//!
//! Versions come before the catalogue that names them and go after the one that no longer does. The
//! writer's data folder is the truth and what lies in the store a copy, so both sides only ever compare
//! and catch up: after a failure, or a kill, they do it again. Each side is one thread that blocks.

mod follower;
mod publisher;

use crate::{
    config::{ConfigError, Versions},
    metrics::REPLICATED,
    serve::ServeError,
};
use curriculum_manifest::{Access, AccessError, AccessOptions, SharedFolder};
use curriculum_store::{Digest, Store, StoreError};
use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

const CATALOGUE: &str = "catalogue.json";

/// Between two looks of a writer at its own data folder.
const LOOK: Duration = Duration::from_millis(200);

/// Longest pause after failures in a row.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A thread that keeps up with a folder, until this is dropped.
pub(crate) struct Replication(Arc<Stop>);

/// Why copy and original are not the same yet.
#[derive(Debug, thiserror::Error)]
enum ReplicationError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the file of version {version} holds version {found}")]
    Other { version: Digest, found: Digest },
    #[error("version {version}: {source}")]
    Version { version: Digest, source: StoreError },
    #[error(
        "{place}: belongs to another data folder; remove {CATALOGUE} there to publish from this one"
    )]
    Taken { place: String },
}

/// What a side does until it is told to stop.
trait Side: Send + 'static {
    /// Whether there is anything to do; cheap.
    fn is_due(&self) -> bool;

    /// Catches up.
    fn catch_up(&mut self) -> Result<(), ReplicationError>;

    /// Whether something is left that could not be had.
    fn lacks(&self) -> bool {
        false
    }
}

#[derive(Default)]
struct Stop {
    told: Mutex<bool>,
    wake: Condvar,
}

/// As the settings say; `None` where versions stay here. `whole` becomes true once a read-only server has what
/// is published.
///
/// # Errors
/// When the folder cannot be used, or a data folder that is no copy would become one.
pub(crate) fn start(
    settings: &Versions,
    store: &Arc<Store>,
    whole: watch::Sender<bool>,
) -> Result<Option<Replication>, ServeError> {
    store.set_copy(settings.read_only)?;
    let Some(url) = &settings.url else {
        return Ok(None);
    };
    let (folder, store) = (folder(url)?, Arc::clone(store));
    let started = if settings.read_only {
        let refresh = Duration::from_millis(settings.refresh_milliseconds);
        let side = follower::Follower::new(store, folder, whole)?;
        Replication::start(side, refresh)
    } else {
        Replication::start(publisher::Publisher::new(store, folder), LOOK)
    };
    started.map(Some).map_err(ServeError::Thread)
}

impl Replication {
    fn start(side: impl Side, look: Duration) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new().name("replication".to_owned());
        thread.spawn(move || keep_up(side, look, &told))?;
        Ok(Self(stop))
    }
}

/// What is under way is not waited for: it is done again by the next server.
impl Drop for Replication {
    fn drop(&mut self) {
        *self.0.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.wake.notify_all();
    }
}

impl Stop {
    /// Whether it was told before `pause` was over.
    fn waits(&self, pause: Duration) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(told, pause, |told| !*told);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn keep_up(mut side: impl Side, look: Duration, stop: &Stop) {
    let mut pause = look;
    let mut said = String::new();
    metrics::gauge!(REPLICATED).set(0.0);
    loop {
        if !side.is_due() {
            succeeded();
        } else {
            match side.catch_up() {
                Ok(()) => {
                    if !side.lacks() {
                        succeeded();
                    }
                    if !said.is_empty() {
                        tracing::info!("versions are replicated again");
                    }
                    (pause, said) = (look, String::new());
                }
                Err(error) => {
                    pause = (pause * 2).min(MAX_PAUSE.max(look));
                    let error = error.to_string();
                    if error != said {
                        tracing::warn!(error, "versions are not replicated at the moment");
                        said = error;
                    }
                }
            }
        }
        if stop.waits(pause) {
            return;
        }
    }
}

/// Nothing is left to copy at the moment.
fn succeeded() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    metrics::gauge!(REPLICATED).set(now.unwrap_or_default().as_secs_f64());
}

/// The folder at `url`, with little patience: what fails is done again soon.
pub(crate) fn folder(url: &str) -> Result<SharedFolder, ConfigError> {
    let options = AccessOptions {
        retries: 3,
        retry_timeout: Duration::from_secs(10),
        ..AccessOptions::default()
    };
    let named = Access::new(options).and_then(|access| SharedFolder::new(&access, url));
    named.map_err(|error| ConfigError::Versions(error.to_string()))
}

fn object(version: Digest) -> String {
    format!("versions/{version}")
}
