//! Single requests: what is there, the bytes of one sample, the objects of a folder.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore};
use tokio::sync::{Notify, mpsc};

use super::ahead::{Budget, Share};
use super::failure::translate;
use super::wait::wait;
use super::{Net, Shared};
use crate::access::error::AccessError;
use crate::access::stamp::{Listed, Look, Stamp};
use crate::place::{Place, Remote, Scheme};

/// How often an answer that breaks off is asked for again where the store's own client cannot go on with it.
const ATTEMPTS: u32 = 4;
/// Listed objects that travel together, and batches that may wait.
const BATCH: usize = 512;
const BATCHES: usize = 8;

/// Which bytes of an object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// All of them where it is `None`.
    pub(crate) range: Option<Range<u64>>,
    /// Only if the object is still this one.
    pub(crate) etag: Option<String>,
    /// The most bytes that may come.
    pub(crate) limit: u64,
}

pub(super) async fn look(shared: &Shared, remote: &Remote) -> Result<Look, AccessError> {
    if is_web(remote) {
        return stamp(shared, remote).await.map(Look::File);
    }
    // Where both are there, what looks like a file's name is the file's.
    let name = remote.key.rsplit('/').next().unwrap_or_default();
    let folder_first = remote.folder || !name.contains('.');
    if folder_first && is_folder(shared, remote).await? {
        return Ok(Look::Folder);
    }
    if remote.folder {
        return Err(AccessError::NotFound {
            place: remote.to_string(),
        });
    }
    match stamp(shared, remote).await {
        Err(AccessError::NotFound { .. }) if !folder_first && is_folder(shared, remote).await? => {
            Ok(Look::Folder)
        }
        found => found.map(Look::File),
    }
}

/// Whether any object lies below.
async fn is_folder(shared: &Shared, remote: &Remote) -> Result<bool, AccessError> {
    let (store, path) = shared.store(remote)?;
    match store.list(Some(&path)).next().await {
        None => Ok(false),
        Some(Ok(_)) => Ok(true),
        Some(Err(error)) => Err(translate(remote, &error)),
    }
}

pub(super) async fn stamp(shared: &Shared, remote: &Remote) -> Result<Stamp, AccessError> {
    let (store, path) = shared.store(remote)?;
    let head = GetOptions {
        head: true,
        ..GetOptions::default()
    };
    let found = match store.get_opts(&path, head).await {
        Ok(found) => found.meta,
        Err(error) => match translate(remote, &error) {
            // A signed URL may be good for GET alone, and some servers do not know HEAD; the library takes their
            // 405 for a 404.
            AccessError::Denied { .. }
            | AccessError::Remote { .. }
            | AccessError::NotFound { .. }
                if is_web(remote) =>
            {
                first_byte(&store, remote, &path).await?
            }
            other => return Err(other),
        },
    };
    Ok(stamp_of(&found))
}

/// What the answer to a request for one byte says of the object.
async fn first_byte(
    store: &Arc<dyn ObjectStore>,
    remote: &Remote,
    path: &object_store::path::Path,
) -> Result<ObjectMeta, AccessError> {
    let one = GetOptions {
        range: Some(GetRange::Bounded(0..1)),
        ..GetOptions::default()
    };
    if let Ok(found) = store.get_opts(path, one).await {
        return Ok(found.meta);
    }
    // A server without ranges, or an empty object: the head of the whole answer, whose body is not read.
    let whole = store.get_opts(path, GetOptions::default()).await;
    whole
        .map(|found| found.meta)
        .map_err(|error| translate(remote, &error))
}

/// Whether bytes may be taken in as soon as they are there.
pub(super) enum Room<'a> {
    /// Somebody waits for them.
    Free,
    /// They are for later, and others lie ready too.
    Shared {
        budget: &'a Budget,
        urgent: &'a Notify,
    },
}

/// The bytes that are wanted, complete.
pub(super) async fn fetch(
    shared: &Shared,
    remote: &Remote,
    wanted: &Wanted,
    room: &Room<'_>,
) -> Result<(Vec<u8>, Share), AccessError> {
    if wanted.range.as_ref().is_some_and(Range::is_empty) {
        return Ok((Vec::new(), None));
    }
    let mut share = None;
    let mut attempt = 1;
    loop {
        let found = request(shared, remote, wanted).await?;
        let expected = bounded(remote, length_of(wanted, &found), wanted.limit)?;
        if let (None, Room::Shared { budget, urgent }) = (&share, room) {
            share = budget.share(expected as u64, urgent).await;
        }
        let limit = shared.options.sample_timeout;
        let collected = tokio::time::timeout(limit, collect(remote, expected, found)).await;
        match collected.unwrap_or_else(|_| Err(too_slow(remote, limit))) {
            Ok(bytes) => return Ok((bytes, share)),
            Err(AccessError::Remote { .. } | AccessError::Io { .. }) if attempt < ATTEMPTS => {
                tokio::time::sleep(back_off(shared.options.first_backoff, attempt)).await;
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The head of the answer, and the way to its body.
async fn request(
    shared: &Shared,
    remote: &Remote,
    wanted: &Wanted,
) -> Result<GetResult, AccessError> {
    let (store, path) = shared.store(remote)?;
    let options = get_options(wanted.range.clone(), wanted.etag.as_deref());
    let limit = shared.options.sample_timeout;
    let found = tokio::time::timeout(limit, store.get_opts(&path, options)).await;
    let found = found.map_err(|_| too_slow(remote, limit))?;
    let found = found.map_err(|error| translate(remote, &error))?;
    check_etag(remote, wanted.etag.as_deref(), &found.meta)?;
    Ok(found)
}

fn too_slow(remote: &Remote, limit: Duration) -> AccessError {
    AccessError::TimedOut {
        place: remote.to_string(),
        seconds: limit.as_secs_f32(),
    }
}

fn length_of(wanted: &Wanted, found: &GetResult) -> u64 {
    let range = wanted.range.as_ref().unwrap_or(&found.range);
    range.end - range.start
}

/// Reads an answer, which may neither be longer than expected nor end before.
async fn collect(
    remote: &Remote,
    expected: usize,
    found: GetResult,
) -> Result<Vec<u8>, AccessError> {
    let mut bytes = Vec::with_capacity(expected);
    let mut stream = found.into_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| translate(remote, &error))?;
        if bytes.len() + part.len() > expected {
            return Err(AccessError::Remote {
                place: remote.to_string(),
                reason: format!("more than the {expected} bytes that were announced"),
            });
        }
        bytes.extend_from_slice(&part);
    }
    if bytes.len() < expected {
        return Err(ended(remote, bytes.len() as u64, expected as u64));
    }
    Ok(bytes)
}

pub(super) fn get_options(range: Option<Range<u64>>, etag: Option<&str>) -> GetOptions {
    GetOptions {
        // A weak mark never matches a condition; it is compared with the answer's instead.
        if_match: etag
            .filter(|etag| !etag.starts_with("W/"))
            .map(|etag| format!("\"{etag}\"")),
        range: range.map(GetRange::Bounded),
        ..GetOptions::default()
    }
}

/// Servers that do not know the condition answer all the same.
pub(super) fn check_etag(
    remote: &Remote,
    expected: Option<&str>,
    found: &ObjectMeta,
) -> Result<(), AccessError> {
    match (expected, stamp_of(found).etag) {
        (Some(expected), Some(found)) if expected != found => Err(AccessError::Changed {
            place: remote.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Calls `visit` with the objects below `folder` while the store is still listing.
pub(super) fn list(
    net: &Net,
    folder: &Remote,
    visit: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>,
) -> Result<(), AccessError> {
    let (sender, mut receiver) = mpsc::channel(BATCHES);
    let (shared, remote) = (Arc::clone(&net.shared), folder.clone());
    net.spawn(async move {
        if let Err(error) = send_listing(&shared, &remote, &sender).await {
            // No receiver: the visitor has seen enough.
            let _ = sender.send(Err(error)).await;
        }
    });
    while let Some(batch) = wait(receiver.recv()) {
        for (relative, stamp) in batch? {
            let listed = Listed {
                relative: &relative,
                stamp,
            };
            if visit(listed).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

type Batch = Vec<(String, Stamp)>;

async fn send_listing(
    shared: &Shared,
    folder: &Remote,
    sender: &mpsc::Sender<Result<Batch, AccessError>>,
) -> Result<(), AccessError> {
    let (store, path) = shared.store(folder)?;
    let above = if path.is_root() {
        0
    } else {
        folder.key.len() + 1
    };
    let mut batches = store.list(Some(&path)).ready_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let mut listed = Batch::with_capacity(batch.len());
        for object in batch {
            let object = object.map_err(|error| translate(folder, &error))?;
            // An object with the folder's own name is its marker.
            if let Some(relative) = object.location.as_ref().get(above..) {
                listed.push((relative.to_owned(), stamp_of(&object)));
            }
        }
        if sender.send(Ok(listed)).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn stamp_of(object: &ObjectMeta) -> Stamp {
    let seconds = u128::try_from(object.last_modified.timestamp()).unwrap_or(0);
    let nanoseconds = u128::from(object.last_modified.timestamp_subsec_nanos());
    Stamp {
        size: Some(object.size),
        // 1970 stands for "not said".
        modified_ns: Some(seconds * 1_000_000_000 + nanoseconds).filter(|time| *time > 0),
        // Some stores quote it in a listing, some do not.
        etag: object
            .e_tag
            .as_deref()
            .map(|etag| etag.trim_matches('"').to_owned()),
    }
}

fn is_web(remote: &Remote) -> bool {
    matches!(remote.scheme, Scheme::Http | Scheme::Https)
}

fn bounded(remote: &Remote, bytes: u64, limit: u64) -> Result<usize, AccessError> {
    crate::access::bounded(&Place::Remote(remote.clone()), bytes, limit)
}

pub(super) fn back_off(first: Duration, attempt: u32) -> Duration {
    first.saturating_mul(1 << attempt.min(8))
}

pub(super) fn ended(remote: &Remote, after: u64, expected: u64) -> AccessError {
    AccessError::Io {
        place: remote.to_string(),
        source: io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("ended after {after} of {expected} bytes"),
        ),
    }
}
