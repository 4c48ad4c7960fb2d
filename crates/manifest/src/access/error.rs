//! Why a place gave no bytes.

use std::io;

use crate::place::Place;

/// What went wrong at one place. `place` is a path or a URL without its query, so that no signature is shown.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The text is neither a path nor the URL of an object.
    #[error("{text}: {reason}")]
    Malformed {
        /// The text, without what may be secret.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A rule forbids the place, or what it leads to.
    #[error("{place}: refused: {rule}")]
    Refused {
        /// The place that was asked for.
        place: String,
        /// The rule, and what to do about it.
        rule: String,
    },
    /// Nothing is there.
    #[error("{place}: no such file or object")]
    NotFound {
        /// The place.
        place: String,
    },
    /// A folder, pipe or device stands where a file should.
    #[error("{place}: not a regular file")]
    NotAFile {
        /// The place.
        place: String,
    },
    /// More bytes than are read at once.
    #[error("{place}: {bytes} bytes or more, the limit is {limit}")]
    TooLarge {
        /// The place.
        place: String,
        /// How many there are at least.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The object is another than the one that was looked at before.
    #[error("{place}: changed since it was first looked at")]
    Changed {
        /// The place.
        place: String,
    },
    /// The store wants other credentials, or none were found.
    #[error("{place}: access denied: {reason}")]
    Denied {
        /// The place.
        place: String,
        /// What the store said.
        reason: String,
    },
    /// The store did not answer, or not as it should, as often as it was asked.
    #[error("{place}: {reason}")]
    Remote {
        /// The place.
        place: String,
        /// What happened.
        reason: String,
    },
    /// An answer that came too slowly.
    #[error("{place}: not complete after {seconds} s")]
    TimedOut {
        /// The place.
        place: String,
        /// How long was waited.
        seconds: f32,
    },
    /// Asked to stop while it waited.
    #[error("{place}: interrupted")]
    Interrupted {
        /// The place.
        place: String,
    },
    /// The operating system refused, or the bytes ended early.
    #[error("{place}: {source}")]
    Io {
        /// The place.
        place: String,
        /// The cause.
        source: io::Error,
    },
}

impl AccessError {
    /// For `map_err`: the operating system's refusal, with the place it was about.
    pub(crate) fn io(place: &Place) -> impl FnOnce(io::Error) -> Self {
        let place = place.to_string();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { place },
            _ => Self::Io { place, source },
        }
    }

    /// For `map_err` of a reader of [`Object`](super::Object): the error that it carries, else one at `place`.
    pub(crate) fn of_reader(place: &Place) -> impl FnOnce(io::Error) -> Self {
        let otherwise = Self::io(place);
        move |source| source.downcast::<Self>().unwrap_or_else(otherwise)
    }
}

/// So that a reader can pass the error on through [`io::Read`].
impl From<AccessError> for io::Error {
    fn from(error: AccessError) -> Self {
        let kind = match &error {
            AccessError::NotFound { .. } => io::ErrorKind::NotFound,
            AccessError::Refused { .. } | AccessError::Denied { .. } => {
                io::ErrorKind::PermissionDenied
            }
            AccessError::Io { source, .. } => source.kind(),
            AccessError::TimedOut { .. } => io::ErrorKind::TimedOut,
            AccessError::Malformed { .. }
            | AccessError::NotAFile { .. }
            | AccessError::TooLarge { .. }
            | AccessError::Changed { .. }
            | AccessError::Interrupted { .. }
            | AccessError::Remote { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
