//! k-means as matrix multiplication, with the Davies–Bouldin index and automatic k.
//!
//! [`cluster()`] is the entry point: rows in, centroids, assignments and distances out. Up to
//! [`FULL_LLOYD_LIMIT`] rows it runs Lloyd's algorithm from several k-means++ starts, above that
//! mini-batches. [`Lloyd`] and [`MiniBatch`] offer the same two fits through linfa's parameter
//! types and traits, for one fixed number of clusters.
//!
//! Same rows, options and seed give the same bytes for any number of threads: rows are cut into
//! blocks of [`BLOCK_ROWS`], and what the blocks sum up is added in block order. Work runs in
//! rayon's current pool.
//!
//! | module | holds |
//! |---|---|
//! | `cluster` | [`cluster()`], its [`Options`] and its result |
//! | `params` | [`Lloyd`] and [`MiniBatch`]: linfa's parameters and `Fit` |
//! | `model` | [`KMeans`]: the fitted centroids and linfa's `Predict` |
//! | `lloyd`, `mini_batch` | the two fits; every candidate and start advances in lockstep |
//! | `runs` | which runs share a read of the rows, and what they report |
//! | `starts`, `seeding` | where runs begin; greedy k-means++ |
//! | `refill` | where an empty cluster goes |
//! | `selection` | best start of a candidate, best candidate of a range |
//! | `davies_bouldin` | the index, from the sums of an assignment pass |
//! | `pass` | one read of the rows: blocks in parallel, reduced in order |
//! | `kernel` | one block against many centroids: product, arg-min, exact distance |
//! | `rows` | checked input, cut into blocks |
//!
//! Nothing here opens files, logs or knows what a sample is.

mod cluster;
mod davies_bouldin;
mod error;
mod kernel;
mod lloyd;
mod mini_batch;
mod model;
mod params;
mod pass;
mod progress;
mod refill;
mod rows;
mod runs;
mod seeding;
mod selection;
mod starts;

pub use cluster::{Clustering, Clusters, FULL_LLOYD_LIMIT, Options, cluster};
pub use error::ClusteringError;
pub use model::KMeans;
pub use params::{KMeansParameters, Lloyd, MiniBatch};
pub use progress::{Observer, Progress, Stage};
pub use rows::BLOCK_ROWS;
