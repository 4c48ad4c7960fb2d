//! A folder with a sub-folder per class, in the order of torchvision's `ImageFolder`.
//!
//! The index of a sample here is its index in the trainer's dataset, so the order and the choice of files are
//! torchvision's to the letter: hidden files count, and so do links that lead nowhere (their samples fail when
//! read, as they do there). On purpose different: a folder that cannot be read is an error, where Python's
//! `os.walk` leaves it out in silence, and so is a loop of links.

use std::fs;
use std::path::Path;

use super::remote_folder;
use super::walk::{Walk, io, is_folder, utf8_name};
use crate::error::ManifestError;
use crate::index::{Entry, Spot};
use crate::listing::Listing;
use crate::place::Place;

pub(crate) fn list(place: &Place, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    let file = listing.files.add_folder(place);
    listing.rows.ids_are_unique();
    match place {
        Place::Local(root) => list_local(root, file, listing),
        Place::Remote(_) => remote_folder::list_classes(place, file, listing),
    }
}

fn list_local(root: &Path, file: u32, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    for class in classes(root)? {
        let listed_before = listing.rows.rows();
        for folder in Walk::new(root, listing.access).images_under(&class)? {
            for image in &folder.images {
                listing.rows.push(&Entry {
                    id: &format!("{}/{image}", folder.path),
                    label: Some(&class),
                    file,
                    line: 0,
                    spot: Spot::Id,
                    stamp: None,
                    digest: None,
                })?;
            }
        }
        if listing.rows.rows() == listed_before {
            let place = root.display().to_string();
            return Err(ManifestError::EmptyClass { place, class });
        }
    }
    Ok(())
}

/// The names of the sub-folders, sorted; a link to a folder is one.
fn classes(root: &Path) -> Result<Vec<String>, ManifestError> {
    let mut classes = Vec::new();
    for entry in fs::read_dir(root).map_err(io(root))? {
        let entry = entry.map_err(io(root))?;
        if is_folder(&entry)? {
            classes.push(utf8_name(root, &entry)?);
        }
    }
    if classes.is_empty() {
        let place = root.display().to_string();
        return Err(ManifestError::NoClassFolder { place });
    }
    classes.sort_unstable();
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use crate::testing::{access, open, samples};

    fn list(root: &Path) -> Result<Vec<Sample>, ManifestError> {
        open(root).map(|manifest| samples(&manifest))
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        root
    }

    fn ids(root: &Path) -> Vec<String> {
        let samples = list(root).unwrap();
        samples.iter().map(|sample| sample.id.to_string()).collect()
    }

    /// The expected order is what `torchvision.datasets.folder.make_dataset` does with Python's `os.walk`: folders
    /// by their path as one string, in which `-` and ` ` come before `/` and `0` after it, then files by name.
    #[test]
    fn orders_as_torchvision_does() {
        let expected = [
            "Zebra/1.png",
            "cat/.hidden.png",
            "cat/.jpg",
            "cat/10.png",
            "cat/2.png",
            "cat/B.JPEG",
            "cat/a.Tiff",
            "cat/z.webp",
            "cat/\u{ff5e}.png",
            "cat/\u{1f431}.png",
            "cat/a/z.png",
            "cat/a b/1.png",
            "cat/a-b/1.png",
            "cat/a/b/1.png",
            "cat/a/b/c/1.png",
            "cat/a0/1.png",
            "dog/deep/er/1.pgm",
            "ünder/1.png",
        ];
        let mut files = expected.to_vec();
        files.reverse();
        files.extend(["cat/notes.txt", "cat/x.gif", "cat/a/png", "readme.png"]);
        let root = tree(&files);

        assert_eq!(ids(root.path()), expected);
        for sample in list(root.path()).unwrap() {
            let class = sample.id.split('/').next();
            assert_eq!(sample.label.as_deref(), class);
        }
    }

    #[test]
    fn refuses_a_class_without_images() {
        let root = tree(&["cat/1.png", "dog/notes.txt", "eel/1.png"]);
        let error = list(root.path()).unwrap_err();
        assert!(matches!(error, ManifestError::EmptyClass { class, .. } if class == "dog"));
    }

    #[test]
    fn refuses_a_root_without_classes() {
        let root = tree(&["notes.md"]);
        let error = list(root.path()).unwrap_err();
        assert!(matches!(error, ManifestError::NoClassFolder { .. }));
    }

    #[cfg(unix)]
    mod links {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        use super::*;

        #[test]
        fn are_followed_and_may_lead_nowhere() {
            let root = tree(&["cat/1.png", "cat/sub/2.png"]);
            symlink("cat", root.path().join("kitty")).unwrap();
            symlink("sub", root.path().join("cat/twin")).unwrap();
            symlink("absent", root.path().join("cat/broken.png")).unwrap();
            symlink("self.png", root.path().join("cat/self.png")).unwrap();
            let in_class = ["1.png", "broken.png", "self.png", "sub/2.png", "twin/2.png"];
            let expected: Vec<String> = ["cat", "kitty"]
                .iter()
                .flat_map(|class| in_class.map(|file| format!("{class}/{file}")))
                .collect();
            assert_eq!(ids(root.path()), expected);
        }

        #[test]
        fn in_a_loop_are_refused() {
            for (link, target) in [
                ("cat/sub/up", ".."),
                ("cat/sub/self", "."),
                ("cat/sub/root", "../.."),
                ("cat/sub/over", "../../dog"),
            ] {
                let root = tree(&["cat/sub/1.png", "dog/1.png"]);
                symlink("../cat", root.path().join("dog/back")).unwrap();
                symlink(target, root.path().join(link)).unwrap();
                let error = list(root.path()).unwrap_err();
                assert!(matches!(error, ManifestError::LinkLoop { .. }), "{link}");
            }
        }

        #[test]
        fn that_multiply_are_refused() {
            let root = tree(&["cat/1.png", "others/a/1.png"]);
            for i in 0..5 {
                symlink("../others", root.path().join(format!("cat/{i}"))).unwrap();
            }
            let access = access();
            let folders = |limit| {
                let mut walk = Walk::new(root.path(), &access);
                walk.linked_limit = limit;
                walk.images_under("cat").map(|folders| folders.len())
            };
            assert_eq!(folders(10).unwrap(), 11);
            let error = folders(9).unwrap_err();
            assert!(matches!(
                error,
                ManifestError::TooManyLinkedFolders { limit: 9, .. }
            ));
        }

        #[test]
        fn names_that_are_not_utf8_are_refused() {
            for name in [&b"cat/b\xffd.png"[..], b"b\xffd/1.png"] {
                let root = tree(&["cat/1.png"]);
                let path = root.path().join(std::ffi::OsStr::from_bytes(name));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
                let error = list(root.path()).unwrap_err();
                assert!(error.to_string().contains("b\u{fffd}d"), "{error}");
            }
        }
    }
}
