//! NumPy's files: `.npy` and `.npz`. Files appear whole or not at all.
//!
//! | module | holds |
//! |---|---|
//! | `npy` | one array: its header, which is `curriculum_npy`'s, and its items |
//! | `npz` | several of them in a zip archive |
//! | `output` | a file under a temporary name until it is complete |
//!
//! Nothing is pickled, in neither direction.

mod npy;
mod npz;
mod output;

pub(crate) use npy::{Item, write_array, write_vector};
pub(crate) use npz::{NpzReader, NpzWriter};
pub(crate) use output::{Output, folder, writable};
