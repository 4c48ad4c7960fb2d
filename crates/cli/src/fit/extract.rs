//! From images to features, in a temporary file: what follows is the same as for a given file.

use super::{Dataset, Watch, dataset::Failure};
use crate::{
    arrays::{Item, header},
    exit::{BadInput, Interrupted},
};
use anyhow::Context;
use curriculum_extractor::{Extractor, Model, Options};
use curriculum_manifest::Manifest;
use curriculum_server::config;
use rayon::prelude::*;
use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
    ops::Range,
    path::Path,
};
use tempfile::NamedTempFile;

/// Samples whose encoded bytes are in memory at the same time.
const BLOCK: usize = 64;

/// How features are extracted.
pub(crate) struct Extraction<'a> {
    pub(crate) model: &'a config::Model,
    /// Share of samples, 0 to 1, that may fail.
    pub(crate) max_failed_fraction: f64,
    /// Where the features are kept as long as they are needed: 4 bytes each.
    pub(crate) folder: &'a Path,
}

/// Runs the model over the samples of `source`.
///
/// # Errors
/// [`BadInput`] for a source that cannot be listed, a model that cannot be used, or too many samples
/// that fail; [`Interrupted`].
pub(crate) fn extract(
    source: &Path,
    extraction: &Extraction<'_>,
    watch: &mut Watch,
) -> anyhow::Result<Dataset> {
    let manifest = Manifest::open(source).map_err(|error| BadInput(error.to_string()))?;
    let model = Model::resolve(&extraction.model.name)
        .map_err(|error| BadInput(format!("--model: {error}")))?;
    let mut extractor = Extractor::open(&model, &options(extraction.model))?;
    let file = NamedTempFile::new_in(extraction.folder)
        .with_context(|| format!("cannot write in {}", extraction.folder.display()))?;
    let mut rows = Rows::begin(&file, extractor.dimension(), manifest.len())?;
    let mut failed = Vec::new();
    let total = manifest.len();
    for start in (0..total).step_by(BLOCK) {
        let reported = watch.report("extract", "extracting features", start as u64, total as u64);
        if reported.is_break() {
            return Err(Interrupted.into());
        }
        let block = start..total.min(start + BLOCK);
        extract_block(&manifest, &mut extractor, block, &mut rows, &mut failed)?;
        check_failures(&manifest, &failed, extraction.max_failed_fraction)?;
    }
    rows.end()?;
    Dataset::extracted(manifest, failed, file)
}

fn options(model: &config::Model) -> Options {
    Options {
        execution_provider: model.execution_provider,
        intra_threads: Some(model.threads).filter(|threads| *threads > 0),
        batch_size: model.batch_size,
    }
}

/// Appends the rows of the samples that can be used, and notes the others.
fn extract_block(
    manifest: &Manifest,
    extractor: &mut Extractor,
    samples: Range<usize>,
    rows: &mut Rows,
    failed: &mut Vec<Failure>,
) -> anyhow::Result<()> {
    let mut reasons: Vec<Option<String>> = Vec::new();
    let mut images = Vec::new();
    let read: Vec<_> = samples
        .clone()
        .into_par_iter()
        .map(|index| manifest.read(index))
        .collect();
    for read in read {
        // An unreadable sample stands for an image that cannot be decoded.
        reasons.push(read.as_ref().err().map(ToString::to_string));
        images.push(read.unwrap_or_default());
    }
    let dimension = extractor.dimension();
    let mut features = vec![0.0; images.len() * dimension];
    for failure in extractor.extract(&images, &mut features)? {
        if let Some(reason) = reasons.get_mut(failure.position) {
            reason.get_or_insert_with(|| failure.error.to_string());
        }
    }
    let extracted = features.chunks_exact(dimension);
    for ((index, reason), row) in samples.zip(reasons).zip(extracted) {
        match reason {
            Some(reason) => failed.push(Failure { index, reason }),
            None => rows.push(row)?,
        }
    }
    Ok(())
}

fn check_failures(manifest: &Manifest, failed: &[Failure], allowed: f64) -> Result<(), BadInput> {
    let total = manifest.len();
    let Some(first) = failed.first() else {
        return Ok(());
    };
    if failed.len() < total && failed.len() as f64 <= allowed * total as f64 {
        return Ok(());
    }
    let id = manifest
        .samples()
        .get(first.index)
        .map_or("", |sample| &sample.id);
    Err(BadInput(format!(
        "{} of {total} samples failed so far, --max-failed-fraction is {allowed}; the first is \
         sample {} (`{id}`): {}",
        failed.len(),
        first.index,
        first.reason
    )))
}

/// A `.npy` file of features whose number of rows is known at its end.
struct Rows {
    file: BufWriter<File>,
    dimension: usize,
    rows: usize,
    /// Length of the header.
    start: usize,
}

impl Rows {
    /// For at most `samples` rows.
    fn begin(file: &NamedTempFile, dimension: usize, samples: usize) -> anyhow::Result<Self> {
        let mut file = BufWriter::new(file.as_file().try_clone()?);
        let header = header(f32::DESCR, &[samples, dimension]);
        file.write_all(&header)?;
        Ok(Self {
            file,
            dimension,
            rows: 0,
            start: header.len(),
        })
    }

    fn push(&mut self, row: &[f32]) -> anyhow::Result<()> {
        let mut bytes = Vec::with_capacity(size_of_val(row));
        row.iter().for_each(|x| x.append_to(&mut bytes));
        self.rows += 1;
        self.file.write_all(&bytes).context("cannot store features")
    }

    fn end(mut self) -> anyhow::Result<()> {
        let header = header(f32::DESCR, &[self.rows, self.dimension]);
        anyhow::ensure!(header.len() == self.start, "the header grew");
        self.file.rewind()?;
        self.file.write_all(&header)?;
        self.file.flush().context("cannot store features")
    }
}
