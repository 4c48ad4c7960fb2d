//! The difficulties as some thousand weighted points.
//!
//! The normaliser Σ exp(−d/τ) and the effective fraction are sums of smooth functions of the
//! difficulty. The sorted difficulties are cut into bins, and each bin is replaced by the two-point
//! Gauss quadrature of its own empirical distribution: same count, same first three moments. The
//! error of a sum of f over n samples in a bin of width h is at most n·h⁴·max|f⁗|/384.
//!
//! A bin holds at most 1/1024 of the samples, is at most 1/1024 of the range wide, and at most 1/32
//! of its distance from the nearer end, however near that is: for f = exp(−x/τ), x the distance from
//! the favoured end, that keeps the relative error near 1e-9 at any τ, because h/τ is either small or
//! the exponential is. A decade of distance takes 74 such bins: two to five thousand points for most
//! data, 14,000 for data over all 83 decades of f32. Cost: O(N log N) once, then O(points) per
//! evaluation at any N.

use crate::{Order, curve::Curve};
use rayon::slice::ParallelSliceMut;

/// Bins hold at most 1/BINS of the samples and of the range.
const BINS: usize = 1024;

/// Bins are at most 1/END_RATIO of their distance from the nearer end wide.
const END_RATIO: f64 = 32.0;

/// One node of the quadrature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Difficulty.
    pub value: f64,
    /// Number of samples it stands for; not an integer.
    pub count: f64,
}

/// Weighted points that stand for all difficulties of a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    points: Vec<Point>,
    samples: u64,
    min: f64,
    max: f64,
}

impl Sketch {
    /// Of `difficulty`, in any order; the empty slice gives an empty sketch.
    ///
    /// Values should be finite. Here, in the weights and in draws, an infinite one counts as the finite
    /// one next to it and one that is not a number as the hardest, [`f32::MAX`].
    #[must_use]
    pub fn new(difficulty: &[f32]) -> Self {
        let mut sorted: Vec<f32> = difficulty.iter().map(|d| finite(*d)).collect();
        sorted.par_sort_unstable_by(f32::total_cmp);
        let points = bins(&sorted, |x| x).flat_map(quadrature).collect();
        Self::from_points(points)
    }

    /// Of finite points in order of value, as [`Sketch::points`] returned them; others are kept as
    /// they are, and what follows from them means nothing.
    #[must_use]
    pub fn from_points(points: Vec<Point>) -> Self {
        let samples = points.iter().map(|p| p.count).sum::<f64>().round() as u64;
        let min = points.first().map_or(0.0, |p| p.value);
        let max = points.last().map_or(0.0, |p| p.value);
        Self {
            points,
            samples,
            min,
            max,
        }
    }

    /// The points, in order of value.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Highest minus lowest difficulty.
    #[must_use]
    pub fn range(&self) -> f64 {
        self.max - self.min
    }

    /// Distance of a difficulty from the favoured end: 0 for the most probable sample.
    ///
    /// Shifting by the extreme keeps every exponential at most one.
    #[must_use]
    pub fn rank(&self, order: Order, difficulty: f64) -> f64 {
        if order.favours_hard() {
            self.max - difficulty
        } else {
            difficulty - self.min
        }
    }

    /// Distance from the favoured end to the nearest point beyond it, if there is one.
    #[must_use]
    pub(crate) fn smallest_gap(&self, order: Order) -> Option<f64> {
        let rank = |point: &Point| self.rank(order, point.value);
        if order.favours_hard() {
            self.points.iter().rev().map(rank).find(|gap| *gap > 0.0)
        } else {
            self.points.iter().map(rank).find(|gap| *gap > 0.0)
        }
    }

    /// Number of samples that share the favoured extreme.
    #[must_use]
    pub fn extreme_count(&self, order: Order) -> f64 {
        let extreme = if order.favours_hard() {
            self.points.last()
        } else {
            self.points.first()
        };
        extreme.map_or(0.0, |point| point.count)
    }

    /// Σ exp(−rank/τ) over the samples.
    #[must_use]
    pub fn normaliser(&self, order: Order, temperature: f64) -> f64 {
        Curve::new(self, order, self.samples).normaliser(temperature)
    }

    /// Effective fraction for `draws` draws.
    #[must_use]
    pub fn effective_fraction(&self, order: Order, temperature: f64, draws: u64) -> f64 {
        Curve::new(self, order, draws).at(temperature).fraction
    }
}

/// The finite difficulty that stands for `difficulty`: infinities for the extremes of f32, what is
/// not a number for the highest.
#[inline(always)]
pub(crate) fn finite(difficulty: f32) -> f32 {
    // Comparisons with NaN fail, so it takes the last branch.
    if difficulty <= f32::MAX {
        difficulty.max(f32::MIN)
    } else {
        f32::MAX
    }
}

/// Cuts what is sorted by `value`, finite, into bins. The lowest and the highest value get bins of
/// their own: the limits for small temperatures depend on exactly how many samples share them.
pub(crate) fn bins<T: Copy>(
    sorted: &[T],
    value: impl Fn(T) -> f32 + Copy,
) -> impl Iterator<Item = &[T]> {
    let low = sorted.first().copied().map_or(0.0, value);
    let high = sorted.last().copied().map_or(0.0, value);
    let count = sorted.len().div_ceil(BINS);
    let mut rest = sorted;
    std::iter::from_fn(move || {
        let first = value(*rest.first()?);
        let end = if first == low || first == high {
            rest.partition_point(|x| value(*x) <= first)
        } else {
            let limit = f64::from(first) + widest(first, low, high);
            let near = &rest[..count.min(rest.len())];
            near.partition_point(|x| f64::from(value(*x)) <= limit && value(*x) < high)
        };
        // At least one, whatever the values: every bin makes progress.
        let (bin, tail) = rest.split_at(end.max(1));
        rest = tail;
        Some(bin)
    })
}

/// Width allowed for a bin that starts at `first`.
fn widest(first: f32, low: f32, high: f32) -> f64 {
    let (below, above) = (
        f64::from(first) - f64::from(low),
        f64::from(high) - f64::from(first),
    );
    let range = below + above;
    let from_ends = (below / END_RATIO).min(above / (END_RATIO + 1.0));
    from_ends.min(range / BINS as f64)
}

/// Two points (one, if the values are equal) with the count and first three moments of `bin`.
fn quadrature(bin: &[f32]) -> impl Iterator<Item = Point> + use<> {
    let count = bin.len() as f64;
    // From the first value on: a bin may be narrow compared with its values.
    let first = bin.first().copied().map_or(0.0, f64::from);
    let mean = bin.iter().map(|x| f64::from(*x) - first).sum::<f64>() / count;
    let (mut variance, mut skew) = (0.0, 0.0);
    for x in bin {
        let t = f64::from(*x) - first - mean;
        variance += t * t / count;
        skew += t * t * t / count;
    }
    let points = if bin.first() == bin.last() {
        [
            Some(Point {
                value: first,
                count,
            }),
            None,
        ]
    } else {
        // Nodes mean + t with t₁·t₂ = −variance and t₁ + t₂ = skew / variance.
        let half = skew / variance / 2.0;
        let root = half.hypot(variance.sqrt());
        let (t1, t2) = (half - root, half + root);
        let share = t2 / (t2 - t1);
        [
            Some(Point {
                value: first + (mean + t1),
                count: count * share,
            }),
            Some(Point {
                value: first + (mean + t2),
                count: count * (1.0 - share),
            }),
        ]
    };
    points.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::tests::{exact_effective_fraction, shapes};
    use proptest::prelude::*;

    const TEMPERATURES: [f64; 12] = [
        1e-13, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.03, 0.3, 3.0,
    ];

    #[test]
    fn agrees_with_the_exact_sums_for_every_shape() {
        for (name, difficulty) in shapes(20_000) {
            let sketch = Sketch::new(&difficulty);
            assert_eq!(sketch.samples(), 20_000, "{name}");
            for order in [Order::EasyFirst, Order::HardFirst] {
                for temperature in TEMPERATURES {
                    let exact = exact_effective_fraction(&difficulty, order, temperature, 20_000);
                    let error = sketch.effective_fraction(order, temperature, 20_000) - exact;
                    assert!(
                        error.abs() < 1e-8,
                        "{name} {order:?} {temperature}: {error:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn normalisers_are_exact_for_every_shape() {
        for (name, difficulty) in shapes(20_000) {
            let sketch = Sketch::new(&difficulty);
            for order in [Order::EasyFirst, Order::HardFirst] {
                for temperature in TEMPERATURES {
                    let mass = |d: &f32| (-sketch.rank(order, f64::from(*d)) / temperature).exp();
                    let exact: f64 = difficulty.iter().map(mass).sum();
                    let error = sketch.normaliser(order, temperature) / exact - 1.0;
                    assert!(
                        error.abs() < 1e-8,
                        "{name} {order:?} {temperature}: {error:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn stays_small_at_any_size_and_over_any_decades() {
        let points = |difficulty: &[f32]| Sketch::new(difficulty).points().len();
        let ramp: Vec<f32> = (0..1_000_000).map(|i| i as f32 / 1e6).collect();
        assert!(points(&ramp) <= 3 * BINS);
        let cubes: Vec<f32> = ramp.iter().map(|x| x.powi(3)).collect();
        assert!(points(&cubes) <= 5 * BINS);
        // One sample in every 2,000 of the finite values of f32, from 1e-45 to 3e38.
        let all: Vec<f32> = (0..0x7f80_0000)
            .step_by(2_000)
            .map(f32::from_bits)
            .collect();
        assert!(points(&all) <= 14 * BINS);
        let both: Vec<f32> = all.iter().flat_map(|x| [*x, -x]).collect();
        assert!(points(&both) <= 5 * BINS);
    }

    #[test]
    fn values_that_are_not_finite_count_as_the_documented_ones() {
        let (lowest, highest) = (f32::NEG_INFINITY, f32::INFINITY);
        let sketch = Sketch::new(&[0.5, f32::NAN, lowest, -f32::NAN, highest, 0.5]);
        let finite = Sketch::new(&[0.5, f32::MAX, f32::MIN, f32::MAX, f32::MAX, 0.5]);
        assert_eq!(sketch, finite);
        assert_eq!(Sketch::new(&[f32::NAN]), Sketch::new(&[f32::MAX]));
    }

    #[test]
    fn the_empty_sketch_has_no_samples() {
        let sketch = Sketch::new(&[]);
        assert_eq!((sketch.samples(), sketch.range()), (0, 0.0));
    }

    proptest! {
        #[test]
        fn count_and_moments_are_kept(values in prop::collection::vec(0.0f32..=1.0, 1..500)) {
            let sketch = Sketch::new(&values);
            prop_assert_eq!(sketch.samples(), values.len() as u64);
            for power in 0..4 {
                let exact: f64 = values.iter().map(|x| f64::from(*x).powi(power)).sum();
                let sketched: f64 = sketch.points().iter().map(|p| p.count * p.value.powi(power)).sum();
                prop_assert!((exact - sketched).abs() <= 1e-9 * values.len() as f64);
            }
            prop_assert!(sketch.points().windows(2).all(|p| p[0].value <= p[1].value));
        }
    }
}
