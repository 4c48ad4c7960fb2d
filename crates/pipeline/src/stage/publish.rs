//! Makes the version the newest of its curriculum: one write, so that readers see the old scores or
//! the new, never a mix. Then those go that the retention policy does not keep.

use super::{Context, StageError};

pub(super) fn run(cx: &mut Context<'_>) -> Result<(), StageError> {
    let (_, version) = cx.identity()?;
    // The version itself must be on disk before anything points at it.
    cx.store.flush()?;
    cx.store.point(&cx.job.curriculum, version)?;
    let Some(keep) = cx.options.keep_versions else {
        return Ok(());
    };
    cx.store.flush()?;
    for version in cx.store.apply_retention(&cx.job.curriculum, keep)? {
        tracing::info!(curriculum = cx.job.curriculum, %version, "version dropped by retention");
    }
    Ok(())
}
