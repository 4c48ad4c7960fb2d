//! The gRPC services and their life cycle.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | every setting: defaults, TOML file, environment, flags |
//! | [`mod@serve`] | listen, open, serve, drain |
//! | [`checksum`] | the checksum of pushed samples |
//! | `lifecycle`, `health` | where the server stands, and gRPC health that says so |
//! | `side` | the HTTP side port: probes, metrics, version |
//! | `metrics` | what is counted, as Prometheus reads it |
//! | `entrance` | what answers before the data folder is open |
//! | `access` | who may do what: keys, and every call that there is |
//! | `transport` | from the listener to the first layer: TLS, the limits of connections, and their end |
//! | `layers` | the whole middleware stack, top to bottom |
//! | `live` | the model, opened on the way or later |
//! | `service` | one file per gRPC service |
//! | `published` | loaded versions, cached within a bound of bytes |
//! | `replication` | versions in a shared folder: one server puts them there, others follow |
//! | `from_proto`, `to_proto` | the only conversions between wire and domain |
//! | `error` | the only way from an error to a status |

mod access;
pub mod checksum;
pub mod config;
mod entrance;
mod error;
mod from_proto;
mod health;
mod layers;
mod lifecycle;
mod live;
mod metrics;
mod published;
mod replication;
pub mod serve;
mod service;
mod side;
mod to_proto;
mod transport;

pub use config::{Config, Overrides};
pub use serve::{Listeners, ServeError, serve, serve_only};
pub use to_proto::pacing;
pub use transport::reload::FileError;
