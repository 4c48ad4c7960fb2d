//! The background job: enumerate → extract → cluster → score → publish.
//!
//! Two dedicated threads run jobs: the extraction lane reads samples and owns the feature extractor,
//! the clustering lane does the rest, so that one job is clustered beside the extraction of the
//! next. Everything else holds a [`Pipeline`]: it submits, watches, cancels and stops. A job is a
//! stored record with its last finished stage; `advance` runs the stage after it, commits, and
//! repeats. First run, restart after a kill and resubmission after a failure are that same path.
//!
//! # Memory
//!
//! What a job holds for each sample, besides one chunk of 4,096 samples, the model's batches and at
//! most 256 MiB of rows for k-means:
//!
//! | stage | bytes a sample |
//! |---|---|
//! | enumerate | 0 |
//! | extract | 0.06, the index of the feature space; its newest 65,536 entries on top |
//! | cluster | 0.06 to 16 for where the features are, 12 for the outcome, 13 at its end; 8 by label, 4 with another score than the distance |
//! | score | 4, and what the sketch's sort takes |
//! | an extension | instead of a fit 8, 24 for each sample of the base while they are matched, and 12 for each of both at its end |
//!
//! A sample that failed takes 8 more in clustering.
//!
//! | module | holds |
//! |---|---|
//! | [`pipeline`] | the handle: submit, watch, cancel, stop |
//! | `queue`, `worker` | which jobs wait or run, in which lane; the threads that run them |
//! | [`request`] | what a caller asks for, checked and with defaults filled in |
//! | [`metrics`] | names of what jobs count |
//! | `model` | the model that jobs are checked against, also while there is none |
//! | `advance` | the loop over stages |
//! | `background` | the priority of jobs beside that of requests |
//! | `stage` | one file per stage, each a plain function over the job's context |
//! | [`progress`] | what watchers see |
//! | [`extraction`] | the seam to the model |
//! | [`mod@fit`] | the method on a source of features, without store or job |
//! | `features` | where the features of a job's samples are |
//! | `packs` | those features as a source of rows |
//! | [`commit`] | the points at which something is on disk, by name |
//! | [`error`] | why a submission is refused, why features could not be fitted |

mod advance;
mod background;
pub mod commit;
pub mod error;
pub mod extraction;
mod features;
pub mod fit;
pub mod metrics;
mod model;
mod newest;
mod packs;
pub mod pipeline;
pub mod progress;
mod queue;
pub mod request;
mod stage;
#[cfg(test)]
mod testing;
mod tolerance;
mod worker;

pub use background::in_background;
pub use commit::{CommitPoint, Hook};
pub use error::{FitError, PipelineError};
pub use extraction::FeatureExtractor;
pub use fit::fit;
pub use pipeline::{Page, Pipeline, PipelineOptions, Submitted};
pub use progress::{JobView, Progress, SampleError};
pub use request::{Request, RequestedParameters, RequestedSchedule};
