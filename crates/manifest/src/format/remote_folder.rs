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
