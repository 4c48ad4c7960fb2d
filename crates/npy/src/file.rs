//! The memory map of a file.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use memmap2::Mmap;

use crate::error::NpyProblem;

/// Maps the file at `path`, to be read from front to back.
pub(crate) fn map(path: &Path) -> Result<Mmap, NpyProblem> {
    // Looked at before it is opened: opening a pipe waits for its writer.
    if !fs::metadata(path).map_err(refusal)?.is_file() {
        return Err(NpyProblem::NotAFile);
    }
    let file = File::open(path).map_err(refusal)?;
    #[expect(
        unsafe_code,
        reason = "the map is only read, as numbers for which every bit pattern is valid or as text that is checked \
                  after it is copied; that others leave the file alone is asked of the user in Features::open"
    )]
    // SAFETY: the bytes must not change under a shared reference. See the reason above.
    let map = unsafe { Mmap::map(&file) }.map_err(refusal)?;
    #[cfg(unix)]
    {
        // Advice only: a system that does not take it reads as well, with less read ahead.
        let _ = map.advise(memmap2::Advice::Sequential);
    }
    Ok(map)
}

fn refusal(error: io::Error) -> NpyProblem {
    match error.kind() {
        io::ErrorKind::NotFound => NpyProblem::NotFound,
        _ => NpyProblem::Io(error),
    }
}
