//! Every byte that is kept: records in sled; columns, samples and features in files.
//!
//! ```text
//! DATA_DIR/
//!   LOCK                     held while a process uses the folder
//!   SCHEMA                   version of the stored forms
//!   FLUSHED                  how often db/ was put on disk, so that it is seen when it lost something
//!   db/                      sled: jobs, versions, curricula, sketches, outcomes of clustering
//!   columns/<version>/       difficulty, distance, cluster, centroids: a file each
//!   samples/<listing>/       ids, labels and digests, 4096 to a file
//!   features/<model>/        features by the samples' digests, and an index
//!   pushed/<id>/             samples that a client pushed
//! ```
//!
//! Small records that change are sled's; what is large and never changes is a file that appears under
//! its name when it is complete and on disk. Data first, marker last: a record that says something
//! is done is written, and flushed, after the data it speaks of was. Every value carries a checksum; one
//! that fails is [`StoreError::Corrupt`] and is never used.
//!
//! | module | holds |
//! |---|---|
//! | [`store`], `usage` | opening a data folder, locking, flushing; how much it holds |
//! | [`record`], [`parameters`] | the records and their fields |
//! | [`job`], [`version`], [`curricula`] | jobs; versions; names, aliases and retention |
//! | [`catalogue`] | all curricula at once, for servers that serve copies |
//! | [`mod@column`], [`sample`], [`features`] | the arrays of versions; the samples; their features |
//! | [`verify`] | reads everything and tells what is damaged |
//! | [`portable`] | a version as one file, out and in |
//! | [`garbage`] | removes what nothing refers to |
//! | [`push`] | samples that clients push |
//! | [`digest`] | content hashes |

pub mod catalogue;
pub mod column;
pub mod curricula;
pub mod digest;
mod envelope;
pub mod error;
pub mod features;
mod files;
mod flushed;
pub mod garbage;
pub mod job;
pub mod parameters;
pub mod portable;
pub mod push;
pub mod record;
mod room;
pub mod sample;
pub mod store;
mod unsynced;
mod usage;
pub mod verify;
pub mod version;

pub use catalogue::Catalogue;
pub use column::Column;
pub use curricula::{CurriculumRecord, LATEST, Reference};
pub use digest::Digest;
pub use error::StoreError;
pub use features::{FeatureSpace, Found, Pack, PackFailure, PackOutline};
pub use garbage::Garbage;
pub use parameters::{Clusters, Parameters, ScheduleRecord, Score};
pub use portable::{Export, Imported};
pub use record::{
    Basis, Candidate, ClusterDrift, ClusterRecord, ClusteringRecord, DriftRecord, Identity,
    JobRecord, JobState, ReadFailure, SampleKind, SampleRecord, Stage, SummaryRecord,
    SummarySample, VersionRecord,
};
pub use sample::SAMPLES_PER_CHUNK;
pub use store::{FLUSH_SECONDS, Store, StoreOptions};
pub use verify::{Counted, Damage, Verification, VerifyProgress};

/// What every fallible call here returns.
pub type Result<T> = std::result::Result<T, StoreError>;
