//! Images in a remote folder, in the order that the same files would have in a local one.
//!
//! A store lists keys by their bytes; torchvision goes by class, then by the path of a folder as one string, then by
//! file name. In `cat/a-b/1.png` and `cat/a/b.png` the two differ, so the keys are sorted again, on disk where they
//! are many.

use std::io::{self, Error};
use std::ops::ControlFlow;

use crate::access::{Listed, Stamp};
use crate::error::ManifestError;
use crate::extension::names_image;
use crate::index::{Entry, Spot, stamp_from_bytes, stamp_to_bytes};
use crate::listing::Listing;
use crate::place::Place;
use crate::sort::{Sorted, Sorter};

/// Objects between two questions whether to go on.
const PROGRESS_OBJECTS: u64 = 4096;

/// One sub-folder per class, as torchvision's `ImageFolder`.
pub(super) fn list_classes(
    folder: &Place,
    file: u32,
    listing: &mut Listing<'_>,
) -> Result<(), ManifestError> {
    let mut last_class = String::new();
    let mut sorted = sort(folder, listing, &mut |path, stamp, push| {
        let Some((class, _)) = path.split_once('/') else {
            return Ok(());
        };
        if names_image(path) {
            let (below, name) = path.rsplit_once('/').unwrap_or(("", path));
            return push(&format!("{class}\0{below}\0{name}"), stamp);
        }
        // Only shows that there is such a class, once for neighbours.
        if last_class != class {
            class.clone_into(&mut last_class);
            return push(&format!("{class}\0"), &Stamp::default());
        }
        Ok(())
    })?;
    let mut images_of = None::<(String, u64)>;
    let empty = |class: String| ManifestError::EmptyClass {
        place: folder.to_string(),
        class,
    };
    while let Some((key, stamp)) = next(&mut sorted)? {
        let (class, path) = key.split_once('\0').unwrap_or((&key, ""));
        match &mut images_of {
            Some((current, images)) if current == class => *images += u64::from(!path.is_empty()),
            Some((current, 0)) => return Err(empty(current.clone())),
            Some(_) | None => images_of = Some((class.to_owned(), u64::from(!path.is_empty()))),
        }
        if let Some((below, name)) = path.split_once('\0') {
            push(
                listing,
                file,
                &format!("{below}/{name}"),
                Some(class),
                &stamp,
            )?;
        }
    }
    match images_of {
        None => Err(ManifestError::NoClassFolder {
            place: folder.to_string(),
        }),
        Some((class, 0)) => Err(empty(class)),
        Some(_) => Ok(()),
    }
}

/// The images that lie directly in the folder.
pub(super) fn list_flat(
    folder: &Place,
    file: u32,
    listing: &mut Listing<'_>,
) -> Result<(), ManifestError> {
    let mut sorted = sort(
        folder,
        listing,
        &mut |path, stamp, push| match names_image(path) && !path.contains('/') {
            true => push(path, stamp),
            false => Ok(()),
        },
    )?;
    while let Some((name, stamp)) = next(&mut sorted)? {
        push(listing, file, &name, None, &stamp)?;
    }
    Ok(())
}

fn push(
    listing: &mut Listing<'_>,
    file: u32,
    id: &str,
    label: Option<&str>,
    stamp: &Stamp,
) -> Result<(), ManifestError> {
    listing.rows.push(&Entry {
        id,
        label,
        file,
        line: 0,
        spot: Spot::Id,
        stamp: Some(stamp),
        digest: None,
    })
}

type Push<'a> = dyn FnMut(&str, &Stamp) -> io::Result<()> + 'a;
type Choose<'a> = dyn FnMut(&str, &Stamp, &mut Push<'_>) -> io::Result<()> + 'a;

/// What `choose` pushes of the objects in `folder`, sorted.
fn sort(
    folder: &Place,
    listing: &mut Listing<'_>,
    choose: &mut Choose<'_>,
) -> Result<Sorted, ManifestError> {
    let access = listing.access;
    let scratch = || access.scratch_file();
    let mut sorter = Sorter::new(&scratch);
    let mut outcome = Ok(());
    let mut objects = 0_u64;
    access.list(folder, &mut |Listed { relative, stamp }| {
        objects += 1;
        outcome = match objects.is_multiple_of(PROGRESS_OBJECTS) {
            true => listing.rows.proceed(),
            false => Ok(()),
        };
        if outcome.is_ok() && relative.contains('\0') {
            outcome = Err(ManifestError::NonUtf8Name {
                place: folder.to_string(),
                name: relative.replace('\0', "\u{fffd}"),
            });
        }
        if outcome.is_ok() {
            let mut push =
                |key: &str, stamp: &Stamp| sorter.push(key.as_bytes(), &stamp_to_bytes(stamp));
            outcome = choose(relative, &stamp, &mut push).map_err(ManifestError::scratch);
        }
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    outcome?;
    sorter.finish().map_err(ManifestError::scratch)
}

fn next(sorted: &mut Sorted) -> Result<Option<(String, Stamp)>, ManifestError> {
    let Some((key, stamp)) = sorted.next().map_err(ManifestError::scratch)? else {
        return Ok(None);
    };
    let key = String::from_utf8(key).map_err(Error::other)?;
    let stamp = stamp_from_bytes(&stamp).unwrap_or_default();
    Ok(Some((key, stamp)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::access::testing::s3::S3;
    use crate::access::{Access, AccessOptions};
    use crate::format::Format;
    use crate::manifest::Manifest;
    use crate::source::Source;
    use crate::testing::{open, samples};

    fn access(s3: &S3) -> Access {
        let settings = s3.settings().into_iter().collect();
        let options = AccessOptions {
            settings,
            ..AccessOptions::default()
        };
        Access::new(options).unwrap()
    }

    fn open_at(s3: &S3, uri: &str) -> Result<Manifest, ManifestError> {
        let source = Source::new(uri);
        Manifest::open(&source, &access(s3), &mut |_| ControlFlow::Continue(()))
    }

    fn seen(manifest: &Manifest) -> Vec<(String, Option<String>)> {
        let see = |sample: crate::Sample| {
            let label = sample.label.as_deref().map(str::to_owned);
            (sample.id.to_string(), label)
        };
        samples(manifest).into_iter().map(see).collect()
    }

    fn write(root: &Path, file: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }

    /// The same files in a bucket and in a folder.
    fn both(s3: &S3, set: &str, files: &BTreeSet<String>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            write(root.path(), file);
            s3.put("data", &format!("{set}/{file}"), file);
        }
        root
    }

    #[test]
    fn lists_as_a_local_folder() {
        let s3 = S3::start();
        let files = [
            "Zebra/1.png",
            "cat/.hidden.png",
            "cat/10.png",
            "cat/2.png",
            "cat/a/z.png",
            "cat/a b/1.png",
            "cat/a-b/1.png",
            "cat/a/b/1.png",
            "cat/a0/1.png",
            "cat/notes.txt",
            "dog/deep/er/1.pgm",
            "readme.png",
            "ünder/1.png",
        ];
        let root = both(&s3, "set", &files.map(str::to_owned).into());
        let (here, there) = (
            open(root.path()).unwrap(),
            open_at(&s3, "s3://data/set").unwrap(),
        );
        assert_eq!(there.format(), Format::ImageFolder);
        assert_eq!(seen(&there), seen(&here));
        for index in 0..there.len() {
            assert_eq!(there.read(index).unwrap(), here.read(index).unwrap());
        }
        // The listing's marks are in the fingerprint: the same again, another once an object changes.
        let first = there.fingerprint().unwrap();
        assert_eq!(
            open_at(&s3, "s3://data/set/")
                .unwrap()
                .fingerprint()
                .unwrap(),
            first
        );
        s3.put("data", "set/cat/2.png", "new");
        assert_ne!(
            open_at(&s3, "s3://data/set")
                .unwrap()
                .fingerprint()
                .unwrap(),
            first
        );
    }

    #[test]
    fn lists_a_flat_folder_and_one_of_shards() {
        let s3 = S3::start();
        for name in ["b.png", "B.jpg", "10.png"] {
            s3.put("data", &format!("flat/{name}"), name);
        }
        let manifest = open_at(&s3, "s3://data/flat/").unwrap();
        assert_eq!(manifest.format(), Format::FlatFolder);
        let ids: Vec<String> = seen(&manifest).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["10.png", "B.jpg", "b.png"]);

        for shard in 0..3 {
            let mut tar = tar::Builder::new(Vec::new());
            for n in 0..2 {
                let mut header = tar::Header::new_ustar();
                header.set_size(5);
                let name = format!("cat/{shard}-{n}.png");
                tar.append_data(&mut header, name, &b"image"[..]).unwrap();
            }
            s3.put(
                "data",
                &format!("shards/t-{shard}.tar"),
                tar.into_inner().unwrap(),
            );
        }
        for uri in ["s3://data/shards/", "s3://data/shards/t-{0..2}.tar"] {
            let manifest = open_at(&s3, uri).unwrap();
            assert_eq!((manifest.format(), manifest.len()), (Format::WebDataset, 6));
            assert_eq!(&*manifest.sample(3).unwrap().id, "cat/1-1.png");
            assert_eq!(manifest.read(5).unwrap(), b"image");
        }
    }

    #[test]
    fn refuses_classes_without_images() {
        let s3 = S3::start();
        for name in ["cat/1.png", "dog/notes.txt", "dog/more.txt", "eel/1.png"] {
            s3.put("data", &format!("set/{name}"), name);
        }
        let error = open_at(&s3, "s3://data/set").unwrap_err();
        assert!(matches!(error, ManifestError::EmptyClass { class, .. } if class == "dog"));
        s3.put("data", "none/notes.txt", "");
        let error = open_at(&s3, "s3://data/none").unwrap_err();
        assert!(
            matches!(error, ManifestError::NoClassFolder { .. }),
            "{error}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn orders_any_tree_as_a_local_folder(
            files in proptest::collection::btree_set("[ab][- 0ü]?/([ab][- 0]?/){0,2}[a0-]{1,2}\\.png", 1..16)
        ) {
            let s3 = S3::start();
            let root = both(&s3, "set", &files);
            let there = open_at(&s3, "s3://data/set").unwrap();
            prop_assert_eq!(seen(&there), seen(&open(root.path()).unwrap()));
        }
    }
}
