//! A source, listed.

use std::path::{Path, PathBuf};

use blake3::Hash;

use crate::digest;
use crate::error::{ManifestError, ReadError};
use crate::format::{Format, detect};
use crate::read;
use crate::sample::Sample;

/// The ordered list of a dataset's samples, and the way to their bytes. Never empty; ids are unique.
#[derive(Debug)]
pub struct Manifest {
    format: Format,
    source: PathBuf,
    /// Where relative paths of samples start.
    root: PathBuf,
    samples: Vec<Sample>,
}

impl Manifest {
    /// Lists `source`, whose format is [`detect`]ed. No image is read; of a tar file, headers and labels are.
    ///
    /// # Errors
    ///
    /// Whatever keeps the list from being complete and unambiguous. Files that a JSONL source names and that do
    /// not exist are no such error: [`read`](Self::read) reports them, one by one.
    pub fn open(source: &Path) -> Result<Self, ManifestError> {
        let format = detect(source)?;
        let samples = format.list(source)?;
        if samples.is_empty() {
            let path = source.to_path_buf();
            return Err(ManifestError::Empty { path });
        }
        Ok(Self {
            format,
            source: source.to_path_buf(),
            root: format.root(source).to_path_buf(),
            samples,
        })
    }

    /// How the source is laid out.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The path that was opened.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// The samples in manifest order.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The number of samples, at least one.
    #[expect(clippy::len_without_is_empty, reason = "a manifest is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// The digest of the list as it stands on disk now: ids, labels, locations relative to the source, and the
    /// sizes and times of modification of the files that hold the bytes. No image is read.
    ///
    /// A file changed, replaced or removed changes it, at the next call; a file added changes it once the source
    /// is opened again. The cost is one look at each file's metadata, and at a tar file's only once.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        digest::fingerprint(self.format, &self.root, &self.samples)
    }

    /// The bytes of the sample at `index`, at most [`MAX_SAMPLE_BYTES`](crate::MAX_SAMPLE_BYTES). Safe to call
    /// from many threads at once.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]; the error names the sample and the file.
    pub fn read(&self, index: usize) -> Result<Vec<u8>, ReadError> {
        let len = self.samples.len();
        let sample = self
            .samples
            .get(index)
            .ok_or(ReadError::NoSuchSample { index, len })?;
        read::read(&self.root, sample)
    }
}
