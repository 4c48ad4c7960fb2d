//! The allow-list: what a server may read, whoever asks.
//!
//! A place is checked under the name that was asked for, and what it turned out to be is checked again: where links
//! lead, which file was really opened, where a redirect goes. Matching is by whole segments.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::error::AccessError;
use super::local;
use super::options::Allow;
use crate::place::{Place, Remote, Scheme};

const OUTSIDE: &str = "not under a folder or prefix of the allow-list (sources.allow)";
const NOTHING: &str = "the allow-list (sources.allow) is empty, so nothing may be read";

/// A checked [`Allow`].
#[derive(Debug)]
pub(super) enum Rules {
    Anything,
    Only {
        roots: Vec<Root>,
        prefixes: Vec<Remote>,
    },
}

/// A local folder under which files may be read.
#[derive(Debug)]
pub(super) struct Root {
    /// As configured, absolute.
    given: PathBuf,
    /// Without links, from the first time that the folder is there.
    real: OnceLock<PathBuf>,
}

impl Rules {
    pub(super) fn of(allow: &Allow) -> Result<Self, AccessError> {
        let Allow::Only(entries) = allow else {
            return Ok(Self::Anything);
        };
        let mut roots = Vec::new();
        let mut prefixes = Vec::new();
        for entry in entries {
            match Place::parse(entry)? {
                Place::Local(path) => roots.push(Root::of(path)?),
                Place::Remote(remote) if remote.query.is_some() => {
                    return Err(malformed(&remote, "a query in a prefix"));
                }
                Place::Remote(remote) => prefixes.push(remote),
            }
        }
        Ok(Self::Only { roots, prefixes })
    }

    pub(super) fn allow_anything(&self) -> bool {
        matches!(self, Self::Anything)
    }

    /// Whether `real`, which is `asked` or where it leads, lies under a root.
    pub(super) fn check_path(&self, asked: &Path, real: &Path) -> Result<(), AccessError> {
        let Self::Only { roots, prefixes } = self else {
            return Ok(());
        };
        let refuse = |rule: &str| Err(refused(asked.display(), rule));
        if real.components().any(|part| part == Component::ParentDir) {
            return refuse("`..` in a path");
        }
        let absolute = std::path::absolute(real)
            .map_err(AccessError::io(&Place::Local(asked.to_path_buf())))?;
        if roots.iter().any(|root| root.holds(&absolute)) {
            Ok(())
        } else if roots.is_empty() && prefixes.is_empty() {
            refuse(NOTHING)
        } else if asked == real {
            refuse(OUTSIDE)
        } else {
            refuse(&format!("it leads to {}, {OUTSIDE}", real.display()))
        }
    }

    /// Whether the file that was opened under the name `asked` lies under a root. A link that was swapped after the
    /// name was checked is found here.
    pub(super) fn check_opened(&self, asked: &Path, file: &File) -> Result<(), AccessError> {
        if self.allow_anything() {
            return Ok(());
        }
        match local::path_of(file) {
            Some(real) => self.check_path(asked, &real),
            None => Err(refused(asked.display(), "where it leads is not known")),
        }
    }

    pub(super) fn check_remote(&self, asked: &Remote) -> Result<(), AccessError> {
        let Self::Only { roots, prefixes } = self else {
            return Ok(());
        };
        if prefixes.iter().any(|prefix| covers(prefix, asked)) {
            Ok(())
        } else if roots.is_empty() && prefixes.is_empty() {
            Err(refused(asked, NOTHING))
        } else {
            Err(refused(asked, OUTSIDE))
        }
    }

    /// Whether the list names this web server (its port included), so that it may be a private one.
    pub(super) fn names_host(&self, scheme: Scheme, host: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Only { prefixes, .. } => prefixes
                .iter()
                .any(|prefix| prefix.scheme == scheme && prefix.host == host),
        }
    }
}

impl Root {
    fn of(given: PathBuf) -> Result<Self, AccessError> {
        if !given.is_absolute() || given.components().any(|part| part == Component::ParentDir) {
            return Err(AccessError::Malformed {
                text: given.display().to_string(),
                reason: "an entry of the allow-list must be an absolute path or a URL".to_owned(),
            });
        }
        let real = OnceLock::new();
        Ok(Self { given, real })
    }

    fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.given) || self.real().is_some_and(|real| path.starts_with(real))
    }

    fn real(&self) -> Option<&Path> {
        if let Some(real) = self.real.get() {
            return Some(real);
        }
        let real = fs::canonicalize(&self.given).ok()?;
        Some(self.real.get_or_init(|| real))
    }
}

fn covers(prefix: &Remote, asked: &Remote) -> bool {
    if (prefix.scheme, &prefix.host) != (asked.scheme, &asked.host) {
        return false;
    }
    match asked.key.strip_prefix(&*prefix.key) {
        Some(rest) => prefix.key.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

pub(super) fn refused(place: impl ToString, rule: &str) -> AccessError {
    AccessError::Refused {
        place: place.to_string(),
        rule: rule.to_owned(),
    }
}

fn malformed(place: &Remote, reason: &str) -> AccessError {
    AccessError::Malformed {
        text: place.to_string(),
        reason: reason.to_owned(),
    }
}
