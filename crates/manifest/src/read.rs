//! A sample's bytes from its spot.

use std::io;
use std::sync::Arc;

use curriculum_npy::widen;

use crate::access::AccessError;
use crate::error::ReadError;
use crate::files::ListedFile;
use crate::format::{Format, Part};
use crate::index::{Spot, read_at};
use crate::manifest::Manifest;
use crate::place::Place;
use crate::reader::Spotted;
use crate::sample::Sample;
use crate::source::Kind;

/// What stopped a read, before it is given the sample's id.
enum Failure {
    Access(AccessError),
    Malformed(String),
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        Self::Access(error)
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Malformed(reason)
    }
}

impl Manifest {
    /// The bytes of `sample`. A file without content is read as empty.
    pub(crate) fn read_sample(&self, sample: &Sample) -> Result<Vec<u8>, ReadError> {
        let id = || sample.id.to_string();
        let file = self
            .files
            .get(sample.file)
            .ok_or_else(|| ReadError::Malformed {
                id: id(),
                place: String::new(),
                reason: "no such file in the list".to_owned(),
            })?;
        self.bytes_of(sample, file)
            .map_err(|failure| match failure {
                Failure::Access(source) => ReadError::Access { id: id(), source },
                Failure::Malformed(reason) => ReadError::Malformed {
                    id: id(),
                    place: file.place.to_string(),
                    reason,
                },
            })
    }

    fn bytes_of(&self, sample: &Sample, file: &ListedFile) -> Result<Vec<u8>, Failure> {
        let bytes = match sample.spot {
            Spot::Id | Spot::Path(_) => {
                let place = sample.place(&file.base())?;
                self.access
                    .read_same(&place, None, sample_etag(sample).as_deref())?
            }
            Spot::Range { offset, length, .. } => {
                let end = offset.saturating_add(length);
                let place = sample.place(&file.base())?;
                let etag = sample_etag(sample);
                self.access
                    .read_same(&place, Some(offset..end), etag.as_deref())?
            }
            Spot::Member { offset, length } => {
                let length = self.bounded(file, length)?;
                let object = self.files.open(&self.access, sample.file)?;
                object.read_at(offset, length)?
            }
            Spot::Spooled { offset, length } => self.unpacked(file, offset, length)?,
            Spot::Assigned(bytes) => bytes.to_vec(),
            Spot::Row { group, row } => self.row(sample.file, file, group, row)?,
        };
        check_digest(sample, &bytes)?;
        Ok(self.as_given(file, bytes)?)
    }

    /// What bytes as they lie in `file` are to a caller of [`read`](Self::read).
    fn as_given(&self, file: &ListedFile, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let Kind::Features { dimension } = self.kind() else {
            return Ok(bytes);
        };
        let bytes = match file.halves {
            true => widen(&bytes),
            false => bytes,
        };
        let (found, expected) = (bytes.len() as u64, 4 * u64::from(dimension));
        match found == expected {
            true => Ok(bytes),
            false => Err(format!(
                "{found} bytes, a vector of {dimension} numbers has {expected}"
            )),
        }
    }

    /// What [`read`](Self::read) gives for the sample at `index`, whose bytes were fetched.
    pub(crate) fn of_fetched(&self, index: u64, bytes: Vec<u8>) -> Result<Vec<u8>, ReadError> {
        if !matches!(self.kind(), Kind::Features { .. }) && self.format() != Format::Jsonl {
            return Ok(bytes);
        }
        let sample = self.sample(index)?;
        let id = || sample.id.to_string();
        match self.files.get(sample.file) {
            None => Ok(bytes),
            Some(file) => check_digest(&sample, &bytes)
                .and_then(|()| self.as_given(file, bytes))
                .map_err(|reason| ReadError::Malformed {
                    id: id(),
                    place: file.place.to_string(),
                    reason,
                }),
        }
    }

    /// Whether any sample's bytes may lie elsewhere than on this machine.
    pub(crate) fn may_be_remote(&self) -> bool {
        self.files.any_remote() || self.format().names_paths()
    }

    /// Where the bytes of `sample` lie, if they are a remote object or a run of bytes of one.
    pub(crate) fn spotted(&self, sample: &Sample) -> Option<Spotted> {
        let file = self.files.get(sample.file)?;
        let (place, range, etag) = match sample.spot {
            Spot::Id | Spot::Path(_) => {
                (sample.place(&file.base()).ok()?, None, sample_etag(sample))
            }
            Spot::Range { offset, length, .. } => {
                let range = offset..offset.saturating_add(length);
                (
                    sample.place(&file.base()).ok()?,
                    Some(range),
                    sample_etag(sample),
                )
            }
            Spot::Member { offset, length } => {
                let range = offset..offset.saturating_add(length);
                (file.place.clone(), Some(range), file.stamp.etag.clone())
            }
            Spot::Spooled { .. } | Spot::Row { .. } | Spot::Assigned(_) => return None,
        };
        match place {
            Place::Remote(remote) => Some(Spotted {
                remote,
                range,
                etag,
            }),
            Place::Local(_) => None,
        }
    }

    fn row(
        &self,
        number: u32,
        file: &ListedFile,
        group: u32,
        row: u32,
    ) -> Result<Vec<u8>, Failure> {
        let part = Part {
            file: number,
            group,
        };
        let columns = &self.source().columns;
        let bytes = self.tables.read(part, row, columns, || {
            let object = self.files.open(&self.access, number)?;
            Ok::<_, Failure>(Arc::clone(&object))
        })?;
        self.bounded(file, bytes.len() as u64)?;
        Ok(bytes)
    }

    fn unpacked(
        &self,
        file: &ListedFile,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, AccessError> {
        let mut bytes = vec![0; self.bounded(file, length)?];
        let spool = self.spool.as_ref().ok_or(io::ErrorKind::NotFound);
        spool
            .map_err(io::Error::from)
            .and_then(|spool| read_at(spool, &mut bytes, offset))
            .map_err(AccessError::io(&file.place))?;
        Ok(bytes)
    }

    fn bounded(&self, file: &ListedFile, length: u64) -> Result<usize, AccessError> {
        let limit = self.access.options().max_sample_bytes;
        match usize::try_from(length) {
            Ok(fits) if length <= limit => Ok(fits),
            Ok(_) | Err(_) => Err(AccessError::TooLarge {
                place: file.place.to_string(),
                bytes: length,
                limit,
            }),
        }
    }
}

/// Whether the bytes, as they lie there, have the hash that the listing gives.
fn check_digest(sample: &Sample, bytes: &[u8]) -> Result<(), String> {
    match sample.digest {
        Some(digest) if digest != *blake3::hash(bytes).as_bytes() => {
            Err("its bytes do not have the hash that `blake3` gives".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

/// The mark of the sample's own object, where the listing gave one.
fn sample_etag(sample: &Sample) -> Option<String> {
    sample.stamp.as_ref()?.etag.clone()
}
