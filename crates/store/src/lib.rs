//! Every byte that is kept: records and columns in sled, features in chunk files.
//!
//! ```text
//! DATA_DIR/
//!   LOCK                     held while a process uses the folder
//!   SCHEMA                   version of the stored forms
//!   db/                      sled: jobs, versions, curricula, samples, columns, sketches
//!   features/<digest>/       one file per chunk of samples
//!   pushed/<id>/             samples that a client pushed
//! ```
//!
//! Data first, marker last: a record that says something is done is written, and flushed, after the
//! data it speaks of. Every value carries a checksum; one that fails is [`StoreError::Corrupt`] and
//! is never used.
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | opening a data folder, locking, flushing |
//! | [`record`], [`parameters`] | the records and their fields |
//! | [`job`], [`version`], [`sample`], [`mod@column`] | typed access to the trees |
//! | [`features`] | chunk files of features |
//! | [`push`] | samples that clients push |
//! | [`digest`] | content hashes |

pub mod column;
pub mod digest;
mod envelope;
pub mod error;
pub mod features;
pub mod job;
pub mod parameters;
pub mod push;
pub mod record;
pub mod sample;
pub mod store;
pub mod version;

pub use column::Column;
pub use digest::Digest;
pub use error::StoreError;
pub use features::{ChunkFailure, ChunkOutline, FeatureChunk, FeatureFiles};
pub use parameters::{Clusters, Parameters, ScheduleRecord, Score};
pub use record::{
    Candidate, ClusterRecord, ClusteringRecord, Identity, JobRecord, JobState, SampleRecord, Stage,
    SummaryRecord, SummarySample, VersionRecord,
};
pub use store::Store;

/// What every fallible call here returns.
pub type Result<T> = std::result::Result<T, StoreError>;
