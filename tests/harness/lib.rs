//! Harness of the end-to-end tests: the real binary as a child process, and data to give it.
//!
//! | module | holds |
//! |---|---|
//! | [`binary`] | the `curriculum` binary, built on first use |
//! | [`command`] | one run of it, with its outcome |
//! | [`server`] | [`TestServer`]: `curriculum serve` on a free port, to be killed, stopped and restarted |
//! | [`http`] | GET on its side port |
//! | [`collector`] | a collector of spans |
//! | [`certificates`] | authorities and certificates of a test's own |
//! | [`frames`] | a client that sends what no library would |
//! | [`calls`] | the calls that tests make of a server, typed |
//! | [`data`] | small datasets in every layout |
//! | [`pictures`] | small files that are pictures of gigabytes |
//! | [`limits`] | what the system lets the tests' own process have |
//! | [`disk`] | a disk that can be filled up |
//! | [`fashion`] | Fashion-MNIST, in part or whole |
//! | [`s3`] | an S3-compatible server |
//! | [`tables`] | datasets as Parquet |
//! | [`relay`] | an address that stays while the server behind it restarts |
//! | [`hub`] | a model hub on this machine, with faults on demand |
//!
//! Nothing here sleeps or picks a port. Whatever waits, waits for an event, under [`PATIENCE`].

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a harness reports to the test that runs it, by a panic and on standard error"
)]

pub mod binary;
pub mod calls;
pub mod certificates;
pub mod collector;
pub mod command;
pub mod data;
pub mod disk;
pub mod fashion;
pub mod frames;
pub mod http;
pub mod hub;
pub mod limits;
pub mod pictures;
pub mod relay;
#[path = "../../crates/manifest/tests/places/s3.rs"]
pub mod s3;
pub mod server;
pub mod tables;

pub use calls::{Weights, submission};
pub use command::{Outcome, curriculum};
pub use relay::Relay;
pub use server::{FeatureFile, Home, Launch, Starting, TestServer};

use std::time::Duration;

/// The longest a test waits for anything. Far above what is needed even on a busy machine: running
/// into it means that something hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);
