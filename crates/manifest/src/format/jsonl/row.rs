//! One row, from JSON, without an allocation where the text needs none.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::index::Spot;
use crate::label::JsonLabel;
use crate::source::Columns;

/// The names of the fields that matter.
pub(super) struct Names<'a> {
    id: &'a str,
    path: &'a str,
    /// Another name for the path: what Hugging Face's image folders call it.
    other_path: &'a str,
    label: &'a str,
}

#[derive(Debug)]
pub(super) struct Row<'a> {
    id: Option<Cow<'a, str>>,
    pub(super) path: Cow<'a, str>,
    pub(super) label: Option<Cow<'a, str>>,
    offset: Option<u64>,
    length: Option<u64>,
    blake3: Option<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    pub(super) fn of(columns: &'a Columns) -> Self {
        Self {
            id: columns.id.as_deref().unwrap_or("id"),
            path: columns.path.as_deref().unwrap_or("path"),
            other_path: columns.path.as_deref().unwrap_or("file_name"),
            label: columns.label.as_deref().unwrap_or("label"),
        }
    }

    /// `name` is one of these at most, the id before the others.
    fn field(&self, name: &str) -> Field {
        match name {
            name if name == self.id => Field::Id,
            name if name == self.path || name == self.other_path => Field::Path,
            name if name == self.label => Field::Label,
            "offset" => Field::Offset,
            "length" => Field::Length,
            "blake3" => Field::Blake3,
            _ => Field::Other,
        }
    }
}

impl<'a> Row<'a> {
    pub(super) fn parse(text: &'a str, names: &Names<'_>) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let row = RowSeed(names).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(row)
    }

    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.path)
    }

    /// The hash that the bytes must have.
    pub(super) fn digest(&self) -> Result<Option<[u8; 32]>, String> {
        let Some(text) = &self.blake3 else {
            return Ok(None);
        };
        match blake3::Hash::from_hex(text.as_bytes()) {
            Ok(hash) => Ok(Some(*hash.as_bytes())),
            Err(_) => Err("`blake3` is not 64 hexadecimal digits".to_owned()),
        }
    }

    /// Where the bytes lie, of which there must be as many as `vectors` f32 need.
    pub(super) fn spot(&self, vectors: Option<u32>) -> Result<Spot<&str>, String> {
        let is_id = self.id.as_ref().is_none_or(|id| *id == self.path);
        let path = (!is_id).then_some(&*self.path);
        let (offset, length) = match (self.offset, self.length) {
            (Some(offset), Some(length)) => (offset, length),
            (None, None) => return Ok(path.map_or(Spot::Id, Spot::Path)),
            (Some(_), None) => return Err("`offset` without `length`".to_owned()),
            (None, Some(_)) => return Err("`length` without `offset`".to_owned()),
        };
        if offset.checked_add(length).is_none() {
            return Err("`offset` and `length` lead past the end of any file".to_owned());
        }
        match vectors.map(|dimension| 4 * u64::from(dimension)) {
            Some(expected) if length != expected => {
                Err(format!("{length} bytes, a vector has {expected}"))
            }
            Some(_) | None => Ok(Spot::Range {
                path,
                offset,
                length,
            }),
        }
    }
}

#[derive(Clone, Copy)]
enum Field {
    Id,
    Path,
    Label,
    Offset,
    Length,
    Blake3,
    Other,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct FieldSeed<'n>(&'n Names<'n>);

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldSeed<'_> {
    type Value = Field;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Field, E> {
        Ok(self.0.field(name))
    }
}

struct RowSeed<'n>(&'n Names<'n>);

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Row<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Row<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
        let names = self.0;
        let (mut id, mut path, mut label) = (None, None, None);
        let (mut offset, mut length, mut blake3) = (None, None, None);
        while let Some(field) = map.next_key_seed(FieldSeed(names))? {
            match field {
                Field::Id => set(&mut id, map.next_value::<Text<'de>>()?, "id")?,
                Field::Path => set(&mut path, map.next_value::<Text<'de>>()?, "path")?,
                Field::Label => set(
                    &mut label,
                    map.next_value::<Option<JsonLabel<'de>>>()?,
                    "label",
                )?,
                Field::Offset => set(&mut offset, map.next_value::<Option<u64>>()?, "offset")?,
                Field::Length => set(&mut length, map.next_value::<Option<u64>>()?, "length")?,
                Field::Blake3 => {
                    let text = map.next_value::<Option<Text<'de>>>()?;
                    set(&mut blake3, text, "blake3")?;
                }
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let missing = || A::Error::custom(format!("missing field `{}`", names.path));
        Ok(Row {
            id: id.map(|Text(id)| id),
            path: path.ok_or_else(missing)?.0,
            label: label.flatten().map(|JsonLabel(label)| label),
            offset: offset.flatten(),
            length: length.flatten(),
            blake3: blake3.flatten().map(|Text(text)| text),
        })
    }
}

fn set<T, E: Error>(place: &mut Option<T>, value: T, name: &str) -> Result<(), E> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom(format!("duplicate field `{name}`"))),
    }
}
