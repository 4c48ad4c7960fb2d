//! The temperature at which the effective fraction meets a target.
//!
//! r(τ) rises monotonically from its floor, the limit τ → 0 in which only the Z samples at the
//! extreme difficulty are drawn, (Z/N)·(1 − (1 − 1/Z)^M), to the ceiling c = 1 − (1 − 1/N)^M of
//! uniform weights. For small τ it grows like a power of τ, and near the ceiling c − r falls like
//! τ⁻²; so G = ln r − ½ ln(1 − r/c) is nearly a straight line in ln τ, of slope one for uniform
//! difficulties. Newton's method on G, kept inside a bracket by bisection, takes about four
//! evaluations of the sketch, whatever N is.

use crate::{
    Order, Sketch,
    curve::{Curve, Value},
    effective,
};

/// The lowest temperature that is tried, as a share of the range of the difficulties.
pub const MIN_TEMPERATURE: f64 = 1e-6;

/// The highest finite temperature that is tried, as a share of the range of the difficulties; r is
/// then within 1e-9 of the ceiling.
pub const MAX_TEMPERATURE: f64 = 1e6;

/// A solution is accepted when |r(τ) − target| is at most this share of the target.
const TOLERANCE: f64 = 1e-10;

/// A target this close to the ceiling, relatively, means uniform weights.
const NEAR_CEILING: f64 = 1e-9;

/// G − ln τ for uniform difficulties, within 0.2 over all targets.
const UNIFORM_OFFSET: f64 = 1.4;

/// Refinements are bounded; a bisection at least every other time shrinks the bracket below f64's
/// resolution before.
const MAX_REFINEMENTS: usize = 150;

/// What to solve for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Problem {
    /// Which end is favoured.
    pub order: Order,
    /// The effective fraction asked for.
    pub target: f64,
    /// Number of draws M, at least 1.
    pub draws: u64,
    /// Lower bound on τ.
    pub min_temperature: Option<f64>,
    /// Upper bound on τ.
    pub max_temperature: Option<f64>,
}

/// How a temperature relates to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// r(τ) equals the target.
    Ok,
    /// The target is at or below the limit for τ → 0; the answer is the lowest temperature.
    Floor,
    /// The target is above the fraction of uniform weights, which are the answer.
    Ceiling,
    /// All weights are equal; the temperature is infinite.
    Uniform,
    /// A bound on the temperature, given or [`MIN_TEMPERATURE`], keeps r(τ) from the target.
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
    } else if problem.target >= ceiling * (1.0 - NEAR_CEILING) {
        uniform
    } else {
        solve_below_ceiling(sketch, problem, ceiling, &mut curve)
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
    let lowest = MIN_TEMPERATURE * sketch.range();
    if problem.target <= effective::floor(sketch.samples(), extreme, problem.draws) {
        return Solution {
            temperature: lowest,
            effective_fraction: curve.at(lowest).fraction,
            status: Status::Floor,
        };
    }
    Search {
        range: sketch.range(),
        ceiling,
        target: problem.target,
        curve,
        low: None,
        high: MAX_TEMPERATURE.ln(),
        bound: f64::INFINITY,
    }
    .run()
}

/// Applies the bounds that were given.
fn clamp(free: Solution, problem: &Problem, curve: &mut Curve) -> Solution {
    let min = problem.min_temperature.unwrap_or(0.0);
    let max = problem.max_temperature.unwrap_or(f64::INFINITY);
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

/// Newton's method on G over u = ln(τ/range).
struct Search<'a> {
    range: f64,
    ceiling: f64,
    target: f64,
    curve: &'a mut Curve,
    /// The root lies above; `None` until a temperature below it was evaluated.
    low: Option<f64>,
    /// The root lies below.
    high: f64,
    /// Newton's steps must pay: |G − goal| has to come below this.
    bound: f64,
}

impl Search<'_> {
    fn run(mut self) -> Solution {
        let goal = self.straighten(self.target);
        let mut u = (goal - UNIFORM_OFFSET).clamp(MIN_TEMPERATURE.ln(), self.high);
        for _ in 0..MAX_REFINEMENTS {
            let value = self.curve.at(self.temperature(u));
            let excess = value.fraction - self.target;
            if excess.abs() <= TOLERANCE * self.target {
                return self.solution(u, value, Status::Ok);
            }
            if excess > 0.0 && u <= MIN_TEMPERATURE.ln() {
                return self.solution(u, value, Status::Clamped);
            }
            if excess > 0.0 {
                self.high = u;
            } else {
                self.low = Some(u);
            }
            let distance = goal - self.straighten(value.fraction);
            u = self.step(u, distance, distance / self.slope(value));
        }
        let value = self.curve.at(self.temperature(u));
        self.solution(u, value, Status::Ok)
    }

    /// Newton's step, or a bisection where that left the bracket or the last one did not pay.
    fn step(&mut self, u: f64, distance: f64, newton: f64) -> f64 {
        let next = u + newton;
        let inside = next < self.high && self.low.is_none_or(|low| next > low);
        if distance.abs() < self.bound && inside {
            self.bound = distance.abs() / 2.0;
            return next.max(MIN_TEMPERATURE.ln());
        }
        self.bound = f64::INFINITY;
        match self.low {
            Some(low) => f64::midpoint(low, self.high),
            None => MIN_TEMPERATURE.ln(),
        }
    }

    fn solution(&self, u: f64, value: Value, status: Status) -> Solution {
        Solution {
            temperature: self.temperature(u),
            effective_fraction: value.fraction,
            status,
        }
    }

    fn temperature(&self, u: f64) -> f64 {
        if u <= MIN_TEMPERATURE.ln() {
            MIN_TEMPERATURE * self.range
        } else {
            u.exp() * self.range
        }
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
