//! A folder of an object store, or of a web server, that several servers share.

use std::io::Read;

use super::Access;
use super::error::AccessError;
use super::remote::Upload;
use super::stamp::Look;
use crate::place::{Place, Remote, Scheme, redacted};

/// The most bytes of an object that is read in one piece.
const MAX_BYTES: u64 = 64 << 20;

/// Objects in one remote folder, by their names in it. Every method blocks.
#[derive(Debug, Clone)]
pub struct SharedFolder {
    access: Access,
    place: Place,
}

/// An object's content, and the mark by which a later one is told from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Of a store that gives marks.
    pub etag: Option<String>,
}

impl SharedFolder {
    /// The folder at `url`: `s3://`, `gs://`, `az://`, or a web server's, which can only be read.
    ///
    /// # Errors
    ///
    /// [`AccessError::Malformed`] where the text is no URL of such a place.
    pub fn new(access: &Access, url: &str) -> Result<Self, AccessError> {
        let place = Place::parse(url)?;
        match &place {
            Place::Remote(Remote { query: None, .. }) => Ok(Self {
                access: access.clone(),
                place,
            }),
            Place::Remote(_) | Place::Local(_) => Err(AccessError::Malformed {
                text: redacted(url),
                reason: "not a folder such as s3://bucket/folder".to_owned(),
            }),
        }
    }

    /// Whether objects can be written here.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        match &self.place {
            Place::Remote(remote) => !matches!(remote.scheme, Scheme::Http | Scheme::Https),
            Place::Local(_) => false,
        }
    }

    /// The object, unless it is still the one with mark `known`. `None` where it is, or where nothing is there and
    /// nothing was known.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or the object has more than 64 MiB or vanished.
    pub fn read_unless(
        &self,
        name: &str,
        known: Option<&str>,
    ) -> Result<Option<Content>, AccessError> {
        let place = self.place.join(name)?;
        let stamp = match self.access.look(&place) {
            Ok(Look::File(stamp)) => stamp,
            Ok(Look::Folder) => return Err(not_found(&place)),
            Err(AccessError::NotFound { .. }) if known.is_none() => return Ok(None),
            Err(error) => return Err(error),
        };
        if known.is_some() && stamp.etag.as_deref() == known {
            return Ok(None);
        }
        if let Some(size) = stamp.size {
            super::bounded(
                &place,
                size,
                MAX_BYTES.min(self.access.options().max_sample_bytes),
            )?;
        }
        let bytes = self.access.read_same(&place, None, stamp.etag.as_deref())?;
        Ok(Some(Content {
            bytes,
            etag: stamp.etag,
        }))
    }

    /// The object from front to back, fetched ahead.
    ///
    /// # Errors
    ///
    /// When it is not there, or the store does not answer; errors of reading carry an [`AccessError`].
    pub fn reader(&self, name: &str) -> Result<impl Read + use<>, AccessError> {
        let place = self.place.join(name)?;
        Ok(self.access.open(&place)?.reader(0))
    }

    /// Whether the object is there.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub fn holds(&self, name: &str) -> Result<bool, AccessError> {
        match self.access.look(&self.place.join(name)?) {
            Ok(Look::File(_)) => Ok(true),
            Ok(Look::Folder) | Err(AccessError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes an object, or another over it: readers see the one or the other.
    ///
    /// # Errors
    ///
    /// When the store does not take it.
    pub fn write(&self, name: &str, bytes: Vec<u8>) -> Result<(), AccessError> {
        let (remote, access) = self.object(name)?;
        access.net_for(&remote)?.put(&remote, bytes)
    }

    /// Begins to write an object of any size.
    ///
    /// # Errors
    ///
    /// When the store cannot be used.
    pub fn upload(&self, name: &str) -> Result<Upload, AccessError> {
        let (remote, access) = self.object(name)?;
        access.net_for(&remote)?.upload(&remote)
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// When the store refuses.
    pub fn delete(&self, name: &str) -> Result<(), AccessError> {
        let (remote, access) = self.object(name)?;
        access.net_for(&remote)?.delete(&remote)
    }

    fn object(&self, name: &str) -> Result<(Remote, &Access), AccessError> {
        let place = self.place.join(name)?;
        match place {
            Place::Remote(remote) if self.is_writable() => Ok((remote, &self.access)),
            Place::Remote(_) | Place::Local(_) => Err(AccessError::Refused {
                place: place.to_string(),
                rule: "only object stores can be written to".to_owned(),
            }),
        }
    }
}

/// As messages show it.
impl std::fmt::Display for SharedFolder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.place.fmt(formatter)
    }
}

fn not_found(place: &Place) -> AccessError {
    AccessError::NotFound {
        place: place.to_string(),
    }
}
