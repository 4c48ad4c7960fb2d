//! From images to features, in a temporary file: what follows is the same as for a given file.

use super::{Dataset, dataset::Failure};
use crate::{
    arrays::{Item, header},
    extraction::{self, Extraction},
    work::Watch,
};
use anyhow::Context;
use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
    path::Path,
};
use tempfile::NamedTempFile;

impl Dataset {
    /// Runs the model over the samples of `source`; the features lie in `folder` as long as they are
    /// needed, 4 bytes each.
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
