//! A batch in pieces that fit the device's memory.

use std::ops::Range;

/// Why a piece was not run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PieceError {
    /// The device has no memory left; fewer images may fit.
    OutOfMemory(String),
    Failed(String),
}

impl PieceError {
    pub(super) fn ort(error: ort::Error) -> Self {
        Self::of(error.to_string())
    }

    pub(super) fn reason(self) -> String {
        match self {
            Self::OutOfMemory(reason) | Self::Failed(reason) => reason,
        }
    }

    /// ONNX Runtime reports all of them by the same code; its words tell them apart.
    pub(super) fn of(message: String) -> Self {
        const OUT_OF_MEMORY: [&str; 10] = [
            "out of memory",
            "out_of_memory",
            "outofmemory",
            "failed to allocate memory",
            "bfc_arena",
            "cudaerrormemoryallocation",
            "alloc_failed",
            "allocation_failed",
            "bad_alloc",
            "bad allocation",
        ];
        let words = message.to_lowercase();
        match OUT_OF_MEMORY.iter().any(|known| words.contains(known)) {
            true => Self::OutOfMemory(message),
            false => Self::Failed(message),
        }
    }
}

/// Runs `images` images in order, at most `limit` at a time; `run` is told the range and the limit. A piece that finds no memory is run
/// again in halves, and `limit` stays halved.
pub(super) fn in_pieces(
    images: usize,
    limit: &mut usize,
    mut run: impl FnMut(Range<usize>, usize) -> Result<(), PieceError>,
) -> Result<(), String> {
    let mut start = 0;
    while start < images {
        let end = images.min(start + (*limit).max(1));
        match run(start..end, *limit) {
            Ok(()) => start = end,
            Err(PieceError::OutOfMemory(reason)) if end - start > 1 => {
                *limit = (end - start).div_ceil(2);
                tracing::warn!(images = end - start, next = *limit, %reason, "out of memory, going on with less");
            }
            Err(PieceError::OutOfMemory(reason) | PieceError::Failed(reason)) => {
                return Err(reason);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_large_pieces_are_halved_and_nothing_is_run_twice() {
        let (mut limit, mut done) = (64, Vec::new());
        let outcome = in_pieces(50, &mut limit, |piece, limit| {
            if limit > 10 {
                return Err(PieceError::of("CUDA failure 2: out of memory".to_owned()));
            }
            done.extend(piece);
            Ok(())
        });
        assert_eq!((outcome, limit), (Ok(()), 7));
        assert_eq!(done, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn one_image_without_memory_and_any_other_failure_end_the_run() {
        let mut limit = 4;
        let starved = in_pieces(9, &mut limit, |_, _| {
            Err(PieceError::of(
                "BFC_Arena: Failed to allocate memory".to_owned(),
            ))
        });
        assert_eq!(limit, 1);
        assert!(starved.unwrap_err().contains("BFC_Arena"));
        let mut calls = 0;
        let failed = in_pieces(9, &mut 4, |_, _| {
            calls += 1;
            Err(PieceError::of("invalid argument".to_owned()))
        });
        assert_eq!((failed, calls), (Err("invalid argument".to_owned()), 1));
    }
}
