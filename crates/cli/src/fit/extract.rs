//! From a source to features, in a temporary file: what follows is the same as for a given file.

use super::{Dataset, dataset::Failure};
use crate::{
    arrays::Item,
    exit::{BadInput, Interrupted},
    extraction::{self, Extraction},
    work::Watch,
};
use anyhow::Context;
use curriculum_manifest::{Kind, Manifest};
use curriculum_npy::header;
use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
    path::Path,
};
use tempfile::NamedTempFile;

/// Rows between two reports.
const REPORTED: usize = 1024;

impl Dataset {
    /// Runs the model over the samples of `source`, or takes the features that it holds; they lie in
    /// `folder` as long as they are needed, 4 bytes each.
    ///
    /// # Errors
    /// [`crate::exit::BadInput`] for a source that cannot be listed, a model that cannot be used, or
    /// too many samples that fail; [`crate::exit::Interrupted`].
    pub(crate) fn extract(
        source: &Path,
        extraction: &Extraction,
        folder: &Path,
        watch: &mut Watch,
    ) -> anyhow::Result<Self> {
        let manifest = extraction::open(source)?;
        if let Kind::Features { dimension } = manifest.kind() {
            return Self::given(manifest, dimension as usize, folder, watch);
        }
        let mut extractor = extraction.open()?;
        let file = NamedTempFile::new_in(folder)
            .with_context(|| format!("cannot write in {}", folder.display()))?;
        let mut rows = Rows::begin(&file, extractor.dimension(), manifest.len() as usize)?;
        let mut failed = Vec::new();
        extraction.run(
            &manifest,
            &mut extractor,
            watch,
            &mut |index, row| match row {
                Ok(row) => rows.push(row),
                Err(reason) => {
                    failed.push(Failure {
                        index,
                        reason: reason.to_owned(),
                    });
                    Ok(())
                }
            },
        )?;
        rows.end()?;
        Self::extracted(manifest, failed, file)
    }

    /// The features that a source holds, such as a column of vectors.
    fn given(
        manifest: Manifest,
        dimension: usize,
        folder: &Path,
        watch: &mut Watch,
    ) -> anyhow::Result<Self> {
        let file = NamedTempFile::new_in(folder)
            .with_context(|| format!("cannot write in {}", folder.display()))?;
        let samples = manifest.len() as usize;
        let mut rows = Rows::begin(&file, dimension, samples)?;
        for index in 0..samples {
            let shown = index.is_multiple_of(REPORTED);
            if shown && watch.extracting(index, samples).is_break() {
                return Err(Interrupted.into());
            }
            let bytes = manifest.read(index as u64);
            rows.push_bytes(&bytes.map_err(|error| BadInput(error.to_string()))?)?;
        }
        rows.end()?;
        Self::extracted(manifest, Vec::new(), file)
    }
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
        self.push_bytes(&bytes)
    }

    /// A row as it is in the file: f32, little endian.
    fn push_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let expected = self.dimension * size_of::<f32>();
        anyhow::ensure!(bytes.len() == expected, "a row of {} bytes", bytes.len());
        self.rows += 1;
        self.file.write_all(bytes).context("cannot store features")
    }

    fn end(mut self) -> anyhow::Result<()> {
        let header = header(f32::DESCR, &[self.rows, self.dimension]);
        anyhow::ensure!(header.len() == self.start, "the header grew");
        self.file.rewind()?;
        self.file.write_all(&header)?;
        self.file.flush().context("cannot store features")
    }
}
