//! A source while it is listed: what every format reads from and writes to.

use std::ops::ControlFlow;

use crate::access::Access;
use crate::error::ManifestError;
use crate::files::Files;
use crate::format::Spool;
use crate::index::Builder;
use crate::place::Place;
use crate::source::{Kind, Source};

/// What a format's `list` function is given.
pub(crate) struct Listing<'a> {
    pub(crate) access: &'a Access,
    pub(crate) source: &'a Source,
    pub(crate) files: Files,
    pub(crate) rows: Builder<'a>,
    /// What compressed archives hold, unpacked.
    pub(crate) spool: Option<Spool>,
    /// What the samples turned out to be; the same in all files.
    pub(crate) kind: Option<Kind>,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(
        source: &'a Source,
        access: &'a Access,
        progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Self, ManifestError> {
        Ok(Self {
            access,
            source,
            files: Files::default(),
            rows: Builder::new(access, progress)?,
            spool: None,
            kind: None,
        })
    }

    /// Takes note of what the samples of a file are.
    pub(crate) fn set_kind(&mut self, kind: Kind, place: &Place) -> Result<(), ManifestError> {
        match self.kind.replace(kind) {
            Some(before) if before != kind => Err(ManifestError::BadSource {
                place: place.to_string(),
                reason: format!("its samples are {kind}, those of the files before it {before}"),
            }),
            Some(_) | None => Ok(()),
        }
    }
}
