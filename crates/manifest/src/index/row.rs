//! A row of the index: a sample's id, label and place, as bytes.

use super::varint::{Cursor, put_number, put_text};
use crate::access::Stamp;

/// Where a sample's bytes lie. `T` is text, borrowed or owned. Offsets and lengths are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot<T> {
    /// A file whose path is the sample's id.
    Id,
    /// A file, by its path as the source writes it.
    Path(T),
    /// A run of bytes in a file, whose path is the sample's id where there is none.
    Range {
        path: Option<T>,
        offset: u64,
        length: u64,
    },
    /// A run of bytes in the file that lists the sample: a member of a tar file, a row of a `.npy` file.
    Member { offset: u64, length: u64 },
    /// A run of bytes that was unpacked while the source was listed.
    Spooled { offset: u64, length: u64 },
    /// A row, counted from 0 in its row group, of the Parquet file that lists the sample.
    Row { group: u32, row: u32 },
    /// A finished assignment: the bytes themselves.
    Assigned([u8; 12]),
}

/// A sample on its way into the index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: Option<&'a str>,
    /// The file that lists the sample, by its number.
    pub(crate) file: u32,
    /// The line, or the row of the whole file, counted from 1, that lists the sample; 0 where files have neither.
    pub(crate) line: u64,
    pub(crate) spot: Spot<&'a str>,
    /// What the listing says of the file or object that holds the bytes.
    pub(crate) stamp: Option<&'a Stamp>,
    /// The BLAKE3 hash that the listing gives of the bytes.
    pub(crate) digest: Option<[u8; 32]>,
}

/// A label as a row holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowLabel<'a> {
    None,
    /// By its number in the table.
    Known(u32),
    /// Itself, where the table is full.
    Written(&'a str),
}

/// A row as it lies in a block.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) id: &'a str,
    pub(super) label: RowLabel<'a>,
    pub(super) file: u32,
    pub(super) line: u64,
    pub(super) spot: Spot<&'a str>,
    pub(super) stamp: Option<Stamp>,
    pub(super) digest: Option<[u8; 32]>,
}

const LABEL_KNOWN: u8 = 1 << 4;
const LABEL_WRITTEN: u8 = 1 << 5;
const STAMPED: u8 = 1 << 6;
const DIGESTED: u8 = 1 << 7;

impl<T> Spot<T> {
    pub(crate) fn map<U>(self, text: impl Fn(T) -> U) -> Spot<U> {
        match self {
            Self::Id => Spot::Id,
            Self::Path(path) => Spot::Path(text(path)),
            Self::Range {
                path,
                offset,
                length,
            } => Spot::Range {
                path: path.map(text),
                offset,
                length,
            },
            Self::Member { offset, length } => Spot::Member { offset, length },
            Self::Spooled { offset, length } => Spot::Spooled { offset, length },
            Self::Row { group, row } => Spot::Row { group, row },
            Self::Assigned(bytes) => Spot::Assigned(bytes),
        }
    }

    fn tag(&self) -> u8 {
        match self {
            Self::Id => 0,
            Self::Path(_) => 1,
            Self::Range { path: None, .. } => 2,
            Self::Range { path: Some(_), .. } => 3,
            Self::Member { .. } => 4,
            Self::Spooled { .. } => 5,
            Self::Row { .. } => 6,
            Self::Assigned(_) => 7,
        }
    }
}

/// Appends the row of `entry`.
pub(super) fn put(bytes: &mut Vec<u8>, entry: &Entry<'_>, label: RowLabel<'_>) {
    let label_tag = match label {
        RowLabel::None => 0,
        RowLabel::Known(_) => LABEL_KNOWN,
        RowLabel::Written(_) => LABEL_WRITTEN,
    };
    let stamp_tag = entry.stamp.map_or(0, |_| STAMPED);
    let digest_tag = entry.digest.map_or(0, |_| DIGESTED);
    bytes.push(entry.spot.tag() | label_tag | stamp_tag | digest_tag);
    put_text(bytes, entry.id);
    match label {
        RowLabel::None => {}
        RowLabel::Known(number) => put_number(bytes, number.into()),
        RowLabel::Written(text) => put_text(bytes, text),
    }
    put_number(bytes, entry.file.into());
    put_number(bytes, entry.line);
    put_spot(bytes, &entry.spot);
    if let Some(stamp) = entry.stamp {
        put_stamp(bytes, stamp);
    }
    if let Some(digest) = &entry.digest {
        bytes.extend_from_slice(digest);
    }
}

fn put_spot(bytes: &mut Vec<u8>, spot: &Spot<&str>) {
    match spot {
        Spot::Id => {}
        Spot::Path(path) => put_text(bytes, path),
        Spot::Range {
            path,
            offset,
            length,
        } => {
            if let Some(path) = path {
                put_text(bytes, path);
            }
            put_number(bytes, *offset);
            put_number(bytes, *length);
        }
        Spot::Member { offset, length } | Spot::Spooled { offset, length } => {
            put_number(bytes, *offset);
            put_number(bytes, *length);
        }
        Spot::Row { group, row } => {
            put_number(bytes, (*group).into());
            put_number(bytes, (*row).into());
        }
        Spot::Assigned(assignment) => bytes.extend_from_slice(assignment),
    }
}

fn put_stamp(bytes: &mut Vec<u8>, stamp: &Stamp) {
    let Stamp {
        size,
        modified_ns,
        etag,
    } = stamp;
    let tag = u8::from(size.is_some())
        | u8::from(modified_ns.is_some()) << 1
        | u8::from(etag.is_some()) << 2;
    bytes.push(tag);
    if let Some(size) = size {
        put_number(bytes, *size);
    }
    if let Some(modified) = modified_ns {
        bytes.extend_from_slice(&modified.to_le_bytes());
    }
    if let Some(etag) = etag {
        put_text(bytes, etag);
    }
}

/// A stamp by itself, for where rows are sorted before they are listed.
pub(crate) fn stamp_to_bytes(stamp: &Stamp) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_stamp(&mut bytes, stamp);
    bytes
}

/// What [`stamp_to_bytes`] wrote.
pub(crate) fn stamp_from_bytes(bytes: &[u8]) -> Option<Stamp> {
    get_stamp(&mut Cursor(bytes))
}

/// The row that `bytes` hold.
pub(super) fn get(bytes: &[u8]) -> Option<Row<'_>> {
    let mut cursor = Cursor(bytes);
    let tag = cursor.byte()?;
    let id = cursor.text()?;
    let label = match tag & (LABEL_KNOWN | LABEL_WRITTEN) {
        0 => RowLabel::None,
        LABEL_KNOWN => RowLabel::Known(small(&mut cursor)?),
        _ => RowLabel::Written(cursor.text()?),
    };
    Some(Row {
        id,
        label,
        file: small(&mut cursor)?,
        line: cursor.number()?,
        spot: get_spot(&mut cursor, tag & 0xf)?,
        stamp: match tag & STAMPED {
            0 => None,
            _ => Some(get_stamp(&mut cursor)?),
        },
        digest: match tag & DIGESTED {
            0 => None,
            _ => Some(cursor.bytes(32)?.try_into().ok()?),
        },
    })
}

fn get_spot<'a>(cursor: &mut Cursor<'a>, tag: u8) -> Option<Spot<&'a str>> {
    Some(match tag {
        0 => Spot::Id,
        1 => Spot::Path(cursor.text()?),
        2 | 3 => Spot::Range {
            path: match tag {
                2 => None,
                _ => Some(cursor.text()?),
            },
            offset: cursor.number()?,
            length: cursor.number()?,
        },
        4 => Spot::Member {
            offset: cursor.number()?,
            length: cursor.number()?,
        },
        5 => Spot::Spooled {
            offset: cursor.number()?,
            length: cursor.number()?,
        },
        6 => Spot::Row {
            group: small(cursor)?,
            row: small(cursor)?,
        },
        7 => Spot::Assigned(cursor.bytes(12)?.try_into().ok()?),
        _ => return None,
    })
}

fn get_stamp(cursor: &mut Cursor<'_>) -> Option<Stamp> {
    let tag = cursor.byte()?;
    let has = |bit: u8| tag & bit != 0;
    Some(Stamp {
        size: match has(1) {
            true => Some(cursor.number()?),
            false => None,
        },
        modified_ns: match has(2) {
            true => Some(u128::from_le_bytes(cursor.bytes(16)?.try_into().ok()?)),
            false => None,
        },
        etag: match has(4) {
            true => Some(cursor.text()?.to_owned()),
            false => None,
        },
    })
}

fn small(cursor: &mut Cursor<'_>) -> Option<u32> {
    u32::try_from(cursor.number()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spot() -> impl Strategy<Value = Spot<String>> {
        let run = (any::<u64>(), any::<u64>());
        prop_oneof![
            Just(Spot::Id),
            "\\PC{0,9}".prop_map(Spot::Path),
            (proptest::option::of("\\PC{0,9}"), run).prop_map(|(path, (offset, length))| {
                Spot::Range {
                    path,
                    offset,
                    length,
                }
            }),
            run.prop_map(|(offset, length)| Spot::Member { offset, length }),
            run.prop_map(|(offset, length)| Spot::Spooled { offset, length }),
            (any::<u32>(), any::<u32>()).prop_map(|(group, row)| Spot::Row { group, row }),
            any::<[u8; 12]>().prop_map(Spot::Assigned),
        ]
    }

    fn stamp() -> impl Strategy<Value = Option<Stamp>> {
        let stamp = (
            any::<Option<u64>>(),
            any::<Option<u128>>(),
            proptest::option::of("\\PC{0,9}"),
        );
        proptest::option::of(stamp.prop_map(|(size, modified_ns, etag)| Stamp {
            size,
            modified_ns,
            etag,
        }))
    }

    proptest! {
        #[test]
        fn round_trips(
            id in "\\PC{0,20}",
            label in prop_oneof![Just(None), any::<u32>().prop_map(|n| Some(Ok(n))), "\\PC{0,4}".prop_map(|t| Some(Err(t)))],
            file in any::<u32>(),
            line in any::<u64>(),
            spot in spot(),
            stamp in stamp(),
            digest in any::<Option<[u8; 32]>>(),
        ) {
            let label = match &label {
                None => RowLabel::None,
                Some(Ok(number)) => RowLabel::Known(*number),
                Some(Err(text)) => RowLabel::Written(text),
            };
            let borrowed = match &spot {
                Spot::Path(path) => Spot::Path(path.as_str()),
                Spot::Range { path, offset, length } => {
                    Spot::Range { path: path.as_deref(), offset: *offset, length: *length }
                }
                other => other.clone().map(|_| ""),
            };
            let entry = Entry { id: &id, label: None, file, line, spot: borrowed, stamp: stamp.as_ref(), digest };
            let mut bytes = Vec::new();
            put(&mut bytes, &entry, label);
            let row = get(&bytes).unwrap();
            prop_assert_eq!(row.id, &*id);
            prop_assert_eq!(row.label, label);
            prop_assert_eq!((row.file, row.line), (file, line));
            prop_assert_eq!(row.spot, borrowed);
            prop_assert_eq!(row.stamp, stamp);
            prop_assert_eq!(row.digest, digest);
        }

        #[test]
        fn survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = get(&bytes);
        }
    }
}
