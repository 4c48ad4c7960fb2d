//! The target fraction by iteration, and the temperature that follows from it.
//!
//! With start r₀, warm-up T and ceiling c, the target at iteration t < T is c·v(t/T), v the
//! [`Pacing`] from r₀/c to 1; from T on the weights are exactly uniform. Over N samples and M draws
//! the ceiling is 1 − (1 − 1/N)^M, or a lower `max_effective_ratio` that ends the ramp.

use crate::{
    CurriculumError, Order, Pacing, Sketch, effective,
    solver::{self, Problem, Solution, Status},
};

/// Raw parameters; what is absent comes from the preset for the dataset's size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScheduleOptions {
    /// Target effective fraction r₀ at iteration 0, strictly between 0 and the ceiling.
    pub initial_effective_fraction: Option<f64>,
    /// Iterations T until the weights are uniform; 0 for uniform weights from the start.
    pub warmup_iterations: Option<u64>,
    /// How the target grows.
    pub pacing: Option<Pacing>,
    /// Lower bound on τ during warm-up, positive and finite.
    pub min_temperature: Option<f64>,
    /// Upper bound on τ during warm-up, positive and finite.
    pub max_temperature: Option<f64>,
    /// Where the ramp ends, above r₀ and at most the fraction of uniform weights.
    pub max_effective_ratio: Option<f64>,
    /// Draws M to which the effective fraction refers, at least 1; N if absent.
    pub draws: Option<u64>,
}

/// A checked schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    initial: f64,
    warmup: u64,
    pacing: Pacing,
    min_temperature: Option<f64>,
    max_temperature: Option<f64>,
    /// Where the ramp ends.
    ceiling: f64,
    /// The fraction of uniform weights, at least `ceiling`.
    uniform: f64,
    draws: u64,
}

/// Whether the temperature still changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the end of warm-up.
    Warmup,
    /// From the end of warm-up on.
    Uniform,
}

/// What holds at one iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The iteration.
    pub iteration: u64,
    /// τ > 0, infinite for uniform weights.
    pub temperature: f64,
    /// r(τ), in (0, 1].
    pub effective_fraction: f64,
    /// What the pacing asked for.
    pub target: f64,
    /// Whether the temperature still changes.
    pub phase: Phase,
    /// How the temperature was found.
    pub status: Status,
}

impl Schedule {
    /// Checks `options` for a dataset of `samples` samples.
    ///
    /// # Errors
    /// [`CurriculumError::ScheduleOutOfRange`] with the first field that is out of its range.
    pub fn new(options: &ScheduleOptions, samples: u64) -> Result<Self, CurriculumError> {
        let draws = options.draws.unwrap_or(samples.max(1));
        check("draws", draws as f64, draws > 0, || "at least 1".to_owned())?;
        let uniform = effective::ceiling(samples, draws);
        let ceiling = check_ceiling(options, uniform, samples, draws)?;
        let initial = check_initial(options, ceiling, samples)?;
        let (min_temperature, max_temperature) = check_temperatures(options)?;
        Ok(Self {
            initial,
            warmup: options.warmup_iterations.unwrap_or(preset(samples).1),
            pacing: options.pacing.unwrap_or_default(),
            min_temperature,
            max_temperature,
            ceiling,
            uniform,
            draws,
        })
    }

    /// The published defaults for a dataset of `samples` samples.
    #[must_use]
    pub fn preset(samples: u64) -> Self {
        let (initial, warmup) = preset(samples);
        let draws = samples.max(1);
        let uniform = effective::ceiling(samples, draws);
        Self {
            initial,
            warmup,
            pacing: Pacing::default(),
            min_temperature: None,
            max_temperature: None,
            ceiling: uniform,
            uniform,
            draws,
        }
    }

    /// Target effective fraction r₀ at iteration 0.
    #[must_use]
    pub fn initial(&self) -> f64 {
        self.initial
    }

    /// Iterations until the weights are uniform.
    #[must_use]
    pub fn warmup(&self) -> u64 {
        self.warmup
    }

    /// Growth of the target in between.
    #[must_use]
    pub fn pacing(&self) -> Pacing {
        self.pacing
    }

    /// The target towards which the ramp rises.
    #[must_use]
    pub fn ceiling(&self) -> f64 {
        self.ceiling
    }

    /// Lower bound on τ during warm-up, if any.
    #[must_use]
    pub fn min_temperature(&self) -> Option<f64> {
        self.min_temperature
    }

    /// Upper bound on τ during warm-up, if any.
    #[must_use]
    pub fn max_temperature(&self) -> Option<f64> {
        self.max_temperature
    }

    /// Draws M to which the effective fraction refers.
    #[must_use]
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// Target effective fraction at `iteration`; that of uniform weights from the end of warm-up on.
    #[must_use]
    pub fn target(&self, iteration: u64) -> f64 {
        if iteration >= self.warmup {
            return self.uniform;
        }
        let progress = iteration as f64 / self.warmup as f64;
        self.pacing.value(progress, self.initial, self.ceiling)
    }

    /// Solves for the temperature at `iteration`; the cost does not depend on the dataset's size.
    #[must_use]
    pub fn entry(&self, sketch: &Sketch, order: Order, iteration: u64) -> Entry {
        let target = self.target(iteration);
        let (phase, solution) = if iteration >= self.warmup {
            (Phase::Uniform, Solution::uniform(sketch, self.draws))
        } else {
            (
                Phase::Warmup,
                solver::solve(sketch, &self.problem(order, target)),
            )
        };
        Entry {
            iteration,
            temperature: solution.temperature,
            effective_fraction: solution.effective_fraction,
            target,
            phase,
            status: solution.status,
        }
    }

    fn problem(&self, order: Order, target: f64) -> Problem {
        Problem {
            order,
            target,
            draws: self.draws,
            min_temperature: self.min_temperature,
            max_temperature: self.max_temperature,
        }
    }
}

/// Start and warm-up by dataset size, as published.
fn preset(samples: u64) -> (f64, u64) {
    match samples {
        0..10_000 => (0.30, 1_500),
        10_000..=100_000 => (0.20, 3_500),
        _ => (0.125, 7_500),
    }
}

fn check(
    field: &'static str,
    value: f64,
    holds: bool,
    allowed: impl FnOnce() -> String,
) -> Result<(), CurriculumError> {
    if holds {
        return Ok(());
    }
    Err(CurriculumError::ScheduleOutOfRange {
        field,
        value,
        allowed: allowed(),
    })
}

fn check_ceiling(
    options: &ScheduleOptions,
    uniform: f64,
    samples: u64,
    draws: u64,
) -> Result<f64, CurriculumError> {
    let ceiling = options.max_effective_ratio.unwrap_or(uniform);
    check(
        "max_effective_ratio",
        ceiling,
        ceiling > 0.0 && ceiling <= uniform,
        || {
            format!(
                "above 0 and at most {uniform:.6}, the fraction of uniform weights for {draws} draws from {samples} samples"
            )
        },
    )?;
    Ok(ceiling)
}

/// A preset start is lowered in proportion where fewer draws or a lower ceiling leave no room for it.
fn check_initial(
    options: &ScheduleOptions,
    ceiling: f64,
    samples: u64,
) -> Result<f64, CurriculumError> {
    let usual = -(-1f64).exp_m1();
    let preset = preset(samples).0 * (ceiling / usual).min(1.0);
    let initial = options.initial_effective_fraction.unwrap_or(preset);
    check(
        "initial_effective_fraction",
        initial,
        initial > 0.0 && initial < ceiling,
        || format!("strictly between 0 and {ceiling:.6}, the ceiling for {samples} samples"),
    )?;
    Ok(initial)
}

fn check_temperatures(
    options: &ScheduleOptions,
) -> Result<(Option<f64>, Option<f64>), CurriculumError> {
    let (min, max) = (options.min_temperature, options.max_temperature);
    let allowed = |bound: f64| bound > 0.0 && bound.is_finite();
    let range = || "positive and finite".to_owned();
    if let Some(min) = min {
        check("min_temperature", min, allowed(min), range)?;
    }
    if let Some(max) = max {
        check("max_temperature", max, allowed(max), range)?;
        let min = min.unwrap_or(0.0);
        check("max_temperature", max, max >= min, || {
            format!("at least min_temperature, {min}")
        })?;
    }
    Ok((min, max))
}

#[cfg(test)]
mod tests;
