//! The points at which something is on disk, by name: where a test kills the process, or looks.

use curriculum_store::Stage;
use std::{fmt, sync::Arc};

/// Something was just committed. A process that dies here, or before the next point, must go on as if
/// nothing had happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitPoint {
    /// A chunk of samples, by number.
    Samples(u64),
    /// A pack of features, by number.
    Features(u64),
    /// What a stage wrote, but not yet the record that says so.
    Data(Stage),
    /// The record that says that a stage is finished.
    Record(Stage),
}

/// Called at every commit point, by the thread that committed.
#[derive(Clone, Default)]
pub struct Hook(Option<Arc<dyn Fn(CommitPoint) + Send + Sync>>);

impl Hook {
    /// Calls `hook`.
    pub fn new(hook: impl Fn(CommitPoint) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(crate) fn reached(&self, point: CommitPoint) {
        if let Some(hook) = &self.0 {
            hook(point);
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Hook(..)" } else { "Hook" })
    }
}
