//! Labels: as JSON writes them, and shared among the samples of a class.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// Hands out one allocation per distinct label.
#[derive(Default)]
pub(crate) struct Labels(HashSet<Arc<str>>);

impl Labels {
    pub(crate) fn share(&mut self, label: &str) -> Arc<str> {
        if let Some(known) = self.0.get(label) {
            return Arc::clone(known);
        }
        let label: Arc<str> = label.into();
        self.0.insert(Arc::clone(&label));
        label
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
    fn shares_equal_labels() {
        let mut labels = Labels::default();
        let cat = labels.share("cat");
        assert!(Arc::ptr_eq(&cat, &labels.share("cat")));
        assert_eq!(&*labels.share("dog"), "dog");
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
