//! Makes the version the newest of its curriculum: one write, so that readers see the old scores or
//! the new, never a mix.

use super::{Context, StageError};

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (_, version) = cx.identity()?;
    // The version itself must be on disk before anything points at it.
    cx.store.flush()?;
    cx.store.point(&cx.job.curriculum, version)?;
    Ok(())
}
