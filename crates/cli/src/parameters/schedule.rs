//! Temperature by iteration.

use crate::exit::BadInput;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use curriculum::{CurriculumError, Pacing, Schedule, ScheduleOptions};
use curriculum_proto::v1;
use curriculum_server::pacing;

/// The schedule. What is not given follows from the number of samples.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct ScheduleArgs {
    /// Effective fraction at iteration 0: the expected share of distinct samples among the draws,
    /// above 0 and below that of uniform weights, 0.632 [default: 0.30 below 10,000 samples, 0.20 up
    /// to 100,000, 0.125 above].
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    initial_effective_percentage: Option<f64>,
    /// Iterations until the weights are uniform; 0 for uniform weights from the start [default:
    /// 1500 below 10,000 samples, 3500 up to 100,000, 7500 above].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    warmup_iterations: Option<u64>,
    /// How the effective fraction grows in between [default: linear].
    #[arg(long, value_parser = PossibleValuesParser::new(Pacing::ALL.map(Pacing::name))
        .try_map(|name| name.parse::<Pacing>()))]
    pacing: Option<Pacing>,
    /// Lower bound on the temperature during warm-up.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min_temperature: Option<f64>,
    /// Upper bound on the temperature during warm-up.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    max_temperature: Option<f64>,
    /// Effective fraction at which the growth ends [default: that of uniform weights].
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    max_effective_ratio: Option<f64>,
    /// Draws to which the effective fraction refers [default: the number of samples].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    draws: Option<u64>,
}

impl ScheduleArgs {
    /// The first flag that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [
            (
                "--initial-effective-percentage",
                self.initial_effective_percentage.is_some(),
            ),
            ("--warmup-iterations", self.warmup_iterations.is_some()),
            ("--pacing", self.pacing.is_some()),
            ("--min-temperature", self.min_temperature.is_some()),
            ("--max-temperature", self.max_temperature.is_some()),
            ("--max-effective-ratio", self.max_effective_ratio.is_some()),
            ("--draws", self.draws.is_some()),
        ];
        flags
            .into_iter()
            .find_map(|(flag, given)| given.then_some(flag))
    }

    /// The schedule for that many samples.
    pub(crate) fn schedule(&self, samples: u64) -> Result<Schedule, BadInput> {
        let options = ScheduleOptions {
            initial_effective_fraction: self.initial_effective_percentage,
            warmup_iterations: self.warmup_iterations,
            pacing: self.pacing,
            min_temperature: self.min_temperature,
            max_temperature: self.max_temperature,
            max_effective_ratio: self.max_effective_ratio,
            draws: self.draws,
        };
        Schedule::new(&options, samples).map_err(by_flag)
    }

    pub(super) fn to_proto(self) -> v1::Schedule {
        v1::Schedule {
            initial_effective_fraction: self.initial_effective_percentage,
            warmup_iterations: self.warmup_iterations,
            pacing: self.pacing.map_or(v1::Pacing::Unspecified, pacing).into(),
            min_temperature: self.min_temperature,
            max_temperature: self.max_temperature,
            max_effective_fraction: self.max_effective_ratio,
            draws: self.draws,
        }
    }
}

/// Names the flag instead of the field.
fn by_flag(error: CurriculumError) -> BadInput {
    BadInput(match error {
        CurriculumError::ScheduleOutOfRange {
            field,
            value,
            allowed,
        } => {
            let field = match field {
                "initial_effective_fraction" => "initial_effective_percentage",
                other => other,
            };
            let flag = field.replace('_', "-");
            format!("--{flag} is {value}, but must be {allowed}")
        }
        other => other.to_string(),
    })
}

/// As in the flag.
pub(crate) fn pacing_name(wire: v1::Pacing) -> &'static str {
    let named = Pacing::ALL.into_iter().find(|known| pacing(*known) == wire);
    named.map_or("-", Pacing::name)
}
