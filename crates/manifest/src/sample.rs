//! One item of a dataset, and where its bytes lie.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::archive::Archive;

/// One item of a dataset. Its index is its position in the manifest.
///
/// A manifest keeps one of these per sample for as long as a job runs, so it holds no more than it must: the text
/// of its id, a label shared with the other samples of its class, and a location of 24 bytes.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Unique in the manifest.
    pub id: Box<str>,
    /// The class, where the source gives one.
    pub label: Option<Arc<str>>,
    pub(crate) location: Location,
}

/// Where a sample's bytes lie.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A file: its path as the source writes it, or `None` where that is the sample's id. A relative path starts
    /// at the manifest's root.
    File(Option<Box<str>>),
    /// A run of bytes in a tar file.
    Member {
        archive: Arc<Archive>,
        offset: u64,
        length: u64,
    },
}

impl Sample {
    /// The file that holds the sample's bytes, alone or among others.
    pub(crate) fn file(&self, root: &Path) -> PathBuf {
        match &self.location {
            Location::File(None) => root.join(&*self.id),
            Location::File(Some(path)) => root.join(&**path),
            Location::Member { archive, .. } => archive.path().to_path_buf(),
        }
    }
}

/// An id that two samples have, and their indices.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Duplicate<'a> {
    pub(crate) id: &'a str,
    pub(crate) first: usize,
    pub(crate) second: usize,
}

/// The first sample whose id was used before.
pub(crate) fn duplicate_id(samples: &[Sample]) -> Option<Duplicate<'_>> {
    let mut first_uses: HashMap<&str, usize> = HashMap::with_capacity(samples.len());
    for (second, Sample { id, .. }) in samples.iter().enumerate() {
        match first_uses.entry(id) {
            Entry::Occupied(first) => {
                let first = *first.get();
                return Some(Duplicate { id, first, second });
            }
            Entry::Vacant(free) => free.insert(second),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_compact() {
        assert_eq!(size_of::<Location>(), 24);
        assert_eq!(size_of::<Sample>(), 56);
    }

    #[test]
    fn finds_the_first_duplicate() {
        let samples: Vec<Sample> = ["a", "b", "c", "b", "a"]
            .map(|id| Sample {
                id: id.into(),
                label: None,
                location: Location::File(None),
            })
            .into();
        let duplicate = Duplicate {
            id: "b",
            first: 1,
            second: 3,
        };
        assert_eq!(duplicate_id(&samples), Some(duplicate));
        assert_eq!(duplicate_id(&samples[..3]), None);
    }
}
