//! The table as an `.npz`: `id` and `label` of fixed width, as NumPy keeps text.

use super::Samples;
use crate::{arrays::NpzWriter, exit::BadInput};
use std::path::Path;

/// Characters of the longest id or label: every other one takes as much space, 4 bytes each.
const MAX_WIDTH: usize = 4096;

/// Columns, in memory: their lengths come first in the file.
pub(crate) struct NpzTable {
    archive: NpzWriter,
    ids: Texts,
    labels: Texts,
    difficulty: Vec<f32>,
    distance: Vec<f32>,
    cluster: Vec<u32>,
}

/// Texts, one after the other.
#[derive(Default)]
struct Texts {
    text: String,
    ends: Vec<usize>,
    /// Characters of the longest.
    width: usize,
}

impl NpzTable {
    pub(super) fn create(path: &Path) -> Result<Self, BadInput> {
        Ok(Self {
            archive: NpzWriter::create(path)?,
            ids: Texts::default(),
            labels: Texts::default(),
            difficulty: Vec::new(),
            distance: Vec::new(),
            cluster: Vec::new(),
        })
    }

    pub(super) fn push(&mut self, mut samples: Samples) -> Result<(), BadInput> {
        samples.ids.iter().for_each(|id| self.ids.push(id));
        samples
            .labels
            .iter()
            .for_each(|label| self.labels.push(label));
        self.difficulty.append(&mut samples.difficulty);
        self.distance.append(&mut samples.distance);
        self.cluster.append(&mut samples.cluster);
        match self.ids.width.max(self.labels.width) {
            0..=MAX_WIDTH => Ok(()),
            width => Err(BadInput(format!(
                "an id or label has {width} characters, which each sample would take in an .npz: \
                 write to a .parquet instead"
            ))),
        }
    }

    pub(super) fn finish(self) -> Result<(), BadInput> {
        let mut npz = self.archive;
        let shape = [self.difficulty.len()];
        npz.add_texts("id", self.ids.width, self.ids.iter())?;
        npz.add("index", &shape, 0..self.difficulty.len() as u64)?;
        npz.add("difficulty", &shape, self.difficulty.into_iter())?;
        npz.add("distance", &shape, self.distance.into_iter())?;
        npz.add("cluster", &shape, self.cluster.into_iter())?;
        npz.add_texts("label", self.labels.width, self.labels.iter())?;
        npz.finish()
    }
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.width = self.width.max(text.chars().count());
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let text = self.text.get(start..*end).unwrap_or_default();
            start = *end;
            text
        })
    }
}
