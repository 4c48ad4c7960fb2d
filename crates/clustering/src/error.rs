use linfa_clustering::KMeansParamsError;
use thiserror::Error;

use crate::source::SourceError;

/// Why rows could not be clustered.
#[derive(Debug, Error)]
pub enum ClusteringError {
    /// There is nothing to cluster.
    #[error("there are no rows to cluster")]
    NoRows,
    /// The rows have no columns.
    #[error("the rows have width 0")]
    NoColumns,
    /// A value is NaN or infinite; `row` counts from 0.
    #[error("row {row} holds a value that is not finite")]
    NotFinite {
        /// One such row; there may be others.
        row: usize,
    },
    /// A row is so long that distances to it would not fit f32; `row` counts from 0.
    #[error("row {row} is too large: distances to it do not fit single precision")]
    TooLarge {
        /// One such row; there may be others.
        row: usize,
    },
    /// The candidates of automatic k are an empty list.
    #[error("the list of numbers of clusters is empty")]
    NoCandidates,
    /// Fewer than one cluster was asked for.
    #[error("the number of clusters must be at least 1")]
    NoClusters,
    /// More clusters than rows.
    #[error("{clusters} clusters need at least as many rows, not {rows}")]
    TooManyClusters {
        /// The number asked for.
        clusters: usize,
        /// The number of rows.
        rows: usize,
    },
    /// Automatic k needs one row more than its fewest clusters.
    #[error("automatic k from {min} clusters needs more than {rows} rows")]
    TooFewRows {
        /// The lower end asked for.
        min: usize,
        /// The number of rows.
        rows: usize,
    },
    /// The range of automatic k begins below 2, where the Davies–Bouldin index is undefined.
    #[error("automatic k starts at 2 clusters or more, not at {min}")]
    RangeTooLow {
        /// The lower end asked for.
        min: usize,
    },
    /// The range of automatic k ends before it begins.
    #[error("the range of clusters is empty: {min} to {max}")]
    RangeEmpty {
        /// The lower end asked for.
        min: usize,
        /// The upper end asked for.
        max: usize,
    },
    /// Given starting centroids do not match the number of clusters and the width of the rows.
    #[error(
        "starting centroids have shape {given_clusters}x{given_width}, expected {clusters}x{width}"
    )]
    StartingCentroidsShape {
        /// Rows of the given array.
        given_clusters: usize,
        /// Columns of the given array.
        given_width: usize,
        /// The number of clusters asked for.
        clusters: usize,
        /// The width of the rows.
        width: usize,
    },
    /// Given starting centroids hold a value that is not finite or too large.
    #[error("starting centroid {cluster} holds a value that is not finite or too large")]
    StartingCentroidsValue {
        /// The first such centroid.
        cluster: usize,
    },
    /// linfa's initialiser is neither random, given centroids nor k-means++.
    #[error("the initialiser {0} is not supported")]
    UnsupportedInitialiser(String),
    /// The source could not be read.
    #[error("cannot read the rows: {0}")]
    Source(#[from] SourceError),
    /// A class number, or a list of them, does not fit the rows.
    #[error("{given} class numbers were given for {rows} rows")]
    ClassesLength {
        /// Entries given.
        given: usize,
        /// Rows of the source.
        rows: usize,
    },
    /// The observer asked to stop.
    #[error("clustering was cancelled")]
    Cancelled,
    /// linfa refused the parameters.
    #[error("invalid parameters: {0}")]
    Parameters(#[from] KMeansParamsError),
    /// Demanded by linfa's `Fit`, which may pass on an error of its own.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

impl ClusteringError {
    /// Renames rows that were counted within `members` only.
    pub(crate) fn of_rows(self, members: &[usize]) -> Self {
        let named = |row: usize| members.get(row).copied().unwrap_or(row);
        match self {
            Self::NotFinite { row } => Self::NotFinite { row: named(row) },
            Self::TooLarge { row } => Self::TooLarge { row: named(row) },
            other => other,
        }
    }
}
