//! A file with one JSON object per line: `{"id": "…", "path": "…", "label": "…"}`.
//!
//! `id` and `path` are strings, `label` may be absent, a string or an integer; other fields are the user's own. A
//! relative path starts at the folder of the file. Blank lines are skipped, a byte order mark is accepted.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;

use crate::access::AccessError;
use crate::error::ManifestError;
use crate::extension::names_image;
use crate::index::{Entry, Spot};
use crate::label::{JsonLabel, json_reason};
use crate::listing::Listing;
use crate::place::Place;

/// The longest line, with its end: 1 MiB.
const MAX_LINE_BYTES: u64 = 1 << 20;
const BUFFER_BYTES: usize = 1 << 18;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(crate) fn list(place: &Place, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    let object = listing.access.open(place)?;
    let file = listing.files.add_file(&object);
    let reader = BufReader::with_capacity(BUFFER_BYTES, object.reader(0));
    let mut lines = Lines::new(place, reader);
    while let Some((line, text)) = lines.next()? {
        if !text.is_empty() {
            let row = parse(place, line, text)?;
            listing.rows.push(&row.entry(file, line))?;
        }
    }
    Ok(())
}

/// The row in `text`, one line without the space around it.
fn parse<'a>(place: &Place, line: u64, text: &'a [u8]) -> Result<Row<'a>, ManifestError> {
    let bad = |reason: String| ManifestError::BadRow {
        place: place.to_string(),
        line,
        reason,
    };
    let text = str::from_utf8(text).map_err(|error| bad(error.to_string()))?;
    // Checked here because serde would take an array for a row, field by field.
    if !text.starts_with('{') {
        return Err(bad("not a JSON object".to_owned()));
    }
    let row: Row<'_> = serde_json::from_str(text).map_err(|error| bad(json_reason(&error)))?;
    if row.id.is_empty() {
        return Err(bad("the id is empty".to_owned()));
    }
    if !names_image(&row.path) {
        return Err(ManifestError::UnsupportedExtension {
            place: place.to_string(),
            line,
            file: row.path.into_owned(),
        });
    }
    Ok(row)
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    label: Option<JsonLabel<'a>>,
}

impl Row<'_> {
    fn entry(&self, file: u32, line: u64) -> Entry<'_> {
        Entry {
            id: &self.id,
            label: self.label.as_ref().map(|label| &*label.0),
            file,
            line,
            spot: match self.path == self.id {
                true => Spot::Id,
                false => Spot::Path(&self.path),
            },
            stamp: None,
        }
    }
}

/// Lines of bounded length, in one buffer that is used again and again.
struct Lines<'a, R> {
    place: &'a Place,
    reader: R,
    buffer: Vec<u8>,
    /// The number of the line in the buffer, counted from 1.
    line: u64,
}

impl<'a, R: BufRead> Lines<'a, R> {
    fn new(place: &'a Place, reader: R) -> Self {
        Self {
            place,
            reader,
            buffer: Vec::new(),
            line: 0,
        }
    }

    /// The next line's number and its text without the space around it, or `None` after the last.
    fn next(&mut self) -> Result<Option<(u64, &[u8])>, ManifestError> {
        self.buffer.clear();
        self.line += 1;
        let read = (&mut self.reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut self.buffer)
            .map_err(AccessError::of_reader(self.place))?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == MAX_LINE_BYTES && !self.buffer.ends_with(b"\n") {
            return Err(ManifestError::LineTooLong {
                place: self.place.to_string(),
                line: self.line,
                limit: MAX_LINE_BYTES,
            });
        }
        let text = self.buffer.as_slice();
        let text = match self.line {
            1 => text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text),
            _ => text,
        };
        Ok(Some((self.line, text.trim_ascii())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::sample::Sample;
    use crate::testing::{open_bytes, samples};

    fn rows(text: impl AsRef<[u8]>) -> Result<Vec<Sample>, ManifestError> {
        open_bytes("list.jsonl", text.as_ref()).map(|manifest| samples(&manifest))
    }

    fn refusal(text: impl AsRef<[u8]>) -> String {
        rows(text).unwrap_err().to_string()
    }

    fn file(sample: &Sample) -> String {
        let place = sample.place(&Place::Local("root".into())).unwrap();
        place.to_string()
    }

    #[test]
    fn reads_rows_in_order() {
        let text = "\u{feff}\r\n{\"id\":\"b\",\"path\":\"x/b.png\",\"label\":\"cat\"}\r\n \t \n\
                    {\"note\":{\"k\":[1]},\"label\":7,\"path\":\"/abs/a.JPG\",\"id\":\"a\"}\n\
                    {\"id\":\"c.png\",\"path\":\"c.png\",\"label\":null}";
        let samples = rows(text).unwrap();
        let seen: Vec<_> = samples
            .iter()
            .map(|sample| (&*sample.id, sample.label.as_deref(), file(sample)))
            .collect();
        let expected = [
            ("b", Some("cat"), "root/x/b.png".to_owned()),
            ("a", Some("7"), "/abs/a.JPG".to_owned()),
            ("c.png", None, "root/c.png".to_owned()),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn names_the_line_of_a_bad_row() {
        let good = r#"{"id":"a","path":"a.png"}"#;
        for (bad, reason) in [
            (r#"{"id":"b"}"#, "missing field `path`"),
            (r#"{"path":"b.png"}"#, "missing field `id`"),
            (r#"{"id":3,"path":"b.png"}"#, "integer `3`"),
            (r#"{"id":"","path":"b.png"}"#, "id is empty"),
            (r#"{"id":"b","path":["b.png"]}"#, "sequence"),
            (
                r#"{"id":"b","path":"b.png","label":1.5}"#,
                "a string or an integer",
            ),
            (
                r#"{"id":"b","path":"b.png","id":"c"}"#,
                "duplicate field `id`",
            ),
            (r#"{"id":"b","path":"b.png"} x"#, "trailing characters"),
            (r#"{"id":"b","path":"b.png""#, "EOF"),
            (r#"{"id":"b","path":"b.gif"}"#, "`b.gif`"),
            (r#"["b","b.png"]"#, "not a JSON object"),
            ("null", "not a JSON object"),
        ] {
            let text = refusal(format!("{good}\n\n{bad}\n"));
            assert!(text.contains("list.jsonl: line 3: "), "{text}");
            assert!(text.contains(reason), "{text}");
            assert!(!text.contains("line 1"), "{text}");
        }
        let text = refusal(b"{\"id\":\"\xff\",\"path\":\"b.png\"}");
        assert!(text.contains("line 1: invalid utf-8"), "{text}");
    }

    #[test]
    fn names_both_lines_of_a_duplicate_id() {
        let text = refusal(
            "{\"id\":\"a\",\"path\":\"1.png\"}\n\n{\"id\":\"b\",\"path\":\"2.png\"}\n\
             {\"id\":\"a\",\"path\":\"3.png\"}\n",
        );
        assert!(
            text.contains("list.jsonl line 1, and ") && text.ends_with("list.jsonl line 4"),
            "{text}"
        );
    }

    #[test]
    fn bounds_the_length_of_a_line() {
        let limit = usize::try_from(MAX_LINE_BYTES).unwrap();
        let row = |length: usize| {
            let rest = r#"{"id":"","path":"a.png"}"#.len();
            format!(r#"{{"id":"{}","path":"a.png"}}"#, "i".repeat(length - rest))
        };
        assert_eq!(rows(row(limit - 1) + "\n").unwrap().len(), 1);
        for line in [row(limit) + "\n", " ".repeat(2 * limit)] {
            let error = rows(format!("\n{line}")).unwrap_err();
            assert!(matches!(error, ManifestError::LineTooLong { line: 2, .. }));
        }
    }

    proptest! {
        #[test]
        fn round_trips_any_text(given in proptest::collection::hash_map(
            "\\PC{1,8}|[\\x00-\\x7f\u{2028}\u{fffd}\u{10ffff}]{1,8}",
            (proptest::char::any(), proptest::option::of("\\PC{0,4}|[\\n\"\\\\]{1,3}")),
            1..8,
        )) {
            let given: Vec<_> = given.into_iter().collect();
            let text: String = given
                .iter()
                .map(|(id, (c, label))| {
                    json!({"id": id, "path": format!("x{c}.png"), "label": label}).to_string() + "\n"
                })
                .collect();
            let samples = rows(text).unwrap();
            prop_assert_eq!(samples.len(), given.len());
            for (sample, (id, (c, label))) in samples.iter().zip(&given) {
                prop_assert_eq!(&*sample.id, id);
                prop_assert_eq!(sample.label.as_deref(), label.as_deref());
                prop_assert_eq!(file(sample), format!("root/x{c}.png"));
            }
        }

        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = rows(bytes);
        }

        #[test]
        fn survives_any_json_like_text(text in "[\\[{\"idpathlbe:,.png0-9\\\\\n}\\] ]{0,64}") {
            let _ = rows(text);
        }
    }
}
