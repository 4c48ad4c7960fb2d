//! Features and labels in NumPy's `.npy` files.
//!
//! [`Features`] is a memory-mapped matrix of shape (samples, dimension), read in blocks of rows; [`read_labels`]
//! numbers the classes of a vector of labels. Rows are in manifest order. Source of the format:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! | module | holds |
//! |---|---|
//! | `features` | [`Features`], [`FloatType`]: f32 or f16 in, f32 out |
//! | `labels` | [`Labels`], [`read_labels`]: integers, booleans or strings in, class numbers out |
//! | `header` | where the data lie: magic, version, header, length of the file |
//! | `literal` | the Python literal that a header is |
//! | `dtype` | type strings such as `<f4` |
//! | `file` | the memory map |
//! | `error` | [`NpyError`]: a file and its [`NpyProblem`] |
//!
//! A file is hostile until it is checked: nothing is allocated by what a header claims, only by the bytes that
//! are there. That is why the header is not read by a crate: `npyz` 0.9 allocates the header's claimed length, up
//! to 4 GiB, before it reads, and gives its reasons as text only.

mod dtype;
mod error;
mod features;
mod file;
mod header;
mod labels;
mod literal;
#[cfg(test)]
pub(crate) mod testing;

pub use error::{NpyError, NpyProblem};
pub use features::{Features, FloatType};
pub(crate) use features::{Layout, widen};
pub use labels::{Labels, parse_labels, read_labels};
