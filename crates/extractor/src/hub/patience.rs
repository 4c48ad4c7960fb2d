//! Trying again.

use std::thread;
use std::time::Duration;

use super::{HubError, HubOptions, Progress};

/// How often to try again, and after how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    retries: u32,
    backoff: Duration,
}

/// Attempts that are left.
pub(super) struct Attempts {
    patience: Patience,
    failed: u32,
}

/// Why one attempt failed.
pub(super) enum Failure {
    /// Another attempt may succeed.
    Transient(String),
    Final(HubError),
}

impl Patience {
    pub(super) fn of(options: &HubOptions) -> Self {
        Self {
            retries: options.retries,
            backoff: options.backoff,
        }
    }

    pub(super) fn attempts(self) -> Attempts {
        Attempts {
            patience: self,
            failed: 0,
        }
    }
}

impl Attempts {
    /// Waits for the next attempt, unless it was the last or would be in vain.
    pub(super) fn after(
        &mut self,
        failure: Failure,
        url: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), HubError> {
        let reason = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Transient(reason) => reason,
        };
        if self.failed >= self.patience.retries {
            let url = url.to_owned();
            return Err(HubError::Unreachable { url, reason });
        }
        progress(Progress::Retrying { reason });
        thread::sleep(
            self.patience
                .backoff
                .saturating_mul(1 << self.failed.min(6)),
        );
        self.failed += 1;
        Ok(())
    }

    pub(super) fn start_over(&mut self) {
        self.failed = 0;
    }
}
