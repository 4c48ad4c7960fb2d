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
            // Where it leads is not for whoever asks to know.
            refuse(&format!("it leads to a place {OUTSIDE}"))
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

    /// Whether the list names this host, on whatever port, so that it may be a private one.
    pub(super) fn names_host(&self, name: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Only { prefixes, .. } => prefixes
                .iter()
                .filter(|prefix| matches!(prefix.scheme, Scheme::Http | Scheme::Https))
                .any(|prefix| prefix.host_name() == name),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(entries: &[&str]) -> Rules {
        let entries = entries.iter().map(|&entry| entry.to_owned());
        Rules::of(&Allow::Only(entries.collect())).unwrap()
    }

    fn allows(rules: &Rules, text: &str) -> bool {
        match Place::parse(text) {
            Ok(Place::Local(path)) => rules.check_path(&path, &path).is_ok(),
            Ok(Place::Remote(remote)) => rules.check_remote(&remote).is_ok(),
            Err(_) => false,
        }
    }

    #[test]
    fn prefixes_cover_whole_segments() {
        let rules = rules(&["/data/sets", "s3://b/data", "https://h/p/", "gs://whole"]);
        for text in [
            "/data/sets",
            "/data/sets/a.png",
            "/data/sets/./a//b.png",
            "file:///data/sets/x",
            "s3://b/data",
            "s3a://b/data/x/y.png",
            "https://h/p/x.tar?sig=1",
            "https://H:443/%70/x.tar",
            "https://h/q/../p/x",
            "gs://whole/anything",
        ] {
            assert!(allows(&rules, text), "{text}");
        }
        for text in [
            "/data",
            "/data/sets-2/a.png",
            "/data/sets/../secret",
            "/etc/passwd",
            "sets/a.png",
            "s3://b/data-2/x",
            "s3://b/dat",
            "s3://b2/data/x",
            "gs://b/data/x",
            "http://h/p/x",
            "https://h:444/p/x",
            "https://h.evil/p/x",
            "https://h/p/../q",
            "https://h/p/%2e%2e/q",
            "https://h/p/..%2fq",
            "https://evil@h/p/x",
            "https://h@evil/p/x",
            "gs://whole-2/x",
        ] {
            assert!(!allows(&rules, text), "{text}");
        }
    }

    #[test]
    fn an_empty_list_allows_nothing_and_says_so() {
        let error = rules(&[])
            .check_path(Path::new("/x"), Path::new("/x"))
            .unwrap_err();
        assert!(error.to_string().contains("sources.allow"), "{error}");
        assert!(!allows(&rules(&[]), "s3://b/x"));
        assert!(Rules::Anything.allow_anything());
    }

    #[test]
    fn entries_must_be_absolute_and_plain() {
        for entry in [
            "data",
            "/data/../etc",
            "",
            "https://h/p?sig=SECRET",
            "ftp://h/",
            "s3://",
        ] {
            let error = Rules::of(&Allow::Only(vec![entry.to_owned()])).unwrap_err();
            assert!(matches!(error, AccessError::Malformed { .. }), "{entry}");
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }

    proptest! {
        /// Whatever is tacked on: what is allowed lies below the prefix once all is decoded.
        #[test]
        fn nothing_climbs_out(tail in "[a-z./%2eEfF5cC\\\\?#:@;-]{0,24}") {
            for prefix in ["https://h/p/", "s3://b/p/", "/p/"] {
                let text = format!("{prefix}{tail}");
                if !allows(&rules(&[prefix]), &text) {
                    continue;
                }
                match Place::parse(&text).unwrap() {
                    Place::Local(path) => {
                        prop_assert!(path.starts_with("/p"));
                        prop_assert!(!path.components().any(|part| part == Component::ParentDir));
                    }
                    Place::Remote(remote) => {
                        prop_assert!(remote.key == "p" || remote.key.starts_with("p/"));
                        prop_assert!(!remote.key.contains("/../") && !remote.key.ends_with("/.."));
                    }
                }
            }
        }
    }
}
