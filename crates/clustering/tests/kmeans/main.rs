//! k-means against linfa's, and the promises of `cluster`.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod contract;
mod determinism;
mod oracle;
mod out_of_core;
mod support;
mod within;
