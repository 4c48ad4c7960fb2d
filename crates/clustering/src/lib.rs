//! k-means as matrix multiplication, with the Davies–Bouldin index and automatic k.
//!
//! [`cluster()`] is the entry point: a [`Source`] of rows in, centroids, assignments and distances
//! out. Up to [`FULL_LLOYD_LIMIT`] rows it runs Lloyd's algorithm from several k-means++ starts,
//! above that mini-batches. [`Lloyd`] and [`MiniBatch`] offer the same two fits through linfa's
//! parameter types and traits, for one fixed number of clusters. Rows are read in blocks, as often
//! as needed, from memory or from files larger than it.
//!
//! Same rows, options and seed give the same bytes for any number of threads, and on any machine
//! that follows IEEE 754: every row's nearest centroid is exact, and a cluster's rows are added in
//! their order. Work runs in rayon's current pool.
//!
//! | module | holds |
//! |---|---|
//! | `cluster` | [`cluster()`], its [`Options`] and its result |
//! | `params` | [`Lloyd`] and [`MiniBatch`]: linfa's parameters and `Fit` |
//! | `model` | [`KMeans`]: the fitted centroids and linfa's `Predict` |
//! | `search` | automatic k: which numbers of clusters are tried |
//! | `lloyd`, `mini_batch` | the two fits; every candidate and start advances in lockstep |
//! | `runs` | which runs share a read of the rows, and what they report |
//! | `starts`, `seeding` | where runs begin; greedy k-means++ |
//! | `refill` | where an empty cluster goes |
//! | `selection` | best start of a candidate, best candidate of a range |
//! | `assign` | the last pass: every row's cluster and distance |
//! | `later` | [`assign_later()`]: rows that come after the fit |
//! | `classes` | [`cluster_classes()`]: supervised, k-means inside every class |
//! | `rehouse` | [`rehouse()`]: the rule for clusters that are too small |
//! | `score` | [`score()`]: cosine distance, mean distance to the nearest neighbours |
//! | `subset` | some rows of a source as a source of their own |
//! | `davies_bouldin` | the index, from the sums of an assignment pass |
//! | `pass`, `tally` | one read of the rows in parallel, summed up in order |
//! | `kernel` | one block against many centroids: product, arg-min, exact distance |
//! | `vectorize` | plain loops, compiled for this machine's vectors |
//! | `source` | [`Source`]: where rows come from, and their check |
//!
//! Nothing here opens files, logs or knows what a sample is.

mod assign;
mod classes;
mod cluster;
mod davies_bouldin;
mod error;
mod kernel;
mod later;
mod lloyd;
mod mini_batch;
mod model;
mod params;
mod pass;
mod progress;
mod refill;
mod rehouse;
mod runs;
mod score;
mod search;
mod seeding;
mod selection;
mod source;
mod starts;
mod subset;
mod tally;
mod vectorize;

pub use classes::{ClassClustering, cluster_classes};
pub use cluster::{Clustering, Clusters, FULL_LLOYD_LIMIT, Options, cluster};
pub use error::ClusteringError;
pub use later::{Finished, assign_later};
pub use model::KMeans;
pub use params::{KMeansParameters, Lloyd, MiniBatch};
pub use progress::{Observer, Progress, Stage};
pub use rehouse::rehouse;
pub use score::{NEIGHBOURS, Score, score};
pub use source::{BLOCK_ROWS, Source, SourceError};
