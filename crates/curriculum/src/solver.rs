//! The temperature at which the effective fraction meets a target.
//!
//! r(τ) rises monotonically from its floor, the limit τ → 0 in which only the samples at the extreme
//! difficulty are drawn, to the ceiling of uniform weights. The root is bracketed around the range
//! of the difficulties in steps of a factor, then refined on ln τ by the Illinois variant of regula
//! falsi (Dowell and Jarratt 1971): about ten evaluations of the sketch, whatever N is.

use crate::{Order, Sketch};

/// The lowest temperature that is tried.
pub const MIN_TEMPERATURE: f64 = 1e-6;

/// The highest finite temperature that is tried; r is then within 1e-12 of the ceiling.
pub const MAX_TEMPERATURE: f64 = 1e6;

/// A solution is accepted when |r(τ) − target| is at most this.
const TOLERANCE: f64 = 1e-10;

/// Steps in ln τ while looking for a bracket.
const BRACKET_STEP: f64 = 2.0;

/// Refinements are bounded; each one shrinks the bracket.
const MAX_REFINEMENTS: usize = 100;

/// How a temperature relates to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// r(τ) equals the target.
    Ok,
    /// The target lies below r([`MIN_TEMPERATURE`]), which is the answer.
    Floor,
    /// The target lies above r([`MAX_TEMPERATURE`]), which is the answer.
    Ceiling,
    /// All weights are equal; the temperature is infinite.
    Uniform,
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
    /// Uniform weights over the samples of `sketch`.
    #[must_use]
    pub fn uniform(sketch: &Sketch) -> Self {
        let effective_fraction = crate::effective::ceiling(sketch.samples());
        Self {
            temperature: f64::INFINITY,
            effective_fraction,
            status: Status::Uniform,
        }
    }
}

/// Solves r(τ) = `target` for τ in [[`MIN_TEMPERATURE`], [`MAX_TEMPERATURE`]].
///
/// Difficulties that are all equal give uniform weights at any temperature.
#[must_use]
pub fn solve(sketch: &Sketch, order: Order, target: f64) -> Solution {
    if sketch.range() <= 0.0 {
        return Solution::uniform(sketch);
    }
    let excess = |log_temperature: f64| {
        let fraction = sketch.effective_fraction(order, log_temperature.exp());
        Sample {
            at: log_temperature,
            excess: fraction - target,
        }
    };
    let found = match bracket(&excess, sketch.range().ln()) {
        Bracket::Around(low, high) => refine(&excess, low, high),
        Bracket::Below(lowest) => return limit(lowest, target, Status::Floor),
        Bracket::Above(highest) => return limit(highest, target, Status::Ceiling),
    };
    limit(found, target, Status::Ok)
}

/// r − target at ln τ.
#[derive(Clone, Copy)]
struct Sample {
    at: f64,
    excess: f64,
}

enum Bracket {
    Around(Sample, Sample),
    Below(Sample),
    Above(Sample),
}

fn limit(sample: Sample, target: f64, status: Status) -> Solution {
    Solution {
        temperature: sample.at.exp(),
        effective_fraction: sample.excess + target,
        status,
    }
}

fn bracket(excess: &impl Fn(f64) -> Sample, start: f64) -> Bracket {
    let (lowest, highest) = (MIN_TEMPERATURE.ln(), MAX_TEMPERATURE.ln());
    let mut here = excess(start.clamp(lowest, highest));
    loop {
        let rising = here.excess < 0.0;
        if rising && here.at >= highest {
            return Bracket::Above(here);
        }
        if !rising && here.at <= lowest {
            return Bracket::Below(here);
        }
        let step = if rising { BRACKET_STEP } else { -BRACKET_STEP };
        let next = excess((here.at + step).clamp(lowest, highest));
        match (rising, next.excess < 0.0) {
            (true, false) => return Bracket::Around(here, next),
            (false, true) => return Bracket::Around(next, here),
            _ => here = next,
        }
    }
}

/// `low.excess` < 0 ≤ `high.excess`.
fn refine(excess: &impl Fn(f64) -> Sample, mut low: Sample, mut high: Sample) -> Sample {
    let mut best = high;
    for _ in 0..MAX_REFINEMENTS {
        let span = high.excess - low.excess;
        let middle = excess((low.at * high.excess - high.at * low.excess) / span);
        best = middle;
        if middle.excess.abs() <= TOLERANCE || high.at - low.at <= f64::EPSILON * high.at.abs() {
            break;
        }
        // Illinois: halve the value at the end that stays, or regula falsi would creep.
        if middle.excess < 0.0 {
            (low, high.excess) = (middle, high.excess / 2.0);
        } else {
            (high, low.excess) = (middle, low.excess / 2.0);
        }
    }
    best
}

#[cfg(test)]
pub(crate) mod tests;
