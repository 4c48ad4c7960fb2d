//! Features of every sample, kept by content.
//!
//! A content whose features are there is not read again, whatever job extracted it. The others are
//! extracted once each and written in packs; an interruption writes the samples at hand as a smaller
//! pack, so that a finished one is never extracted again. When nothing is missing any more, every
//! sample is accounted for.

mod packer;
mod plan;

use super::{Context, StageError};
use crate::{
    FeatureExtractor, SampleError,
    extraction::Parser,
    features::{Features, Samples},
    tolerance::Tolerance,
};
use curriculum_extractor::ReadError;
use curriculum_manifest::Reader;
use curriculum_store::{Digest, FeatureSpace, Pack};
use packer::Packer;
use plan::Plan;
use std::{borrow::Cow, ops::ControlFlow, sync::atomic::AtomicBool};

/// Rounds of extraction: features may turn out to be damaged, or be forgotten by another job that
/// finds them so.
const ROUNDS: usize = 3;

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let space = cx.space()?;
    for _ in 0..ROUNDS {
        extract_missing(cx, &space)?;
        if account(cx, &space)? {
            return Ok(());
        }
    }
    Err(StageError::Failed(
        "features are damaged as soon as they are written: check the disk".to_owned(),
    ))
}

/// Extracts each content that has no features yet.
fn extract_missing(cx: &mut Context<'_>, space: &FeatureSpace) -> Result<(), StageError> {
    cx.check_interrupt()?;
    let plan = Plan::new(Samples {
        store: cx.store,
        space,
        listing: cx.job.listing,
        count: cx.job.sample_count,
    });
    if !plan.has_more()? {
        return Ok(());
    }
    cx.manifest()?;
    let tolerance = Tolerance::new(cx.job.sample_count, cx.job.parameters.max_failed_fraction);
    let mut parser = Parser::new(cx.job.kind, space.dimension());
    let extractor: &mut dyn FeatureExtractor = match (&mut parser, &mut cx.extractor) {
        (Some(parser), _) => parser,
        (None, Some(extractor)) => &mut **extractor,
        (None, None) => return Err(StageError::Failed("this lane has no model".to_owned())),
    };
    let Some(manifest) = cx.manifest.manifest.as_ref() else {
        return Err(StageError::Failed("no manifest".to_owned()));
    };
    let mut packer = Packer {
        job: cx.job.id,
        store: cx.store,
        hook: &cx.options.hook,
        interrupt: cx.interrupt,
        reporter: &mut cx.reporter,
        plan: &plan,
        tolerance,
        open: Pack::default(),
        taken: 0,
        found: 0,
    };
    let mut outcome = Ok(());
    let interrupt = cx.interrupt;
    let reader = manifest.reader(Box::new(plan.ahead()));
    let extracted = extractor.extract(
        &mut plan.indices(),
        &|index| read(&reader, &plan, index as u64, interrupt),
        &mut |index, row| {
            outcome = packer.take(index as u64, row);
            match outcome {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        },
    );
    // Also after a failure: what is finished is kept.
    let flushed = packer.flush();
    let failed = packer.tolerance.failed();
    extractor.release();
    cx.job.failed_count = cx.job.failed_count.max(failed);
    outcome?;
    flushed?;
    plan.failure()?;
    super::check(interrupt)?;
    extracted.map_err(StageError::Failed)
}

/// Notes every sample that failed; whether all others have features.
fn account(cx: &mut Context<'_>, space: &FeatureSpace) -> Result<bool, StageError> {
    cx.store.clear_job_errors(cx.job.id)?;
    cx.reporter.forget_errors();
    let reporter = &cx.reporter;
    let (store, job, interrupt) = (cx.store, cx.job.id, cx.interrupt);
    let mut tolerance = Tolerance::new(cx.job.sample_count, cx.job.parameters.max_failed_fraction);
    let mut complete = true;
    let samples = Samples {
        store,
        space,
        listing: cx.job.listing,
        count: cx.job.sample_count,
    };
    samples.visit(|index, sample, features| match features {
        Features::At(_) => super::check(interrupt),
        Features::Missing => {
            complete = false;
            super::check(interrupt)
        }
        Features::Failed(reason) => {
            store.put_job_error(job, index, reason)?;
            let (id, reason) = (sample.id.clone(), reason.to_owned());
            let error = SampleError { index, id, reason };
            tolerance.add(&error);
            reporter.failed(error, tolerance.failed());
            super::check(interrupt)
        }
    })?;
    cx.job.failed_count = tolerance.failed();
    tolerance.check()?;
    Ok(complete)
}

/// Bytes of a sample.
///
/// Features are kept under the hash of the content, so only what follows from the content may go into
/// them: a sample that was readable before and is not now fails the stage, not the sample.
fn read<'a>(
    reader: &Reader<'_>,
    plan: &Plan<'_>,
    index: u64,
    interrupt: &AtomicBool,
) -> Result<Cow<'a, [u8]>, ReadError> {
    let bytes = reader
        .read_unless(index, interrupt)
        .map_err(|error| ReadError::Fatal(error.to_string()))?;
    let hash = || Digest::from(*blake3::hash(&bytes).as_bytes());
    match plan.sample(index) {
        Some(sample) if sample.by_etag || sample.digest == hash() => Ok(Cow::Owned(bytes)),
        Some(sample) => {
            let id = &sample.id;
            Err(ReadError::Fatal(format!(
                "sample {index} (`{id}`): its bytes changed while the job ran"
            )))
        }
        None => Err(ReadError::Fatal(format!(
            "sample {index} was not asked for"
        ))),
    }
}
