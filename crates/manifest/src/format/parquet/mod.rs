//! Parquet files: a row per sample.
//!
//! What a row holds is told from the columns, in this order, unless the source names one: NeMo Curator's
//! `l2_dist_to_cent` and `cosine_dist_to_cent`, a finished assignment, its cluster in the column `centroid` or in a
//! folder's name such as `centroid=7`; a struct of `bytes` and `path`, or a binary column, an embedded image, as
//! Hugging Face's `datasets` write it; a column of paths; a list of float or double, a vector.
//!
//! The id is in the column `id`, else it is the path, else the number of the row over all files. The label is in
//! `label` or `class`; integers that Hugging Face's metadata give names to stand for the names. Columns are read one
//! by one with typed readers, and of images and vectors nothing is read before they are asked for.
//!
//! | module | holds |
//! |---|---|
//! | `plan` | which columns are read, and as what |
//! | `columns` | flat columns, read in step |
//! | `chunks` | crate `parquet`'s way to the file, with limits |
//! | `header` | a page's header and the schema, checked before that crate gets them |
//! | `table` | images and vectors, row by row, for a job |

mod chunks;
mod columns;
mod header;
mod plan;
mod schema;
mod table;
mod thrift;

use std::sync::Arc;

use ::parquet::file::metadata::ParquetMetaData;

use self::columns::Column;
use self::plan::{CLUSTERS, Content, Plan};
pub(crate) use self::table::{Part, Tables};
use crate::access::Object;
use crate::error::ManifestError;
use crate::extension::names_sample_at;
use crate::index::{Entry, Spot};
use crate::listing::Listing;
use crate::place::Place;
use crate::source::Kind;

/// Rows read at a time.
const BATCH: usize = 4096;
/// The most rows for a byte of images or vectors, far above what compression makes of any that differ.
const MAX_ROWS_PER_BYTE: u64 = 1024;
/// The most numbers of a vector.
const MAX_DIMENSION: u64 = 1 << 20;

pub(crate) fn list(place: &Place, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    let bad = |reason: String| ManifestError::BadParquet {
        place: place.to_string(),
        reason,
    };
    let object = listing.access.open(place)?;
    let number = listing.files.add_file(&object);
    let metadata = chunks::metadata(&object).map_err(bad)?;
    if listing.source.vectors.is_some() {
        let reason = "vectors of raw bytes are for .jsonl; name the column of vectors instead";
        return Err(bad(reason.to_owned()));
    }
    let plan = Plan::of(&metadata, &listing.source.columns);
    let plan = plan.map_err(|reason| ManifestError::BadColumn {
        place: place.to_string(),
        reason,
    })?;
    let groups = metadata.num_row_groups();
    let kind = match plan.content {
        Content::Path(_) | Content::Image { .. } => Some(Kind::Images),
        Content::Assigned { .. } => Some(Kind::Assignments),
        Content::Vector(leaf) => dimension(&metadata, leaf)
            .map_err(bad)?
            .map(|dimension| Kind::Features { dimension }),
    };
    if let Some(kind) = kind {
        listing.set_kind(kind, place)?;
    }
    let names = plan.label.map(|leaf| {
        metadata
            .file_metadata()
            .schema_descr()
            .column(leaf)
            .path()
            .string()
    });
    let mut file = Table {
        place,
        number,
        folder_cluster: folder_cluster(place),
        class_names: names.map_or_else(Vec::new, |label| plan::class_names(&metadata, &label)),
        object,
        metadata,
        plan,
        row: 0,
    };
    (0..groups).try_for_each(|group| file.group(group, listing))
}

/// The length of every vector, as the numbers of rows and of values say; `None` where there is no row.
fn dimension(metadata: &ParquetMetaData, leaf: usize) -> Result<Option<u32>, String> {
    let mut dimension = None;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let values = u64::try_from(group.column(leaf).num_values()).unwrap_or(0);
        let Some(length) = values.checked_div(rows) else {
            continue;
        };
        if length * rows != values || length == 0 || length > MAX_DIMENSION {
            return Err(format!(
                "row group {number}: {values} numbers in {rows} rows; every row must have a vector of the same length"
            ));
        }
        if *dimension.get_or_insert(length) != length {
            return Err(format!(
                "row group {number}: vectors of another length than before"
            ));
        }
    }
    Ok(dimension.and_then(|length| u32::try_from(length).ok()))
}

/// The cluster that a folder's name gives: `centroid=7`.
fn folder_cluster(place: &Place) -> Option<u32> {
    let text = place.to_string();
    let folders = text.rsplit('/').skip(1);
    folders.into_iter().find_map(|folder| {
        let (name, value) = folder.split_once('=')?;
        CLUSTERS
            .contains(&name)
            .then(|| value.parse().ok())
            .flatten()
    })
}

/// One file while it is listed.
struct Table<'a> {
    place: &'a Place,
    number: u32,
    folder_cluster: Option<u32>,
    class_names: Vec<String>,
    object: Arc<Object>,
    metadata: ParquetMetaData,
    plan: Plan,
    /// Rows listed.
    row: u64,
}

/// The columns of one row group that a listing reads.
struct Group {
    id: Option<Column>,
    label: Option<Column>,
    /// Of a path or of the image that it belongs to.
    path: Option<Column>,
    /// Cluster, Euclidean and cosine distance.
    assigned: Option<(Option<Column>, Column, Column)>,
}

impl Table<'_> {
    fn bad(&self, reason: &str) -> ManifestError {
        ManifestError::BadParquet {
            place: self.place.to_string(),
            reason: reason.to_owned(),
        }
    }

    fn bad_row(&self, line: u64, reason: &str) -> ManifestError {
        self.bad(&format!("row {line}: {reason}"))
    }

    fn column(&self, group: usize, leaf: usize) -> Result<Column, ManifestError> {
        let column = Column::open(&self.object, &self.metadata, group, leaf);
        column.map_err(|reason| self.bad(&self.of_column(group, leaf, &reason)))
    }

    fn of_column(&self, group: usize, leaf: usize, reason: &str) -> String {
        let schema = self.metadata.file_metadata().schema_descr();
        format!(
            "row group {group}: column `{}`: {reason}",
            schema.column(leaf).path().string()
        )
    }

    fn open(&self, group: usize) -> Result<Group, ManifestError> {
        let open = |leaf: Option<usize>| leaf.map(|leaf| self.column(group, leaf)).transpose();
        let (path, assigned) = match self.plan.content {
            Content::Path(path) => (Some(path), None),
            Content::Image { path, .. } => (path, None),
            Content::Vector(_) => (None, None),
            Content::Assigned {
                cluster,
                euclidean,
                cosine,
            } => (None, Some((cluster, euclidean, cosine))),
        };
        let assigned = assigned.map(|(cluster, euclidean, cosine)| {
            Ok::<_, ManifestError>((
                open(cluster)?,
                self.column(group, euclidean)?,
                self.column(group, cosine)?,
            ))
        });
        Ok(Group {
            id: open(self.plan.id)?,
            label: open(self.plan.label)?,
            path: open(path)?,
            assigned: assigned.transpose()?,
        })
    }

    fn group(&mut self, group: usize, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
        let rows = self.metadata.row_group(group).num_rows();
        let too_many = |_| self.bad(&format!("row group {group}: {rows} rows"));
        let rows = u32::try_from(rows).map_err(too_many)?;
        let number = u32::try_from(group).map_err(|_| self.bad("too many row groups"))?;
        let mut columns = self.open(group)?;
        if columns.all().next().is_none() {
            self.check_claim(group, rows)?;
        }
        let mut start = 0;
        while start < rows {
            let count = BATCH.min((rows - start) as usize);
            for column in columns.all() {
                column
                    .advance(count)
                    .map_err(|reason| self.bad(&format!("row group {group}: a column {reason}")))?;
            }
            for at in 0..count {
                let row = start + at as u32;
                self.row += 1;
                self.push(&mut columns, at, (number, row), listing)?;
            }
            start += count as u32;
        }
        Ok(())
    }

    /// Refuses a number of rows that nothing was read to confirm, and that no such file can hold.
    fn check_claim(&self, group: usize, rows: u32) -> Result<(), ManifestError> {
        let (Content::Image { bytes: leaf, .. } | Content::Vector(leaf)) = self.plan.content else {
            return Ok(());
        };
        let claimed = self
            .metadata
            .row_group(group)
            .column(leaf)
            .compressed_size();
        let bytes = u64::try_from(claimed).unwrap_or(0).min(self.object.len());
        match u64::from(rows) <= bytes.saturating_mul(MAX_ROWS_PER_BYTE) {
            true => Ok(()),
            false => Err(self.bad(&format!("row group {group}: {rows} rows in {bytes} bytes"))),
        }
    }

    /// Whether the row group's statistics say that the column holds nothing.
    fn is_null(&self, group: u32, leaf: usize) -> bool {
        let group = self.metadata.row_group(group as usize);
        let nulls = group.column(leaf).statistics();
        let nulls = nulls.and_then(|statistics| statistics.null_count_opt());
        nulls.is_some_and(|nulls| u64::try_from(group.num_rows()) == Ok(nulls))
    }

    /// Adds the row `at` of the batch, the row `row` of its group.
    fn push(
        &self,
        columns: &mut Group,
        at: usize,
        (group, row): (u32, u32),
        listing: &mut Listing<'_>,
    ) -> Result<(), ManifestError> {
        let line = self.row;
        let bad = |reason: &str| self.bad_row(line, reason);
        let path = text(&mut columns.path, at).map_err(|reason| bad(&reason))?;
        let spot = match self.plan.content {
            Content::Path(_) => {
                let path = path.ok_or_else(|| bad("no path"))?;
                if !names_sample_at(path) {
                    return Err(bad(&format!(
                        "`{path}` does not have the extension of an image or a .npy tensor"
                    )));
                }
                Spot::Path(path)
            }
            Content::Image { bytes, .. } => match path {
                // As Hugging Face stores images that stay where they are.
                Some(path) if self.is_null(group, bytes) && names_sample_at(path) => {
                    Spot::Path(path)
                }
                Some(_) | None => Spot::Row { group, row },
            },
            Content::Vector(_) => Spot::Row { group, row },
            Content::Assigned { .. } => Spot::Assigned(
                self.assignment(&columns.assigned, at)
                    .map_err(|reason| bad(&reason))?,
            ),
        };
        let number;
        let id = match text(&mut columns.id, at).map_err(|reason| bad(&reason))? {
            Some(id) => id,
            None if self.plan.id.is_some() => return Err(bad("no id")),
            None => match path {
                Some(path) => path,
                None => {
                    number = listing.rows.rows().to_string();
                    &number
                }
            },
        };
        if id.is_empty() {
            return Err(bad("the id is empty"));
        }
        let class = columns.label.as_ref().and_then(|label| label.integer(at));
        let class = class.and_then(|class| self.class_names.get(usize::try_from(class).ok()?));
        let label = match class {
            Some(name) => Some(name.as_str()),
            None => text(&mut columns.label, at).map_err(|reason| bad(&reason))?,
        };
        listing.rows.push(&Entry {
            id,
            label,
            file: self.number,
            line,
            spot: match spot {
                Spot::Path(path) if path == id => Spot::Id,
                other => other,
            },
            stamp: None,
            digest: None,
        })
    }

    fn assignment(
        &self,
        columns: &Option<(Option<Column>, Column, Column)>,
        at: usize,
    ) -> Result<[u8; 12], String> {
        let (cluster, euclidean, cosine) = columns.as_ref().ok_or("no assignment")?;
        let cluster = match cluster {
            Some(column) => column
                .integer(at)
                .and_then(|cluster| u32::try_from(cluster).ok()),
            None => self.folder_cluster,
        };
        let cluster = cluster.ok_or(
            "no cluster: neither an integer in a column `centroid`, nor a folder `centroid=N`",
        )?;
        let distance = |column: &Column, name: &str| {
            let distance = column.float(at).filter(|distance| distance.is_finite());
            distance.ok_or_else(|| format!("no finite `{name}`"))
        };
        let euclidean = distance(euclidean, "l2_dist_to_cent")?;
        let cosine = distance(cosine, "cosine_dist_to_cent")?;
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&cluster.to_le_bytes());
        bytes[4..8].copy_from_slice(&euclidean.to_le_bytes());
        bytes[8..].copy_from_slice(&cosine.to_le_bytes());
        Ok(bytes)
    }
}

impl Group {
    fn all(&mut self) -> impl Iterator<Item = &mut Column> {
        let (cluster, distances) = match &mut self.assigned {
            Some((cluster, euclidean, cosine)) => (cluster.as_mut(), Some([euclidean, cosine])),
            None => (None, None),
        };
        let flat = [
            self.id.as_mut(),
            self.label.as_mut(),
            self.path.as_mut(),
            cluster,
        ];
        flat.into_iter()
            .flatten()
            .chain(distances.into_iter().flatten())
    }
}

fn text(column: &mut Option<Column>, row: usize) -> Result<Option<&str>, String> {
    match column {
        Some(column) => column.text(row),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
