//! From a source's URI to its files and their format.

use std::io::{BufReader, Read};
use std::path::Path;

use super::lines::Lines;
use super::survey;
use crate::access::{Access, Look};
use crate::error::ManifestError;
use crate::format::Format;
use crate::pattern::{MAX_BYTES, MAX_FILES, expand};
use crate::place::Place;
use crate::source::Source;
use crate::unpack::Packing;

/// The longest list of files: 64 MiB.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// A source's files or folder, in order, all of one format.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) format: Format,
    pub(crate) places: Vec<Place>,
}

/// The files of `source`.
pub(crate) fn resolve(source: &Source, access: &Access) -> Result<Inputs, ManifestError> {
    let mut places = Vec::new();
    let mut bytes = 0;
    for name in names(&source.uri, access)? {
        let place = Place::parse(&name)?;
        match is_list(&place, source.format) {
            true => read_list(&place, access, &mut places, &mut bytes)?,
            false => places.push(place),
        }
        check_count(places.len())?;
    }
    if let [place] = places.as_slice()
        && is_folder(place, access)?
    {
        return folder(place, source.format, access);
    }
    let format = match source.format {
        Some(format) => format,
        None => common_format(&places)?,
    };
    Ok(Inputs { format, places })
}

/// A local file may have braces in its name; where it is there, it is meant.
fn names(uri: &str, access: &Access) -> Result<Vec<String>, ManifestError> {
    let place = Place::parse(uri)?;
    let is_there = place
        .as_local()
        .is_some_and(|path| access.check_local(path).is_ok() && path.exists());
    match uri.contains('{') && !is_there {
        true => expand(uri),
        false => Ok(vec![uri.to_owned()]),
    }
}

fn is_list(place: &Place, format: Option<Format>) -> bool {
    let is_list = matches!(place.extension().as_deref(), Some("txt" | "list"));
    let is_rows = matches!(format, Some(Format::Jsonl | Format::Csv | Format::Tsv));
    is_list && !is_rows
}

/// The files that a list names, one a line. Blank lines, and those that begin with `#`, name none. `bytes`
/// are those of all names of all lists.
fn read_list(
    list: &Place,
    access: &Access,
    places: &mut Vec<Place>,
    bytes: &mut u128,
) -> Result<(), ManifestError> {
    let object = access.open(list)?;
    let reader = BufReader::new(object.reader(0).take(MAX_LIST_BYTES + 1));
    if object.len() > MAX_LIST_BYTES {
        return Err(ManifestError::BadSource {
            place: list.to_string(),
            reason: format!("a list of files of more than {MAX_LIST_BYTES} bytes"),
        });
    }
    let base = list.parent();
    let mut lines = Lines::new(list, Packing::Plain, reader);
    while let Some((line, text)) = lines.next()? {
        let bad = |reason: String| ManifestError::BadRow {
            place: list.to_string(),
            line,
            reason,
        };
        let text = str::from_utf8(text).map_err(|error| bad(error.to_string()))?;
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        for name in expand(text).map_err(|error| bad(error.to_string()))? {
            *bytes += name.len() as u128;
            if *bytes > MAX_BYTES {
                return Err(bad(format!("more than {MAX_BYTES} bytes of names")));
            }
            let place = base.join(&name).map_err(|error| bad(error.to_string()))?;
            if is_list(&place, None) {
                return Err(bad(format!("`{place}`: a list within a list")));
            }
            if format_of(&place).is_none() {
                return Err(bad(format!(
                    "`{place}`: not a .tar, .parquet, .jsonl, .csv, .tsv or .npy file"
                )));
            }
            places.push(place);
        }
        check_count(places.len())?;
    }
    match places.is_empty() {
        false => Ok(()),
        true => Err(ManifestError::Empty {
            place: list.to_string(),
        }),
    }
}

fn check_count(count: usize) -> Result<(), ManifestError> {
    match count <= MAX_FILES {
        true => Ok(()),
        false => Err(ManifestError::TooManyFiles { limit: MAX_FILES }),
    }
}

/// The format of a file by its name.
pub(super) fn format_of(place: &Place) -> Option<Format> {
    let (_, stem) = Packing::of(&place.file_name());
    let extension = Path::new(&stem).extension()?.to_str()?;
    match extension {
        "tar" => Some(Format::WebDataset),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "csv" => Some(Format::Csv),
        "tsv" => Some(Format::Tsv),
        "parquet" => Some(Format::Parquet),
        "npy" => Some(Format::Npy),
        _ => None,
    }
}

fn common_format(places: &[Place]) -> Result<Format, ManifestError> {
    let unsupported = |place: &Place| ManifestError::UnsupportedSource {
        place: place.to_string(),
    };
    let first = places.first().ok_or_else(|| ManifestError::Empty {
        place: String::new(),
    })?;
    let format = format_of(first).ok_or_else(|| unsupported(first))?;
    for place in places {
        match format_of(place) {
            Some(other) if other == format => {}
            Some(_) => {
                return Err(ManifestError::MixedFormats {
                    first: first.to_string(),
                    second: place.to_string(),
                });
            }
            None => return Err(unsupported(place)),
        }
    }
    Ok(format)
}

/// An object whose name says its format is not asked whether it is a folder: that costs a request, and a folder
/// of that name can be told by a slash at its end.
fn is_folder(place: &Place, access: &Access) -> Result<bool, ManifestError> {
    match place {
        Place::Remote(remote) if !remote.folder && format_of(place).is_some() => Ok(false),
        Place::Remote(_) | Place::Local(_) => Ok(access.look(place)? == Look::Folder),
    }
}

/// A folder is a source of images itself, or stands for the files in it.
fn folder(place: &Place, format: Option<Format>, access: &Access) -> Result<Inputs, ManifestError> {
    let format = match format {
        Some(format) => format,
        None => survey::detect(place, access)?,
    };
    let places = match format {
        Format::ImageFolder | Format::FlatFolder => vec![place.clone()],
        Format::WebDataset
        | Format::Jsonl
        | Format::Csv
        | Format::Tsv
        | Format::Parquet
        | Format::Npy => survey::files(place, format, access)?,
    };
    Ok(Inputs { format, places })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::access;

    fn found(folder: &Path, uri: &str) -> Result<Inputs, ManifestError> {
        let uri = folder.join(uri);
        resolve(&Source::new(uri.to_str().unwrap()), &access())
    }

    fn names(folder: &Path, uri: &str) -> Vec<String> {
        let inputs = found(folder, uri).unwrap();
        inputs.places.iter().map(Place::file_name).collect()
    }

    fn refusal(folder: &Path, uri: &str) -> String {
        found(folder, uri).unwrap_err().to_string()
    }

    #[test]
    fn detects_by_what_the_path_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for (name, format) in [
            ("a.TAR", Format::WebDataset),
            ("a.tar.gz", Format::WebDataset),
            ("a.tgz", Format::WebDataset),
            ("a.jsonl", Format::Jsonl),
            ("a.ndjson.zst", Format::Jsonl),
            ("a.csv", Format::Csv),
            ("a.tsv.gz", Format::Tsv),
            ("a.parquet", Format::Parquet),
            ("a.npy", Format::Npy),
        ] {
            fs::write(at.join(name), "").unwrap();
            assert_eq!(found(at, name).unwrap().format, format, "{name}");
        }
        for name in ["a.gz", "a", "a.tar.bz2"] {
            fs::write(at.join(name), "").unwrap();
            assert!(refusal(at, name).contains("not a source"), "{name}");
        }
        assert!(refusal(at, "absent").contains("no such file"));
    }

    #[test]
    fn detects_what_a_folder_holds() {
        for (files, format) in [
            (&["cat/1.png", "readme.png"][..], Format::ImageFolder),
            (&["1.png", "notes.txt"], Format::FlatFolder),
            (&["1.parquet", "0.parquet", "_SUCCESS"], Format::Parquet),
            (&["c=1/0.parquet", "c=0/0.parquet"], Format::Parquet),
            (&["b.tar", "a.tar.zst"], Format::WebDataset),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for file in files {
                let path = folder.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            let inputs = found(folder.path(), "").unwrap();
            assert_eq!(inputs.format, format);
            let names: Vec<String> = inputs.places.iter().map(ToString::to_string).collect();
            assert!(names.is_sorted(), "{names:?}");
            assert_eq!(
                names.len(),
                if inputs.format == Format::ImageFolder || inputs.format == Format::FlatFolder {
                    1
                } else {
                    2
                }
            );
        }
    }

    #[test]
    fn expands_braces_and_lists() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(
            names(at, "a-{00..02}.tar"),
            ["a-00.tar", "a-01.tar", "a-02.tar"]
        );
        fs::write(at.join("b{1}.tar"), "").unwrap();
        assert_eq!(names(at, "b{1}.tar"), ["b{1}.tar"]);

        fs::write(
            at.join("all.list"),
            "# shards\n\nsub/x-{1,2}.tar\n/abs/y.tar\r\n",
        )
        .unwrap();
        let inputs = found(at, "all.list").unwrap();
        let places: Vec<String> = inputs.places.iter().map(ToString::to_string).collect();
        let below = |name: &str| at.join(name).to_str().unwrap().to_owned();
        assert_eq!(
            places,
            [
                below("sub/x-1.tar"),
                below("sub/x-2.tar"),
                "/abs/y.tar".to_owned()
            ]
        );
        assert!(refusal(at, "{a.tar,b.jsonl}").contains("different formats"));
    }

    #[test]
    fn names_the_line_of_a_bad_list() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for (text, reason) in [
            ("a.tar\nself.txt\n", "line 2: "),
            ("a.tar\n\nb.png", "line 3: "),
            ("{0..999999999999}.tar", "line 1: "),
            ("a.tar\nftp://x/y.tar", "line 2: "),
            ("\u{0}", "line 1: "),
            ("# nothing\n", "lists no sample"),
        ] {
            fs::write(at.join("self.txt"), text).unwrap();
            let refusal = refusal(at, "self.txt");
            assert!(
                refusal.contains("self.txt") && refusal.contains(reason),
                "{refusal}"
            );
        }
    }
}
