//! A sample's bytes from its spot.

use std::io;

use crate::access::AccessError;
use crate::error::ReadError;
use crate::files::ListedFile;
use crate::index::{Spot, read_at};
use crate::manifest::Manifest;
use crate::place::Place;
use crate::reader::Spotted;
use crate::sample::Sample;

impl Manifest {
    /// The bytes of `sample`. A file without content is read as empty.
    pub(crate) fn read_sample(&self, sample: &Sample) -> Result<Vec<u8>, ReadError> {
        self.bytes_of(sample).map_err(|source| ReadError::Access {
            id: sample.id.to_string(),
            source,
        })
    }

    fn bytes_of(&self, sample: &Sample) -> Result<Vec<u8>, AccessError> {
        let file = self.file_of(sample)?;
        match sample.spot {
            Spot::Id | Spot::Path(_) => {
                let place = sample.place(&file.base())?;
                self.access
                    .read_same(&place, None, sample_etag(sample).as_deref())
            }
            Spot::Range { offset, length, .. } => {
                let end = offset.saturating_add(length);
                let place = sample.place(&file.base())?;
                let etag = sample_etag(sample);
                self.access
                    .read_same(&place, Some(offset..end), etag.as_deref())
            }
            Spot::Member { offset, length } => {
                let length = self.bounded(file, length)?;
                let object = self.files.open(&self.access, sample.file)?;
                object.read_at(offset, length)
            }
            Spot::Spooled { offset, length } => self.unpacked(file, offset, length),
            Spot::Assigned(bytes) => Ok(bytes.to_vec()),
            Spot::Row { .. } => Err(AccessError::NotAFile {
                place: file.place.to_string(),
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
                is_listed_file: matches!(sample.spot, Spot::Member { .. }),
            }),
            Place::Local(_) => None,
        }
    }

    fn file_of(&self, sample: &Sample) -> Result<&ListedFile, AccessError> {
        let file = self.files.get(sample.file);
        file.ok_or_else(|| AccessError::NotFound {
            place: format!("file {}", sample.file),
        })
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

/// The mark of the sample's own object, where the listing gave one.
fn sample_etag(sample: &Sample) -> Option<String> {
    sample.stamp.as_ref()?.etag.clone()
}
