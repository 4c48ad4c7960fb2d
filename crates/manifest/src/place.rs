//! Where something lies: a local path or the URL of an object, from the text that a user wrote.
//!
//! Text is read as people write it. What follows the bucket in `s3://`, `gs://` and `az://` is the object's key to the
//! letter, as for every vendor's own tool: `%`, `#` and `?` stand for themselves; only a signature, which means nothing
//! there, is refused. What follows the host in `http(s)://` is a URL: percent-encoding is undone, and a query (often a
//! signature) is kept, but never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use crate::access::AccessError;

/// A local path or a remote object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Local(PathBuf),
    Remote(Remote),
}

/// An object, or a folder of objects, in a bucket or on a web server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Remote {
    pub(crate) scheme: Scheme,
    /// The bucket, `container@account…`, or host with its port. In lower case where it is a host.
    pub(crate) host: String,
    /// Below the host: not percent-encoded, without a slash at either end, no segment empty, `.` or `..`.
    pub(crate) key: String,
    /// The text ended in a slash, so a folder is meant where both exist.
    pub(crate) folder: bool,
    /// Of an HTTP URL, as written. A secret: it may be a signature.
    pub(crate) query: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    S3,
    Gs,
    Azure,
    Http,
    Https,
}

impl Place {
    /// The place that `text` names: a path, a `file://` URL, or the URL of an object.
    pub(crate) fn parse(text: &str) -> Result<Self, AccessError> {
        let Some((scheme, rest)) = split_scheme(text) else {
            return Ok(Self::Local(PathBuf::from(text)));
        };
        if scheme.eq_ignore_ascii_case("file") {
            return local_of_url(text).map(Self::Local);
        }
        let known =
            Scheme::of(scheme).ok_or_else(|| malformed(&redacted(text), "unknown scheme"))?;
        Remote::parse(known, text, rest).map(Self::Remote)
    }

    /// What `text`, found in a list that lies in this folder, names. URLs and absolute paths stand for themselves.
    pub(crate) fn join(&self, text: &str) -> Result<Self, AccessError> {
        if split_scheme(text).is_some() || text.starts_with('/') {
            return Self::parse(text);
        }
        match self {
            Self::Local(folder) => Ok(Self::Local(folder.join(text))),
            Self::Remote(folder) => folder.join(text).map(Self::Remote),
        }
    }

    /// The folder that holds this.
    pub(crate) fn parent(&self) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.parent().unwrap_or(path).to_path_buf()),
            Self::Remote(remote) => {
                let key = remote.key.rsplit_once('/').map_or("", |(parent, _)| parent);
                Self::Remote(Remote {
                    key: key.to_owned(),
                    folder: true,
                    query: None,
                    ..remote.clone()
                })
            }
        }
    }

    /// The last segment; empty for a root.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Local(path) => path
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            Self::Remote(Remote { key, .. }) => key
                .rsplit_once('/')
                .map_or(&**key, |(_, name)| name)
                .to_owned(),
        }
    }

    /// What follows the last dot of the file name, in lower case; a name that only begins with a dot has none.
    pub(crate) fn extension(&self) -> Option<String> {
        let name = self.file_name();
        let (stem, extension) = name.rsplit_once('.')?;
        (!stem.is_empty()).then(|| extension.to_ascii_lowercase())
    }

    /// The path, where this is local.
    pub(crate) fn as_local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Remote(_) => None,
        }
    }

    /// Text that [`parse`](Self::parse) gives this back for. May hold a secret: for storage, never for a message.
    #[cfg(test)]
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Local(path) => path.to_string_lossy().into_owned(),
            Self::Remote(remote) => match &remote.query {
                None => remote.to_string(),
                Some(query) => format!("{}?{query}", remote.without_query()),
            },
        }
    }
}

/// As messages show it: without a query, which may be a signature.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(formatter),
            Self::Remote(remote) => remote.fmt(formatter),
        }
    }
}

impl Remote {
    fn parse(scheme: Scheme, text: &str, rest: &str) -> Result<Self, AccessError> {
        match scheme {
            Scheme::S3 | Scheme::Gs | Scheme::Azure => Self::of_bucket(scheme, text, rest),
            Scheme::Http | Scheme::Https => Self::of_url(scheme, text),
        }
    }

    fn of_bucket(scheme: Scheme, text: &str, rest: &str) -> Result<Self, AccessError> {
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let names = match scheme {
            // The container, and perhaps the account with or without its domain.
            Scheme::Azure => host.split('@').count() <= 2,
            Scheme::S3 | Scheme::Gs | Scheme::Http | Scheme::Https => !host.contains('@'),
        };
        let named = |part: &str| !part.is_empty() && part.len() <= 255 && part.chars().all(plain);
        if !names || !host.split('@').all(named) || host.contains("..") {
            return Err(malformed(&redacted(text), "not the name of a bucket"));
        }
        if signature(key).is_some() {
            return Err(malformed(
                &redacted(text),
                "a signature, which belongs to the https:// address of an object",
            ));
        }
        Ok(Self {
            scheme,
            host: host.to_owned(),
            key: checked_key(text, key)?,
            folder: key.is_empty() || key.ends_with('/'),
            query: None,
        })
    }

    fn of_url(scheme: Scheme, text: &str) -> Result<Self, AccessError> {
        let url = Url::parse(text)
            .map_err(|error| malformed(&redacted(text), &format!("not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(malformed(
                &redacted(text),
                "a user name or password in a URL",
            ));
        }
        let host = url.host_str().unwrap_or_default();
        let host = match url.port() {
            None => host.to_owned(),
            Some(port) => format!("{host}:{port}"),
        };
        Ok(Self {
            scheme,
            host,
            key: decoded_path(text, url.path())?,
            folder: url.path().ends_with('/'),
            query: url.query().map(str::to_owned),
        })
    }

    /// A path below this folder. `..` climbs, but not out of the bucket or host.
    fn join(&self, text: &str) -> Result<Self, AccessError> {
        let mut segments: Vec<&str> = self
            .key
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    segments
                        .pop()
                        .ok_or_else(|| malformed(text, "`..` leads out of the bucket or host"))?;
                }
                name => segments.push(name),
            }
        }
        Ok(Self {
            key: checked_key(text, &segments.join("/"))?,
            folder: text.ends_with('/'),
            query: None,
            ..self.clone()
        })
    }

    /// The host without its port.
    pub(crate) fn host_name(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) | None => &self.host,
        }
    }

    fn without_query(&self) -> String {
        let path = match self.scheme {
            Scheme::S3 | Scheme::Gs | Scheme::Azure => self.key.clone(),
            Scheme::Http | Scheme::Https => encoded_path(&self.key),
        };
        let slash = if self.folder && !path.is_empty() {
            "/"
        } else {
            ""
        };
        format!("{}://{}/{path}{slash}", self.scheme.as_str(), self.host)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.without_query())
    }
}

/// As shown: a derived one would print the query.
impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Scheme {
    fn of(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "s3" | "s3a" => Self::S3,
            "gs" => Self::Gs,
            "az" | "abfs" | "abfss" => Self::Azure,
            "http" => Self::Http,
            "https" => Self::Https,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Azure => "az",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// `text` as a message may show it: a URL without its user name, password, query and fragment.
///
/// Text that is no URL is left as it is, and so is a key in a bucket, which may have any character in it, but for a
/// signature.
#[must_use]
pub fn redacted(text: &str) -> String {
    let Some((scheme, rest)) = split_scheme(text) else {
        return text.to_owned();
    };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_azure = Scheme::of(scheme) == Some(Scheme::Azure);
    let host = match host.rsplit_once('@') {
        Some((_, host)) if !is_azure => host,
        Some(_) | None => host,
    };
    let path = match Scheme::of(scheme) {
        Some(Scheme::S3 | Scheme::Gs | Scheme::Azure) => {
            &path[..signature(path).unwrap_or(path.len())]
        }
        Some(Scheme::Http | Scheme::Https) | None => {
            path.split(['?', '#']).next().unwrap_or_default()
        }
    };
    format!("{scheme}://{host}{path}")
}

/// Where the query of a signed web address begins in `key`, if it ends in one.
fn signature(key: &str) -> Option<usize> {
    let (path, query) = key.split_once('?')?;
    let signs = |pair: &str| {
        let name = pair
            .split('=')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        ["sig", "signature", "credential", "token"]
            .iter()
            .any(|word| {
                let before = name.strip_suffix(word);
                before.is_some_and(|before| before.is_empty() || before.ends_with('-'))
            })
    };
    query.split('&').any(signs).then_some(path.len())
}

/// The scheme before `://`, where `text` begins with one.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let mut letters = scheme.chars();
    let named = letters.next()?.is_ascii_alphabetic()
        && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    named.then_some((scheme, rest))
}

fn local_of_url(text: &str) -> Result<PathBuf, AccessError> {
    let url = Url::parse(text).map_err(|error| malformed(text, &format!("not a URL: {error}")))?;
    let path = url
        .to_file_path()
        .map_err(|()| malformed(text, "a file:// URL of another machine"))?;
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(malformed(text, "a path that is not UTF-8")),
    }
}

/// The key without slashes at its ends.
fn checked_key(text: &str, key: &str) -> Result<String, AccessError> {
    let key = key.strip_suffix('/').unwrap_or(key);
    let bad = |part: &str| part.is_empty() || part == "." || part == "..";
    if !key.is_empty() && key.split('/').any(bad) {
        return Err(malformed(
            &redacted(text),
            "a segment that is empty, `.` or `..`",
        ));
    }
    if key.chars().any(char::is_control) {
        return Err(malformed(&redacted(text), "a control character"));
    }
    Ok(key.to_owned())
}

/// The key of a URL's path. A slash that is written as `%2F` would mean one thing to a check and another to a server.
fn decoded_path(text: &str, path: &str) -> Result<String, AccessError> {
    let mut segments = Vec::new();
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        let decoded = percent_decoded(segment);
        let decoded = String::from_utf8(decoded)
            .map_err(|_| malformed(&redacted(text), "a path that is not UTF-8"))?;
        if decoded.contains(['/', '\\']) {
            return Err(malformed(&redacted(text), "an encoded slash"));
        }
        segments.push(decoded);
    }
    checked_key(text, &segments.join("/"))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _) => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

/// The path of a URL for a key: every byte encoded that is neither unreserved nor a slash.
fn encoded_path(key: &str) -> String {
    let mut path = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

fn malformed(text: &str, reason: &str) -> AccessError {
    AccessError::Malformed {
        text: text.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
