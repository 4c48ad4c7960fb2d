//! One item of a dataset, and where its bytes lie.

use std::sync::Arc;

use crate::access::Stamp;
use crate::index::Spot;

/// One item of a dataset. Its index is its position in the manifest.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Unique in the manifest.
    pub id: Box<str>,
    /// The class, where the source gives one.
    pub label: Option<Arc<str>>,
    /// The number of the file that lists the sample.
    pub(crate) file: u32,
    /// Counted from 1: the line or row of that file. 0 where it has neither.
    pub(crate) line: u64,
    pub(crate) spot: Spot<Box<str>>,
    /// What the listing says of what holds the bytes.
    pub(crate) stamp: Option<Stamp>,
    /// The BLAKE3 hash that the bytes must have.
    pub(crate) digest: Option<[u8; 32]>,
}
