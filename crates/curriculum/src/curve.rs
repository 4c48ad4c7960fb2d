//! r(τ) and its slope over the points of a sketch: what the solver evaluates.
//!
//! With x the distance from the favoured end and p(x) = exp(−x/τ)/Z:
//! dp/d ln τ = p·(x/τ − ⟨x/τ⟩), ⟨·⟩ the mean under p, and d[1 − (1 − p)^M]/dp = M(1 − p)^(M−1); the
//! power is already there as one minus the probability of being drawn. The loops are plain Rust,
//! compiled once for each instruction set; sums run in eight fixed lanes, so the bits agree.

use crate::{
    Order, Sketch,
    effective::{self, SERIES},
    exp::exp,
};
use pulp::{Simd, WithSimd};

/// Running sums per reduction.
const LANES: usize = 8;

/// The points of a sketch from the favoured end on, with room for intermediate results.
pub(crate) struct Curve {
    /// Distance from the favoured end, rising.
    rank: Vec<f64>,
    /// Samples per point; 0 for the padding to a multiple of [`LANES`].
    count: Vec<f64>,
    mass: Vec<f64>,
    drawn: Vec<f64>,
    slope: Vec<f64>,
    samples: f64,
    draws: f64,
}

/// r(τ) and dr/d ln τ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) fraction: f64,
    pub(crate) slope: f64,
}

impl Curve {
    /// For `draws` draws from the samples of `sketch`, of which there is at least one.
    pub(crate) fn new(sketch: &Sketch, order: Order, draws: u64) -> Self {
        let points = sketch.points();
        let rank = |p: &crate::sketch::Point| sketch.rank(order, p.value);
        let mut ranks: Vec<f64> = points.iter().map(rank).collect();
        let mut count: Vec<f64> = points.iter().map(|p| p.count).collect();
        if order.favours_hard() {
            ranks.reverse();
            count.reverse();
        }
        let padded = points.len().next_multiple_of(LANES);
        ranks.resize(padded, ranks.last().copied().unwrap_or_default());
        count.resize(padded, 0.0);
        Self {
            rank: ranks,
            count,
            mass: vec![0.0; padded],
            drawn: vec![0.0; padded],
            slope: vec![0.0; padded],
            samples: sketch.samples().max(1) as f64,
            draws: draws as f64,
        }
    }

    /// Distance from the favoured end within which a share of the samples lies.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut missing = share * self.samples;
        let reaches = |(_, count): &(&f64, &f64)| {
            missing -= **count;
            missing <= 0.0
        };
        let last = self.rank.last().copied().unwrap_or_default();
        let mut points = self.rank.iter().zip(&self.count);
        points.find(reaches).map_or(last, |(rank, _)| *rank)
    }

    /// Σ exp(−x/τ) over the samples.
    pub(crate) fn normaliser(&mut self, temperature: f64) -> f64 {
        self.masses(inverse(temperature)).0
    }

    /// Evaluates at τ > 0, infinity included.
    pub(crate) fn at(&mut self, temperature: f64) -> Value {
        let inverse = inverse(temperature);
        let (total, first_moment) = self.masses(inverse);
        let drawn = Drawn {
            rank: &self.rank,
            mass: &self.mass,
            drawn: &mut self.drawn,
            slope: &mut self.slope,
            inverse,
            scale: 1.0 / total,
            mean: first_moment / total,
            draws: self.draws,
        };
        pulp::Arch::new().dispatch(drawn);
        self.replace_heavy(inverse, 1.0 / total, first_moment / total);
        let (drawn, slope) = pulp::Arch::new().dispatch(Sums {
            weight: &self.count,
            terms: [&self.drawn, &self.slope],
        });
        Value {
            fraction: drawn / self.samples,
            slope: slope / self.samples,
        }
    }

    /// Fills `mass`; returns its sum and that of mass·x/τ.
    fn masses(&mut self, inverse: f64) -> (f64, f64) {
        pulp::Arch::new().dispatch(Masses {
            rank: &self.rank,
            mass: &mut self.mass,
            moment: &mut self.slope,
            inverse,
        });
        pulp::Arch::new().dispatch(Sums {
            weight: &self.count,
            terms: [&self.mass, &self.slope],
        })
    }

    /// Computes the few points whose probability is beyond the series' range; they come first.
    fn replace_heavy(&mut self, inverse: f64, scale: f64, mean: f64) {
        let heavy = self.mass.partition_point(|mass| mass * scale > SERIES);
        for i in 0..heavy {
            let p = (self.mass[i] * scale).min(1.0);
            self.drawn[i] = effective::drawn_at_least_once(p, self.draws);
            self.slope[i] = if p < 1.0 {
                let steepness = self.draws * (1.0 - self.drawn[i]) / (1.0 - p);
                steepness * p * (self.rank[i] * inverse - mean)
            } else {
                0.0
            };
        }
    }
}

/// 1/τ, finite, so that its product with a distance of zero is zero.
pub(crate) fn inverse(temperature: f64) -> f64 {
    (1.0 / temperature).min(f64::MAX)
}

struct Masses<'a> {
    rank: &'a [f64],
    mass: &'a mut [f64],
    moment: &'a mut [f64],
    inverse: f64,
}

impl WithSimd for Masses<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let out = self.mass.iter_mut().zip(self.moment);
        for ((mass, moment), rank) in out.zip(self.rank) {
            // The bound keeps an overflowing distance at zero mass times a finite number.
            let x = (rank * self.inverse).min(1e300);
            *mass = exp(-x);
            *moment = *mass * x;
        }
    }
}

struct Drawn<'a> {
    rank: &'a [f64],
    mass: &'a [f64],
    drawn: &'a mut [f64],
    slope: &'a mut [f64],
    inverse: f64,
    scale: f64,
    mean: f64,
    draws: f64,
}

impl WithSimd for Drawn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let out = self.drawn.iter_mut().zip(self.slope);
        for ((drawn, slope), (mass, rank)) in out.zip(self.mass.iter().zip(self.rank)) {
            let p = mass * self.scale;
            *drawn = effective::drawn_at_least_once_series(p, self.draws);
            let x = (rank * self.inverse).min(1e300);
            *slope = self.draws * (1.0 - *drawn) / (1.0 - p) * p * (x - self.mean);
        }
    }
}

/// Two weighted sums over arrays whose length is a multiple of [`LANES`].
struct Sums<'a> {
    weight: &'a [f64],
    terms: [&'a [f64]; 2],
}

impl WithSimd for Sums<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (f64, f64) {
        let (mut a, mut b) = ([0.0; LANES], [0.0; LANES]);
        let terms = self.terms.map(|t| t.as_chunks::<LANES>().0);
        for ((w, s), t) in (self.weight.as_chunks::<LANES>().0.iter())
            .zip(terms[0])
            .zip(terms[1])
        {
            for lane in 0..LANES {
                a[lane] += w[lane] * s[lane];
                b[lane] += w[lane] * t[lane];
            }
        }
        (pairwise(a), pairwise(b))
    }
}

/// The lanes' sum, in a fixed order.
#[inline(always)]
pub(crate) fn pairwise(s: [f64; LANES]) -> f64 {
    ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solver::tests::{exact_effective_fraction, shapes};

    #[test]
    fn the_slope_is_the_derivative() {
        for (name, difficulty) in shapes(2_000) {
            let sketch = Sketch::new(&difficulty);
            for order in [Order::EasyFirst, Order::HardFirst] {
                let mut curve = Curve::new(&sketch, order, 1_500);
                for temperature in [0.004, 0.05, 0.4, 5.0] {
                    let step = 1e-5;
                    let value = curve.at(temperature);
                    let (up, down) = (
                        curve.at(temperature * (1.0 + step)),
                        curve.at(temperature * (1.0 - step)),
                    );
                    let numeric = (up.fraction - down.fraction) / (2.0 * step);
                    assert!(
                        (value.slope - numeric).abs() < 1e-8,
                        "{name} {order:?} {temperature}: {} {numeric}",
                        value.slope
                    );
                }
            }
        }
    }

    #[test]
    fn few_samples_and_many_draws_are_exact() {
        let difficulty = [0.0, 0.2, 0.21, 0.9, 1.0];
        let sketch = Sketch::new(&difficulty);
        for order in [Order::EasyFirst, Order::HardFirst] {
            for draws in [1, 5, 1_000_000] {
                for temperature in [1e-310, 1e-6, 0.1, 1.0, f64::INFINITY] {
                    let exact = exact_effective_fraction(&difficulty, order, temperature, draws);
                    let error = Curve::new(&sketch, order, draws).at(temperature).fraction - exact;
                    assert!(
                        error.abs() < 1e-13,
                        "{order:?} {draws} {temperature}: {error:e}"
                    );
                }
            }
        }
    }
}
