//! Features in `.npy` files: a row per sample. Ids are the numbers of the rows, over all files.

use crate::error::ManifestError;
use crate::index::{Entry, Spot};
use crate::listing::Listing;
use crate::npy::Layout;
use crate::place::Place;
use crate::source::Kind;

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
    listing.rows.ids_are_unique();
    let length = layout.row_bytes();
    for row in 0..layout.rows {
        let number = listing.rows.rows();
        listing.rows.push(&Entry {
            id: &number.to_string(),
            label: None,
            file,
            line: row + 1,
            spot: Spot::Member {
                offset: layout.start + row * length,
                length,
            },
            stamp: None,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{open, open_bytes, samples};

    fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        crate::npy::testing::npy(1, descr, shape, data)
    }

    #[test]
    fn rows_are_samples() {
        let values: Vec<u8> = [1.0_f32, -2.5, 3.0, 0.0, 5.0, 6.5]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let manifest = open_bytes("f.npy", &npy("<f4", "(3, 2)", &values)).unwrap();
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
        let manifest = open_bytes("f.npy", &npy("<f2", "(1, 3)", &halves)).unwrap();
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
            std::fs::write(folder.path().join(name), npy("<f4", "(2, 1)", &[byte; 8])).unwrap();
        }
        let manifest = open(&folder.path().join("a{0..1}.npy")).unwrap();
        let bytes: Vec<u8> = (0..4).map(|row| manifest.read(row).unwrap()[0]).collect();
        assert_eq!(bytes, [0, 0, 1, 1]);
        std::fs::write(folder.path().join("a1.npy"), npy("<f4", "(1, 2)", &[0; 8])).unwrap();
        let error = open(&folder.path().join("a{0..1}.npy"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a1.npy: its samples are vectors of 2"),
            "{error}"
        );
    }

    #[test]
    fn refuses_what_holds_no_features() {
        let good = npy("<f4", "(2, 2)", &[7; 16]);
        for cut in 0..good.len() {
            let error = open_bytes("f.npy", &good[..cut]).unwrap_err();
            assert!(
                matches!(error, ManifestError::BadArray { .. }),
                "{cut}: {error}"
            );
        }
        for (descr, shape) in [
            ("<f8", "(1, 1)"),
            ("<f4", "(4,)"),
            ("<f4", "(0, 4)"),
            ("<i4", "(1, 2)"),
        ] {
            let error = open_bytes("f.npy", &npy(descr, shape, &[0; 8])).unwrap_err();
            assert!(error.to_string().contains("f.npy"), "{error}");
        }
    }
}
