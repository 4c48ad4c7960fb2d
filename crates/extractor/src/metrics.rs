//! Names of what is counted here; the recorder is the server's.

/// Histogram: seconds of one batch by `step`, `load` or `session`.
pub const BATCH_SECONDS: &str = "curriculum_batch_duration_seconds";

/// Histogram: images of a batch.
pub const BATCH_SAMPLES: &str = "curriculum_batch_samples";
