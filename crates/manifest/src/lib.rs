//! Readers of what users bring: manifests, and the bytes they point to.
//!
//! A manifest is the ordered list of a dataset's samples; a sample's index is its position in it. [`Format`] names
//! the sources that are understood: folders of images, WebDataset shards, rows in JSONL, CSV, TSV and Parquet, and
//! features that are computed already, all of them here or in a bucket, many of them compressed. [`Manifest::open`]
//! lists a source without reading an image; [`Manifest::read`] hands out one sample's bytes, from any thread.
//!
//! | module | holds |
//! |---|---|
//! | `manifest` | [`Manifest`]: open, look at, read, fingerprint |
//! | `source` | [`Source`]: what to open, and how to understand it; [`Kind`]: what its samples' bytes are |
//! | `pattern` | names with braces |
//! | `format` | [`Format`], from a source to its files, and one file per format, each with a `list` function |
//! | `listing`, `files` | a source while it is listed; the files that list the samples |
//! | `index` | the rows, on disk, and the search for ids that come up twice |
//! | `sort`, `unpack` | sorting beyond memory; compressed files |
//! | `sample` | [`Sample`] and where its bytes lie |
//! | `read` | a sample's bytes from where they lie, bounded by [`MAX_SAMPLE_BYTES`] |
//! | `reader` | [`Reader`]: the same with remote samples fetched ahead |
//! | `identity` | what a store says of a sample |
//! | `access` | [`Access`]: what may be read, and how to get it, wherever it lies |
//! | `place` | a local path or the URL of an object, from text |
//! | `digest` | [`ContentDigest`], and the digest behind [`Manifest::fingerprint`] |
//! | `label` | labels in JSON, and the table of those that there are |
//! | `extension` | which file names are images |
//! | `error` | [`ManifestError`]: no manifest; [`ReadError`]: no bytes for one sample |
//!
//! Nothing here decodes an image, and no failure of one sample's bytes is a failure of the manifest. No bytes of a
//! file, however they came about, are a panic, or more memory than a page of a Parquet file may take.

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
mod pattern;
mod place;
mod read;
mod reader;
mod sample;
mod sort;
mod source;
#[cfg(test)]
mod testing;
mod unpack;

pub use access::{
    Access, AccessError, AccessOptions, Allow, Content, MAX_SAMPLE_BYTES, Settings, SharedFolder,
    Upload,
};
pub use digest::ContentDigest;
pub use error::{ManifestError, ReadError, ReadErrorKind};
pub use extension::IMAGE_EXTENSIONS;
pub use format::Format;
pub use manifest::Manifest;
pub use place::redacted;
pub use reader::Reader;
pub use sample::Sample;
pub use source::{Columns, Kind, Source};
