//! CSV and TSV files with a header row: one row per sample, columns by name.
//!
//! The path is in the column `path` (or `file_name`, `filename`, `filepath`, `file`, `image_path`, `image`), the id
//! in `id`, else it is the path, the label in `label` (or `class`); an empty label is none. Fields may be quoted.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};

use crate::error::ManifestError;
use crate::extension::names_sample_at;
use crate::index::{Entry, Spot};
use crate::listing::Listing;
use crate::place::Place;
use crate::source::{Columns, Kind};
use crate::unpack::{Packing, read_error};

/// The longest row, quoted line ends included: 1 MiB, and what the parser reads ahead.
const MAX_ROW_BYTES: u64 = 1 << 20;
const BUFFER_BYTES: usize = 1 << 18;
/// Names of the column of paths, the first that there is.
pub(super) const PATHS: [&str; 7] = [
    "path",
    "file_name",
    "filename",
    "filepath",
    "file",
    "image_path",
    "image",
];
/// Names of the column of labels.
pub(super) const LABELS: [&str; 2] = ["label", "class"];

/// Adds the rows of the file at `place`, whose fields are separated by `delimiter`.
pub(crate) fn list(
    place: &Place,
    delimiter: u8,
    listing: &mut Listing<'_>,
) -> Result<(), ManifestError> {
    let object = listing.access.open(place)?;
    let file = listing.files.add_file(&object);
    listing.set_kind(Kind::Images, place)?;
    let (packing, _) = Packing::of(&place.file_name());
    let reader = packing.reader(&object);
    let reader = reader.map_err(|error| read_error(place, packing, error))?;
    let mut rows = Rows::new(place, packing, reader, delimiter);
    let columns = rows.header(&listing.source.columns)?;
    while let Some(line) = rows.next()? {
        let path = rows.text(columns.path, line)?;
        let id = match columns.id {
            Some(column) => rows.text(column, line)?,
            None => path,
        };
        let label = match columns.label {
            Some(column) => Some(rows.text(column, line)?).filter(|label| !label.is_empty()),
            None => None,
        };
        if id.is_empty() {
            return Err(rows.bad(line, "the id is empty"));
        }
        if !names_sample_at(path) {
            return Err(ManifestError::UnsupportedExtension {
                place: place.to_string(),
                line,
                file: path.to_owned(),
            });
        }
        listing.rows.push(&Entry {
            id,
            label,
            file,
            line,
            spot: match path == id {
                true => Spot::Id,
                false => Spot::Path(path),
            },
            stamp: None,
            digest: None,
        })?;
    }
    Ok(())
}

struct Found {
    id: Option<usize>,
    path: usize,
    label: Option<usize>,
}

struct Rows<'a> {
    place: &'a Place,
    packing: Packing,
    reader: csv::Reader<Allowed<Box<dyn Read>>>,
    /// What may still be read for the row at hand.
    allowance: Rc<Cell<u64>>,
    record: ByteRecord,
    /// 1 where the parser has counted a row's own line end by the time it gives the row: for LF, not for CRLF.
    counted: u64,
}

impl<'a> Rows<'a> {
    fn new(place: &'a Place, packing: Packing, reader: Box<dyn Read>, delimiter: u8) -> Self {
        let allowance = Rc::new(Cell::new(0));
        let reader = Allowed {
            reader,
            left: Rc::clone(&allowance),
        };
        Self {
            place,
            packing,
            reader: ReaderBuilder::new()
                .delimiter(delimiter)
                .has_headers(false)
                .buffer_capacity(BUFFER_BYTES)
                .from_reader(reader),
            allowance,
            record: ByteRecord::new(),
            counted: 0,
        }
    }

    /// The line that the row at hand begins in. The parser's own answer is where the row before ended: with blank
    /// lines between them, and with CRLF, that is another line.
    fn line(&self) -> u64 {
        let ends = |field: &[u8]| field.iter().filter(|byte| **byte == b'\n').count() as u64;
        let within: u64 = self.record.iter().map(ends).sum();
        let after = self.reader.position().line();
        let own = self.record.position().map_or(0, csv::Position::line);
        after.saturating_sub(within + self.counted).max(own)
    }

    /// Moves on to the next row. The answer is the line that it begins in, `None` after the last.
    fn next(&mut self) -> Result<Option<u64>, ManifestError> {
        self.allowance.set(MAX_ROW_BYTES + BUFFER_BYTES as u64);
        let found = self.reader.read_byte_record(&mut self.record);
        match found {
            Ok(true) => Ok(Some(self.line())),
            Ok(false) => Ok(None),
            Err(error) => Err(self.refusal(error)),
        }
    }

    fn refusal(&self, error: csv::Error) -> ManifestError {
        let line = self.reader.position().line();
        match error.into_kind() {
            csv::ErrorKind::Io(_) if self.allowance.get() == 0 => ManifestError::LineTooLong {
                place: self.place.to_string(),
                line,
                limit: MAX_ROW_BYTES,
            },
            csv::ErrorKind::Io(error) => read_error(self.place, self.packing, error),
            csv::ErrorKind::UnequalLengths {
                pos,
                expected_len,
                len,
            } => self.bad(
                pos.map_or(line, |pos| pos.line()),
                &format!("{len} fields, the header has {expected_len}"),
            ),
            other => self.bad(line, &format!("{other:?}")),
        }
    }

    fn header(&mut self, columns: &Columns) -> Result<Found, ManifestError> {
        let Some(line) = self.next()? else {
            return Err(ManifestError::Empty {
                place: self.place.to_string(),
            });
        };
        self.counted = u64::from(line > 1);
        let mut names = Vec::new();
        for column in 0..self.record.len() {
            names.push(
                self.text(column, 1)?
                    .trim()
                    .trim_start_matches('\u{feff}')
                    .to_owned(),
            );
        }
        if let Some(other) = columns.image.as_ref().or(columns.vector.as_ref()) {
            return Err(self.bad_column(&format!(
                "no column `{other}`: only Parquet holds images or vectors in columns"
            )));
        }
        let find = |given: &Option<String>, usual: &[&str]| match given {
            Some(name) => match position(&names, name) {
                Some(column) => Ok(Some(column)),
                None => Err(self.bad_column(&missing(name, &names))),
            },
            None => Ok(usual.iter().find_map(|name| position(&names, name))),
        };
        let path = find(&columns.path, &PATHS)?;
        Ok(Found {
            id: find(&columns.id, &["id"])?,
            path: path.ok_or_else(|| self.bad_column(&missing("path", &names)))?,
            label: find(&columns.label, &LABELS)?,
        })
    }

    fn text(&self, column: usize, line: u64) -> Result<&str, ManifestError> {
        let field = self.record.get(column).unwrap_or_default();
        str::from_utf8(field).map_err(|error| self.bad(line, &error.to_string()))
    }

    fn bad(&self, line: u64, reason: &str) -> ManifestError {
        ManifestError::BadRow {
            place: self.place.to_string(),
            line,
            reason: reason.to_owned(),
        }
    }

    fn bad_column(&self, reason: &str) -> ManifestError {
        ManifestError::BadColumn {
            place: self.place.to_string(),
            reason: reason.to_owned(),
        }
    }
}

fn position(names: &[String], wanted: &str) -> Option<usize> {
    names.iter().position(|name| name == wanted)
}

/// That there is no such column, with some of those that there are.
pub(super) fn missing(name: &str, names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(20)
        .map(|name| format!("`{}`", name.chars().take(40).collect::<String>()))
        .collect();
    format!("no column `{name}`; there are {}", shown.join(", "))
}

/// A reader that stops with an error once its allowance is used up: the parser keeps a whole row, however long.
struct Allowed<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let left = self.left.get().saturating_sub(read as u64);
        self.left.set(left);
        match left {
            0 if read > 0 => Err(io::Error::other("a row that is too long")),
            _ => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::Format;
    use crate::source::Source;
    use crate::testing::{open_bytes, open_source, samples};

    type Seen = (String, Option<String>, String);

    fn rows(name: &str, text: impl AsRef<[u8]>) -> Result<Vec<Seen>, ManifestError> {
        let manifest = open_bytes(name, text.as_ref())?;
        let see = |sample: crate::Sample| {
            let place = sample.place(&Place::Local("root".into())).unwrap();
            let label = sample.label.as_deref().map(str::to_owned);
            (sample.id.to_string(), label, place.to_string())
        };
        Ok(samples(&manifest).into_iter().map(see).collect())
    }

    fn refusal(text: impl AsRef<[u8]>) -> String {
        rows("list.csv", text).unwrap_err().to_string()
    }

    #[test]
    fn reads_columns_by_name() {
        let text = "\u{feff}label,note,path,id\r\ncat,\"a, \"\"b\"\"\nc\",x/1.png,one\r\n,,/abs/2.jpg,two\n";
        let expected = [
            (
                "one".to_owned(),
                Some("cat".to_owned()),
                "root/x/1.png".to_owned(),
            ),
            ("two".to_owned(), None, "/abs/2.jpg".to_owned()),
        ];
        assert_eq!(rows("list.csv", text).unwrap(), expected);
        let tsv = "file_name\tclass\na,b.png\t\"x\ty\"\n";
        let expected = (
            "a,b.png".to_owned(),
            Some("x\ty".to_owned()),
            "root/a,b.png".to_owned(),
        );
        assert_eq!(
            rows("list.tsv", tsv).unwrap(),
            std::slice::from_ref(&expected)
        );
        let packed = zstd::encode_all(tsv.as_bytes(), 1).unwrap();
        assert_eq!(rows("list.tsv.zst", packed).unwrap(), [expected]);
    }

    #[test]
    fn reads_columns_of_other_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.data");
        std::fs::write(&path, "key,img,y\na,a.png,1\n").unwrap();
        let mut source = Source::new(path.to_str().unwrap());
        source.format = Some(Format::Csv);
        source.columns.id = Some("key".into());
        source.columns.path = Some("img".into());
        source.columns.label = Some("y".into());
        assert_eq!(open_source(&source).unwrap().len(), 1);
        source.columns.label = Some("z".into());
        let error = open_source(&source).unwrap_err().to_string();
        assert!(
            error.contains("no column `z`; there are `key`, `img`, `y`"),
            "{error}"
        );
    }

    #[test]
    fn names_the_line_of_a_bad_row() {
        for (text, reason) in [
            ("path\na.png\n\nb.gif\n", "line 4: `b.gif`"),
            ("path\r\na.png\r\n\r\nb.gif\r\n", "line 4: `b.gif`"),
            ("path\r\n\"a\n.png\"\r\nb.gif\r\n", "line 4: `b.gif`"),
            (
                "path,id\na.png,x\nb.png\n",
                "line 3: 1 fields, the header has 2",
            ),
            ("path,id\na.png,\n", "line 2: the id is empty"),
            (
                "path,id\na.png,x\n\"b\n.png\",y\nc.png,x\n",
                "list.csv line 2, and ",
            ),
            ("name\na.png\n", "no column `path`; there are `name`"),
            ("", "lists no sample"),
            ("path\n", "lists no sample"),
        ] {
            let refusal = refusal(text);
            assert!(
                refusal.contains(reason) && refusal.contains("list.csv"),
                "{refusal}"
            );
        }
        assert!(refusal(b"path\n\xff.png\n").contains("line 2: invalid utf-8"));
    }

    #[test]
    fn bounds_the_length_of_a_row() {
        let open_quote = format!("path\na.png\n\"{}", "x\n".repeat(2 << 20));
        let text = refusal(open_quote);
        assert!(text.contains("longer than"), "{text}");
        let long = format!("path,note\na.png,{}\n", "i".repeat(900_000));
        assert_eq!(rows("list.csv", long).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn round_trips_any_text(given in proptest::collection::hash_map("\\PC{1,6}|[\",\r\n]{1,4}", "\\PC{1,3}|[\",\n]{1,2}", 1..6)) {
            let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let given: Vec<_> = given.into_iter().collect();
            let lines = given.iter().map(|(id, label)| format!("a.png,{},{}\n", quote(label), quote(id)));
            let text: String = std::iter::once("path,label,id\n".to_owned()).chain(lines).collect();
            let rows = rows("list.csv", text).unwrap();
            let seen: Vec<_> = rows.into_iter().map(|(id, label, _)| (id, label.unwrap())).collect();
            prop_assert_eq!(seen, given);
        }

        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = rows("list.csv", [b"path,id\n", bytes.as_slice()].concat());
            let _ = rows("list.csv", &bytes);
            let _ = rows("list.csv.gz", &bytes);
        }
    }
}
