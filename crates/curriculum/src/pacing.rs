//! How the target fraction grows during warm-up.
//!
//! With p = t/T the share of the warm-up that has passed, the target fraction r(p) rises from r₀ at
//! p = 0 to the ceiling r₁. Most pacings are r = r₀ + (r₁ − r₀)·g(p).
//!
//! | name | g(p), or r(p) |
//! |---|---|
//! | linear | p |
//! | quadratic | p² |
//! | root | √p |
//! | cosine | (1 − cos πp)/2 |
//! | exponential | (e¹⁰ᵖ − 1)/(e¹⁰ − 1) |
//! | logarithmic | 1 + ln(p + e⁻¹⁰)/10 |
//! | step | 0 until p = 1 |
//! | geometric | r = r₀·(r₁/r₀)ᵖ |
//! | competence | r = √(r₀² + p(r₁² − r₀²)), from Platanios et al. 2019 |

use crate::CurriculumError;
use std::{f64::consts::PI, fmt, str::FromStr};

/// Steepness of the exponential and the logarithmic pacing.
const STEEPNESS: f64 = 10.0;

/// A pacing function; the module's table has the formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pacing {
    /// The same growth in every iteration.
    #[default]
    Linear,
    /// Slow, then fast.
    Quadratic,
    /// Fast, then slow.
    Root,
    /// Slow at both ends.
    Cosine,
    /// Close to the start for most of the warm-up, then all at once.
    Exponential,
    /// Close to the ceiling for most of the warm-up.
    Logarithmic,
    /// At the start until the warm-up ends.
    Step,
    /// The same factor in every iteration.
    Geometric,
    /// The same growth of the squared value in every iteration.
    Competence,
}

impl Pacing {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Linear,
        Self::Quadratic,
        Self::Root,
        Self::Cosine,
        Self::Exponential,
        Self::Logarithmic,
        Self::Step,
        Self::Geometric,
        Self::Competence,
    ];

    /// The name by which it is parsed and displayed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Quadratic => "quadratic",
            Self::Root => "root",
            Self::Cosine => "cosine",
            Self::Exponential => "exponential",
            Self::Logarithmic => "logarithmic",
            Self::Step => "step",
            Self::Geometric => "geometric",
            Self::Competence => "competence",
        }
    }

    /// r(p) in [`start`, `end`]: exactly the one at progress 0 and the other at 1.
    ///
    /// `progress` is clipped to [0, 1]; `start` is greater than 0 and at most `end`.
    #[must_use]
    pub fn value(self, progress: f64, start: f64, end: f64) -> f64 {
        let p = progress.clamp(0.0, 1.0);
        let value = match self {
            _ if p == 0.0 => start,
            _ if p == 1.0 => end,
            Self::Geometric => start * (end / start).powf(p),
            Self::Competence => (start * start + p * (end * end - start * start)).sqrt(),
            _ => start + (end - start) * self.growth(p),
        };
        // Rounding, and the logarithmic pacing's last 5e-6, would leave the range.
        value.clamp(start, end)
    }

    fn growth(self, p: f64) -> f64 {
        match self {
            Self::Quadratic => p * p,
            Self::Root => p.sqrt(),
            Self::Cosine => (1.0 - (PI * p).cos()) / 2.0,
            Self::Exponential => (STEEPNESS * p).exp_m1() / STEEPNESS.exp_m1(),
            Self::Logarithmic => 1.0 + (p + (-STEEPNESS).exp()).ln() / STEEPNESS,
            Self::Step => f64::from(u8::from(p >= 1.0)),
            Self::Linear | Self::Geometric | Self::Competence => p,
        }
    }
}

impl fmt::Display for Pacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Pacing {
    type Err = CurriculumError;

    fn from_str(name: &str) -> Result<Self, CurriculumError> {
        let found = Self::ALL.into_iter().find(|pacing| pacing.name() == name);
        found.ok_or_else(|| CurriculumError::UnknownPacing(name.to_owned()))
    }
}

/// All names, for a message.
pub(crate) fn names() -> String {
    Pacing::ALL.map(Pacing::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any() -> impl Strategy<Value = Pacing> {
        prop::sample::select(Pacing::ALL.to_vec())
    }

    #[test]
    fn names_are_parsed_and_displayed() {
        for pacing in Pacing::ALL {
            assert_eq!(pacing.to_string().parse(), Ok(pacing));
        }
        let error = "Linear".parse::<Pacing>().unwrap_err();
        assert!(error.to_string().contains("\"Linear\""));
        assert!(error.to_string().contains("geometric, competence"));
    }

    #[test]
    fn halfway_values_follow_the_table() {
        let halfway = |pacing: Pacing| pacing.value(0.5, 0.2, 1.0);
        let expected = [
            (Pacing::Linear, 0.6),
            (Pacing::Quadratic, 0.4),
            (Pacing::Root, 0.2 + 0.8 * 0.5f64.sqrt()),
            (Pacing::Cosine, 0.6),
            // (e⁵ − 1)/(e¹⁰ − 1) = 1/(e⁵ + 1).
            (Pacing::Exponential, 0.2 + 0.8 / (5f64.exp() + 1.0)),
            // 1 + ln(½ + e⁻¹⁰)/10.
            (Pacing::Logarithmic, 0.2 + 0.8 * 0.930_694_36),
            (Pacing::Step, 0.2),
            (Pacing::Geometric, 0.2f64.sqrt()),
            (Pacing::Competence, 0.52f64.sqrt()),
        ];
        for (pacing, value) in expected {
            assert!((halfway(pacing) - value).abs() < 1e-8, "{pacing}");
        }
    }

    /// A start and an end.
    fn ends() -> impl Strategy<Value = (f64, f64)> {
        (1e-6f64..=1.0).prop_flat_map(|end| (1e-7..=end, Just(end)))
    }

    proptest! {
        #[test]
        fn starts_at_the_start_and_ends_at_the_end(pacing in any(), (start, end) in ends()) {
            for progress in [0.0, -1.0] {
                prop_assert_eq!(pacing.value(progress, start, end), start);
            }
            for progress in [1.0, 2.0] {
                prop_assert_eq!(pacing.value(progress, start, end), end);
            }
        }

        #[test]
        fn rises_within_its_range(
            pacing in any(),
            (start, end) in ends(),
            (p, q) in (0.0f64..=1.0).prop_flat_map(|p| (Just(p), p..=1.0)),
        ) {
            let (low, high) = (pacing.value(p, start, end), pacing.value(q, start, end));
            prop_assert!(low <= high * (1.0 + 1e-15), "{} {}", low, high);
            prop_assert!(start <= low && high <= end);
        }

        #[test]
        fn only_the_scale_of_the_range_matters(pacing in any(), (start, end) in ends(), p in 0.0f64..=1.0) {
            let share = pacing.value(p, start / end, 1.0);
            prop_assert!((pacing.value(p, start, end) - end * share).abs() < 1e-12);
        }
    }
}
