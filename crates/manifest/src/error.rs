//! What can go wrong: with the list as a whole, or with the bytes of one sample.

use std::io;
use std::path::PathBuf;

/// Why a source gave no manifest. `path` is always the source, unless the field says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Nothing is at the path.
    #[error("{}: no such file or folder", path.display())]
    NotFound {
        /// The source.
        path: PathBuf,
    },
    /// The path is neither a folder nor a file of a known extension.
    #[error(
        "{}: not a source of samples; supported are a folder laid out as torchvision's ImageFolder, \
         a WebDataset .tar file, and a .jsonl or .ndjson file",
        path.display()
    )]
    UnsupportedSource {
        /// The source.
        path: PathBuf,
    },
    /// The source is well formed and lists no sample.
    #[error("{}: lists no sample", path.display())]
    Empty {
        /// The source.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder that could not be read.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file, folder or tar member has a name that is not UTF-8, so that it cannot be an id.
    #[error("{}: the name `{name}` is not UTF-8", path.display())]
    NonUtf8Name {
        /// The folder or tar file that holds it.
        path: PathBuf,
        /// The name, with U+FFFD for what could not be decoded.
        name: String,
    },
    /// An image folder without a sub-folder has no class.
    #[error("{}: no class folder in it", path.display())]
    NoClassFolder {
        /// The source.
        path: PathBuf,
    },
    /// A class folder without a single image. torchvision refuses these too.
    #[error("{}: no image in the folder of class `{class}`", path.display())]
    EmptyClass {
        /// The source.
        path: PathBuf,
        /// The class, which is the folder's name.
        class: String,
    },
    /// A symbolic link leads back to a folder that holds it: the walk would not end.
    #[error("{}: a symbolic link to a folder that contains it", path.display())]
    LinkLoop {
        /// The link.
        path: PathBuf,
    },
    /// Symbolic links multiply the folders of a class past any dataset's number.
    #[error("{}: more than {limit} folders are reached through symbolic links", path.display())]
    TooManyLinkedFolders {
        /// The class folder.
        path: PathBuf,
        /// The most that are followed in one class.
        limit: usize,
    },
    /// The tar file stops before its end marker.
    #[error("{}: truncated, the file stops at byte {offset} without an end of archive", path.display())]
    Truncated {
        /// The source.
        path: PathBuf,
        /// The length of what is there, in bytes.
        offset: u64,
    },
    /// The bytes at an offset are not a tar member.
    #[error("{}: bad tar member at byte {offset}: {reason}", path.display())]
    MalformedTar {
        /// The source.
        path: PathBuf,
        /// Where the member's header begins, in bytes.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A tar member with an absolute path or with `..` in it.
    #[error("{}: refused the member `{member}`: absolute, or with `..` in it", path.display())]
    UnsafeMember {
        /// The source.
        path: PathBuf,
        /// The member as named in the archive.
        member: String,
    },
    /// A member that stands for an image without holding its bytes in one piece.
    #[error("{}: the member `{member}` is a {kind}; images must be stored as plain files", path.display())]
    UnsupportedMember {
        /// The source.
        path: PathBuf,
        /// The member as named in the archive.
        member: String,
        /// What it is instead of a plain file.
        kind: &'static str,
    },
    /// A WebDataset key without an image.
    #[error(
        "{}: the sample `{sample}` has no image (a member named `{sample}.EXTENSION`; the members of one \
         sample must be adjacent)",
        path.display()
    )]
    NoImage {
        /// The source.
        path: PathBuf,
        /// The key.
        sample: String,
    },
    /// A WebDataset key with two members of one role: two images, or two of the same label member.
    #[error("{}: the sample `{sample}` has both `{first}` and `{second}`", path.display())]
    RepeatedMember {
        /// The source.
        path: PathBuf,
        /// The key.
        sample: String,
        /// The first of the two members, as named in the archive.
        first: String,
        /// The second.
        second: String,
    },
    /// A WebDataset key that comes up again after another key.
    #[error("{}: the sample `{sample}` comes up again after other samples", path.display())]
    DuplicateKey {
        /// The source.
        path: PathBuf,
        /// The key.
        sample: String,
    },
    /// A `.cls` or `.json` member that gives no label.
    #[error("{}: no label in the member `{member}`: {reason}", path.display())]
    BadLabel {
        /// The source.
        path: PathBuf,
        /// The member as named in the archive.
        member: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A line that is not an object with the required fields.
    #[error("{}: line {line}: {reason}", path.display())]
    BadRow {
        /// The source.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong, with the column where there is one.
        reason: String,
    },
    /// A line longer than any row needs.
    #[error("{}: line {line} is longer than {limit} bytes", path.display())]
    LineTooLong {
        /// The source.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// The longest line that is read, in bytes.
        limit: u64,
    },
    /// A row points at a file that does not have the extension of an image.
    #[error("{}: line {line}: `{file}` does not have the extension of an image", path.display())]
    UnsupportedExtension {
        /// The source.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// The row's path.
        file: String,
    },
    /// Two rows with one id.
    #[error("{}: lines {first} and {second} have the same id `{id}`", path.display())]
    DuplicateId {
        /// The source.
        path: PathBuf,
        /// The id.
        id: String,
        /// The line of its first use, counted from 1.
        first: u64,
        /// The line of its second.
        second: u64,
    },
}

impl ManifestError {
    /// For `map_err`: the operating system's refusal, with the path it was about.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Why the bytes of one sample could not be read. The other samples are not affected.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The index is past the end of the manifest.
    #[error("no sample {index}: the manifest has {len}")]
    NoSuchSample {
        /// The index asked for.
        index: usize,
        /// The number of samples.
        len: usize,
    },
    /// Nothing is at the path.
    #[error("sample `{id}`: {}: no such file", path.display())]
    NotFound {
        /// The sample.
        id: String,
        /// Where its bytes should be.
        path: PathBuf,
    },
    /// A folder, pipe or device stands where the image should.
    #[error("sample `{id}`: {}: not a regular file", path.display())]
    NotAFile {
        /// The sample.
        id: String,
        /// Where its bytes should be.
        path: PathBuf,
    },
    /// More bytes than an image has.
    #[error("sample `{id}`: {}: {bytes} bytes or more, the limit is {limit}", path.display())]
    TooLarge {
        /// The sample.
        id: String,
        /// Where its bytes are.
        path: PathBuf,
        /// How many there are at least.
        bytes: u64,
        /// [`MAX_SAMPLE_BYTES`](crate::MAX_SAMPLE_BYTES).
        limit: u64,
    },
    /// The operating system refused, or the file ended early.
    #[error("sample `{id}`: {}: {source}", path.display())]
    Io {
        /// The sample.
        id: String,
        /// Where its bytes are.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl ReadError {
    /// The error without its particulars.
    #[must_use]
    pub fn kind(&self) -> ReadErrorKind {
        match self {
            Self::NoSuchSample { .. } => ReadErrorKind::NoSuchSample,
            Self::NotFound { .. } => ReadErrorKind::NotFound,
            Self::NotAFile { .. } => ReadErrorKind::NotAFile,
            Self::TooLarge { .. } => ReadErrorKind::TooLarge,
            Self::Io { .. } => ReadErrorKind::Io,
        }
    }
}

/// The kind of a [`ReadError`]: the same on every machine, so that it may enter a content digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// [`ReadError::NoSuchSample`].
    NoSuchSample,
    /// [`ReadError::NotFound`].
    NotFound,
    /// [`ReadError::NotAFile`].
    NotAFile,
    /// [`ReadError::TooLarge`].
    TooLarge,
    /// [`ReadError::Io`].
    Io,
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
            Self::Io => "io",
        }
    }
}
