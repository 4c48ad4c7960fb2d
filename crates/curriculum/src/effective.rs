//! The effective fraction: the expected share of distinct samples among M draws.
//!
//! r = (1/N) Σᵢ [1 − (1 − pᵢ)^M]. With pᵢ near 1/N the power must not be formed from 1 − pᵢ in
//! single precision (at 1.28 million samples that is off by 0.003, at 16 million by 0.08); here it
//! is −expm1(M·log1p(−p)) in f64. Uniform weights give the ceiling 1 − (1 − 1/N)^M, which is
//! 1 − 1/e ≈ 0.632 for M = N → ∞; all weight on Z samples gives the floor
//! (Z/N)·(1 − (1 − 1/Z)^M).

use crate::exp::exp_m1;

/// Up to this probability the logarithm is a short series; at most 8 samples can exceed it.
pub(crate) const SERIES: f64 = 1.0 / 8.0;

/// Probability that a sample of probability `p` in [0, 1] is drawn at least once in `draws`.
#[must_use]
pub fn drawn_at_least_once(p: f64, draws: f64) -> f64 {
    if p <= SERIES {
        drawn_at_least_once_series(p, draws)
    } else {
        // The bound keeps 0 draws of p = 1 at 0.
        0.0 - (draws * (-p).ln_1p().max(f64::MIN)).exp_m1()
    }
}

/// The same for `p` up to [`SERIES`], without a branch, within 1e-14 relative.
///
/// ln(1 − p) = −2 artanh(s) = −2 (s + s³/3 + s⁵/5 + …) with s = p/(2 − p) ≤ 1/15: the first term left
/// out is beneath f64.
#[inline(always)]
pub(crate) fn drawn_at_least_once_series(p: f64, draws: f64) -> f64 {
    let s = p / (2.0 - p);
    let z = s * s;
    let low = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0));
    let high = 1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0 + z * (1.0 / 13.0)));
    let log = -2.0 * s * (low + z * z * z * high);
    // Not the negation, which would make 0 draws reach −0.
    0.0 - exp_m1(draws * log)
}

/// The largest effective fraction, reached by uniform weights: 1 − (1 − 1/N)^M.
#[must_use]
pub fn ceiling(samples: u64, draws: u64) -> f64 {
    floor(samples, samples as f64, draws)
}

/// The limit for τ → 0 when `extreme` of the samples share the favoured extreme.
#[must_use]
pub fn floor(samples: u64, extreme: f64, draws: u64) -> f64 {
    let extreme = extreme.max(1.0);
    let reached = extreme * drawn_at_least_once(1.0 / extreme, draws as f64);
    reached / samples.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_meets_the_logarithm() {
        for p in [1e-300, 1e-12, 1e-7, 1e-5, 1e-3, 0.03, 0.1, SERIES] {
            for draws in [1.0, 10.0, 1e5, 1e9] {
                let exact = -(draws * (-p).ln_1p()).exp_m1();
                let error = drawn_at_least_once_series(p, draws) / exact - 1.0;
                assert!(error.abs() < 1e-14, "{p} {draws}: {error:e}");
            }
        }
    }

    #[test]
    fn uniform_weights_reach_the_known_ceiling_at_any_size() {
        for n in [1_281_167, 1 << 25, 100_000_000] {
            assert!((ceiling(n, n) - 0.632_12).abs() < 1e-5, "{n}");
        }
        assert_eq!(ceiling(1, 1), 1.0);
        assert!((ceiling(2, 2) - 0.75).abs() < 1e-15);
    }

    #[test]
    fn draws_differ_from_samples() {
        assert!((ceiling(10, 1) - 0.1).abs() < 1e-15);
        assert!((ceiling(4, 2) - (1.0 - 0.75f64.powi(2))).abs() < 1e-15);
        assert!((floor(100, 2.0, 3) - 0.02 * (1.0 - 0.125)).abs() < 1e-15);
        assert_eq!(ceiling(10, u64::MAX), 1.0);
        for samples in [1, 10] {
            assert_eq!(ceiling(samples, 0).to_bits(), 0.0f64.to_bits());
        }
    }
}
