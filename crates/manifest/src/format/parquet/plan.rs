//! Which columns of a file are read, and as what.

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::schema::types::ColumnDescriptor;
use serde::Deserialize;
use std::collections::HashMap;

use crate::format::csv::{LABELS, PATHS, missing};
use crate::source::Columns;

/// Names of the column of embedded images, where they are not in a struct.
const IMAGES: [&str; 7] = ["image", "img", "image_bytes", "bytes", "jpg", "jpeg", "png"];
/// Names of the column of vectors.
const VECTORS: [&str; 4] = ["embedding", "embeddings", "features", "vector"];
/// The columns of NeMo Curator's k-means.
const EUCLIDEAN: &str = "l2_dist_to_cent";
const COSINE: &str = "cosine_dist_to_cent";
/// The cluster, in a column or in the name of a folder, by its names in different releases.
pub(super) const CLUSTERS: [&str; 2] = ["centroid", "nearest_cent"];

/// Columns by their number among the leaves of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) id: Option<usize>,
    pub(super) label: Option<usize>,
    pub(super) content: Content,
}

/// What a row holds of its sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Where its image lies.
    Path(usize),
    /// Its image, and perhaps the path that it was read from.
    Image {
        bytes: usize,
        path: Option<usize>,
    },
    Vector(usize),
    Assigned {
        /// `None` where it is in the name of a folder.
        cluster: Option<usize>,
        euclidean: usize,
        cosine: usize,
    },
}

struct Leaves<'a> {
    metadata: &'a ParquetMetaData,
    names: Vec<String>,
}

impl Plan {
    /// The plan for a file. The error says what is missing.
    pub(super) fn of(metadata: &ParquetMetaData, columns: &Columns) -> Result<Self, String> {
        let leaves = Leaves::of(metadata);
        let content = leaves.content(columns)?;
        let find = |given: &Option<String>, usual: &[&str]| match given {
            Some(name) => leaves.named(name).map(Some),
            None => Ok(usual.iter().find_map(|name| leaves.flat(name))),
        };
        Ok(Self {
            id: find(&columns.id, &["id"])?,
            label: find(&columns.label, &LABELS)?,
            content,
        })
    }
}

impl<'a> Leaves<'a> {
    fn of(metadata: &'a ParquetMetaData) -> Self {
        let leaves = metadata.file_metadata().schema_descr().columns();
        Self {
            metadata,
            names: leaves.iter().map(|leaf| leaf.path().string()).collect(),
        }
    }

    fn get(&self, leaf: usize) -> &ColumnDescriptor {
        self.metadata.file_metadata().schema_descr().columns()[leaf].as_ref()
    }

    fn all(&self) -> std::ops::Range<usize> {
        0..self.names.len()
    }

    /// A column outside of any list, by its name; within structs its path, with dots.
    fn flat(&self, name: &str) -> Option<usize> {
        let leaf = self.names.iter().position(|leaf| leaf == name)?;
        (self.get(leaf).max_rep_level() == 0).then_some(leaf)
    }

    fn named(&self, name: &str) -> Result<usize, String> {
        self.flat(name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> String {
        missing(name, &self.names)
    }

    fn content(&self, columns: &Columns) -> Result<Content, String> {
        if let Some(name) = &columns.vector {
            return self
                .vector(name)
                .map(Content::Vector)
                .ok_or_else(|| format!("{} (a list of float or double)", self.missing(name)));
        }
        if let Some(name) = &columns.image {
            return self.image(name).ok_or_else(|| {
                format!("{} (binary, or a struct with `bytes`)", self.missing(name))
            });
        }
        if let Some(name) = &columns.path {
            return self.named(name).map(Content::Path);
        }
        if let (Some(euclidean), Some(cosine)) = (self.flat(EUCLIDEAN), self.flat(COSINE)) {
            return Ok(Content::Assigned {
                cluster: CLUSTERS.iter().find_map(|name| self.flat(name)),
                euclidean,
                cosine,
            });
        }
        let image = IMAGES.iter().find_map(|name| self.image(name));
        let path = || {
            let path = PATHS.iter().filter_map(|name| self.flat(name));
            path.into_iter()
                .find(|leaf| self.is_binary(*leaf))
                .map(Content::Path)
        };
        let vector = || {
            let named = VECTORS.iter().find_map(|name| self.vector(name));
            named.or_else(|| self.only_vector()).map(Content::Vector)
        };
        image
            .or_else(|| self.any_struct())
            .or_else(path)
            .or_else(vector)
            .ok_or_else(|| {
                let missing = self.missing("path");
                format!("{missing}; name one of paths, of images or of vectors")
            })
    }

    /// A struct of `bytes` and perhaps `path`, or a binary column; text is taken for paths.
    fn image(&self, name: &str) -> Option<Content> {
        if let Some(bytes) = self
            .flat(&format!("{name}.bytes"))
            .filter(|leaf| self.is_binary(*leaf))
        {
            let path = self.flat(&format!("{name}.path"));
            return Some(Content::Image { bytes, path });
        }
        let bytes = self.flat(name)?;
        let is_image = self.is_binary(bytes) && !self.is_text(bytes);
        is_image.then_some(Content::Image { bytes, path: None })
    }

    /// The first struct with binary `bytes`.
    fn any_struct(&self) -> Option<Content> {
        let named = self
            .names
            .iter()
            .filter_map(|name| name.strip_suffix(".bytes"));
        named.into_iter().find_map(|name| self.image(name))
    }

    fn is_binary(&self, leaf: usize) -> bool {
        self.get(leaf).physical_type() == Type::BYTE_ARRAY
    }

    fn is_text(&self, leaf: usize) -> bool {
        let leaf = self.get(leaf);
        leaf.converted_type() == ConvertedType::UTF8
            || matches!(leaf.logical_type_ref(), Some(LogicalType::String))
    }

    /// The leaf of the list `name`, whose own name differs between writers.
    fn vector(&self, name: &str) -> Option<usize> {
        self.all()
            .find(|leaf| self.is_vector(*leaf) && self.get(*leaf).path().parts()[0] == name)
    }

    fn only_vector(&self) -> Option<usize> {
        let mut vectors = self.all().filter(|leaf| self.is_vector(*leaf));
        vectors.next().filter(|_| vectors.next().is_none())
    }

    fn is_vector(&self, leaf: usize) -> bool {
        let leaf = self.get(leaf);
        leaf.max_rep_level() == 1 && matches!(leaf.physical_type(), Type::FLOAT | Type::DOUBLE)
    }
}

/// The names of the classes that stand for the integers of the column `label`, where Hugging Face's `datasets` wrote
/// them down.
pub(super) fn class_names(metadata: &ParquetMetaData, label: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Dataset {
        info: Info,
    }
    #[derive(Deserialize)]
    struct Info {
        features: HashMap<String, serde_json::Value>,
    }
    let pairs = metadata.file_metadata().key_value_metadata();
    let named = |pair: &&KeyValue| pair.key == "huggingface";
    let written = pairs.and_then(|pairs| pairs.iter().find(named)?.value.as_deref());
    let features = written.and_then(|text| serde_json::from_str::<Dataset>(text).ok());
    let Some(mut features) = features.map(|dataset| dataset.info.features) else {
        return Vec::new();
    };
    let names = features
        .remove(label)
        .and_then(|mut feature| Some(feature.get_mut("names")?.take()));
    names
        .and_then(|names| serde_json::from_value(names).ok())
        .unwrap_or_default()
}
