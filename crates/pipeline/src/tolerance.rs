//! How many samples may fail.

use crate::{SampleError, stage::StageError};

/// Counts the samples of a job that failed.
#[derive(Clone, Debug)]
pub(crate) struct Tolerance {
    total: u64,
    allowed: f64,
    failed: u64,
    first: Option<SampleError>,
}

impl Tolerance {
    /// At most the share `allowed` of `total` samples may fail, and not all of them.
    pub(crate) fn new(total: u64, allowed: f64) -> Self {
        Self {
            total,
            allowed,
            failed: 0,
            first: None,
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Notes a failure.
    pub(crate) fn add(&mut self, error: &SampleError) {
        self.failed += 1;
        self.first.get_or_insert_with(|| error.clone());
    }

    /// Fails if there are too many by now.
    pub(crate) fn check(&self) -> Result<(), StageError> {
        let Self {
            total,
            allowed,
            failed,
            first,
        } = self;
        if *failed == 0 || (failed < total && *failed as f64 <= allowed * *total as f64) {
            return Ok(());
        }
        let example = first.as_ref().map_or_else(String::new, |first| {
            let SampleError { index, id, reason } = first;
            format!("; the first is sample {index} (`{id}`): {reason}")
        });
        Err(StageError::Failed(format!(
            "{failed} of {total} samples failed so far, max_failed_fraction is {allowed}{example}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u64, total: u64, allowed: f64) -> bool {
        let mut tolerance = Tolerance::new(total, allowed);
        for index in 0..failures {
            tolerance.add(&SampleError {
                index,
                id: format!("s{index}"),
                reason: "broken".to_owned(),
            });
        }
        tolerance.check().is_ok()
    }

    #[test]
    fn a_share_may_fail_but_never_all() {
        assert!(after(0, 10, 0.0) && after(1, 10, 0.1) && after(9, 10, 1.0));
        assert!(!after(1, 10, 0.0) && !after(2, 10, 0.1) && !after(10, 10, 1.0));
    }
}
