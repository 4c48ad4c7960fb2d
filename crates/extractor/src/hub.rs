//! The model hub: fetching a registered model once, and trusting it from then on.
//!
//! A cached model is a folder `CACHE/NAME/` with `model.onnx`, `model.toml` (so that the file can
//! be used by its path too) and `pin.toml`, which records the checksum of the first download. A file
//! with another checksum is never used, whether it changed on disk or on the hub.
//!
//! - `options`: endpoint, cache folder, token and patience, from the environment
//! - `http`: questions to the hub, and where the token may go
//! - `patience`: when an attempt is worth another
//! - `transfer`: a download that resumes
//! - `slot`: a model's folder in the cache
//! - `error`: what goes wrong

mod error;
mod http;
mod options;
mod patience;
mod slot;
mod transfer;

use std::path::{Path, PathBuf};

use crate::ExtractorError;
use crate::model::{REGISTRY, Registered, is_embedded};

pub use error::HubError;
use http::{Client, Remote};
pub use options::{HubOptions, Token};
pub use slot::Pin;
use slot::Slot;
use transfer::Transfer;

/// What a pull is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Another process pulls the same model; its result will be used.
    Waiting,
    /// Bytes that are here, of all where the hub says how many.
    Downloading {
        /// From the start of the file, what an earlier pull left included.
        done: u64,
        /// Size of the file.
        total: Option<u64>,
    },
    /// The connection broke or stalled; it goes on where it stopped.
    Retrying {
        /// What happened.
        reason: String,
    },
}

/// A model that is in the cache, its checksum verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The ONNX file.
    pub path: PathBuf,
    /// What is recorded of it.
    pub pin: Pin,
    /// How it got there.
    pub outcome: Outcome,
}

/// What a pull had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Fetched, and equal to the hub's checksum.
    Downloaded,
    /// Fetched, but the hub named no checksum to compare with.
    DownloadedUnchecked,
    /// In the cache, and still what the hub has.
    UpToDate,
    /// In the cache; not compared with the hub, which was not asked, did not answer, or names no
    /// checksum.
    Cached,
}

/// Fetches the registered model `name` into the cache, unless it is there.
///
/// Safe to call from several processes at once: one downloads, the others wait.
///
/// # Errors
/// See [`HubError`]. What was downloaded before an error is kept and used by the next pull, except
/// bytes with a wrong checksum.
pub fn pull(
    name: &str,
    options: &HubOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pulled, HubError> {
    let registered = find(name)?;
    if options.offline {
        let slot = Slot::at(&options.cache, registered);
        return match slot.intact()? {
            Some(pin) => Ok(slot.pulled(pin, Outcome::Cached)),
            None => Err(HubError::Offline {
                name: name.to_owned(),
            }),
        };
    }
    let slot = Slot::lock(&options.cache, registered, progress)?;
    let client = Client::new(options)?;
    let intact = match slot.intact() {
        // Whatever is wrong with the pin, it is to be replaced.
        Err(HubError::CannotRead { .. }) if options.refresh => None,
        intact => intact?,
    };
    let remote = match (client.look_up(registered, progress), intact) {
        (Err(HubError::Unreachable { .. }), Some(pin)) if !options.refresh => {
            return Ok(slot.pulled(pin, Outcome::Cached));
        }
        (Ok(remote), Some(pin)) if remote.is(&pin) => {
            return Ok(slot.pulled(pin, Outcome::UpToDate));
        }
        (Ok(remote), Some(pin)) if remote.sha256.is_none() && !options.refresh => {
            return Ok(slot.pulled(pin, Outcome::Cached));
        }
        (remote, _) => remote?,
    };
    let expected = match options.refresh {
        true => None,
        false => slot.pin()?,
    };
    fetch(&slot, &client, &remote, expected.as_ref(), progress)
}

fn find(name: &str) -> Result<&'static Registered, HubError> {
    let found = REGISTRY.iter().find(|registered| registered.name == name);
    found.ok_or_else(|| {
        let name = name.to_owned();
        match is_embedded(&name) {
            true => HubError::Embedded { name },
            false => HubError::UnknownModel { name },
        }
    })
}

/// Downloads, verifies, and puts in place. `expected` is what an earlier pull recorded.
fn fetch(
    slot: &Slot,
    client: &Client,
    remote: &Remote,
    expected: Option<&Pin>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pulled, HubError> {
    let agrees = |found: &str| match expected {
        Some(pin) if pin.sha256 != found => Err(HubError::Changed {
            name: slot.name().to_owned(),
            pinned: pin.sha256.clone(),
            offered: found.to_owned(),
        }),
        _ => Ok(()),
    };
    remote.sha256.as_deref().map_or(Ok(()), agrees)?;
    let transfer = Transfer::begin(slot.part(remote.sha256.as_deref()), remote)?;
    let (part, sha256, bytes) = transfer.run(client, &remote.url, progress)?;
    if let Some(wanted) = &remote.sha256
        && *wanted != sha256
    {
        slot::remove(&part)?;
        return Err(HubError::ChecksumMismatch {
            url: remote.url.clone(),
            expected: wanted.clone(),
            actual: sha256,
        });
    }
    agrees(&sha256)?;
    let pin = slot.install(&part, remote, sha256, bytes)?;
    let outcome = match remote.sha256 {
        Some(_) => Outcome::Downloaded,
        None => Outcome::DownloadedUnchecked,
    };
    Ok(slot.pulled(pin, outcome))
}

/// What the cache records of `name`, without reading the file itself; none where it was not pulled.
///
/// # Errors
/// [`HubError::UnknownModel`] or [`HubError::Embedded`] for what is not on the hub, and an
/// unreadable cache.
pub fn cached(name: &str, cache: &Path) -> Result<Option<Pin>, HubError> {
    let slot = Slot::at(cache, find(name)?);
    Ok(slot.pin()?.filter(|_| slot.model().is_file()))
}

/// The bytes of a cached model, which are those that were pinned.
pub(crate) fn load(
    registered: &'static Registered,
    cache: &Path,
) -> Result<Vec<u8>, ExtractorError> {
    Slot::at(cache, registered).load()
}
