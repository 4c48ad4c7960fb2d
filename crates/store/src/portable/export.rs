//! Writing a version to a file.

use super::{
    frame::{Kind, Writer},
    listing,
};
use crate::{
    Column, Digest, Result, SAMPLES_PER_CHUNK, Store, StoreError, VersionRecord, envelope::json,
    version::sketch_bytes,
};
use std::io::Write;

impl Store {
    /// Writes version `id` to `out`, from where [`Store::import_version`] takes it. The same version
    /// gives the same bytes anywhere.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] before anything is written; [`StoreError::Corrupt`], and whatever `out`
    /// says: what was written until then cannot be imported.
    pub fn export_version(&self, id: Digest, out: &mut dyn Write) -> Result<()> {
        let version = self.version(id)?;
        let version = version.ok_or_else(|| StoreError::NotFound(format!("version {id}")))?;
        self.check_columns(&version)?;
        let mut writer = Writer::new(out)?;
        let portable = VersionRecord {
            listing: listing(id),
            ..version.clone()
        };
        writer.frame(Kind::Record, &json(&portable))?;
        writer.frame(Kind::Clustering, &json(&self.clustering(id)?))?;
        writer.frame(Kind::Sketch, &sketch_bytes(&self.sketch(id)?))?;
        let mut buffer = Vec::new();
        for column in Column::ALL {
            writer.frame(Kind::Column, column.name().as_bytes())?;
            let file = self.open_column(id, column)?;
            for chunk in 0..file.chunks() {
                file.chunk(chunk, &mut buffer)?;
                writer.frame(Kind::Values, &buffer)?;
            }
        }
        let samples = version.summary.sample_count;
        for first in (0..samples).step_by(SAMPLES_PER_CHUNK as usize) {
            let end = samples.min(first + SAMPLES_PER_CHUNK);
            let some = self.some_samples(version.listing, first..end)?;
            writer.frame(Kind::Samples, &json(&some))?;
        }
        writer.finish()
    }
}
