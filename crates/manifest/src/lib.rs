//! Readers of what users bring: manifests, the bytes they point to, and features and labels in `.npy` files.
//!
//! A manifest is the ordered list of a dataset's samples; a sample's index is its position in it. Three kinds of
//! source are understood, told apart by [`detect`]: a folder laid out as torchvision's `ImageFolder`, one local
//! WebDataset `.tar` file, and a JSONL file. [`Manifest::open`] lists a source without reading an image;
//! [`Manifest::read`] hands out one sample's bytes, from any thread.
//!
//! | module | holds |
//! |---|---|
//! | `manifest` | [`Manifest`]: open, look at, read, fingerprint |
//! | `sample` | [`Sample`] and where its bytes lie; the check for duplicate ids |
//! | `format` | [`Format`], [`detect`], and one file per format, each with a `list` function |
//! | `read` | a sample's bytes from its location, bounded by [`MAX_SAMPLE_BYTES`] |
//! | `access` | [`Access`]: what may be read, and how to get it, wherever it lies |
//! | `place` | a local path or the URL of an object, from text |
//! | `archive` | positional reads in one shared tar file |
//! | `digest` | [`ContentDigest`], and the digest behind [`Manifest::fingerprint`] |
//! | `label` | labels in JSON, and the sharing of equal ones |
//! | `extension` | which file names are images |
//! | [`npy`] | features that are computed already, memory-mapped, and labels, both in manifest order |
//! | `error` | [`ManifestError`]: no manifest; [`ReadError`]: no bytes for one sample |
//!
//! Nothing here decodes an image, and no failure of one sample's bytes is a failure of the manifest. No bytes of a
//! file, however they came about, are a panic or more memory than the file has.

mod access;
mod digest;
mod error;
mod extension;
mod files;
mod format;
mod identity;
mod index;
mod label;
mod listing;
mod manifest;
pub mod npy;
mod place;
mod read;
mod reader;
mod sample;
mod source;
#[cfg(test)]
mod testing;

pub use access::{Access, AccessError, AccessOptions, Allow, MAX_SAMPLE_BYTES, Settings};
pub use digest::ContentDigest;
pub use error::{ManifestError, ReadError, ReadErrorKind};
pub use extension::IMAGE_EXTENSIONS;
pub use format::Format;
pub use manifest::Manifest;
pub use place::redacted;
pub use reader::Reader;
pub use sample::Sample;
pub use source::{Columns, Kind, Source};
