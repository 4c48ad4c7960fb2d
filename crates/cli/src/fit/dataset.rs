//! What is fitted.

use crate::exit::BadInput;
use curriculum_clustering::{Source, SourceError};
use curriculum_manifest::Manifest;
use curriculum_npy::{Features, read_labels};
use std::{
    collections::HashMap,
    iter,
    ops::Range,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Features of the samples that have any, one row each, in order of the samples.
pub(crate) struct Dataset {
    features: Features,
    /// Number of samples, failed ones included.
    samples: usize,
    /// Samples without a row, by ascending index.
    failed: Vec<Failure>,
    source: PathBuf,
    /// Names the samples; a `.npy` file has no names for them.
    manifest: Option<Manifest>,
    /// Where the features are, if nobody else keeps them.
    _file: Option<NamedTempFile>,
}

/// A sample that could not be used.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) index: usize,
    pub(crate) reason: String,
}

/// Classes of the rows.
pub(crate) struct Labels {
    pub(crate) classes: Vec<u32>,
    /// By class.
    pub(crate) names: Vec<String>,
}

/// The rows of a mapped file.
pub(crate) struct Rows<'a>(&'a Features);

impl Dataset {
    /// A `.npy` file of features.
    ///
    /// # Errors
    /// [`BadInput`] with what is wrong with the file.
    pub(crate) fn map(path: &Path) -> Result<Self, BadInput> {
        let features = Features::open(path).map_err(|error| BadInput(error.to_string()))?;
        Ok(Self {
            samples: features.rows(),
            features,
            failed: Vec::new(),
            source: path.to_owned(),
            manifest: None,
            _file: None,
        })
    }

    /// Features of the samples of `manifest` except `failed`, in `file`.
    ///
    /// # Errors
    /// When the file cannot be mapped.
    pub(super) fn extracted(
        manifest: Manifest,
        failed: Vec<Failure>,
        file: NamedTempFile,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            features: Features::open(file.path())?,
            samples: manifest.len() as usize,
            failed,
            source: PathBuf::from(&manifest.source().uri),
            manifest: Some(manifest),
            _file: Some(file),
        })
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows(&self.features)
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    pub(crate) fn dimension(&self) -> usize {
        self.features.dimension()
    }

    pub(crate) fn failed(&self) -> &[Failure] {
        &self.failed
    }

    /// Where it came from.
    pub(crate) fn name(&self) -> String {
        self.source.display().to_string()
    }

    /// The row, for people.
    pub(crate) fn describe(&self, row: usize) -> String {
        match &self.manifest {
            None => format!("{}: row {row}", self.name()),
            Some(_) => {
                let index = self.usable().nth(row).unwrap_or(row);
                format!("{}: {}", self.name(), self.sample(index))
            }
        }
    }

    /// The sample, for people.
    pub(crate) fn sample(&self, index: usize) -> String {
        let manifest = self.manifest.as_ref();
        match manifest.map(|manifest| manifest.sample(index as u64)) {
            Some(Ok(sample)) => format!("sample {index} (`{}`)", sample.id),
            Some(Err(_)) | None => format!("sample {index}"),
        }
    }

    /// `values`, one per row, by sample, with `absent` for those without a row.
    pub(crate) fn by_sample<T: Copy>(&self, values: &[T], absent: T) -> impl Iterator<Item = T> {
        let mut values = values.iter().copied();
        let mut failed = self.failed.iter().map(|failure| failure.index).peekable();
        (0..self.samples).map(move |index| match failed.next_if_eq(&index) {
            Some(_) => absent,
            None => values.next().unwrap_or(absent),
        })
    }

    /// Classes of the rows: of the file `given`, with a label per sample, or of the manifest.
    ///
    /// # Errors
    /// [`BadInput`] when the file does not fit, or a sample has no label.
    pub(crate) fn labels(&self, given: Option<&Path>) -> Result<Labels, BadInput> {
        if let Some(path) = given {
            let labels = read_labels(path, self.samples);
            let labels = labels.map_err(|error| BadInput(error.to_string()))?;
            let classes = match self.failed.is_empty() {
                true => labels.classes,
                false => self.usable().map(|index| labels.classes[index]).collect(),
            };
            let names = labels.names;
            return Ok(Labels { classes, names });
        }
        match &self.manifest {
            Some(manifest) => self.manifest_labels(manifest),
            None => Err(BadInput(format!(
                "--by-label needs --labels FILE.npy: {} has no labels",
                self.name()
            ))),
        }
    }

    fn manifest_labels(&self, manifest: &Manifest) -> Result<Labels, BadInput> {
        let mut numbers = HashMap::new();
        let (mut classes, mut names) = (Vec::new(), Vec::new());
        for index in self.usable() {
            let sample = manifest.sample(index as u64);
            let sample = sample.map_err(|error| BadInput(error.to_string()))?;
            let label = sample.label.as_deref().ok_or_else(|| {
                let sample = self.sample(index);
                BadInput(format!(
                    "--by-label needs a label on every sample, but {sample} has none"
                ))
            })?;
            let class = *numbers.entry(label.to_owned()).or_insert_with(|| {
                names.push(label.to_owned());
                names.len() as u32 - 1
            });
            classes.push(class);
        }
        Ok(Labels { classes, names })
    }

    /// Indices of the samples with a row.
    fn usable(&self) -> impl Iterator<Item = usize> {
        let mut failed = self.failed.iter().map(|failure| failure.index).peekable();
        let mut indices = 0..self.samples;
        iter::from_fn(move || indices.find(|index| failed.next_if_eq(index).is_none()))
    }
}

impl Source for Rows<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn width(&self) -> usize {
        self.0.dimension()
    }

    fn block<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut Vec<f32>,
    ) -> Result<&'a [f32], SourceError> {
        Ok(self.0.block(range, buffer))
    }
}
