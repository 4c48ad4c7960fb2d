//! The loop over stages.

use crate::{
    CommitPoint,
    extraction::FeatureExtractor,
    metrics::STAGE_SECONDS,
    progress::Reporter,
    queue::{Lane, Work},
    request::version_id,
    stage::{self, Context, Opened, StageError},
    worker::Shared,
};
use curriculum_store::{JobRecord, Stage, Store, StoreError};
use metrics::histogram;
use std::time::Instant;

/// What a job needs besides its record.
pub(crate) struct Workplace<'a> {
    pub(crate) shared: &'a Shared,
    /// In the extraction lane.
    pub(crate) extractor: Option<&'a mut (dyn FeatureExtractor + 'static)>,
    pub(crate) work: &'a Work,
    pub(crate) opened: Opened,
}

/// Where the stages of a lane end.
pub(crate) enum Outcome {
    ForOtherLane,
    Published,
}

/// Runs the stages after the last finished one, committing each, until the job is published or its
/// next stage belongs to another lane.
///
/// Returns at the first stage that fails or is interrupted, together with that stage; what it wrote
/// so far is found again by the next run.
pub(crate) fn advance(
    job: &mut JobRecord,
    place: &mut Workplace<'_>,
) -> Result<Outcome, (Stage, StageError)> {
    let lane = Lane::after(job.stage);
    while let Some((next, run)) = stage::after(job.stage) {
        if Lane::after(job.stage) != lane {
            return Ok(Outcome::ForOtherLane);
        }
        let started = Instant::now();
        let name = stage::name(next);
        let span = tracing::error_span!("stage", stage = name, job = %job.id, otel.name = name);
        let outcome = span.in_scope(|| {
            run(&mut Context {
                store: &place.shared.store,
                extractor: place.extractor.as_deref_mut(),
                reporter: Reporter::new(&place.work.board),
                interrupt: &place.work.interrupt,
                options: &place.shared.options,
                manifest: &mut place.opened,
                job,
            })
        });
        let seconds = started.elapsed().as_secs_f64();
        histogram!(STAGE_SECONDS, "stage" => name).record(seconds);
        *job.seconds.entry(next).or_default() += seconds;
        outcome.map_err(|error| (next, error))?;
        let hook = &place.shared.options.hook;
        hook.reached(CommitPoint::Data(next));
        job.stage = next;
        finish(job, place).map_err(|error| (next, error))?;
        hook.reached(CommitPoint::Record(next));
        tracing::info!(job = %job.id, stage = ?job.stage, seconds = job.seconds[&next], "stage finished");
    }
    Ok(Outcome::Published)
}

/// Commits a finished stage.
fn finish(job: &mut JobRecord, place: &Workplace<'_>) -> Result<(), StageError> {
    skip_if_built(job, &place.shared.store)?;
    if !place.shared.commit(place.work, job)? {
        return Err(StageError::Interrupted);
    }
    place.work.board.show(|view| view.stand(job));
    Ok(())
}

/// Equal content, model and parameters were built before, perhaps under another name. With failed
/// samples, extraction still has to note them for this job and to check how many it tolerates. If by
/// now fewer or more of them failed than in the version that is there, this is another version.
fn skip_if_built(job: &mut JobRecord, store: &Store) -> Result<(), StoreError> {
    let (Stage::Enumerated | Stage::Extracted, Some(content)) = (job.stage, job.content) else {
        return Ok(());
    };
    while let Some(version) = job
        .version
        .map(|id| store.version(id))
        .transpose()?
        .flatten()
    {
        let failed = version.summary.failed_count;
        if job.stage == Stage::Extracted && failed != job.failed_count {
            job.salt = job.salt.wrapping_add(1);
            job.version = Some(version_id(job, content));
            continue;
        }
        if job.stage == Stage::Extracted || failed == 0 {
            job.warnings = version.summary.warnings;
            job.stage = Stage::Scored;
        }
        break;
    }
    Ok(())
}
