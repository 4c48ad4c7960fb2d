//! What can be wrong with what a caller asks for.

/// A parameter that is out of its range, or a dataset that is out of this crate's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CurriculumError {
    /// A field of [`ScheduleOptions`](crate::ScheduleOptions) is out of its range.
    #[error("{field} is {value}, but must be {allowed}")]
    ScheduleOutOfRange {
        /// Name of the field.
        field: &'static str,
        /// What was given.
        value: f64,
        /// The allowed range, in words.
        allowed: String,
    },
    /// No pacing function has this name.
    #[error("unknown pacing {0:?}: one of {known}", known = crate::pacing::names())]
    UnknownPacing(String),
    /// Indices of samples are 32 bits wide.
    #[error("{0} samples: at most {limit} can be put in order", limit = u32::MAX)]
    TooManySamples(u64),
    /// A window without replacement draws more than there is.
    #[error("the window draws {draws} samples without replacement, but there are {samples}")]
    WindowTooLarge {
        /// Iterations times batch.
        draws: u64,
        /// What there is.
        samples: u64,
    },
    /// There is nothing to draw.
    #[error("there are no samples to draw from")]
    NoSamples,
}
