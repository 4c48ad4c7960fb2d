//! A matrix of features, read in blocks of rows.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt;
use memmap2::Mmap;

use crate::dtype::{Dtype, shown};
use crate::error::{NpyError, NpyProblem};
use crate::file;
use crate::header::Header;

const ADVICE: &str =
    "features are <f4 or <f2: save them with np.save(path, array.astype(np.float32))";

/// The values converted at a time: 4 KiB of f32.
const CHUNK: usize = 1024;

/// Features of shape (rows, dimension), little-endian f32 or f16 in C order, neither number zero.
///
/// The file stays on disk and is mapped: its pages come and go at the system's will, are shared with every other
/// reader, and though they count as resident, they are not anonymous memory. Reads are safe from many threads. The
/// values are not looked at: NaN and infinity come out as they are.
pub struct Features {
    bytes: Bytes,
    data: Range<usize>,
    rows: usize,
    dimension: usize,
    dtype: FloatType,
}

/// How a file holds its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// IEEE binary32, NumPy's float32.
    F32,
    /// IEEE binary16, NumPy's float16.
    F16,
}

/// Where the rows of a file lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Samples, at least one.
    pub rows: u64,
    /// Numbers of a row, at least one.
    pub dimension: u64,
    /// Its numbers are f16; f32 otherwise.
    pub halves: bool,
    /// Where the first row begins, in bytes.
    pub start: u64,
}

impl Layout {
    /// No header is longer.
    pub const HEAD_BYTES: u64 = 16 << 10;

    /// The layout of a file that begins with `head`, its first [`HEAD_BYTES`](Self::HEAD_BYTES) or all of it, and has
    /// `length` bytes.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being such a matrix; see [`NpyProblem`].
    pub fn parse(head: &[u8], length: u64) -> Result<Self, NpyProblem> {
        let header = Header::parse(head)?;
        let dtype = FloatType::parse(&header.fields.descr, ADVICE)?;
        let &[rows, dimension] = header.fields.shape.as_slice() else {
            return Err(NpyProblem::WrongShape {
                shape: header.shape(),
                expected: "two dimensions, (samples, dimension)".to_owned(),
            });
        };
        if rows == 0 || dimension == 0 {
            let shape = header.shape();
            return Err(NpyProblem::NoElement { shape });
        }
        if header.fields.fortran_order {
            return Err(NpyProblem::FortranOrder);
        }
        Ok(Self {
            rows,
            dimension,
            halves: dtype == FloatType::F16,
            start: header.data(dtype.bytes() as u64, length)?.start,
        })
    }

    /// The length of a row, in bytes. The file holds all rows, so it fits.
    #[must_use]
    pub fn row_bytes(&self) -> u64 {
        self.dimension * if self.halves { 2 } else { 4 }
    }
}

/// Rows of f16 as the f32 that they are, both little-endian.
#[must_use]
pub fn widen(bytes: &[u8]) -> Vec<u8> {
    let mut singles = vec![0.0; bytes.len() / 2];
    fill_halves(bytes, &mut singles);
    singles.iter().flat_map(|x| x.to_le_bytes()).collect()
}

enum Bytes {
    Mapped(Mmap),
    Held(Vec<u8>),
}

impl Features {
    /// Maps the file at `path`, of which only the header is read.
    ///
    /// The file must stay as it is for as long as it is open. Its length is checked here; should another process
    /// cut it short later, reading what is gone ends this process with SIGBUS, which Rust cannot catch. A writer
    /// should therefore write to another name and rename.
    ///
    /// # Errors
    ///
    /// Whatever keeps the file from being such a matrix; see [`NpyProblem`].
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        file::map(path)
            .and_then(|map| Self::new(Bytes::Mapped(map)))
            .map_err(NpyProblem::of(path))
    }

    /// The same for a file's content that lies in memory.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, NpyProblem> {
        Self::new(Bytes::Held(bytes))
    }

    fn new(bytes: Bytes) -> Result<Self, NpyProblem> {
        let content = bytes.as_slice();
        let layout = Layout::parse(content, content.len() as u64)?;
        let header = Header::parse(content)?;
        let addressable = |length| {
            let shape = || header.shape();
            usize::try_from(length).map_err(|_| NpyProblem::ShapeOverflow { shape: shape() })
        };
        Ok(Self {
            rows: addressable(layout.rows)?,
            dimension: addressable(layout.dimension)?,
            data: addressable(layout.start)?..content.len(),
            dtype: match layout.halves {
                true => FloatType::F16,
                false => FloatType::F32,
            },
            bytes,
        })
    }

    /// The number of samples, at least one.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The length of a row, at least one.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How the file holds its numbers.
    #[must_use]
    pub fn dtype(&self) -> FloatType {
        self.dtype
    }

    /// The values of `rows`, row after row: `rows.len() × dimension` numbers.
    ///
    /// They are the file's own bytes where these are f32 and aligned, as in every file that NumPy wrote. Otherwise
    /// they are converted into `buffer`, which the next call may use again; f16 to f32 is exact.
    ///
    /// # Panics
    ///
    /// If `rows` is not within `0..self.rows()`, as a slice does.
    #[must_use]
    pub fn block<'a>(&'a self, rows: Range<usize>, buffer: &'a mut Vec<f32>) -> &'a [f32] {
        let data = &self.bytes.as_slice()[self.data.clone()];
        let row = self.dimension * self.dtype.bytes();
        let block = &data[rows.start * row..rows.end * row];
        match self.dtype {
            FloatType::F32 => singles(block, buffer),
            FloatType::F16 => halves(block, buffer),
        }
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Features")
            .field("rows", &self.rows)
            .field("dimension", &self.dimension)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}

impl FloatType {
    /// The type that `descr` names; `advice` enters the error where it is another.
    pub(crate) fn parse(descr: &str, advice: &'static str) -> Result<Self, NpyProblem> {
        match Dtype::parse(descr, advice)? {
            Dtype {
                kind: b'f',
                size: 4,
            } => Ok(Self::F32),
            Dtype {
                kind: b'f',
                size: 2,
            } => Ok(Self::F16),
            Dtype { .. } => Err(NpyProblem::UnsupportedDtype {
                dtype: shown(descr),
                advice,
            }),
        }
    }

    /// The size of one number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Held(bytes) => bytes,
        }
    }
}

fn singles<'a>(bytes: &'a [u8], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    if cfg!(target_endian = "little")
        && let Ok(values) = bytemuck::try_cast_slice(bytes)
    {
        return values;
    }
    buffer.resize(bytes.len() / 4, 0.0);
    fill_singles(bytes, buffer);
    buffer
}

fn halves<'a>(bytes: &[u8], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    buffer.resize(bytes.len() / 2, 0.0);
    fill_halves(bytes, buffer);
    buffer
}

/// Little-endian f32 at any alignment; `out` has room for all.
pub(crate) fn fill_singles(bytes: &[u8], out: &mut [f32]) {
    let (values, _) = bytes.as_chunks();
    for (out, &value) in out.iter_mut().zip(values) {
        *out = f32::from_le_bytes(value);
    }
}

/// By way of a small array: that is right for any alignment and byte order, and costs little beside the conversion,
/// which `half` gives to the processor where it can.
pub(crate) fn fill_halves(bytes: &[u8], out: &mut [f32]) {
    let (values, _) = bytes.as_chunks();
    let mut aligned = [f16::ZERO; CHUNK];
    for (values, out) in values.chunks(CHUNK).zip(out.chunks_mut(CHUNK)) {
        for (half, &value) in aligned.iter_mut().zip(values) {
            *half = f16::from_le_bytes(value);
        }
        aligned[..out.len()].convert_to_f32_slice(out);
    }
}

#[cfg(test)]
mod tests;
