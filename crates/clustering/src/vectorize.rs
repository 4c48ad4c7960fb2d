use pulp::{Arch, Simd, WithSimd};

/// Runs a plain loop, compiled for this machine's widest vectors; `#[inline(always)]` on the
/// closure is what has it compiled anew.
///
/// [`Arch::dispatch`] takes closures too, but calls them as `FnOnce`: one that consumes nothing
/// then stands behind a shim that is compiled once, for the oldest machine.
pub(crate) fn vectorize<R>(arch: Arch, work: impl FnMut() -> R) -> R {
    arch.dispatch(Work(work))
}

struct Work<F>(F);

impl<F: FnMut() -> R, R> WithSimd for Work<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) -> R {
        self.0()
    }
}
