//! Labels: as JSON writes them, and kept once for the samples of a class.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// Distinct labels that are kept once each. Past them, or past as many bytes, a label is written with every sample.
const TABLE_LABELS: usize = 1 << 20;
const TABLE_BYTES: usize = 64 << 20;

/// Numbers the distinct labels of a manifest, in order of their first use.
#[derive(Debug, Default)]
pub(crate) struct LabelTable {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    bytes: usize,
    /// The last one asked for: neighbours often share their class.
    last: u32,
}

impl LabelTable {
    /// The label's number, or `None` for a new one once the table is full.
    pub(crate) fn number(&mut self, label: &str) -> Option<u32> {
        if self
            .texts
            .get(self.last as usize)
            .is_some_and(|last| **last == *label)
        {
            return Some(self.last);
        }
        if let Some(number) = self.numbers.get(label) {
            self.last = *number;
            return Some(self.last);
        }
        let number = u32::try_from(self.texts.len()).ok()?;
        self.bytes += label.len();
        if self.texts.len() >= TABLE_LABELS || self.bytes > TABLE_BYTES {
            return None;
        }
        let text: Arc<str> = label.into();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        self.last = number;
        Some(number)
    }

    /// The labels by their numbers.
    pub(crate) fn into_texts(self) -> Vec<Arc<str>> {
        self.texts
    }
}

/// A label in JSON: a string, or an integer, which stands for its decimal digits.
///
/// Other types are refused. A fraction, or a boolean, as a label is far more often a slip than a class.
pub(crate) struct JsonLabel<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonLabel<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StringOrInteger).map(Self)
    }
}

struct StringOrInteger;

impl<'de> Visitor<'de> for StringOrInteger {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or an integer as label")
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }
}

/// What a JSON parser says, without its count of lines: the caller knows the line, the parser saw only one.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) if error.line() == 1 => format!("{what} (column {})", error.column()),
        Some(_) | None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_labels_by_first_use() {
        let mut labels = LabelTable::default();
        let numbers = ["cat", "cat", "", "dog", "cat", ""].map(|label| labels.number(label));
        assert_eq!(numbers, [0, 0, 1, 2, 0, 1].map(Some));
        let texts: Vec<String> = labels
            .into_texts()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(texts, ["cat", "", "dog"]);
    }

    #[test]
    fn stops_keeping_labels_when_there_are_too_many() {
        let mut labels = LabelTable::default();
        let long = "x".repeat(TABLE_BYTES);
        assert_eq!(labels.number("cat"), Some(0));
        assert_eq!(labels.number(&long), None);
        assert_eq!(labels.number("cat"), Some(0));
    }

    #[test]
    fn reads_strings_and_integers_only() {
        let label = |json| serde_json::from_str::<JsonLabel<'_>>(json).map(|label| label.0);
        assert_eq!(label("\"a\\u00e9\"").unwrap(), "aé");
        assert_eq!(label("-7").unwrap(), "-7");
        assert_eq!(label("18446744073709551615").unwrap(), u64::MAX.to_string());
        for json in ["1.5", "true", "[]", "{}", "18446744073709551616", "null"] {
            assert!(label(json).is_err(), "{json}");
        }
    }
}
