//! The temperature at which the effective fraction meets a target.
//!
//! r(τ) rises monotonically from its floor, the limit τ → 0 in which only the Z samples at the
//! extreme difficulty are drawn, (Z/N)·(1 − (1 − 1/Z)^M), to the ceiling c = 1 − (1 − 1/N)^M of
//! uniform weights. For small τ it grows like a power of τ, and near the ceiling c − r falls like
//! τ⁻²; so G = ln r − ½ ln(1 − r/c) is nearly a straight line in ln τ, of slope one for uniform
//! difficulties. Newton's method on G, from the difficulty at the quantile r on and kept inside a
//! bracket, takes about four evaluations of the sketch, whatever N is. Where a step fails, the
//! bracket is bisected in ln τ, or while one end is open left in growing steps.
//!
//! The search spans every τ that matters, whatever the tails. With g the smallest distance of any
//! other sample from the favoured extreme, at τ = g/128 the share of all others is below N·e⁻¹²⁸,
//! and r is its floor within rounding for any N and M of 64 bits. At a million times the range the
//! weights differ by less than 1e-6, and r from the ceiling by less than 1e-12 of it, which is beyond
//! the targets that are taken for the ceiling.

use crate::{
    Order, Sketch,
    curve::{Curve, Value},
    effective,
};

/// The lowest temperature that is tried, as a share of the smallest distance from the favoured end.
const MIN_TEMPERATURE: f64 = 1.0 / 128.0;

/// The highest finite temperature that is tried, as a share of the range of the difficulties.
const MAX_TEMPERATURE: f64 = 1e6;

/// A solution is accepted when |r(τ) − target| is at most this share of the target.
const TOLERANCE: f64 = 1e-10;

/// A target this close to the ceiling, relatively, means uniform weights.
const NEAR_CEILING: f64 = 1e-9;

/// G − ln τ for uniform difficulties, within 0.2 over all targets.
const UNIFORM_OFFSET: f64 = 1.4;

/// The first limit to a step in ln τ; each step that fails doubles it.
const REACH: f64 = 2.0;

/// Refinements are bounded; a bisection at least every other time shrinks the bracket below f64's
/// resolution before.
const MAX_REFINEMENTS: usize = 200;

/// What to solve for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem {
    /// Which end is favoured.
    pub order: Order,
    /// The effective fraction asked for; one that is not a number gives uniform weights.
    pub target: f64,
    /// Number of draws M; 0 reach nothing, so r is 0 and any target above it beyond the ceiling.
    pub draws: u64,
    /// Lower bound on τ; not one unless above 0.
    pub min_temperature: Option<f64>,
    /// Upper bound on τ; not one unless above 0.
    pub max_temperature: Option<f64>,
}

/// How a temperature relates to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// r(τ) equals the target.
    Ok,
    /// The target is at or below the limit for τ → 0; the answer is a temperature at which r is that
    /// limit within rounding.
    Floor,
    /// The target is above the fraction of uniform weights, which are the answer.
    Ceiling,
    /// All weights are equal; the temperature is infinite.
    Uniform,
    /// A bound on the temperature that was given keeps r(τ) from the target.
    Clamped,
}

/// A temperature and what it reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solution {
    /// τ > 0, infinite for uniform weights.
    pub temperature: f64,
    /// r(τ).
    pub effective_fraction: f64,
    /// How it was found.
    pub status: Status,
}

impl Solution {
    /// Uniform weights over the samples of `sketch`; without samples the fraction is that of one.
    #[must_use]
    pub fn uniform(sketch: &Sketch, draws: u64) -> Self {
        Self {
            temperature: f64::INFINITY,
            effective_fraction: effective::ceiling(sketch.samples().max(1), draws),
            status: Status::Uniform,
        }
    }
}

/// Solves r(τ) = `target` for τ.
///
/// Difficulties that are all equal, a single sample among them, give uniform weights at any
/// temperature; so does the empty sketch.
#[must_use]
pub fn solve(sketch: &Sketch, problem: &Problem) -> Solution {
    let uniform = Solution::uniform(sketch, problem.draws);
    // Not "range <= 0": a range that is not a number has no temperature either.
    if !(sketch.range() > 0.0 && sketch.range().is_finite()) {
        return uniform;
    }
    let mut curve = Curve::new(sketch, problem.order, problem.draws);
    let ceiling = uniform.effective_fraction;
    let free = if problem.target > ceiling * (1.0 + NEAR_CEILING) {
        Solution {
            status: Status::Ceiling,
            ..uniform
        }
    } else if problem.target < ceiling * (1.0 - NEAR_CEILING) {
        solve_below_ceiling(sketch, problem, ceiling, &mut curve)
    } else {
        uniform
    };
    clamp(free, problem, &mut curve)
}

fn solve_below_ceiling(
    sketch: &Sketch,
    problem: &Problem,
    ceiling: f64,
    curve: &mut Curve,
) -> Solution {
    let extreme = sketch.extreme_count(problem.order);
    let gap = sketch.smallest_gap(problem.order);
    let lowest = MIN_TEMPERATURE * gap.unwrap_or(sketch.range());
    if problem.target <= effective::floor(sketch.samples(), extreme, problem.draws) {
        return Solution {
            temperature: lowest,
            effective_fraction: curve.at(lowest).fraction,
            status: Status::Floor,
        };
    }
    Search {
        ceiling,
        target: problem.target,
        curve,
        lowest: lowest.ln(),
        highest: (MAX_TEMPERATURE * sketch.range()).ln(),
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
        reach: REACH,
        bound: f64::INFINITY,
    }
    .run()
}

/// Applies the bounds that were given.
fn clamp(free: Solution, problem: &Problem, curve: &mut Curve) -> Solution {
    let given = |bound: Option<f64>| bound.filter(|bound| *bound > 0.0);
    let min = given(problem.min_temperature).unwrap_or(0.0);
    let max = given(problem.max_temperature).unwrap_or(f64::INFINITY);
    let temperature = free.temperature.min(max).max(min);
    if temperature == free.temperature {
        return free;
    }
    Solution {
        temperature,
        effective_fraction: curve.at(temperature).fraction,
        // A target that no temperature reaches says more than the bound.
        status: match free.status {
            Status::Floor | Status::Ceiling => free.status,
            Status::Ok | Status::Uniform | Status::Clamped => Status::Clamped,
        },
    }
}

fn solution(u: f64, value: Value, status: Status) -> Solution {
    Solution {
        temperature: u.exp(),
        effective_fraction: value.fraction,
        status,
    }
}

/// Newton's method on G over u = ln τ.
struct Search<'a> {
    ceiling: f64,
    target: f64,
    curve: &'a mut Curve,
    /// r is its floor here, within rounding.
    lowest: f64,
    /// r is its ceiling here, nearly.
    highest: f64,
    /// The root lies above; −∞ until a temperature below it was evaluated.
    low: f64,
    /// The root lies below; ∞ until a temperature above it was evaluated.
    high: f64,
    /// Steps are shorter.
    reach: f64,
    /// Newton's steps must pay: |G − goal| has to come below this.
    bound: f64,
}

impl Search<'_> {
    fn run(mut self) -> Solution {
        let goal = self.straighten(self.target);
        let mut u = self.within(self.first_guess(goal));
        for _ in 0..MAX_REFINEMENTS {
            let value = self.curve.at(u.exp());
            let excess = value.fraction - self.target;
            if excess.abs() <= TOLERANCE * self.target {
                return solution(u, value, Status::Ok);
            }
            if excess > 0.0 && u <= self.lowest {
                return solution(u, value, Status::Floor);
            }
            if excess > 0.0 {
                self.high = u;
            } else {
                self.low = u;
            }
            let distance = goal - self.straighten(value.fraction);
            u = self.step(u, distance, distance / self.slope(value));
        }
        let value = self.curve.at(u.exp());
        solution(u, value, Status::Ok)
    }

    /// As if the difficulties were uniform up to the quantile of the target.
    fn first_guess(&self, goal: f64) -> f64 {
        let scale = self.curve.quantile(self.target) / self.target;
        goal - UNIFORM_OFFSET + scale.ln()
    }

    /// Newton's step; or a bisection, of as much as is in reach, where that left the bracket or the
    /// last one did not pay.
    fn step(&mut self, u: f64, distance: f64, newton: f64) -> f64 {
        let low = self.low.max(u - self.reach);
        let high = self.high.min(u + self.reach);
        let next = u + newton;
        if distance.abs() < self.bound && low < next && next < high {
            self.bound = distance.abs() / 2.0;
            return self.within(next);
        }
        self.bound = f64::INFINITY;
        self.reach *= 2.0;
        let middle = f64::midpoint(self.low, self.high);
        self.within(middle.max(low).min(high))
    }

    fn within(&self, u: f64) -> f64 {
        u.max(self.lowest).min(self.highest)
    }

    /// G(r).
    fn straighten(&self, fraction: f64) -> f64 {
        fraction.ln() - 0.5 * (1.0 - fraction / self.ceiling).ln()
    }

    /// dG/du.
    fn slope(&self, value: Value) -> f64 {
        let Value { fraction, slope } = value;
        slope / fraction + 0.5 * slope / (self.ceiling - fraction)
    }
}

#[cfg(test)]
pub(crate) mod tests;
