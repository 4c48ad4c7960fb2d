//! A folder of images without classes: those directly in it, sorted by name. What lies deeper is left out.

use std::fs;
use std::io::Error;
use std::path::Path;

use super::remote_folder;
use super::walk::{io, is_folder, utf8_name};
use crate::error::ManifestError;
use crate::extension::names_image;
use crate::index::{Entry, Spot};
use crate::listing::Listing;
use crate::place::Place;
use crate::sort::Sorter;

pub(crate) fn list(place: &Place, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    let file = listing.files.add_folder(place);
    listing.rows.ids_are_unique();
    match place {
        Place::Local(root) => list_local(root, file, listing),
        Place::Remote(_) => remote_folder::list_flat(place, file, listing),
    }
}

fn list_local(root: &Path, file: u32, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    let access = listing.access;
    let scratch = || access.scratch_file();
    let mut sorter = Sorter::new(&scratch);
    for entry in fs::read_dir(root).map_err(io(root))? {
        let entry = entry.map_err(io(root))?;
        if !names_image(&entry.file_name().to_string_lossy()) || is_folder(&entry)? {
            continue;
        }
        let name = utf8_name(root, &entry)?;
        sorter
            .push(name.as_bytes(), &[])
            .map_err(ManifestError::scratch)?;
    }
    let mut sorted = sorter.finish().map_err(ManifestError::scratch)?;
    while let Some((name, _)) = sorted.next().map_err(ManifestError::scratch)? {
        let name = String::from_utf8(name).map_err(Error::other)?;
        listing.rows.push(&Entry {
            id: &name,
            label: None,
            file,
            line: 0,
            spot: Spot::Id,
            stamp: None,
            digest: None,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::testing::{open, samples};

    #[test]
    fn lists_images_by_name_without_labels() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b.png", "B.jpg", "10.png", "2.png", "notes.md", ".h.png"] {
            fs::write(root.path().join(name), name).unwrap();
        }
        let manifest = open(root.path()).unwrap();
        assert_eq!(manifest.format(), Format::FlatFolder);
        assert_eq!(manifest.unlabelled(), Some(0));
        let ids: Vec<String> = samples(&manifest)
            .iter()
            .map(|sample| sample.id.to_string())
            .collect();
        assert_eq!(ids, [".h.png", "10.png", "2.png", "B.jpg", "b.png"]);
        assert_eq!(manifest.read(4).unwrap(), b"b.png");
    }
}
