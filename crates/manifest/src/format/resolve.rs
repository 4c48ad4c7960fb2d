//! From a source's URI to its files and their format.

use crate::access::{Access, Look};
use crate::error::ManifestError;
use crate::format::Format;
use crate::place::Place;
use crate::source::Source;

/// A source's files or folder, in order, all of one format.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) format: Format,
    pub(crate) places: Vec<Place>,
}

/// The files of `source`.
pub(crate) fn resolve(source: &Source, access: &Access) -> Result<Inputs, ManifestError> {
    let place = Place::parse(&source.uri)?;
    let format = match source.format {
        Some(format) => format,
        None => detect(&place, access)?,
    };
    Ok(Inputs {
        format,
        places: vec![place],
    })
}

fn detect(place: &Place, access: &Access) -> Result<Format, ManifestError> {
    if access.look(place)? == Look::Folder {
        return Ok(Format::ImageFolder);
    }
    match place.extension().as_deref() {
        Some("tar") => Ok(Format::WebDataset),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some(_) | None => Err(ManifestError::UnsupportedSource {
            place: place.to_string(),
        }),
    }
}
