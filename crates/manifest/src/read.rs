//! A sample's bytes from its location.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::access::MAX_SAMPLE_BYTES;
use crate::archive::Archive;
use crate::error::ReadError;
use crate::sample::{Location, Sample};

/// What stopped a read, before it is given the sample's id and path.
enum Failure {
    NotAFile,
    TooLarge(u64),
    Io(io::Error),
}

/// The bytes of `sample`, whose relative path starts at `root`. A file without content is read as empty.
pub(crate) fn read(root: &Path, sample: &Sample) -> Result<Vec<u8>, ReadError> {
    let bytes = match &sample.location {
        Location::File(_) => read_file(&sample.file(root)),
        Location::Member {
            archive,
            offset,
            length,
        } => read_member(archive, *offset, *length),
    };
    bytes.map_err(|failure| failure.of(sample, root))
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    // Looked at before it is opened: opening a pipe waits for its writer.
    let metadata = fs::metadata(path).map_err(Failure::Io)?;
    if !metadata.is_file() {
        return Err(Failure::NotAFile);
    }
    let expected = bounded(metadata.len())?;
    let file = File::open(path).map_err(Failure::Io)?;
    let mut bytes = Vec::with_capacity(expected);
    file.take(MAX_SAMPLE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Failure::Io)?;
    bounded(bytes.len() as u64)?;
    Ok(bytes)
}

fn read_member(archive: &Archive, offset: u64, length: u64) -> Result<Vec<u8>, Failure> {
    archive
        .read_at(offset, bounded(length)?)
        .map_err(Failure::Io)
}

fn bounded(length: u64) -> Result<usize, Failure> {
    match usize::try_from(length) {
        Ok(fits) if length <= MAX_SAMPLE_BYTES => Ok(fits),
        Ok(_) | Err(_) => Err(Failure::TooLarge(length)),
    }
}

impl Failure {
    fn of(self, sample: &Sample, root: &Path) -> ReadError {
        let id = sample.id.to_string();
        let path = sample.file(root);
        match self {
            Self::NotAFile => ReadError::NotAFile { id, path },
            Self::TooLarge(bytes) => ReadError::TooLarge {
                id,
                path,
                bytes,
                limit: MAX_SAMPLE_BYTES,
            },
            Self::Io(source) if source.kind() == io::ErrorKind::NotFound => {
                ReadError::NotFound { id, path }
            }
            Self::Io(source) => ReadError::Io { id, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::ReadErrorKind;

    fn kind(root: &Path, location: Location) -> ReadErrorKind {
        let sample = Sample {
            id: "the-id".into(),
            label: None,
            location,
        };
        let error = read(root, &sample).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the-id") && text.contains(&*root.to_string_lossy()));
        error.kind()
    }

    #[test]
    fn says_why_a_file_gave_no_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("folder.png")).unwrap();
        let huge = File::create(root.join("huge.png")).unwrap();
        huge.set_len(MAX_SAMPLE_BYTES + 1).unwrap();

        let file = |name: &str| Location::File(Some(name.into()));
        assert_eq!(kind(root, file("absent.png")), ReadErrorKind::NotFound);
        assert_eq!(kind(root, file("folder.png")), ReadErrorKind::NotAFile);
        assert_eq!(kind(root, file("huge.png")), ReadErrorKind::TooLarge);
        assert_eq!(kind(root, file("nul\0.png")), ReadErrorKind::Io);
    }

    #[test]
    fn says_why_a_member_gave_no_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        fs::write(&path, b"0123456789").unwrap();
        let archive = Arc::new(Archive::open(&path).unwrap());
        let member = |offset, length| Location::Member {
            archive: Arc::clone(&archive),
            offset,
            length,
        };
        assert_eq!(kind(folder.path(), member(8, 3)), ReadErrorKind::Io);
        assert_eq!(
            kind(folder.path(), member(0, u64::MAX)),
            ReadErrorKind::TooLarge
        );
    }
}
