//! eˣ and eˣ − 1 in f64: vectorisable, and the same bits on every instruction set.
//!
//! x = n·ln 2 + r with |r| ≤ ½ ln 2 (Cody and Waite's two-part ln 2, so that n·ln 2 loses nothing),
//! then eʳ − 1 by its Taylor polynomial of degree 12 (remainder below 2e-16) and a scale of 2ⁿ put
//! together from bits. No branch or table, and but for [`exp_for_f32`] no fused multiply-add: a loop over
//! these functions becomes vector code under [`pulp::Arch::dispatch`], and each lane rounds as the scalar code does.

use std::f64::consts::{LN_2, LOG2_E};

/// Below it eˣ, less than 3.4e-308, counts as zero.
const LOWEST: f64 = -708.0;

/// Above it eˣ, more than 8.2e307, counts as infinite.
const HIGHEST: f64 = 709.0;

/// 1.5·2⁵² + 1023: adding it rounds to an integer n and leaves n + 1023, the exponent bits of 2ⁿ, in
/// the lowest places.
const SHIFT: f64 = 6_755_399_441_055_744.0 + 1023.0;

/// The upper 33 bits of ln 2, so that its products with n are exact, and the rest.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN_2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// eˣ within 1e-15 relative; 0 below −708, infinite above 709.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let (scale, q) = reduce(x);
    let value = scale + scale * q;
    let value = if x < LOWEST { 0.0 } else { value };
    if x > HIGHEST { f64::INFINITY } else { value }
}

/// eˣ − 1 for x ≤ 0, without cancellation near 0: within 2e-15 relative.
#[inline(always)]
pub(crate) fn exp_m1(x: f64) -> f64 {
    let (scale, q) = reduce(if x < LOWEST { LOWEST } else { x });
    // n = 0 leaves q alone; n ≤ −1 means that the result is below −0.29, far from cancelling.
    scale * q + (scale - 1.0)
}

/// eˣ within 3e-10 relative, for results that are rounded to f32: half the operations of [`exp`]. Zero below
/// −708; x is at most 1.
///
/// With fused multiply-adds, which round alike everywhere, but are slow where there is no instruction for
/// them: outside of [`pulp::Arch::dispatch`], too.
#[inline(always)]
pub(crate) fn exp_for_f32(x: f64) -> f64 {
    let c = &INVERSE_FACTORIALS;
    let shifted = x.mul_add(LOG2_E, SHIFT);
    let r = (shifted - SHIFT).mul_add(-LN_2, x);
    let r2 = r * r;
    // The Taylor polynomial of degree 8, even and odd powers apart.
    let even = r2.mul_add(c[6], c[4]).mul_add(r2, c[2]);
    let even = even.mul_add(r2, c[0]).mul_add(r2, 1.0);
    let odd = r2.mul_add(c[5], c[3]).mul_add(r2, c[1]).mul_add(r2, 1.0);
    let scale = f64::from_bits(shifted.to_bits() << 52);
    let value = r.mul_add(odd, even) * scale;
    if x < LOWEST { 0.0 } else { value }
}

/// 2ⁿ and eʳ − 1.
#[inline(always)]
fn reduce(x: f64) -> (f64, f64) {
    let shifted = x * LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let scale = f64::from_bits(shifted.to_bits() << 52);
    // (eʳ − 1 − r) / r²: Horner's scheme on even and odd powers apart, two chains side by side.
    let (r2, c) = (r * r, &INVERSE_FACTORIALS);
    let even = c[0] + r2 * (c[2] + r2 * (c[4] + r2 * (c[6] + r2 * (c[8] + r2 * c[10]))));
    let odd = c[1] + r2 * (c[3] + r2 * (c[5] + r2 * (c[7] + r2 * c[9])));
    (scale, r + r2 * (even + r * odd))
}

/// 1/2!, 1/3!, …, 1/12!.
const INVERSE_FACTORIALS: [f64; 11] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pulp::{Simd, WithSimd};

    /// All functions over a slice, as the crate's kernels call them.
    struct Apply<'a>(&'a [f64], &'a mut [[f64; 3]]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            for (out, x) in self.1.iter_mut().zip(self.0) {
                *out = [exp(*x), exp_m1(-x.abs()), exp_for_f32(-x.abs())];
            }
        }
    }

    fn run(dispatch: impl FnOnce(Apply<'_>), inputs: &[f64]) -> Vec<u64> {
        let mut out = vec![[0.0; 3]; inputs.len()];
        dispatch(Apply(inputs, &mut out));
        out.as_flattened().iter().map(|x| x.to_bits()).collect()
    }

    /// Dense near zero and over the whole range, with the ends.
    fn inputs() -> Vec<f64> {
        let whole = (-7_600..=7_200).map(|i| f64::from(i) * 0.099_87);
        let fine = (0..4_000).map(|i| -f64::from(i) * 1e-3);
        let tiny = (0..300).map(|i| -(10f64.powi(-i)));
        let ends = [0.0, -0.0, LOWEST, HIGHEST, -745.2, f64::MIN, f64::MAX];
        let ends = ends.into_iter().chain([f64::NEG_INFINITY, f64::INFINITY]);
        whole.chain(fine).chain(tiny).chain(ends).collect()
    }

    #[test]
    fn agrees_with_the_standard_library_over_the_whole_range() {
        for x in inputs() {
            let (ours, theirs) = (exp(x), x.exp());
            if x < LOWEST {
                assert_eq!(ours, 0.0, "{x}");
            } else if x > HIGHEST {
                assert_eq!(ours, f64::INFINITY, "{x}");
            } else {
                assert!((ours / theirs - 1.0).abs() < 1e-15, "{x}: {ours} {theirs}");
            }
        }
        assert_eq!((exp(0.0), exp(-0.0)), (1.0, 1.0));
    }

    #[test]
    fn exp_m1_does_not_cancel() {
        for x in inputs().into_iter().map(|x| -x.abs()) {
            let (ours, theirs) = (exp_m1(x), x.exp_m1());
            assert!(
                (ours - theirs).abs() <= 2e-15 * theirs.abs(),
                "{x}: {ours} {theirs}"
            );
        }
    }

    #[test]
    fn the_short_form_is_exact_enough_for_f32() {
        for x in inputs().into_iter().map(|x| -x.abs()).chain([1e-9, 1.0]) {
            let (ours, theirs) = (exp_for_f32(x), x.exp());
            if x < LOWEST {
                assert_eq!(ours, 0.0, "{x}");
            } else {
                assert!((ours / theirs - 1.0).abs() < 3e-10, "{x}: {ours} {theirs}");
            }
        }
        assert_eq!((exp_for_f32(0.0), exp_for_f32(-0.0)), (1.0, 1.0));
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let inputs = inputs();
        let plain = run(|op| op.with_simd(pulp::Scalar), &inputs);
        assert_eq!(plain, run(|op| pulp::Arch::new().dispatch(op), &inputs));
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = pulp::x86::V3::try_new() {
            assert_eq!(plain, run(|op| Simd::vectorize(v3, op), &inputs));
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(v4) = pulp::x86::V4::try_new() {
            assert_eq!(plain, run(|op| Simd::vectorize(v4, op), &inputs));
        }
    }

    proptest! {
        #[test]
        fn finite_input_never_gives_nan(x in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
            prop_assert!(exp(x) >= 0.0);
            prop_assert!((-1.0..=0.0).contains(&exp_m1(-x.abs())));
            prop_assert!((0.0..=1.0).contains(&exp_for_f32(-x.abs())));
        }
    }
}
