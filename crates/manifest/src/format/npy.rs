//! Features in `.npy` files: a row per sample.
//!
//! Beside `NAME.npy` may lie `NAME.ids.jsonl`, as `curriculum extract` writes it: a line per row with `id` and perhaps
//! `label`. Without it, ids are the numbers of the rows, over all files.

use std::io::BufReader;

use curriculum_npy::Layout;
use serde::Deserialize;

use super::lines::Lines;
use crate::access::{AccessError, Sequential};
use crate::error::ManifestError;
use crate::index::{Entry, Spot};
use crate::label::{JsonLabel, json_reason};
use crate::listing::Listing;
use crate::place::Place;
use crate::source::Kind;
use crate::unpack::Packing;

const BUFFER_BYTES: usize = 1 << 18;

pub(crate) fn list(place: &Place, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    let object = listing.access.open(place)?;
    let file = listing.files.add_file(&object);
    let bad = |reason: String| ManifestError::BadArray {
        place: place.to_string(),
        reason,
    };
    let head = object.len().min(Layout::HEAD_BYTES);
    let head = object.read_at(0, head as usize)?;
    let layout = Layout::parse(&head, object.len()).map_err(|error| bad(error.to_string()))?;
    let dimension = u32::try_from(layout.dimension)
        .map_err(|_| bad(format!("rows of {} numbers", layout.dimension)))?;
    listing.set_kind(Kind::Features { dimension }, place)?;
    if layout.halves {
        listing.files.mark_halves(file);
    }
    let names = place.parent().join(&names_of(place))?;
    let mut names = Names::open(&names, listing)?;
    let length = layout.row_bytes();
    for row in 0..layout.rows {
        let number = listing.rows.rows().to_string();
        let (id, label) = match &mut names {
            Some(names) => names.next(layout.rows)?,
            None => (number, None),
        };
        listing.rows.push(&Entry {
            id: &id,
            label: label.as_deref(),
            file,
            line: row + 1,
            spot: Spot::Member {
                offset: layout.start + row * length,
                length,
            },
            stamp: None,
            digest: None,
        })?;
    }
    match &mut names {
        Some(names) => names.end(layout.rows),
        None => Ok(()),
    }
}

/// `NAME.ids.jsonl` for `NAME.npy`.
fn names_of(place: &Place) -> String {
    let name = place.file_name();
    let stem = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem);
    format!("{stem}.ids.jsonl")
}

/// Ids and labels of the rows, in order.
struct Names {
    place: Place,
    lines: Lines<BufReader<Sequential>>,
}

#[derive(Deserialize)]
struct Name<'a> {
    id: String,
    #[serde(borrow, default)]
    label: Option<JsonLabel<'a>>,
}

impl Names {
    fn open(place: &Place, listing: &Listing<'_>) -> Result<Option<Self>, ManifestError> {
        let object = match listing.access.open(place) {
            Ok(object) => object,
            // A file that may not be read is as good as none: it was not asked for.
            Err(AccessError::NotFound { .. } | AccessError::Refused { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let reader = BufReader::with_capacity(BUFFER_BYTES, object.reader(0));
        Ok(Some(Self {
            place: place.clone(),
            lines: Lines::new(place, Packing::Plain, reader),
        }))
    }

    fn next(&mut self, rows: u64) -> Result<(String, Option<String>), ManifestError> {
        while let Some((line, text)) = self.lines.next()? {
            if text.is_empty() {
                continue;
            }
            let name = serde_json::from_slice::<Name<'_>>(text);
            let name = name.map_err(|error| json_reason(&error));
            let name = name.and_then(|name| match name.id.is_empty() {
                true => Err("the id is empty".to_owned()),
                false => Ok((name.id, name.label.map(|label| label.0.into_owned()))),
            });
            return name.map_err(|reason| ManifestError::BadRow {
                place: self.place.to_string(),
                line,
                reason,
            });
        }
        Err(self.wrong_count("fewer", rows))
    }

    fn end(&mut self, rows: u64) -> Result<(), ManifestError> {
        while let Some((_, text)) = self.lines.next()? {
            if !text.is_empty() {
                return Err(self.wrong_count("more", rows));
            }
        }
        Ok(())
    }

    fn wrong_count(&self, than: &str, rows: u64) -> ManifestError {
        ManifestError::BadSource {
            place: self.place.to_string(),
            reason: format!("{than} lines than the {rows} rows that they name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{open, open_bytes, samples};

    fn npy(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
        [&curriculum_npy::header(descr, shape), data].concat()
    }

    #[test]
    fn rows_are_samples() {
        let values: Vec<u8> = [1.0_f32, -2.5, 3.0, 0.0, 5.0, 6.5]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let manifest = open_bytes("f.npy", &npy("<f4", &[3, 2], &values)).unwrap();
        assert_eq!(
            (manifest.len(), manifest.kind()),
            (3, Kind::Features { dimension: 2 })
        );
        let ids: Vec<String> = samples(&manifest)
            .iter()
            .map(|sample| sample.id.to_string())
            .collect();
        assert_eq!(ids, ["0", "1", "2"]);
        for row in 0..3 {
            assert_eq!(
                manifest.read(row as u64).unwrap(),
                values[8 * row..8 * (row + 1)]
            );
        }
    }

    #[test]
    fn halves_are_read_as_singles() {
        let halves: Vec<u8> = [1.0, -0.5, 65504.0]
            .iter()
            .flat_map(|x| half::f16::from_f32(*x).to_le_bytes())
            .collect();
        let manifest = open_bytes("f.npy", &npy("<f2", &[1, 3], &halves)).unwrap();
        let singles: Vec<u8> = [1.0_f32, -0.5, 65504.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        assert_eq!(manifest.read(0).unwrap(), singles);
    }

    #[test]
    fn many_files_are_one_list() {
        let folder = tempfile::tempdir().unwrap();
        for (name, byte) in [("a0.npy", 0), ("a1.npy", 1)] {
            std::fs::write(folder.path().join(name), npy("<f4", &[2, 1], &[byte; 8])).unwrap();
        }
        let manifest = open(&folder.path().join("a{0..1}.npy")).unwrap();
        let bytes: Vec<u8> = (0..4).map(|row| manifest.read(row).unwrap()[0]).collect();
        assert_eq!(bytes, [0, 0, 1, 1]);
        std::fs::write(folder.path().join("a1.npy"), npy("<f4", &[1, 2], &[0; 8])).unwrap();
        let error = open(&folder.path().join("a{0..1}.npy"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a1.npy: its samples are vectors of 2"),
            "{error}"
        );
    }

    #[test]
    fn rows_are_named_by_a_list_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("f.npy"), npy("<f4", &[2, 1], &[0; 8])).unwrap();
        let names = "{\"index\":0,\"id\":\"a\",\"label\":\"x\"}\n{\"index\":1,\"id\":\"b\",\"label\":null,\"error\":\"e\"}\n";
        std::fs::write(at("f.ids.jsonl"), names).unwrap();
        let seen: Vec<_> = samples(&open(&at("f.npy")).unwrap())
            .into_iter()
            .map(|sample| {
                (
                    sample.id.to_string(),
                    sample.label.as_deref().map(str::to_owned),
                )
            })
            .collect();
        assert_eq!(seen, [("a".into(), Some("x".into())), ("b".into(), None)]);
        for (names, reason) in [
            (
                "{\"id\":\"a\"}\n",
                "f.ids.jsonl: fewer lines than the 2 rows",
            ),
            (
                "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n",
                "f.ids.jsonl: more lines",
            ),
            (
                "{\"id\":\"a\"}\n{\"ib\":\"b\"}\n",
                "f.ids.jsonl: line 2: missing field `id`",
            ),
            (
                "{\"id\":\"a\"}\n\n{\"id\":\"\"}\n",
                "line 3: the id is empty",
            ),
            ("{\"id\":\"a\"}\n{\"id\":\"a\"}\n", "f.npy at byte"),
        ] {
            std::fs::write(at("f.ids.jsonl"), names).unwrap();
            let error = open(&at("f.npy")).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn refuses_what_holds_no_features() {
        let good = npy("<f4", &[2, 2], &[7; 16]);
        for cut in 0..good.len() {
            let error = open_bytes("f.npy", &good[..cut]).unwrap_err();
            assert!(
                matches!(error, ManifestError::BadArray { .. }),
                "{cut}: {error}"
            );
        }
        for (descr, shape) in [
            ("<f8", &[1, 1][..]),
            ("<f4", &[4]),
            ("<f4", &[0, 4]),
            ("<i4", &[1, 2]),
        ] {
            let error = open_bytes("f.npy", &npy(descr, shape, &[0; 8])).unwrap_err();
            assert!(error.to_string().contains("f.npy"), "{error}");
        }
    }
}
