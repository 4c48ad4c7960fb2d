//! The gRPC services and their life cycle.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | every setting: defaults, TOML file, environment, flags |
//! | [`serve`] | open, listen, drain |
//! | [`checksum`] | the checksum of pushed samples |
//! | `metrics` | what is counted, as Prometheus reads it, and the HTTP side port that serves it |
//! | `layers` | the whole middleware stack, top to bottom |
//! | `service` | one file per gRPC service |
//! | `published` | loaded versions, cached within a bound of bytes |
//! | `from_proto`, `to_proto` | the only conversions between wire and domain |
//! | `error` | the only way from an error to a status |

pub mod checksum;
pub mod config;
mod error;
mod from_proto;
mod layers;
mod metrics;
mod published;
pub mod serve;
mod service;
mod to_proto;

pub use config::{Config, Overrides};
pub use serve::{Listeners, ServeError, Server};
pub use to_proto::pacing;
