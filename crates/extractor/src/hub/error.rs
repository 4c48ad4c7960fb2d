//! Why a model did not come from the hub.

use std::path::PathBuf;

use crate::model::known_names;

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No such name in the registry.
    #[error("unknown model \"{name}\": known are {}", known_names())]
    UnknownModel {
        /// As given.
        name: String,
    },
    /// It is part of the program.
    #[error("{name} is embedded: there is nothing to pull")]
    Embedded {
        /// As given.
        name: String,
    },
    /// Not in the cache, and the hub may not be asked.
    #[error("{name} is not in the cache, or not whole, and offline the hub is not asked")]
    Offline {
        /// The model.
        name: String,
    },
    /// `HF_ENDPOINT` is no address.
    #[error("the hub's address must be http(s)://HOST, not {endpoint}")]
    BadEndpoint {
        /// As given.
        endpoint: String,
    },
    /// The token holds what no header can; it is not shown.
    #[error("the hub's token must be printable ASCII, 1 to 1024 bytes")]
    BadToken,
    /// No answer, or one that broke off, as often as it was tried.
    #[error("{url} did not answer: {reason}; what was downloaded is kept")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The last failure.
        reason: String,
    },
    /// 401 or 403.
    #[error("{url} is refused with status {status}: {}", denied(*.token))]
    Denied {
        /// What was asked for.
        url: String,
        /// HTTP's.
        status: u16,
        /// Whether a token was sent.
        token: bool,
    },
    /// 404.
    #[error("{url} does not exist")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// Any other answer that is no file.
    #[error("{url} answers with {answer}")]
    Refused {
        /// What was asked for.
        url: String,
        /// Status or header.
        answer: String,
    },
    /// More than any model that could be used.
    #[error("{url} has {bytes} bytes: more than 4 GiB are not downloaded")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// As announced or received.
        bytes: u64,
    },
    /// The bytes are not those that the hub announced; they were removed.
    #[error("{url} has checksum {actual}, but the hub says {expected}; the download was removed")]
    ChecksumMismatch {
        /// What was asked for.
        url: String,
        /// SHA-256 from the hub's headers.
        expected: String,
        /// SHA-256 of the bytes.
        actual: String,
    },
    /// The hub has another file than at the first pull.
    #[error(
        "{name} has changed on the hub: pinned is {pinned}, offered is {offered}; \
         `curriculum models pull {name} --refresh` accepts it"
    )]
    Changed {
        /// The model.
        name: String,
        /// SHA-256 recorded at the first pull.
        pinned: String,
        /// SHA-256 of what the hub has now.
        offered: String,
    },
    /// The disk is full, or the cache may not be written to.
    #[error("cannot write {}", path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file of the cache is unreadable or malformed.
    #[error("cannot read {}", path.display())]
    CannotRead {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

fn denied(token: bool) -> &'static str {
    match token {
        true => "the token has no access to it",
        false => "it may need a token, in HF_TOKEN or in the file that HF_TOKEN_PATH names",
    }
}
