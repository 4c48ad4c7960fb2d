//! NumPy's `.npy` files, read without trust.
//!
//! [`Features`] is a memory-mapped matrix of shape (samples, dimension), read in blocks of rows; [`Tensor`] is one
//! array of a known shape, in memory; [`read_labels`] numbers the classes of a vector of labels. Source of the format:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! | module | holds |
//! |---|---|
//! | `features` | [`Features`], [`FloatType`], [`Layout`]: f32 or f16 in, f32 out |
//! | `tensor` | [`Tensor`]: the same for any shape that is expected |
//! | `labels` | [`Labels`], [`read_labels`]: integers, booleans or strings in, class numbers out |
//! | `header` | where the data lie: magic, version, header, length of the file; and a header to write |
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
mod tensor;
#[cfg(test)]
mod testing;

pub use error::{NpyError, NpyProblem};
pub use features::{Features, FloatType, Layout, widen};
pub use header::{begins_npy, header};
pub use labels::{Labels, parse_labels, read_labels};
pub use tensor::Tensor;
