//! Difficulties as a table: id, index, difficulty, distance, cluster, label.
//!
//! | module | holds |
//! |---|---|
//! | `parquet` | one row group after the other, as samples arrive |
//! | `npz` | whole columns, kept in memory until all have arrived |

mod npz;
mod parquet;

use crate::exit::BadInput;
use npz::NpzTable;
use parquet::ParquetTable;
use std::path::Path;

/// Consecutive samples; every column is as long.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Index of the first.
    pub(crate) start: u64,
    pub(crate) ids: Vec<String>,
    pub(crate) difficulty: Vec<f32>,
    pub(crate) distance: Vec<f32>,
    pub(crate) cluster: Vec<u32>,
    /// Empty for a sample without a label.
    pub(crate) labels: Vec<String>,
}

/// A table on its way to a file, which appears once it is complete.
pub(crate) enum Table {
    Parquet(Box<ParquetTable>),
    Npz(Box<NpzTable>),
}

impl Table {
    /// The kind follows from the extension of `path`.
    ///
    /// # Errors
    /// [`BadInput`] for another extension, or a place that cannot be written.
    pub(crate) fn create(path: &Path) -> Result<Self, BadInput> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => Ok(Self::Parquet(Box::new(ParquetTable::create(path)?))),
            Some("npz") => Ok(Self::Npz(Box::new(NpzTable::create(path)?))),
            _ => Err(BadInput(format!(
                "--out {}: the name must end in .npz or .parquet, or in .curriculum for all of a version",
                path.display()
            ))),
        }
    }

    /// Appends samples, in order of index.
    ///
    /// # Errors
    /// [`BadInput`] when they cannot be written.
    pub(crate) fn push(&mut self, samples: Samples) -> Result<(), BadInput> {
        match self {
            Self::Parquet(table) => table.push(samples),
            Self::Npz(table) => table.push(samples),
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// [`BadInput`] when it cannot be written.
    pub(crate) fn finish(self) -> Result<(), BadInput> {
        match self {
            Self::Parquet(table) => table.finish(),
            Self::Npz(table) => table.finish(),
        }
    }
}

impl Samples {
    pub(crate) fn len(&self) -> usize {
        self.difficulty.len()
    }

    /// Moves all of `more`, which follow these, to the end.
    fn append(&mut self, mut more: Self) {
        if self.len() == 0 {
            self.start = more.start;
        }
        self.ids.append(&mut more.ids);
        self.difficulty.append(&mut more.difficulty);
        self.distance.append(&mut more.distance);
        self.cluster.append(&mut more.cluster);
        self.labels.append(&mut more.labels);
    }
}
