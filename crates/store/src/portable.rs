//! A version as one file: what another data folder needs to serve it, and nothing of this one.
//!
//! ```text
//! magic        8 bytes
//! frames       kind u8, length u64, that many bytes, BLAKE3
//!   record       the version, as JSON
//!   clustering   the outcome of clustering, as JSON
//!   sketch       its points
//!   column       name, for each in the order of `Column::ALL`; then for each chunk of its values:
//!   values       65,536 values of four bytes, fewer in the last
//!   samples      4096 samples, fewer in the last, as JSON
//!   end          BLAKE3 over the checksums of all frames before
//! ```
//!
//! Numbers are little endian. A frame's checksum covers its place in the file, so frames cannot be left
//! out, moved or repeated. The order is the one above, and nothing follows the end. Both ways memory
//! holds one frame.
//!
//! Samples lie under a key that is made of the version's id: in another folder the key of the listing
//! that the version came from may mean something else. So exporting what was imported gives the same
//! file again.

mod export;
mod frame;
mod import;

use crate::{Digest, SampleRecord, VersionRecord};
pub use export::Export;

/// What [`crate::Store::import_version`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The version.
    pub version: VersionRecord,
    /// Whether the folder had it already; then nothing of it was written.
    pub was_there: bool,
}

/// Key of the samples of an exported version.
pub(crate) fn listing(version: Digest) -> Digest {
    Digest::of_parts([b"exported".as_slice(), version.as_bytes()])
}

/// The samples of a frame.
type Samples = Vec<SampleRecord>;

#[cfg(test)]
mod tests;
