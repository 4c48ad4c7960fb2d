use pulp::{Arch, Simd, WithSimd};

/// Runs a plain loop, compiled for this machine's widest vectors; `#[inline(always)]` on the
/// closure and on what it calls is what has them compiled anew.
pub(crate) fn vectorize<R>(work: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Work(work))
}

struct Work<F>(F);

impl<F: FnMut() -> R, R> WithSimd for Work<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) -> R {
        self.0()
    }
}
