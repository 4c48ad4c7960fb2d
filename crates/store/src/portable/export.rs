//! Writing a version to a file.

use super::{
    frame::{Kind, Writer},
    listing,
};
use crate::{
    Column, Digest, Result, SAMPLES_PER_CHUNK, Store, StoreError, VersionRecord,
    column::ColumnFile, envelope::json, version::sketch_bytes,
};
use std::io::Write;

/// A version on its way into a file, a frame at a time: memory holds no more.
pub struct Export {
    version: VersionRecord,
    writer: Writer,
    next: Next,
}

/// What the next frame holds.
enum Next {
    Record,
    Clustering,
    Sketch,
    /// The name of a column, by its place among all.
    Column(usize),
    /// A chunk of that column.
    Values(usize, ColumnFile, u64),
    /// Samples, from this one on.
    Samples(u64),
    Nothing,
}

impl Store {
    /// Writes version `id` to `out`, from where [`Store::import_version`] takes it. The same version
    /// gives the same bytes anywhere.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] before anything is written; [`StoreError::Corrupt`], and whatever `out`
    /// says: what was written until then cannot be imported.
    pub fn export_version(&self, id: Digest, out: &mut dyn Write) -> Result<()> {
        let mut export = Export::of(self, id)?;
        let mut frame = Vec::new();
        while export.next(self, &mut frame)? {
            out.write_all(&frame)
                .map_err(StoreError::io("write", "the exported version"))?;
            frame.clear();
        }
        out.flush()
            .map_err(StoreError::io("write", "the exported version"))
    }
}

impl Export {
    /// Begins with version `id`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`StoreError::Corrupt`] when something of it is missing.
    pub fn of(store: &Store, id: Digest) -> Result<Self> {
        let version = store.version(id)?;
        let version = version.ok_or_else(|| StoreError::NotFound(format!("version {id}")))?;
        store.check_columns(&version)?;
        Ok(Self {
            version,
            writer: Writer::default(),
            next: Next::Record,
        })
    }

    /// Appends the next frame to `out`; false once there is none. `store` is the one that it began with.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], and whatever the disk says: there is no going on then.
    pub fn next(&mut self, store: &Store, out: &mut Vec<u8>) -> Result<bool> {
        self.next = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Record => {
                let portable = VersionRecord {
                    listing: listing(self.version.id),
                    ..self.version.clone()
                };
                self.writer.begin(out);
                self.writer.frame(out, Kind::Record, &json(&portable));
                Next::Clustering
            }
            Next::Clustering => {
                let clustering = store.clustering(self.version.id)?;
                self.writer.frame(out, Kind::Clustering, &json(&clustering));
                Next::Sketch
            }
            Next::Sketch => {
                let sketch = sketch_bytes(&store.sketch(self.version.id)?);
                self.writer.frame(out, Kind::Sketch, &sketch);
                Next::Column(0)
            }
            Next::Column(place) => {
                let column = Column::ALL[place];
                let file = store.open_column(self.version.id, column)?;
                let name = column.name().as_bytes();
                self.writer.frame(out, Kind::Column, name);
                Next::after(place, file, 0)
            }
            Next::Values(place, file, chunk) => {
                let mut values = Vec::new();
                file.chunk(chunk, &mut values)?;
                self.writer.frame(out, Kind::Values, &values);
                Next::after(place, file, chunk + 1)
            }
            Next::Samples(first) if first < self.version.summary.sample_count => {
                let count = self.version.summary.sample_count;
                let end = count.min(first + SAMPLES_PER_CHUNK);
                let some = store.some_samples(self.version.listing, first..end)?;
                self.writer.frame(out, Kind::Samples, &json(&some));
                Next::Samples(end)
            }
            Next::Samples(_) => {
                self.writer.finish(out);
                Next::Nothing
            }
            Next::Nothing => return Ok(false),
        };
        Ok(true)
    }
}

impl Next {
    /// The chunk of a column, or what follows its last.
    fn after(place: usize, file: ColumnFile, chunk: u64) -> Self {
        let next = place + 1;
        match chunk < file.chunks() {
            true => Self::Values(place, file, chunk),
            false if next < Column::ALL.len() => Self::Column(next),
            false => Self::Samples(0),
        }
    }
}
