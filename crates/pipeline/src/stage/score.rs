//! The sketch of the difficulties and the summary: what completes a version.

mod summary;

use super::{Context, StageError};
use crate::worker::now_ms;
use curriculum::Sketch;
use curriculum_store::{Column, Digest, Store, StoreError, VersionRecord};
use std::ops::Range;
use summary::Summaries;

/// Samples whose distance and cluster are in memory at a time.
const SOME: u64 = 1 << 20;

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (content, version) = cx.identity()?;
    let samples = cx.job.sample_count;
    let clustering = cx.store.clustering(version)?;
    // Four bytes a sample: the sketch sorts them.
    let difficulty = floats(cx.store, version, Column::Difficulty, 0..samples)?;
    let mut summaries = Summaries::new(clustering.clusters as usize);
    for first in (0..samples).step_by(SOME as usize) {
        cx.check_interrupt()?;
        cx.reporter.report(first, samples, "scoring");
        let range = first..samples.min(first + SOME);
        let distance = floats(cx.store, version, Column::Distance, range.clone())?;
        let cluster = cx
            .store
            .column_range(version, Column::Cluster, range.clone())?;
        for ((index, distance), cluster) in range.zip(distance).zip(cluster) {
            summaries.add(u32::from_le_bytes(cluster), index, distance);
        }
    }
    let listed = summaries.listed();
    let listed = cx.store.samples_at(cx.job.listing, listed)?;
    let summary = summaries.finish(&difficulty, &listed, clustering);
    let record = VersionRecord {
        id: version,
        content,
        listing: cx.job.listing,
        source: cx.job.source.clone(),
        model: cx.job.model.clone(),
        model_digest: cx.job.model_digest,
        parameters: cx.job.parameters.clone(),
        created_at_ms: now_ms(),
        summary,
    };
    cx.store.put_version(&record, &Sketch::new(&difficulty))?;
    Ok(())
}

fn floats(
    store: &Store,
    version: Digest,
    column: Column,
    range: Range<u64>,
) -> Result<Vec<f32>, StoreError> {
    let values = store.column_range(version, column, range)?.into_iter();
    Ok(values.map(f32::from_le_bytes).collect())
}
