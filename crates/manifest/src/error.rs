//! What can go wrong: with the list as a whole, or with the bytes of one sample.

use std::io;

use crate::access::AccessError;
use crate::place::redacted;

/// Why a source gave no manifest. `place` is a path or a URL, without what may be secret in it.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file, folder or object could not be got at.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// It is neither a folder nor a file of a known extension.
    #[error(
        "{place}: not a source of samples; supported are a folder of images, with a sub-folder per class or without, \
         a WebDataset .tar, a .jsonl, .ndjson, .csv, .tsv, .parquet or .npy file, a .txt or .list file that names \
         such, and a folder of .parquet or .tar files"
    )]
    UnsupportedSource {
        /// The source.
        place: String,
    },
    /// An id or a label longer than any that people or tools give.
    #[error("row {row}, counted from 0: its {what} is longer than {limit} bytes")]
    TextTooLong {
        /// Counted from 0, over all files of the source.
        row: u64,
        /// `id` or `label`.
        what: &'static str,
        /// The most bytes it may have.
        limit: usize,
    },
    /// Braces that do not expand, or to more names than any dataset has.
    #[error("{}: {reason}", redacted(text))]
    BadPattern {
        /// The text with the braces.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Files of different formats in one source.
    #[error("{first} and {second} are of different formats; one source has one")]
    MixedFormats {
        /// The first file of the source.
        first: String,
        /// The first that differs.
        second: String,
    },
    /// A setting of the source that its format does not have, or that does not fit its content.
    #[error("{place}: {reason}")]
    BadSource {
        /// The source.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The source is well formed and lists no sample.
    #[error("{place}: lists no sample")]
    Empty {
        /// The source.
        place: String,
    },
    /// More files than any dataset has.
    #[error("the source has more than {limit} files")]
    TooManyFiles {
        /// The most.
        limit: usize,
    },
    /// More samples than are allowed.
    #[error("the source lists more than {limit} samples")]
    TooManySamples {
        /// The most.
        limit: u64,
    },
    /// The caller's `progress` said to stop.
    #[error("interrupted")]
    Interrupted,
    /// The temporary files that the list is kept in could not be written or read.
    #[error("temporary files of the manifest: {source}")]
    Scratch {
        /// The cause.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("{place}: {source}")]
    Io {
        /// The file or folder that could not be read.
        place: String,
        /// The cause.
        source: io::Error,
    },
    /// A file, folder or tar member has a name that is not UTF-8, so that it cannot be an id.
    #[error("{place}: the name `{name}` is not UTF-8")]
    NonUtf8Name {
        /// The folder or tar file that holds it.
        place: String,
        /// The name, with U+FFFD for what could not be decoded.
        name: String,
    },
    /// An image folder without a sub-folder has no class.
    #[error("{place}: no class folder in it")]
    NoClassFolder {
        /// The source.
        place: String,
    },
    /// A class folder without a single image. torchvision refuses these too.
    #[error("{place}: no image in the folder of class `{class}`")]
    EmptyClass {
        /// The source.
        place: String,
        /// The class, which is the folder's name.
        class: String,
    },
    /// A symbolic link leads back to a folder that holds it: the walk would not end.
    #[error("{place}: a symbolic link to a folder that contains it")]
    LinkLoop {
        /// The link.
        place: String,
    },
    /// Symbolic links multiply the folders of a class past any dataset's number.
    #[error("{place}: more than {limit} folders are reached through symbolic links")]
    TooManyLinkedFolders {
        /// The class folder.
        place: String,
        /// The most that are followed in one class.
        limit: usize,
    },
    /// A file stops before its end.
    #[error("{place}: truncated, the file stops at byte {offset} without an end of archive")]
    Truncated {
        /// The tar file.
        place: String,
        /// The length of what is there, in bytes.
        offset: u64,
    },
    /// A compressed file that does not decompress, or to more than it may.
    #[error("{place}: {reason}")]
    BadCompression {
        /// The file.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes at an offset are not a tar member.
    #[error("{place}: bad tar member at byte {offset}: {reason}")]
    MalformedTar {
        /// The tar file.
        place: String,
        /// Where the member's header begins, in bytes.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A tar member with an absolute path or with `..` in it.
    #[error("{place}: refused the member `{member}`: absolute, or with `..` in it")]
    UnsafeMember {
        /// The tar file.
        place: String,
        /// The member as named in the archive.
        member: String,
    },
    /// A member that stands for an image without holding its bytes in one piece.
    #[error("{place}: the member `{member}` is a {kind}; images must be stored as plain files")]
    UnsupportedMember {
        /// The tar file.
        place: String,
        /// The member as named in the archive.
        member: String,
        /// What it is instead of a plain file.
        kind: &'static str,
    },
    /// A WebDataset key without an image.
    #[error(
        "{place}: the sample `{sample}` has no image (a member named `{sample}.EXTENSION`; the members of one \
         sample must be adjacent)"
    )]
    NoImage {
        /// The tar file.
        place: String,
        /// The key.
        sample: String,
    },
    /// A WebDataset key with two members of one role: two images, or two of the same label member.
    #[error("{place}: the sample `{sample}` has both `{first}` and `{second}`")]
    RepeatedMember {
        /// The tar file.
        place: String,
        /// The key.
        sample: String,
        /// The first of the two members, as named in the archive.
        first: String,
        /// The second.
        second: String,
    },
    /// A `.cls` or `.json` member that gives no label.
    #[error("{place}: no label in the member `{member}`: {reason}")]
    BadLabel {
        /// The tar file.
        place: String,
        /// The member as named in the archive.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of rows without a column that is needed.
    #[error("{place}: {reason}")]
    BadColumn {
        /// The file.
        place: String,
        /// What is wrong, with the columns that there are.
        reason: String,
    },
    /// A line that is not a row with the required fields.
    #[error("{place}: line {line}: {reason}")]
    BadRow {
        /// The file.
        place: String,
        /// Counted from 1.
        line: u64,
        /// What is wrong, with the column where there is one.
        reason: String,
    },
    /// A line longer than any row needs.
    #[error("{place}: line {line} is longer than {limit} bytes")]
    LineTooLong {
        /// The file.
        place: String,
        /// Counted from 1.
        line: u64,
        /// The longest line that is read, in bytes.
        limit: u64,
    },
    /// A row points at a file that has the extension of neither an image nor a tensor.
    #[error(
        "{place}: line {line}: `{}` does not have the extension of an image or a .npy tensor",
        redacted(file)
    )]
    UnsupportedExtension {
        /// The file of rows.
        place: String,
        /// Counted from 1.
        line: u64,
        /// The row's path.
        file: String,
    },
    /// A Parquet file, or a part of it, that cannot be read.
    #[error("{place}: {reason}")]
    BadParquet {
        /// The file.
        place: String,
        /// What is wrong, with the row or row group where it is known.
        reason: String,
    },
    /// A `.npy` file that holds no features.
    #[error("{place}: {reason}")]
    BadArray {
        /// The file.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two samples with one id.
    #[error("two samples have the id `{id}`: {first}, and {second}")]
    DuplicateId {
        /// The id.
        id: String,
        /// The file of its first use, with the line, row or byte.
        first: String,
        /// The same of its second.
        second: String,
    },
}

impl ManifestError {
    /// For `map_err`: the operating system's refusal, with the place it was about.
    pub(crate) fn io(place: impl ToString) -> impl FnOnce(io::Error) -> Self {
        let place = place.to_string();
        move |source| Self::Io { place, source }
    }

    pub(crate) fn scratch(source: io::Error) -> Self {
        Self::Scratch { source }
    }
}

/// For what reads the index, whose errors are of temporary files only.
impl From<io::Error> for ManifestError {
    fn from(source: io::Error) -> Self {
        Self::Scratch { source }
    }
}

/// Why the bytes of one sample could not be read. The other samples are not affected.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The index is past the end of the manifest.
    #[error("no sample {index}: the manifest has {len}")]
    NoSuchSample {
        /// The index asked for.
        index: u64,
        /// The number of samples.
        len: u64,
    },
    /// The temporary index of the manifest could not be read.
    #[error("sample {index}: {source}")]
    Index {
        /// The sample.
        index: u64,
        /// The cause.
        source: io::Error,
    },
    /// The file or object that should hold the bytes could not be got at.
    #[error("sample `{id}`: {source}")]
    Access {
        /// The sample.
        id: String,
        /// The cause, which names the place.
        source: AccessError,
    },
    /// The file is there, and does not hold what its list says.
    #[error("sample `{id}`: {place}: {reason}")]
    Malformed {
        /// The sample.
        id: String,
        /// The file.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

impl ReadError {
    /// The error without its particulars.
    #[must_use]
    pub fn kind(&self) -> ReadErrorKind {
        match self {
            Self::NoSuchSample { .. } => ReadErrorKind::NoSuchSample,
            Self::Index { .. } => ReadErrorKind::Io,
            Self::Malformed { .. } => ReadErrorKind::Malformed,
            Self::Access { source, .. } => match source {
                AccessError::NotFound { .. } => ReadErrorKind::NotFound,
                AccessError::NotAFile { .. } => ReadErrorKind::NotAFile,
                AccessError::TooLarge { .. } => ReadErrorKind::TooLarge,
                AccessError::Changed { .. }
                | AccessError::Remote { .. }
                | AccessError::TimedOut { .. }
                | AccessError::Interrupted { .. } => ReadErrorKind::Unavailable,
                AccessError::Malformed { .. }
                | AccessError::Refused { .. }
                | AccessError::Denied { .. }
                | AccessError::Io { .. } => ReadErrorKind::Io,
            },
        }
    }
}

/// The kind of a [`ReadError`]: the same on every machine, so that it may enter a content digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// [`ReadError::NoSuchSample`].
    NoSuchSample,
    /// Nothing is at the path.
    NotFound,
    /// A folder, pipe or device stands where the image should.
    NotAFile,
    /// More bytes than a sample may have.
    TooLarge,
    /// [`ReadError::Malformed`].
    Malformed,
    /// The operating system or the store refused, or the file ended early.
    Io,
    /// The bytes were not to be had this time, which says nothing of the sample: the store failed or was too slow,
    /// the object is being replaced, or the read was interrupted.
    Unavailable,
}

impl ReadErrorKind {
    /// The kind's name, which never changes: digests depend on it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchSample => "no-such-sample",
            Self::NotFound => "not-found",
            Self::NotAFile => "not-a-file",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::Io => "io",
            Self::Unavailable => "unavailable",
        }
    }
}
