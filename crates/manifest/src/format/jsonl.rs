//! Files with one JSON object per line: `{"id": "…", "path": "…", "label": "…"}`.
//!
//! `path` (or `file_name`) is where the image lies: relative to the folder of the file, absolute, or a URL. `id` is
//! the path where it is absent. `label` may be absent, a string or an integer. `offset` and `length`, both or none,
//! say that the image is these bytes of the file; `blake3` is the hash, in hexadecimal digits, that its bytes must have.
//! Other fields are the user's own. Blank lines are skipped, a byte
//! order mark is accepted, `.gz` and `.zst` are decompressed.

mod row;

use std::io::BufReader;

use self::row::{Names, Row};
use super::lines::Lines;
use crate::error::ManifestError;
use crate::extension::names_sample_at;
use crate::index::{Entry, Spot};
use crate::label::json_reason;
use crate::listing::Listing;
use crate::place::Place;
use crate::source::{Columns, Kind};
use crate::unpack::{Packing, read_error};

const BUFFER_BYTES: usize = 1 << 18;
/// Lines between two questions whether to go on, for files of blank lines.
const PROGRESS_LINES: u64 = 1 << 16;

pub(crate) fn list(place: &Place, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    refuse_columns(place, &listing.source.columns)?;
    let object = listing.access.open(place)?;
    let file = listing.files.add_file(&object);
    let vectors = listing.source.vectors;
    let kind = vectors.map_or(Kind::Images, |dimension| Kind::Features { dimension });
    listing.set_kind(kind, place)?;
    let (packing, _) = Packing::of(&place.file_name());
    let reader = packing.reader(&object);
    let reader = reader.map_err(|error| read_error(place, packing, error))?;
    let mut lines = Lines::new(
        place,
        packing,
        BufReader::with_capacity(BUFFER_BYTES, reader),
    );
    let names = Names::of(&listing.source.columns);
    let (mut rows, mut labelled) = (0, false);
    while let Some((line, text)) = lines.next()? {
        if line.is_multiple_of(PROGRESS_LINES) {
            listing.rows.proceed()?;
        }
        if text.is_empty() {
            continue;
        }
        let bad = |reason: String| ManifestError::BadRow {
            place: place.to_string(),
            line,
            reason,
        };
        let row = parse(text, &names).map_err(bad)?;
        let spot = row.spot(vectors).map_err(bad)?;
        let is_whole = matches!(spot, Spot::Id | Spot::Path(_));
        if is_whole && vectors.is_none() && !names_sample_at(&row.path) {
            return Err(ManifestError::UnsupportedExtension {
                place: place.to_string(),
                line,
                file: row.path.into_owned(),
            });
        }
        listing.rows.push(&Entry {
            id: row.id(),
            label: row.label.as_deref(),
            file,
            line,
            spot,
            stamp: None,
            digest: row.digest().map_err(bad)?,
        })?;
        rows += 1;
        labelled |= row.label.is_some();
    }
    match &listing.source.columns.label {
        // Somebody who names it expects it to be there.
        Some(name) if rows > 0 && !labelled => {
            Err(no_column(place, name, "no row has a label in it"))
        }
        Some(_) | None => Ok(()),
    }
}

fn no_column(place: &Place, name: &str, why: &str) -> ManifestError {
    ManifestError::BadSource {
        place: place.to_string(),
        reason: format!("no column `{name}`: {why}"),
    }
}

fn refuse_columns(place: &Place, columns: &Columns) -> Result<(), ManifestError> {
    match (&columns.image, &columns.vector) {
        (None, None) => Ok(()),
        (Some(name), _) | (None, Some(name)) => {
            let why = "only Parquet holds images or vectors in columns";
            Err(no_column(place, name, why))
        }
    }
}

/// The row in `text`, one line without the space around it.
fn parse<'a>(text: &'a [u8], names: &Names<'_>) -> Result<Row<'a>, String> {
    let text = str::from_utf8(text).map_err(|error| error.to_string())?;
    // Checked here because a parser's own words for it would not help.
    if !text.starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let row = Row::parse(text, names).map_err(|error| json_reason(&error))?;
    match row.id() {
        "" => Err("the id is empty".to_owned()),
        _ => Ok(row),
    }
}

#[cfg(test)]
mod tests;
