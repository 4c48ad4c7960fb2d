//! Arrays as `.npy` files: version 1.0, little-endian, C order.

use super::Output;
use crate::exit::BadInput;
use curriculum_npy::header;
use half::f16;
use std::{
    io::{self, Write},
    path::Path,
};

/// Items are encoded in pieces of about this many bytes.
const PIECE: usize = 1 << 16;

/// A number of an array.
pub(crate) trait Item: Copy {
    /// NumPy's name of the type.
    const DESCR: &'static str;

    /// Appends its bytes, little-endian.
    fn append_to(self, bytes: &mut Vec<u8>);
}

impl Item for f32 {
    const DESCR: &'static str = "<f4";

    fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

impl Item for f16 {
    const DESCR: &'static str = "<f2";

    fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

impl Item for u32 {
    const DESCR: &'static str = "<u4";

    fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

impl Item for u64 {
    const DESCR: &'static str = "<u8";

    fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

/// Writes items as they lie in an array.
pub(super) fn write_items<T: Item>(
    out: &mut impl Write,
    items: impl Iterator<Item = T>,
) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(PIECE + size_of::<T>());
    for item in items {
        item.append_to(&mut bytes);
        if bytes.len() >= PIECE {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes)
}

/// Writes `values` to `path`, shape (values,).
///
/// # Errors
/// [`BadInput`] when that cannot be written.
pub(crate) fn write_vector(path: &Path, values: &[f32]) -> Result<(), BadInput> {
    write_array(path, &[values.len()], values)
}

/// Writes `values`, row by row, to `path` as an array of this shape.
///
/// # Errors
/// [`BadInput`] when that cannot be written.
pub(crate) fn write_array<T: Item>(
    path: &Path,
    shape: &[usize],
    values: &[T],
) -> Result<(), BadInput> {
    let output = Output::create(path)?;
    let mut file = output.writer()?;
    let written = file
        .write_all(&header(T::DESCR, shape))
        .and_then(|()| write_items(&mut file, values.iter().copied()))
        .and_then(|()| file.flush());
    written.map_err(|error| output.failed(&error))?;
    output.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_without_a_seam() {
        let values: Vec<u32> = (0..PIECE as u32 / 2).collect();
        let mut bytes = Vec::new();
        write_items(&mut bytes, values.iter().copied()).unwrap();
        let (read, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty());
        assert!(read.iter().map(|x| u32::from_le_bytes(*x)).eq(values));
    }
}
