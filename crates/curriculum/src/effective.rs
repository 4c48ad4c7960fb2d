//! The effective fraction: the expected share of distinct samples among M draws.
//!
//! r = (1/N) Σᵢ [1 − (1 − pᵢ)^M]. With pᵢ near 1/N the power must not be formed from 1 − pᵢ in
//! single precision (at 1.28 million samples that is off by 0.003, at 16 million by 0.08); here it
//! is −expm1(M·log1p(−p)) in f64.

/// Probabilities below it, nearly all at large N, need no logarithm.
const SERIES: f64 = 1e-4;

/// Probability that a sample of probability `p` is drawn at least once in `draws`.
#[must_use]
pub fn drawn_at_least_once(p: f64, draws: f64) -> f64 {
    // Below SERIES the next term of ln(1 − p) = −p − p²/2 − p³/3 − p⁴/4 − … is beneath f64.
    let log = if p < SERIES {
        -p * (1.0 + p * (1.0 / 2.0 + p * (1.0 / 3.0 + p / 4.0)))
    } else {
        (-p).ln_1p()
    };
    -(draws * log).exp_m1()
}

/// The largest effective fraction, reached by uniform weights: 1 − (1 − 1/N)^N → 1 − 1/e.
#[must_use]
pub fn ceiling(samples: u64) -> f64 {
    let n = samples.max(1) as f64;
    drawn_at_least_once(1.0 / n, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_meets_the_logarithm() {
        for p in [1e-12, 1e-7, 1e-5, 0.99 * SERIES] {
            let exact = -(1e5 * (-p).ln_1p()).exp_m1();
            assert!(
                (drawn_at_least_once(p, 1e5) / exact - 1.0).abs() < 1e-14,
                "{p}"
            );
        }
    }

    #[test]
    fn uniform_weights_reach_the_known_ceiling_at_any_size() {
        for n in [1_281_167, 1 << 25, 100_000_000] {
            assert!((ceiling(n) - 0.632_12).abs() < 1e-5, "{n}");
        }
        assert_eq!(ceiling(1), 1.0);
        assert!((ceiling(2) - 0.75).abs() < 1e-15);
    }
}
