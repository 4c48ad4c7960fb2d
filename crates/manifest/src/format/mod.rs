//! The formats a source may have: a file each, each with a `list` function that adds the rows of one file or folder.

mod image_folder;
mod jsonl;
mod members;
mod pax;
mod resolve;
mod walk;
mod webdataset;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ManifestError;
use crate::listing::Listing;
use crate::place::Place;
pub(crate) use resolve::resolve;

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
    /// Files with one JSON object per line: `path`, and perhaps `id`, `label`, `offset` and `length`.
    Jsonl,
}

/// All formats.
const FORMATS: [Format; 3] = [Format::ImageFolder, Format::WebDataset, Format::Jsonl];

impl Format {
    /// The format's name, which never changes: digests depend on it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImageFolder => "image-folder",
            Self::WebDataset => "webdataset",
            Self::Jsonl => "jsonl",
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
            Self::Jsonl => jsonl::list(place, listing),
        }
    }

    /// Whether its rows name the files that hold the bytes, which may lie anywhere.
    pub(crate) fn names_paths(self) -> bool {
        match self {
            Self::Jsonl => true,
            Self::ImageFolder | Self::WebDataset => false,
        }
    }

    /// What a file of this format counts its samples in.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::ImageFolder | Self::WebDataset | Self::Jsonl => "line",
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
