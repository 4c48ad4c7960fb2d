//! Features on their way into packs.

use super::{StageError, plan::Plan};
use crate::{
    CommitPoint, Hook, SampleError, metrics::samples, packs::PACK, progress::Reporter,
    tolerance::Tolerance,
};
use curriculum_store::{Digest, Pack, PackFailure, Store};
use std::sync::atomic::AtomicBool;

/// Samples between two reports.
const REPORTED: u64 = 32;

/// Takes features in the order of the samples and writes them.
pub(super) struct Packer<'a, 'r> {
    pub(super) job: Digest,
    pub(super) store: &'a Store,
    pub(super) hook: &'a Hook,
    pub(super) interrupt: &'a AtomicBool,
    pub(super) reporter: &'a mut Reporter<'r>,
    pub(super) plan: &'a Plan<'a>,
    pub(super) tolerance: Tolerance,
    /// Finished samples that are not on disk.
    pub(super) open: Pack,
    /// Samples taken.
    pub(super) taken: u64,
    /// Samples known to need no work.
    pub(super) found: u64,
}

impl Packer<'_, '_> {
    /// Adds the features of a sample, or the reason why there are none.
    pub(super) fn take(
        &mut self,
        index: u64,
        row: Result<&[f32], String>,
    ) -> Result<(), StageError> {
        let Some(sample) = self.plan.take(index) else {
            let reason = format!("the extractor gave sample {index}, which it was not asked for");
            return Err(StageError::Failed(reason));
        };
        let dimension = self.plan.dimension();
        match row {
            Ok(row) if row.len() == dimension => {
                samples("extracted", 1);
                self.open.features.extend_from_slice(row);
            }
            Ok(row) => {
                let given = row.len();
                let reason = format!("the model gave {given} features instead of {dimension}");
                return Err(StageError::Failed(reason));
            }
            Err(reason) => {
                samples("failed", 1);
                let length = self.open.features.len() + dimension;
                self.open.features.resize(length, 0.0);
                let row = self.open.digests.len() as u32;
                let id = sample.id;
                self.open.failures.push(PackFailure {
                    row,
                    reason: reason.clone(),
                });
                self.note(SampleError { index, id, reason })?;
            }
        }
        self.open.digests.push(sample.digest);
        self.taken += 1;
        if self.open.digests.len() == PACK {
            self.flush()?;
        }
        self.report();
        self.tolerance.check()?;
        super::super::check(self.interrupt)
    }

    /// Writes what is finished, and lets it be found.
    pub(super) fn flush(&mut self) -> Result<(), StageError> {
        if self.open.digests.is_empty() {
            return Ok(());
        }
        let pack = std::mem::take(&mut self.open);
        let number = self.plan.space().append(&pack)?;
        self.plan.cross_off(&pack.digests);
        self.hook.reached(CommitPoint::Features(number));
        Ok(())
    }

    fn note(&mut self, error: SampleError) -> Result<(), StageError> {
        self.store
            .put_job_error(self.job, error.index, &error.reason)?;
        self.tolerance.add(&error);
        self.reporter.failed(error, self.tolerance.failed());
        Ok(())
    }

    fn report(&mut self) {
        let found = self.plan.done();
        self.reporter.skip(found - self.found);
        self.found = found;
        let (done, total) = (found + self.taken, self.plan.total());
        if self.taken.is_multiple_of(REPORTED) || done == total {
            self.reporter.report(done, total, "extracting features");
        }
    }
}
