//! A job's features as a source of rows: chunk files on disk, without the samples that failed.

use crate::stage::CHUNK;
use curriculum_clustering::{Source, SourceError};
use curriculum_store::{FeatureFiles, StoreError};
use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

/// The usable samples of a job, read as often as needed. The first read of each chunk verifies its
/// checksum; later ones read only the rows asked for.
pub(crate) struct ChunkSource {
    files: FeatureFiles,
    samples: usize,
    dimension: usize,
    /// Indices of the samples without features, ascending.
    failed: Vec<usize>,
    /// By chunk: whether it was read as a whole and found undamaged.
    verified: Vec<AtomicBool>,
}

impl ChunkSource {
    /// The chunks of `samples` samples, of which only the outlines are read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a chunk is missing or of another shape.
    pub(crate) fn open(
        files: FeatureFiles,
        samples: usize,
        dimension: usize,
    ) -> Result<Self, StoreError> {
        let mut failed = Vec::new();
        let chunks = samples.div_ceil(CHUNK);
        for index in 0..chunks {
            let (first, end) = (index * CHUNK, samples.min((index + 1) * CHUNK));
            let outline = files.outline(index)?;
            if (outline.rows, outline.dimension) != (end - first, dimension) {
                return Err(unfit(index));
            }
            let rows = outline.failures.iter().map(|f| f.row as usize);
            let mut rows: Vec<usize> = rows.filter(|row| *row < outline.rows).collect();
            rows.sort_unstable();
            rows.dedup();
            failed.extend(rows.into_iter().map(|row| first + row));
        }
        Ok(Self {
            files,
            samples,
            dimension,
            failed,
            verified: (0..chunks).map(|_| AtomicBool::new(false)).collect(),
        })
    }

    /// Index of the sample in row `row`.
    ///
    /// Failed sample j, with j failed ones before it, has `failed[j] - j` rows before it.
    pub(crate) fn sample(&self, row: usize) -> usize {
        let (mut low, mut high) = (0, self.failed.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.failed[middle] - middle <= row {
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
        (0..self.samples).map(move |index| {
            if failed.next_if_eq(&&index).is_some() {
                absent
            } else {
                values.next().unwrap_or(absent)
            }
        })
    }

    /// Appends the features of samples `range`, failed ones included, of one chunk.
    fn read(&self, range: Range<usize>, features: &mut Vec<f32>) -> Result<(), StoreError> {
        let index = range.start / CHUNK;
        let rows = range.start - index * CHUNK..range.end - index * CHUNK;
        if self.verified[index].load(Ordering::Relaxed) {
            return self.files.read_rows(index, self.dimension, rows, features);
        }
        let chunk = self.files.read(index)?.ok_or_else(|| unfit(index))?;
        let wanted = rows.start * self.dimension..rows.end * self.dimension;
        match chunk.features.get(wanted) {
            Some(wanted) if chunk.dimension == self.dimension => features.extend_from_slice(wanted),
            _ => return Err(unfit(index)),
        }
        self.verified[index].store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Closes the gaps of failed samples in the features of samples `range`.
    fn remove_failed(&self, range: Range<usize>, features: &mut Vec<f32>) {
        let among = |limit| self.failed.partition_point(|index| *index < limit);
        let failed = &self.failed[among(range.start)..among(range.end)];
        let dimension = self.dimension;
        let bounds = failed.iter().copied().chain([range.end]);
        let mut kept = 0;
        let mut next = range.start;
        for bound in bounds {
            let run = (next - range.start) * dimension..(bound - range.start) * dimension;
            let length = run.len();
            features.copy_within(run, kept);
            kept += length;
            next = bound + 1;
        }
        features.truncate(kept);
    }
}

impl Source for ChunkSource {
    fn rows(&self) -> usize {
        self.samples - self.failed.len()
    }

    fn width(&self) -> usize {
        self.dimension
    }

    fn block<'a>(
        &'a self,
        range: Range<usize>,
        buffer: &'a mut Vec<f32>,
    ) -> Result<&'a [f32], SourceError> {
        buffer.clear();
        if range.is_empty() {
            return Ok(buffer);
        }
        let samples = self.sample(range.start)..self.sample(range.end - 1) + 1;
        let mut first = samples.start;
        while first < samples.end {
            let end = samples.end.min((first / CHUNK + 1) * CHUNK);
            self.read(first..end, buffer)?;
            first = end;
        }
        self.remove_failed(samples, buffer);
        Ok(buffer)
    }

    fn granularity(&self) -> usize {
        CHUNK
    }
}

fn unfit(index: usize) -> StoreError {
    StoreError::Corrupt {
        what: format!("feature chunk {index}"),
        reason: "missing, or of another shape",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curriculum_store::{ChunkFailure, Digest, FeatureChunk, Store};

    const SAMPLES: usize = 3 * CHUNK + 17;

    /// Features of sample i are (i, -i); those of failed samples zero.
    fn source(failed: &[usize]) -> (ChunkSource, FeatureFiles, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let files = store.features(Digest::from([1; 32])).unwrap();
        for (index, first) in (0..SAMPLES).step_by(CHUNK).enumerate() {
            let samples = first..SAMPLES.min(first + CHUNK);
            let value = |i: usize| if failed.contains(&i) { 0.0 } else { i as f32 };
            let failures = failed.iter().filter(|i| samples.contains(i));
            let chunk = FeatureChunk {
                dimension: 2,
                features: samples
                    .clone()
                    .flat_map(|i| [value(i), -value(i)])
                    .collect(),
                failures: failures
                    .map(|i| ChunkFailure {
                        row: (i - first) as u32,
                        reason: String::new(),
                    })
                    .collect(),
            };
            files.write(index, &chunk).unwrap();
        }
        let source = ChunkSource::open(files.clone(), SAMPLES, 2).unwrap();
        (source, files, folder)
    }

    #[test]
    fn rows_are_the_usable_samples() {
        let edges = [0, 1, 5, CHUNK - 1, CHUNK, 2 * CHUNK + 3, SAMPLES - 1];
        let whole_chunk: Vec<usize> = (CHUNK..2 * CHUNK).collect();
        for failed in [&[][..], &edges, &whole_chunk] {
            let (source, _files, _folder) = source(failed);
            let usable: Vec<usize> = (0..SAMPLES).filter(|i| !failed.contains(i)).collect();
            assert_eq!(source.rows(), usable.len());
            let expected = |rows: Range<usize>| -> Vec<f32> {
                usable[rows]
                    .iter()
                    .flat_map(|i| [*i as f32, -(*i as f32)])
                    .collect()
            };
            // Twice: verifying whole chunks, then reading rows.
            for _ in 0..2 {
                for first in (0..usable.len()).step_by(97) {
                    for length in [0, 1, 2, 300, 480] {
                        let rows = first..usable.len().min(first + length);
                        let mut buffer = vec![5.0; 3];
                        let block = source.block(rows.clone(), &mut buffer).unwrap();
                        assert_eq!(block, expected(rows));
                    }
                }
            }
            let by_sample: Vec<f32> = source
                .by_sample(&expected(0..usable.len())[..], f32::NAN)
                .collect();
            assert_eq!(by_sample.len(), SAMPLES);
            for (row, index) in usable.iter().enumerate() {
                assert_eq!(source.sample(row), *index);
            }
            assert!(failed.iter().all(|i| by_sample[*i].is_nan()));
        }
    }

    #[test]
    fn damage_is_found_at_the_first_read() {
        let (source, files, folder) = source(&[]);
        let features = folder.path().join("features");
        let chunks = std::fs::read_dir(features).unwrap().next().unwrap();
        let path = chunks.unwrap().path().join("chunk-00000002.features");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let mut buffer = Vec::new();
        assert!(source.block(0..CHUNK, &mut buffer).is_ok());
        let error = source.block(2 * CHUNK..2 * CHUNK + 1, &mut buffer);
        assert!(error.unwrap_err().is::<StoreError>());
        std::fs::remove_file(path).unwrap();
        assert!(ChunkSource::open(files, SAMPLES, 2).is_err());
    }
}
