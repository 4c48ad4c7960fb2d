//! Taking a version from a file, which anybody may have made.
//!
//! Everything is written beside the place where it will lie and moved there at the end, the record
//! last: a file that turns out to be damaged, or that ends early, leaves nothing.

use super::{
    Imported, Samples,
    frame::{Kind, Reader, invalid},
    listing,
};
use crate::{
    ClusteringRecord, Column, Digest, Result, SAMPLES_PER_CHUNK, Store, StoreError, VersionRecord,
    curricula::check_name, files::NewFolder, version::parse_sketch,
};
use curriculum::Sketch;
use serde::de::DeserializeOwned;
use std::{io::Read, sync::PoisonError};

/// The parts of a version that fit into memory.
struct Parts {
    version: VersionRecord,
    clustering: ClusteringRecord,
    sketch: Sketch,
}

impl Store {
    /// [`Store::take_version`], and makes the version the newest of `curriculum`.
    ///
    /// # Errors
    /// See there; and [`StoreError::Invalid`] when the name is none.
    pub fn import_version(&self, input: &mut dyn Read, curriculum: &str) -> Result<Imported> {
        check_name(curriculum)?;
        let imported = self.take_version(input)?;
        self.point(curriculum, imported.version.id)?;
        self.flush()?;
        Ok(imported)
    }

    /// Takes the version from `input`, as [`Store::export_version`] wrote it; no curriculum names it yet.
    /// A version that is there already is not written again; the file is read and checked all the same.
    ///
    /// # Errors
    /// [`StoreError::Portable`] when the file is damaged or not what it should be, [`StoreError::Invalid`]
    /// when a job builds this very version, [`StoreError::DiskFull`], and whatever the disk or `input`
    /// says. Nothing of the version is left then.
    pub fn take_version(&self, input: &mut dyn Read) -> Result<Imported> {
        let mut reader = Reader::new(input)?;
        let parts = Parts::read(&mut reader)?;
        let id = parts.version.id;
        self.check_not_built(id)?;
        let columns = self.new_folder("columns")?;
        let samples = self.new_folder("samples")?;
        for column in Column::ALL {
            self.import_column(&mut reader, &parts, column, &columns)?;
        }
        self.import_samples(&mut reader, &parts, &samples)?;
        reader.finish()?;
        // The chunks of samples are synced here, under the names that they were written by.
        self.flush()?;
        // The file may have taken hours: what is here is asked once nothing but a job can change it.
        let _importing = self
            .importing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.check_not_built(id)?;
        let present = self.version(id)?;
        let was_there = present.is_some();
        match present {
            Some(present) if !is_same(&present, &parts.version) => {
                let reason = format!("version {id} is here already, and it is another one");
                return Err(invalid(reason));
            }
            Some(_) => {}
            None => {
                columns.publish(&self.column_folder(id))?;
                samples.publish(&self.sample_folder(listing(id)))?;
                self.put_clustering(id, &parts.clustering)?;
                self.flush()?;
                self.put_version(&parts.version, &parts.sketch)?;
                self.flush()?;
            }
        }
        Ok(Imported {
            version: parts.version,
            was_there,
        })
    }

    /// Two writers of one version's files must not meet.
    fn check_not_built(&self, id: Digest) -> Result<()> {
        let (jobs, _) = self.jobs()?;
        let mut building = jobs.iter().filter(|job| !job.state.has_ended());
        match building.find(|job| job.version == Some(id)) {
            None => Ok(()),
            Some(job) => Err(StoreError::Invalid(format!(
                "job {} builds version {id} at the moment",
                job.id
            ))),
        }
    }

    fn import_column(
        &self,
        reader: &mut Reader<'_>,
        parts: &Parts,
        column: Column,
        folder: &NewFolder,
    ) -> Result<()> {
        if reader.frame(Kind::Column)? != column.name().as_bytes() {
            return Err(invalid(format!("column {} is missing", column.name())));
        }
        let values = column.length(&parts.version, &parts.clustering);
        let clusters = parts.clustering.clusters;
        let mut file = self.new_file_in(folder.path())?;
        self.write_column(&mut file, parts.version.id, column, values, &mut |chunk| {
            let bytes = reader.frame(Kind::Values)?;
            if !bytes
                .as_chunks::<4>()
                .0
                .iter()
                .all(|v| column.allows(*v, clusters))
            {
                let name = column.name();
                return Err(invalid(format!("column {name} has an impossible value")));
            }
            chunk.extend_from_slice(bytes);
            Ok(())
        })
        .map_err(|error| match error {
            StoreError::Invalid(reason) => invalid(reason),
            other => other,
        })?;
        file.publish(&folder.path().join(column.name()))
    }

    fn import_samples(
        &self,
        reader: &mut Reader<'_>,
        parts: &Parts,
        folder: &NewFolder,
    ) -> Result<()> {
        let count = parts.version.summary.sample_count;
        for chunk in 0..count.div_ceil(SAMPLES_PER_CHUNK) {
            let samples: Samples = parse(reader, Kind::Samples)?;
            let expected = SAMPLES_PER_CHUNK.min(count - chunk * SAMPLES_PER_CHUNK);
            if samples.len() as u64 != expected {
                return Err(invalid("it has another number of samples"));
            }
            let listing = listing(parts.version.id);
            self.write_sample_chunk(folder.path(), listing, chunk, &samples)?;
        }
        Ok(())
    }
}

impl Parts {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let version: VersionRecord = parse(reader, Kind::Record)?;
        if version.listing != listing(version.id) {
            return Err(invalid("its samples are not its own"));
        }
        let clustering: ClusteringRecord = parse(reader, Kind::Clustering)?;
        if !fit_together(&version, &clustering) {
            return Err(invalid("its clusters do not fit together"));
        }
        let sketch = parse_sketch(reader.frame(Kind::Sketch)?);
        let sketch = sketch.filter(is_ordered);
        let sketch = sketch.ok_or_else(|| invalid("the sketch is none"))?;
        if sketch.samples() != version.summary.sample_count {
            return Err(invalid("the sketch is of another number of samples"));
        }
        Ok(Self {
            version,
            clustering,
            sketch,
        })
    }
}

fn parse<T: DeserializeOwned>(reader: &mut Reader<'_>, kind: Kind) -> Result<T> {
    let json = reader.frame(kind)?;
    serde_json::from_slice(json).map_err(|error| invalid(format!("a {kind:?}: {error}")))
}

/// Whether all that is said by cluster and by dimension is said of the same clusters and dimensions.
fn fit_together(version: &VersionRecord, clustering: &ClusteringRecord) -> bool {
    let (clusters, dimension) = (clustering.clusters as usize, clustering.dimension as usize);
    let is_of = |length: usize, expected: usize| length == 0 || length == expected;
    let basis = clustering.basis.as_ref().is_none_or(|basis| {
        // By label there is one for each class; the clusters of a class lie together.
        let classes = clustering.labels.chunk_by(|a, b| a == b).count();
        let groups = if classes == 0 { clusters } else { classes };
        basis.ranges.len() == groups
            && basis.mean.len() == basis.scale.len()
            && is_of(basis.mean.len(), dimension)
    });
    basis
        && version.summary.dimension == clustering.dimension
        && version.summary.clusters.len() == clusters
        && is_of(clustering.labels.len(), clusters)
}

/// Finite, ascending, and each for some samples.
fn is_ordered(sketch: &Sketch) -> bool {
    let points = sketch.points();
    let sound = |p: &curriculum::sketch::Point| {
        p.value.is_finite() && p.count.is_finite() && p.count >= 0.0
    };
    points.iter().all(sound) && points.is_sorted_by(|a, b| a.value <= b.value)
}

/// Whether the version that is here is the one in the file: all but what its id does not cover, which is
/// when and from where it was built, and how many failures were tolerated.
fn is_same(present: &VersionRecord, imported: &VersionRecord) -> bool {
    let mut present = VersionRecord {
        listing: imported.listing,
        source: imported.source.clone(),
        model: imported.model.clone(),
        created_at_ms: imported.created_at_ms,
        ..present.clone()
    };
    present.parameters.max_failed_fraction = imported.parameters.max_failed_fraction;
    present == *imported
}
