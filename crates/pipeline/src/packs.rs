//! A job's features as a source of rows: packs on disk, without the samples that failed.

use crate::features::{Features, Samples, forget};
use curriculum_clustering::{Source, SourceError};
use curriculum_store::{FeatureSpace, Found, StoreError};
use std::{
    collections::HashMap,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

/// Samples to a pack, at most.
pub(crate) const PACK: usize = 256;

/// The usable samples of a job, read as often as needed. The first read of each pack verifies its
/// checksum; later ones read only the rows asked for.
///
/// Memory is 16 bytes for each run of samples that lie side by side in one pack: a fresh extraction
/// makes one run of 256 samples, the worst case is one of each. A sample that failed takes 8 bytes.
pub(crate) struct PackSource<'a> {
    space: &'a FeatureSpace,
    /// Ends a read early: a pass over all features can take minutes.
    interrupt: &'a AtomicBool,
    samples: u64,
    rows: u64,
    /// By first row, ascending.
    runs: Vec<Run>,
    packs: Vec<KnownPack>,
    /// Indices of the samples without features, ascending.
    failed: Vec<u64>,
}

/// Rows that follow each other in one pack as they do in the source.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// First row of the source.
    first: u64,
    /// Place among the known packs.
    pack: u32,
    /// Row in the pack.
    row: u32,
}

struct KnownPack {
    number: u64,
    /// Whether it was read as a whole and found undamaged.
    verified: AtomicBool,
}

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    /// Asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Features that were there are missing or damaged; extraction makes them again.
    #[error("features are missing or damaged")]
    Lost,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<'a> PackSource<'a> {
    /// Finds the features of those of `samples` that are wanted, by index, without reading them. The
    /// others count as failed.
    ///
    /// # Errors
    /// [`RowError::Lost`] when some are missing.
    pub(crate) fn open(
        samples: &Samples<'a>,
        interrupt: &'a AtomicBool,
        wanted: impl Fn(u64) -> bool,
    ) -> Result<Self, RowError> {
        let mut source = Self {
            space: samples.space,
            interrupt,
            samples: samples.count,
            rows: 0,
            runs: Vec::new(),
            packs: Vec::new(),
            failed: Vec::new(),
        };
        let mut numbers = HashMap::new();
        samples.visit(|index, _, features| {
            if interrupt.load(Ordering::Relaxed) {
                return Err(RowError::Interrupted);
            }
            match features {
                _ if !wanted(index) => source.failed.push(index),
                Features::Missing => return Err(RowError::Lost),
                Features::Failed(_) => source.failed.push(index),
                Features::At(found) => source.push(found, &mut numbers),
            }
            Ok(())
        })?;
        source.runs.shrink_to_fit();
        source.failed.shrink_to_fit();
        Ok(source)
    }

    fn push(&mut self, found: Found, numbers: &mut HashMap<u64, u32>) {
        let pack = *numbers.entry(found.pack).or_insert_with(|| {
            self.packs.push(KnownPack {
                number: found.pack,
                verified: AtomicBool::new(false),
            });
            self.packs.len() as u32 - 1
        });
        let goes_on = |run: &Run| {
            let length = self.rows - run.first;
            run.pack == pack && u64::from(run.row) + length == u64::from(found.row)
        };
        if !self.runs.last().is_some_and(goes_on) {
            self.runs.push(Run {
                first: self.rows,
                pack,
                row: found.row,
            });
        }
        self.rows += 1;
    }

    /// Index of the sample in row `row`.
    ///
    /// Failed sample j, with j failed ones before it, has `failed[j] - j` rows before it.
    pub(crate) fn sample(&self, row: usize) -> usize {
        let (mut low, mut high) = (0, self.failed.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.failed[middle] as usize - middle <= row {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        row + low
    }

    /// `values` by sample, with `absent` for those without features.
    pub(crate) fn by_sample<T: Copy>(
        &self,
        values: &[T],
        absent: T,
    ) -> impl ExactSizeIterator<Item = T> {
        let (mut values, mut failed) = (values.iter().copied(), self.failed.iter().peekable());
        (0..self.samples as usize).map(move |index| {
            if failed.next_if_eq(&&(index as u64)).is_some() {
                absent
            } else {
                values.next().unwrap_or(absent)
            }
        })
    }

    /// Appends rows `range` of the source to `features`.
    fn read(&self, range: Range<u64>, features: &mut Vec<f32>) -> Result<(), RowError> {
        let mut at = self.runs.partition_point(|run| run.first <= range.start) - 1;
        let mut next = range.start;
        while next < range.end {
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(RowError::Interrupted);
            }
            let run = self.runs[at];
            let end = self.runs.get(at + 1).map_or(self.rows, |run| run.first);
            let end = end.min(range.end);
            let first = run.row as usize + (next - run.first) as usize;
            let rows = first..first + (end - next) as usize;
            self.read_pack(&self.packs[run.pack as usize], rows, features)?;
            (next, at) = (end, at + 1);
        }
        Ok(())
    }

    fn read_pack(
        &self,
        pack: &KnownPack,
        rows: Range<usize>,
        features: &mut Vec<f32>,
    ) -> Result<(), RowError> {
        let read = match pack.verified.load(Ordering::Relaxed) {
            true => self.space.read_rows(pack.number, rows, features),
            false => self.verify(pack, rows, features),
        };
        match read {
            Ok(()) => Ok(()),
            Err(error @ StoreError::Corrupt { .. }) => {
                forget(self.space, pack.number, &error)?;
                Err(RowError::Lost)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn verify(
        &self,
        pack: &KnownPack,
        rows: Range<usize>,
        features: &mut Vec<f32>,
    ) -> Result<(), StoreError> {
        let width = self.space.dimension();
        let read = self.space.read(pack.number)?;
        let wanted = rows.start * width..rows.end * width;
        let wanted = read.as_ref().and_then(|read| read.features.get(wanted));
        let wanted = wanted.ok_or_else(|| StoreError::Corrupt {
            what: format!("feature pack {}", pack.number),
            reason: "missing, or too short",
        })?;
        features.extend_from_slice(wanted);
        pack.verified.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Source for PackSource<'_> {
    fn rows(&self) -> usize {
        self.rows as usize
    }

    fn width(&self) -> usize {
        self.space.dimension()
    }

    fn block<'b>(
        &'b self,
        range: Range<usize>,
        buffer: &'b mut Vec<f32>,
    ) -> Result<&'b [f32], SourceError> {
        buffer.clear();
        if !range.is_empty() {
            self.read(range.start as u64..range.end as u64, buffer)?;
        }
        Ok(buffer)
    }

    fn granularity(&self) -> usize {
        PACK
    }
}

#[cfg(test)]
mod tests;
