//! The target fraction by iteration, and the temperature that follows from it.
//!
//! With start b, warm-up T and ceiling c: target(t) = b + (c − b)·g(t/T), g the pacing function; from
//! T on the weights are exactly uniform.

use crate::{
    Order, Sketch, effective,
    solver::{self, Solution, Status},
};

/// How the target grows, as a function g of p = t/T on [0, 1] with g(0) = 0 and g(1) = 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// g(p) = p.
    #[default]
    Linear,
}

impl Pacing {
    fn at(self, p: f64) -> f64 {
        match self {
            Self::Linear => p,
        }
    }
}

/// A checked schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    initial: f64,
    warmup: u64,
    pacing: Pacing,
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

/// A parameter of a schedule that is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "initial_effective_fraction is {value}, but must lie strictly between 0 and {ceiling:.6}, the fraction of uniform weights over {samples} samples"
)]
pub struct InvalidSchedule {
    /// What was given.
    pub value: f64,
    /// The largest fraction that is possible.
    pub ceiling: f64,
    /// Number of samples.
    pub samples: u64,
}

impl Schedule {
    /// Checks the start against the ceiling for `samples` samples; `warmup` 0 is uniform at once.
    ///
    /// # Errors
    /// When `initial` is not strictly between 0 and the ceiling.
    pub fn new(
        initial: f64,
        warmup: u64,
        pacing: Pacing,
        samples: u64,
    ) -> Result<Self, InvalidSchedule> {
        let ceiling = effective::ceiling(samples);
        if initial > 0.0 && initial < ceiling {
            Ok(Self {
                initial,
                warmup,
                pacing,
            })
        } else {
            Err(InvalidSchedule {
                value: initial,
                ceiling,
                samples,
            })
        }
    }

    /// The published defaults by dataset size.
    #[must_use]
    pub fn preset(samples: u64) -> Self {
        let (initial, warmup) = match samples {
            0..10_000 => (0.30, 1_500),
            10_000..=100_000 => (0.20, 3_500),
            _ => (0.125, 7_500),
        };
        Self {
            initial,
            warmup,
            pacing: Pacing::Linear,
        }
    }

    /// Target effective fraction at iteration 0.
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

    /// Solves for the temperature at `iteration`.
    #[must_use]
    pub fn entry(&self, sketch: &Sketch, order: Order, iteration: u64) -> Entry {
        let ceiling = effective::ceiling(sketch.samples());
        if iteration >= self.warmup {
            return Entry::new(
                iteration,
                Phase::Uniform,
                ceiling,
                Solution::uniform(sketch),
            );
        }
        let progress = iteration as f64 / self.warmup as f64;
        let target = self.initial + (ceiling - self.initial) * self.pacing.at(progress);
        Entry::new(
            iteration,
            Phase::Warmup,
            target,
            solver::solve(sketch, order, target),
        )
    }
}

impl Entry {
    fn new(iteration: u64, phase: Phase, target: f64, solution: Solution) -> Self {
        let Solution {
            temperature,
            effective_fraction,
            status,
        } = solution;
        Self {
            iteration,
            temperature,
            effective_fraction,
            target,
            phase,
            status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Sketch {
        Sketch::new(&(0..5000).map(|i| i as f32 / 4999.0).collect::<Vec<_>>())
    }

    #[test]
    fn linear_pacing_meets_its_targets() {
        let sketch = ramp();
        let schedule = Schedule::new(0.2, 1000, Pacing::Linear, 5000).unwrap();
        let ceiling = effective::ceiling(5000);
        for t in [0, 1, 250, 500, 999] {
            let entry = schedule.entry(&sketch, Order::EasyFirst, t);
            let target = 0.2 + (ceiling - 0.2) * t as f64 / 1000.0;
            assert!((entry.target - target).abs() < 1e-15);
            assert!((entry.effective_fraction - target).abs() < 1e-9);
            assert_eq!((entry.status, entry.phase), (Status::Ok, Phase::Warmup));
        }
    }

    #[test]
    fn after_warmup_and_without_one_weights_are_uniform() {
        for (warmup, iteration) in [(1000, 1000), (1000, u64::MAX), (0, 0)] {
            let schedule = Schedule::new(0.2, warmup, Pacing::Linear, 5000).unwrap();
            let entry = schedule.entry(&ramp(), Order::EasyFirst, iteration);
            assert_eq!(
                (entry.status, entry.phase),
                (Status::Uniform, Phase::Uniform)
            );
            assert_eq!(entry.temperature, f64::INFINITY);
        }
    }

    #[test]
    fn starts_outside_the_range_are_refused() {
        for initial in [0.0, -0.1, 0.7, 1.0, f64::NAN, f64::INFINITY] {
            assert!(
                Schedule::new(initial, 10, Pacing::Linear, 1000).is_err(),
                "{initial}"
            );
        }
    }

    #[test]
    fn presets_follow_dataset_size() {
        let preset = |n| (Schedule::preset(n).initial(), Schedule::preset(n).warmup());
        assert_eq!(preset(9_999), (0.30, 1_500));
        assert_eq!(preset(10_000), (0.20, 3_500));
        assert_eq!(preset(100_000), (0.20, 3_500));
        assert_eq!(preset(100_001), (0.125, 7_500));
    }
}
