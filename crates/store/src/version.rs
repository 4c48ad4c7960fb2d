//! Versions: their records, sketches and outcomes of clustering.

use crate::{
    ClusteringRecord, Digest, Result, Store, StoreError, VersionRecord, envelope, files, portable,
};
use curriculum::{Sketch, sketch::Point};

impl Store {
    /// Writes the outcome of clustering for a version in the making.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_clustering(&self, version: Digest, clustering: &ClusteringRecord) -> Result<()> {
        self.clusterings
            .insert(version.as_bytes(), envelope::seal_json(clustering))?;
        Ok(())
    }

    /// The outcome of clustering for a version.
    ///
    /// # Errors
    /// When it is missing or damaged, or the database fails.
    pub fn clustering(&self, version: Digest) -> Result<ClusteringRecord> {
        let what = || format!("clustering of version {version}");
        let value = self.clusterings.get(version.as_bytes())?;
        envelope::open_json(
            &value.ok_or_else(|| StoreError::corrupt(what(), "missing"))?,
            what,
        )
    }

    /// Writes a finished version. It is not readable by name before [`Store::point`].
    ///
    /// # Errors
    /// When the database fails.
    pub fn put_version(&self, version: &VersionRecord, sketch: &Sketch) -> Result<()> {
        let points = envelope::seal(&sketch_bytes(sketch));
        self.sketches.insert(version.id.as_bytes(), points)?;
        self.versions
            .insert(version.id.as_bytes(), envelope::seal_json(version))?;
        Ok(())
    }

    /// The version of that id.
    ///
    /// # Errors
    /// When the record is damaged or the database fails.
    pub fn version(&self, id: Digest) -> Result<Option<VersionRecord>> {
        let value = self.versions.get(id.as_bytes())?;
        value
            .map(|value| envelope::open_json(&value, || format!("version {id}")))
            .transpose()
    }

    /// Removes a version and all that belongs to it alone. The record goes first: what a kill leaves
    /// behind is unreferenced.
    pub(crate) fn remove_version(&self, id: Digest) -> Result<()> {
        self.versions.remove(id.as_bytes())?;
        self.flush()?;
        self.sketches.remove(id.as_bytes())?;
        self.clusterings.remove(id.as_bytes())?;
        self.remove_columns(id)?;
        // An imported version's samples are its own.
        files::remove_folder(&self.sample_folder(portable::listing(id)))?;
        Ok(())
    }

    /// The sketch of a version.
    ///
    /// # Errors
    /// When it is missing or damaged, or the database fails.
    pub fn sketch(&self, version: Digest) -> Result<Sketch> {
        let what = || format!("sketch of version {version}");
        let value = self.sketches.get(version.as_bytes())?;
        let value = value.ok_or_else(|| StoreError::corrupt(what(), "missing"))?;
        parse_sketch(envelope::open(&value, what)?)
            .ok_or_else(|| StoreError::corrupt(what(), "wrong length"))
    }
}

/// Value and count of each point, as f64, little endian.
pub(crate) fn sketch_bytes(sketch: &Sketch) -> Vec<u8> {
    let points = sketch.points().iter();
    let numbers = points.flat_map(|p| [p.value.to_le_bytes(), p.count.to_le_bytes()]);
    numbers.flatten().collect()
}

/// Of [`sketch_bytes`]; `None` when they are no pairs of numbers.
pub(crate) fn parse_sketch(bytes: &[u8]) -> Option<Sketch> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    let (pairs, odd) = numbers.as_chunks::<2>();
    let point = |[value, count]: &[[u8; 8]; 2]| Point {
        value: f64::from_le_bytes(*value),
        count: f64::from_le_bytes(*count),
    };
    let whole = rest.is_empty() && odd.is_empty();
    whole.then(|| Sketch::from_points(pairs.iter().map(point).collect()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        Basis, ClusterRecord, Column, SummaryRecord, VersionRecord, parameters::tests::parameters,
        store::temporary,
    };

    /// Samples of the versions that tests write.
    pub(crate) const SAMPLES: u32 = 5;

    pub(crate) fn version(id: Digest) -> VersionRecord {
        VersionRecord {
            id,
            content: id,
            listing: id,
            source: "s".to_owned(),
            model: "m".to_owned(),
            model_digest: id,
            parameters: parameters(),
            created_at_ms: 7,
            summary: SummaryRecord {
                sample_count: u64::from(SAMPLES),
                failed_count: 0,
                dimension: 2,
                inertia: 0.5,
                davies_bouldin: None,
                histogram: vec![5],
                clusters: vec![ClusterRecord {
                    size: 5,
                    mean_distance: 0.25,
                    nearest: Vec::new(),
                    farthest: Vec::new(),
                    label: None,
                }],
                candidates: Vec::new(),
                warnings: Vec::new(),
                drift: None,
            },
        }
    }

    /// A complete version, with all its columns.
    pub(crate) fn put_version(store: &Store, id: Digest) {
        let values = (0..SAMPLES).map(|n| (n as f32 / 8.0).to_le_bytes());
        for column in [Column::Difficulty, Column::Distance] {
            store.put_column(id, column, values.clone()).unwrap();
        }
        let clusters = (0..SAMPLES).map(|_| 0u32.to_le_bytes());
        store.put_column(id, Column::Cluster, clusters).unwrap();
        let centroids = [1f32, 2.0].map(f32::to_le_bytes).into_iter();
        store.put_column(id, Column::Centroids, centroids).unwrap();
        let clustering = ClusteringRecord {
            clusters: 1,
            dimension: 2,
            inertia: 0.5,
            davies_bouldin: None,
            candidates: Vec::new(),
            labels: Vec::new(),
            warnings: Vec::new(),
            basis: Some(Basis {
                mean: vec![0.1, 0.2],
                scale: vec![1.0, 1.0 / 3.0],
                ranges: vec![Some((0.0, 0.5))],
            }),
            drift: None,
        };
        store.put_clustering(id, &clustering).unwrap();
        let values: Vec<f32> = (0..SAMPLES).map(|n| n as f32 / 8.0).collect();
        let sketch = Sketch::new(&values);
        store.put_version(&version(id), &sketch).unwrap();
    }

    #[test]
    fn a_damaged_sketch_is_never_used() {
        let (store, _folder) = temporary();
        let id = Digest::from([1; 32]);
        assert!(matches!(store.sketch(id), Err(StoreError::Corrupt { .. })));
        store
            .sketches
            .insert(id.as_bytes(), envelope::seal(&[0; 17]))
            .unwrap();
        assert!(matches!(store.sketch(id), Err(StoreError::Corrupt { .. })));
    }
}
