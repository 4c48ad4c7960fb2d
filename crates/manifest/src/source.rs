//! What a job reads: where it lies, and how it is to be understood.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format::Format;
use crate::place::redacted;

/// A source of samples, as a user names it. It is stored with the job, so its fields' names do not change.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A local path, or a URL: `file://`, `s3://`, `gs://`, `az://`, `http(s)://`.
    ///
    /// Braces expand as in a shell: `train-{000000..000146}.tar`, `{train,val}.parquet`. A `.txt` or `.list` file
    /// holds one such name a line.
    pub uri: String,
    /// How it is laid out; told from names and content where `None`.
    #[serde(default)]
    pub format: Option<Format>,
    /// Which columns or fields to read, where they do not have their usual names.
    #[serde(default)]
    pub columns: Columns,
    /// Each sample's bytes are this many f32, little-endian: features, not an image.
    #[serde(default)]
    pub vectors: Option<u32>,
    /// It lies in the server's own folder, so what may be read is not asked. Not to be set from outside.
    #[serde(default)]
    pub trusted: bool,
}

/// Names of columns of CSV, TSV and Parquet, and of fields of JSONL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The sample's id.
    #[serde(default)]
    pub id: Option<String>,
    /// The path or URL of its image.
    #[serde(default)]
    pub path: Option<String>,
    /// Its class.
    #[serde(default)]
    pub label: Option<String>,
    /// Its image, embedded (Parquet only).
    #[serde(default)]
    pub image: Option<String>,
    /// Its features (Parquet only).
    #[serde(default)]
    pub vector: Option<String>,
}

impl Source {
    /// The source at `uri`, everything else being found out.
    #[must_use]
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            ..Self::default()
        }
    }
}

/// Without what may be secret in the URI.
impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("uri", &redacted(&self.uri))
            .field("format", &self.format)
            .field("columns", &self.columns)
            .field("vectors", &self.vectors)
            .field("trusted", &self.trusted)
            .finish()
    }
}

/// What a sample's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An encoded image.
    Images,
    /// A vector of features, f32 little-endian.
    Features {
        /// The number of f32.
        dimension: u32,
    },
    /// A finished clustering: the cluster (u32), the Euclidean distance to its centroid (f32) and the cosine
    /// distance to it (f32), little-endian, 12 bytes.
    Assignments,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images => formatter.write_str("images"),
            Self::Features { dimension } => write!(formatter, "vectors of {dimension} numbers"),
            Self::Assignments => formatter.write_str("assignments to clusters"),
        }
    }
}
