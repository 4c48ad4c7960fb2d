//! The formats a source may have: a file each, each with a `list` function that adds the rows of one file or folder.

mod csv;
mod flat_folder;
mod image_folder;
mod jsonl;
mod lines;
mod members;
mod npy;
mod parquet;
mod pax;
mod remote_folder;
mod resolve;
mod survey;
mod tape;
mod walk;
mod webdataset;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ManifestError;
use crate::listing::Listing;
use crate::place::Place;
use crate::source::{Columns, Source};
pub(crate) use parquet::{Part, Tables};
pub(crate) use resolve::resolve;
pub(crate) use tape::Spool;

/// How a source is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A folder with a sub-folder per class, indexed as torchvision's `ImageFolder` does. A sample's id is its
    /// path below the folder, with `/`; its label is its class.
    ImageFolder,
    /// Tar files of the WebDataset layout. A sample's id is the name of its image's member. Its label comes from
    /// its `.cls` member, else from `label` in its `.json` member, else from the folder that the member lies in.
    #[serde(rename = "webdataset")]
    WebDataset,
    /// A folder with images directly in it, by name, without labels. A sample's id is its name.
    FlatFolder,
    /// Files with one JSON object per line: `path`, and perhaps `id`, `label`, `offset` and `length`.
    Jsonl,
    /// Files of comma-separated values with a header row.
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// Parquet files with a column of paths, of embedded images, of vectors, or with a finished clustering.
    Parquet,
    /// NumPy arrays of features, shape (samples, dimension), f32 or f16.
    Npy,
}

/// All formats.
const FORMATS: [Format; 8] = [
    Format::ImageFolder,
    Format::FlatFolder,
    Format::WebDataset,
    Format::Jsonl,
    Format::Csv,
    Format::Tsv,
    Format::Parquet,
    Format::Npy,
];

impl Format {
    /// Refuses names of columns for what has none: a user who gives them expects them to count.
    pub(crate) fn check_columns(self, source: &Source) -> Result<(), ManifestError> {
        match self {
            Self::Jsonl | Self::Csv | Self::Tsv | Self::Parquet => return Ok(()),
            Self::ImageFolder | Self::WebDataset | Self::FlatFolder | Self::Npy => {}
        }
        let Columns {
            id,
            path,
            label,
            image,
            vector,
        } = &source.columns;
        let given = [id, path, label, image, vector]
            .into_iter()
            .flatten()
            .next();
        match given {
            None => Ok(()),
            Some(name) => Err(ManifestError::BadSource {
                place: crate::place::redacted(&source.uri),
                reason: format!(
                    "no column `{name}`: a source of format {} has no columns",
                    self.as_str()
                ),
            }),
        }
    }

    /// The format's name, which never changes: digests depend on it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImageFolder => "image-folder",
            Self::WebDataset => "webdataset",
            Self::FlatFolder => "flat-folder",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Parquet => "parquet",
            Self::Npy => "npy",
        }
    }

    /// Adds the samples of one file or folder, in order.
    pub(crate) fn list(
        self,
        place: &Place,
        listing: &mut Listing<'_>,
    ) -> Result<(), ManifestError> {
        match self {
            Self::ImageFolder => image_folder::list(place, listing),
            Self::WebDataset => webdataset::list(place, listing),
            Self::FlatFolder => flat_folder::list(place, listing),
            Self::Jsonl => jsonl::list(place, listing),
            Self::Csv => csv::list(place, b',', listing),
            Self::Tsv => csv::list(place, b'\t', listing),
            Self::Parquet => parquet::list(place, listing),
            Self::Npy => npy::list(place, listing),
        }
    }

    /// Whether its rows name the files that hold the bytes, which may lie anywhere.
    pub(crate) fn names_paths(self) -> bool {
        match self {
            Self::Jsonl | Self::Csv | Self::Tsv | Self::Parquet => true,
            Self::ImageFolder | Self::FlatFolder | Self::WebDataset | Self::Npy => false,
        }
    }

    /// What a file of this format counts its samples in.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Parquet | Self::Npy => "row",
            Self::ImageFolder
            | Self::FlatFolder
            | Self::WebDataset
            | Self::Jsonl
            | Self::Csv
            | Self::Tsv => "line",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// From the name that [`Format::as_str`] gives; the error lists them.
impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = FORMATS.into_iter().find(|format| format.as_str() == name);
        known.ok_or_else(|| {
            let names: Vec<_> = FORMATS.iter().map(|format| format.as_str()).collect();
            format!("no such format; there are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for format in FORMATS {
            assert_eq!(format.as_str().parse(), Ok(format));
            let json = serde_json::to_string(&format).unwrap();
            assert_eq!(json, format!("\"{format}\""));
        }
        assert!("tar".parse::<Format>().unwrap_err().contains("flat-folder"));
    }
}
