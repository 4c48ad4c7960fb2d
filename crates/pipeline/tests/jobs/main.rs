//! Jobs on a real store, with an extractor that counts.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod crash;
mod extending;
mod fitting;
mod given;
mod kept;
mod queue;
mod resume;
mod rules;
mod support;
