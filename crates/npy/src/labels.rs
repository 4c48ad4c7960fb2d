//! One class for each sample.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

use crate::dtype::{Dtype, shown};
use crate::error::{NpyError, NpyProblem};
use crate::file;
use crate::header::Header;

const ADVICE: &str = "labels are integers, booleans or fixed-width strings: save them with \
                      np.save(path, array.astype(np.int64)), or with .astype(str) for names";

/// Classes, numbered in ascending order of the labels: integers by value, `False` before `True`, strings by the bytes
/// of their UTF-8. The numbers do not depend on the order of the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// For each sample its class, an index of `names`.
    pub classes: Vec<u32>,
    /// For each class its label as Python prints it. Each is some sample's, and no two are the same.
    pub names: Vec<String>,
}

/// The labels of `rows` samples in the file at `path`: a vector of integers (`i1` to `i8`, `u1` to `u8`), booleans, or
/// strings (`<U`, `|S` in UTF-8). At most `u32::MAX` rows. The file must stay as it is for the time of the call.
///
/// # Errors
///
/// Whatever keeps the file from being such a vector, and a length other than `rows`; see [`NpyProblem`].
pub fn read_labels(path: &Path, rows: usize) -> Result<Labels, NpyError> {
    file::map(path)
        .and_then(|map| parse_labels(&map, rows))
        .map_err(NpyProblem::of(path))
}

/// The same for a file's content that lies in memory.
///
/// # Errors
///
/// As for [`read_labels`].
pub fn parse_labels(bytes: &[u8], rows: usize) -> Result<Labels, NpyProblem> {
    let header = Header::parse(bytes)?;
    let item = Item::parse(&header.fields.descr)?;
    // A vector is the same in C and in Fortran order.
    let &[labels] = header.fields.shape.as_slice() else {
        return Err(NpyProblem::WrongShape {
            shape: header.shape(),
            expected: "one dimension, (samples,)".to_owned(),
        });
    };
    if labels != rows as u64 {
        return Err(NpyProblem::LabelCount { labels, rows });
    }
    if labels > u64::from(u32::MAX) {
        return Err(NpyProblem::TooManyLabels { labels });
    }
    let span = header.data(item.bytes as u64, bytes.len() as u64)?;
    let data = &bytes[span.start as usize..span.end as usize];
    let items = data.chunks_exact(item.bytes);
    match item.kind {
        Kind::Bool => Ok(numbered(items.map(|item| item != [0]), python_bool)),
        Kind::Signed => Ok(numbered(items.map(signed), |value| value.to_string())),
        Kind::Unsigned => Ok(numbered(items.map(unsigned), |value| value.to_string())),
        Kind::Bytes => texts(items.map(before_padding::<1>), utf8),
        Kind::Unicode => texts(items.map(before_padding::<4>), utf32),
    }
}

struct Item {
    kind: Kind,
    /// At least one.
    bytes: usize,
}

enum Kind {
    Bool,
    Signed,
    Unsigned,
    Bytes,
    Unicode,
}

impl Item {
    fn parse(descr: &str) -> Result<Self, NpyProblem> {
        let Dtype { kind, size } = Dtype::parse(descr, ADVICE)?;
        let item = match (kind, size) {
            (b'b', 1) => Some((Kind::Bool, 1)),
            (b'i', 1 | 2 | 4 | 8) => Some((Kind::Signed, size)),
            (b'u', 1 | 2 | 4 | 8) => Some((Kind::Unsigned, size)),
            (b'S', 1..) => Some((Kind::Bytes, size)),
            (b'U', 1..) => size.checked_mul(4).map(|bytes| (Kind::Unicode, bytes)),
            _ => None,
        };
        item.and_then(|(kind, bytes)| {
            let bytes = usize::try_from(bytes).ok()?;
            Some(Self { kind, bytes })
        })
        .ok_or_else(|| NpyProblem::UnsupportedDtype {
            dtype: shown(descr),
            advice: ADVICE,
        })
    }
}

/// Numbers the classes of `values`, which are in the order of their names' numbers.
fn numbered<V: Copy + Hash + Ord>(
    values: impl Iterator<Item = V>,
    name: impl Fn(V) -> String,
) -> Labels {
    let (classes, values) = ascending(first_seen(values));
    Labels {
        classes,
        names: values.into_iter().map(name).collect(),
    }
}

/// Numbers the classes of `texts`, of which each different one is decoded once.
fn texts<'a, const UNIT: usize>(
    texts: impl Iterator<Item = &'a [[u8; UNIT]]>,
    decode: impl Fn(&[[u8; UNIT]]) -> Option<String>,
) -> Result<Labels, NpyProblem> {
    let (classes, texts) = first_seen(texts);
    let mut names = Vec::with_capacity(texts.len());
    for (text, class) in texts.into_iter().zip(0_u32..) {
        let row = || classes.iter().position(|&other| other == class);
        let name = decode(text).ok_or_else(|| NpyProblem::NotText {
            row: row().unwrap_or_default(),
        })?;
        names.push(name);
    }
    let (classes, names) = ascending((classes, names));
    Ok(Labels { classes, names })
}

/// For each value its class, and for each class its value; classes are numbered as they come up. There are at most
/// `u32::MAX` values.
fn first_seen<V: Copy + Hash + Eq>(values: impl Iterator<Item = V>) -> (Vec<u32>, Vec<V>) {
    let mut seen = HashMap::new();
    let mut of_class = Vec::new();
    let mut next = 0_u32;
    let classes = values
        .map(|value| {
            *seen.entry(value).or_insert_with(|| {
                of_class.push(value);
                next += 1;
                next - 1
            })
        })
        .collect();
    (classes, of_class)
}

/// The same classes, numbered by their values.
fn ascending<V: Ord>((mut classes, values): (Vec<u32>, Vec<V>)) -> (Vec<u32>, Vec<V>) {
    let mut sorted: Vec<(V, usize)> = values.into_iter().zip(0..).collect();
    sorted.sort_unstable();
    let mut rank = vec![0; sorted.len()];
    for ((_, class), to) in sorted.iter().zip(0_u32..) {
        rank[*class] = to;
    }
    for class in &mut classes {
        *class = rank[*class as usize];
    }
    (
        classes,
        sorted.into_iter().map(|(value, _)| value).collect(),
    )
}

fn python_bool(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}

/// A little-endian integer of one to eight bytes.
fn unsigned(bytes: &[u8]) -> u64 {
    let shift_in = |value, &byte| value << 8 | u64::from(byte);
    bytes.iter().rev().fold(0, shift_in)
}

/// The same in two's complement.
fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len();
    (unsigned(bytes) << unused).cast_signed() >> unused
}

/// NumPy pads strings with zeros, and drops the zeros at the end when it reads them.
fn before_padding<const UNIT: usize>(bytes: &[u8]) -> &[[u8; UNIT]] {
    let (units, _) = bytes.as_chunks();
    let last = units.iter().rposition(|unit| *unit != [0; UNIT]);
    &units[..last.map_or(0, |last| last + 1)]
}

fn utf8(text: &[[u8; 1]]) -> Option<String> {
    String::from_utf8(text.as_flattened().to_vec()).ok()
}

fn utf32(text: &[[u8; 4]]) -> Option<String> {
    let characters = text.iter();
    characters
        .map(|&unit| char::from_u32(u32::from_le_bytes(unit)))
        .collect()
}

#[cfg(test)]
mod tests;
