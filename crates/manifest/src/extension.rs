//! Which file names are samples.

/// The extensions of images, in lower case and without their dot: torchvision's `IMG_EXTENSIONS`.
///
/// The list decides which files of an image folder are samples, so it also decides their indices.
pub const IMAGE_EXTENSIONS: [&str; 9] = [
    "jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp",
];

/// Whether `suffix`, the part of a name after a dot, is an image extension in any case.
pub(crate) fn is_image(suffix: &str) -> bool {
    IMAGE_EXTENSIONS
        .iter()
        .any(|extension| suffix.eq_ignore_ascii_case(extension))
}

/// Whether `name` ends in a dot and an image extension. As for torchvision, nothing need stand before the dot.
pub(crate) fn names_image(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, suffix)| is_image(suffix))
}

/// Whether what a row says lies at `path`, a path or a URL, is named as a sample: an image, or a tensor, a `.npy` file,
/// which only rows can mean, as in a folder it may be anything. A URL may go on with a query.
pub(crate) fn names_sample_at(path: &str) -> bool {
    let is_url = path.starts_with("http://") || path.starts_with("https://");
    let path = match path.split_once('?') {
        Some((path, _)) if is_url => path,
        Some(_) | None => path,
    };
    let is_tensor = |(_, suffix): (&str, &str)| suffix.eq_ignore_ascii_case("npy");
    names_image(path) || path.rsplit_once('.').is_some_and(is_tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_extensions_as_torchvision_does() {
        for name in ["a.jpg", "a.b.JPEG", ".png", "dir.x/a.Tiff", "ü.webp"] {
            assert!(names_image(name), "{name}");
        }
        for name in [
            "jpg",
            "a.gif",
            "a.jpg ",
            "a.jpg.txt",
            "a.",
            "",
            "x.jpg/a",
            "a.jpgx",
        ] {
            assert!(!names_image(name), "{name}");
        }
    }

    #[test]
    fn rows_name_images_and_tensors_behind_any_query() {
        for path in [
            "a.jpg",
            "a.NPY",
            "https://host/a.npy?key=b.txt",
            "http://host/a.png?x",
        ] {
            assert!(names_sample_at(path), "{path}");
        }
        for path in ["npy", "a.npz", "https://host/a?b.npy", "a.npy?x"] {
            assert!(!names_sample_at(path), "{path}");
        }
    }
}
