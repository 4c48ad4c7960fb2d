//! The loop over stages.

use crate::{
    extraction::FeatureExtractor,
    progress::{JobView, Reporter},
    stage::{self, Context, StageError},
};
use curriculum_store::{JobRecord, Stage, Store, StoreError};
use std::{sync::atomic::AtomicBool, time::Instant};
use tokio::sync::watch;

/// What a job needs besides its record.
pub(crate) struct Workplace<'a> {
    pub(crate) store: &'a Store,
    pub(crate) extractor: &'a mut dyn FeatureExtractor,
    pub(crate) views: &'a watch::Sender<JobView>,
    pub(crate) interrupt: &'a AtomicBool,
}

/// Runs the stages after the last finished one, committing each, until the job is published.
///
/// Returns at the first stage that fails or is interrupted, together with that stage; what it wrote
/// so far is found again by the next run.
pub(crate) fn advance(
    job: &mut JobRecord,
    place: &mut Workplace<'_>,
) -> Result<(), (Stage, StageError)> {
    let mut manifest = None;
    while let Some((next, run)) = stage::after(job.stage) {
        let started = Instant::now();
        let outcome = run(&mut Context {
            store: place.store,
            extractor: &mut *place.extractor,
            reporter: Reporter::new(place.views),
            interrupt: place.interrupt,
            manifest: &mut manifest,
            job,
        });
        *job.seconds.entry(next).or_default() += started.elapsed().as_secs_f64();
        outcome.map_err(|error| (next, error))?;
        job.stage = next;
        skip_if_built(job, place.store).map_err(|error| (next, error.into()))?;
        commit(job, place.store).map_err(|error| (next, error.into()))?;
        place.views.send_modify(|view| {
            *view = JobView {
                record: job.clone(),
                progress: None,
            }
        });
        tracing::info!(job = %job.id, stage = ?job.stage, seconds = job.seconds[&next], "stage finished");
    }
    Ok(())
}

/// Data first, marker last: what the stage wrote is on disk before the record says so.
pub(crate) fn commit(job: &JobRecord, store: &Store) -> Result<(), StoreError> {
    store.flush()?;
    store.put_job(job)?;
    store.flush()
}

/// Equal content, model and parameters were built before, perhaps under another name. With failed
/// samples, extraction still has to note them for this job and to check how many it tolerates.
fn skip_if_built(job: &mut JobRecord, store: &Store) -> Result<(), StoreError> {
    let (Stage::Enumerated | Stage::Extracted, Some(id)) = (job.stage, job.version) else {
        return Ok(());
    };
    if let Some(version) = store.version(id)?
        && (job.stage == Stage::Extracted || version.summary.failed_count == 0)
    {
        job.warnings = version.summary.warnings;
        job.stage = Stage::Scored;
    }
    Ok(())
}
