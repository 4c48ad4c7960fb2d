//! What is known of a file or object without reading it.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

/// What tells one state of a file or object from another, as far as its store says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// In bytes.
    pub(crate) size: Option<u64>,
    /// Nanoseconds since 1970; 0 for times before it.
    pub(crate) modified_ns: Option<u128>,
    /// The store's own mark of the content.
    pub(crate) etag: Option<String>,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        Self {
            size: Some(metadata.len()),
            modified_ns: modified.map(|time| {
                time.duration_since(UNIX_EPOCH)
                    .map_or(0, |after| after.as_nanos())
            }),
            etag: None,
        }
    }
}

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    File(Stamp),
    Folder,
}

/// An object in a remote folder.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    /// Its path below the folder, with `/`.
    pub(crate) relative: &'a str,
    pub(crate) stamp: Stamp,
}
