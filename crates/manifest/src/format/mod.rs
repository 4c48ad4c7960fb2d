//! The formats a source may have: a file each, each with a `list` function from the source to its samples.

mod image_folder;
mod jsonl;
mod members;
mod pax;
mod walk;
mod webdataset;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::error::ManifestError;
use crate::sample::Sample;

/// How a source is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A folder with a sub-folder per class, indexed as torchvision's `ImageFolder` does. A sample's id is its
    /// path below the folder, with `/`; its label is its class.
    ImageFolder,
    /// One local tar file of the WebDataset layout. A sample's id is its key: the path of its members up to the
    /// first dot of the file name. Its label comes from its `.cls` member, else from `label` in its `.json`
    /// member, else from the folder that the key lies in.
    WebDataset,
    /// A file with one JSON object per line: `id`, `path`, and perhaps `label`.
    Jsonl,
}

/// The format of what is at `source`, from its being a folder or from its extension.
///
/// # Errors
///
/// [`ManifestError::NotFound`], [`ManifestError::UnsupportedSource`], or [`ManifestError::Io`].
pub fn detect(source: &Path) -> Result<Format, ManifestError> {
    let path = || source.to_path_buf();
    let metadata = fs::metadata(source).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ManifestError::NotFound { path: path() },
        _ => ManifestError::io(source)(error),
    })?;
    if metadata.is_dir() {
        return Ok(Format::ImageFolder);
    }
    // A pipe is not read, whatever its name: a source is read more than once.
    let extension = source.extension().filter(|_| metadata.is_file());
    let has = |name: &str| extension.is_some_and(|extension| extension.eq_ignore_ascii_case(name));
    if has("tar") {
        Ok(Format::WebDataset)
    } else if has("jsonl") || has("ndjson") {
        Ok(Format::Jsonl)
    } else {
        Err(ManifestError::UnsupportedSource { path: path() })
    }
}

impl Format {
    /// The format's name, which never changes: digests depend on it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImageFolder => "image-folder",
            Self::WebDataset => "webdataset",
            Self::Jsonl => "jsonl",
        }
    }

    /// The samples of `source` in order, with unique ids.
    pub(crate) fn list(self, source: &Path) -> Result<Vec<Sample>, ManifestError> {
        match self {
            Self::ImageFolder => image_folder::list(source),
            Self::WebDataset => webdataset::list(source),
            Self::Jsonl => jsonl::list(source),
        }
    }

    /// Where relative paths of the samples of `source` start.
    pub(crate) fn root(self, source: &Path) -> &Path {
        match self {
            Self::ImageFolder => source,
            Self::WebDataset | Self::Jsonl => source.parent().unwrap_or(source),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_by_what_the_path_is() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.TAR", "a.jsonl", "a.ndjson", "a.tar.gz", "a"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("d.tar")).unwrap();
        let found = |name: &str| detect(&folder.path().join(name));

        assert_eq!(found("").unwrap(), Format::ImageFolder);
        assert_eq!(found("d.tar").unwrap(), Format::ImageFolder);
        assert_eq!(found("a.TAR").unwrap(), Format::WebDataset);
        assert_eq!(found("a.jsonl").unwrap(), Format::Jsonl);
        assert_eq!(found("a.ndjson").unwrap(), Format::Jsonl);
        for name in ["a.tar.gz", "a"] {
            let error = found(name).unwrap_err();
            assert!(matches!(error, ManifestError::UnsupportedSource { .. }));
            assert!(error.to_string().contains(".ndjson"), "{error}");
        }
        assert!(matches!(
            found("absent.tar").unwrap_err(),
            ManifestError::NotFound { .. }
        ));
    }
}
