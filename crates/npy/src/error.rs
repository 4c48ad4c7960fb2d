//! Why a file gave no features or no labels.

use std::io;
use std::path::{Path, PathBuf};

/// A file and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct NpyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, and where it helps, what to do.
    pub problem: NpyProblem,
}

/// What is wrong with a file. `shape` is as Python writes it, such as `(3,)`; lengths are in bytes.
#[derive(Debug, thiserror::Error)]
pub enum NpyProblem {
    /// Nothing is at the path.
    #[error("no such file")]
    NotFound,
    /// A folder, pipe or device stands where the file should.
    #[error("not a regular file")]
    NotAFile,
    /// The operating system refused.
    #[error("{0}")]
    Io(io::Error),
    /// The file has no byte.
    #[error("the file is empty")]
    Empty,
    /// A zip archive, which is what `np.savez` writes.
    #[error("an .npz archive; save the one array that is meant with np.save")]
    Archive,
    /// The file does not begin as `.npy` files do.
    #[error("not an .npy file: it does not begin with \\x93NUMPY")]
    NotNpy,
    /// A version of the format other than 1.0, 2.0 and 3.0.
    #[error("version {major}.{minor} of the .npy format; versions 1.0, 2.0 and 3.0 are read")]
    UnsupportedVersion {
        /// The first number.
        major: u8,
        /// The second.
        minor: u8,
    },
    /// A header longer than any plain array needs.
    #[error("a header of {bytes} bytes; the limit is {limit}")]
    HeaderTooLong {
        /// What the file claims.
        bytes: u32,
        /// NumPy's own limit.
        limit: u32,
    },
    /// The header is not the dictionary that NumPy writes.
    #[error("bad header at byte {offset}: {reason}")]
    BadHeader {
        /// From the start of the file.
        offset: usize,
        /// What was expected there.
        reason: String,
    },
    /// The header cannot be complete.
    #[error("truncated in its header: {found} bytes, at least {expected} expected")]
    TruncatedHeader {
        /// The least the file must have.
        expected: usize,
        /// What it has.
        found: usize,
    },
    /// The file ends before its data do.
    #[error("truncated: {found} bytes, {expected} expected for the shape {shape}")]
    Truncated {
        /// Header and data.
        expected: u64,
        /// What the file has.
        found: u64,
        /// The array's.
        shape: String,
    },
    /// The file goes on after its data.
    #[error("bytes after the data: {found} bytes, {expected} expected for the shape {shape}")]
    TrailingBytes {
        /// Header and data.
        expected: u64,
        /// What the file has.
        found: u64,
        /// The array's.
        shape: String,
    },
    /// Python objects, which NumPy pickles.
    #[error(
        "dtype object: its data are pickled Python objects, which are never read (rows of different length make \
         such an array); {advice}"
    )]
    PickledObjects {
        /// How to save it instead.
        advice: &'static str,
    },
    /// The most significant byte comes first.
    #[error("dtype `{dtype}` is big-endian; {advice}")]
    BigEndian {
        /// As in the header.
        dtype: String,
        /// How to save it instead.
        advice: &'static str,
    },
    /// A dtype of no use here.
    #[error("dtype `{dtype}` is not read; {advice}")]
    UnsupportedDtype {
        /// As in the header, shortened where it is long.
        dtype: String,
        /// How to save it instead.
        advice: &'static str,
    },
    /// Columns lie one after the other, not rows.
    #[error("in Fortran order; save it with np.save(path, np.ascontiguousarray(array))")]
    FortranOrder,
    /// Too few or too many dimensions, or of other lengths.
    #[error("the shape is {shape}, expected {expected}")]
    WrongShape {
        /// The array's.
        shape: String,
        /// The shape, or its dimensions in words.
        expected: String,
    },
    /// No rows or no columns.
    #[error("nothing in it: the shape is {shape}")]
    NoElement {
        /// The array's.
        shape: String,
    },
    /// More bytes than this machine can address.
    #[error("the shape {shape} has more bytes than can be addressed")]
    ShapeOverflow {
        /// The array's.
        shape: String,
    },
    /// Labels of other samples, it seems.
    #[error("{labels} labels for {rows} samples")]
    LabelCount {
        /// In the file.
        labels: u64,
        /// The samples to be labelled.
        rows: usize,
    },
    /// Class numbers are u32.
    #[error("{labels} labels; the limit is {}", u32::MAX)]
    TooManyLabels {
        /// In the file.
        labels: u64,
    },
    /// Bytes that are no text: not UTF-8 in a `|S` array, or no Unicode character in a `<U` array.
    #[error("row {row}: the label is not valid text")]
    NotText {
        /// Counted from 0, as in NumPy.
        row: usize,
    },
}

impl NpyProblem {
    /// For `map_err`: the problem, with the file that has it.
    pub(crate) fn of(path: &Path) -> impl FnOnce(Self) -> NpyError {
        let path = path.to_path_buf();
        move |problem| NpyError { path, problem }
    }
}
