//! The keys and what each allows, read from files.

use super::names::Names;
use crate::{
    config::Auth,
    transport::reload::{Contents, FileError, Reloading},
};
use curriculum_store::Digest;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// Characters of a key.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=512;

/// Keys, at most: each call's is compared with all of them.
const MOST: usize = 1_000;

/// What a key allows.
#[derive(Clone, Debug)]
pub(crate) enum Grant {
    /// To read some curricula.
    Curricula(Arc<Names>),
    /// To read all of them.
    Read,
    /// Everything.
    Write,
}

impl Grant {
    fn rank(&self) -> u8 {
        match self {
            Self::Curricula(_) => 0,
            Self::Read => 1,
            Self::Write => 2,
        }
    }
}

/// Tells keys apart without telling what they are.
pub(crate) type KeyId = u64;

/// All valid keys, the most powerful last. Hashes, of one length, so that a comparison takes as long whatever
/// is compared.
pub(crate) struct Keys(Vec<(Digest, Grant)>);

impl Keys {
    /// The files' keys, kept up to date; none where nobody needs a key.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub(crate) fn open(auth: &Auth) -> Result<Option<Reloading<Self>>, FileError> {
        let files: Vec<(PathBuf, Kind)> = [
            (&auth.curriculum_keys_file, Kind::Curricula),
            (&auth.read_keys_file, Kind::Read),
            (&auth.write_keys_file, Kind::Write),
        ]
        .into_iter()
        .filter_map(|(file, kind)| Some((file.clone()?, kind)))
        .collect();
        if files.is_empty() {
            return Ok(None);
        }
        let paths = files.iter().map(|(path, _)| path.clone()).collect();
        let build = move |contents: &Contents| Self::read(&files, contents);
        Reloading::open("keys", paths, build).map(Some)
    }

    fn read(files: &[(PathBuf, Kind)], contents: &Contents) -> Result<Self, FileError> {
        let mut keys = Vec::new();
        for ((path, kind), bytes) in files.iter().zip(contents) {
            let before = keys.len();
            kind.read(path, bytes, &mut keys)?;
            if keys.len() == before {
                return Err(FileError::unusable(path, "holds no key"));
            }
            if keys.len() > MOST {
                let reason = format!("there are more than {MOST} keys");
                return Err(FileError::unusable(path, reason));
            }
        }
        keys.sort_by_key(|(_, grant)| grant.rank());
        Ok(Self(keys))
    }

    /// What a key allows. Takes as long for any key, valid or not.
    pub(crate) fn find(&self, key: &[u8]) -> Option<(KeyId, Grant)> {
        let hash = hash(key);
        let mut found = u64::MAX;
        for (index, (known, _)) in (0..).zip(&self.0) {
            let same = known.as_bytes().ct_eq(hash.as_bytes());
            found.conditional_assign(&index, same);
        }
        let (_, grant) = self.0.get(usize::try_from(found).ok()?)?;
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        Some((u64::from_le_bytes([a, b, c, d, e, f, g, h]), grant.clone()))
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Curricula,
    Read,
    Write,
}

impl Kind {
    fn read(
        self,
        path: &Path,
        bytes: &[u8],
        keys: &mut Vec<(Digest, Grant)>,
    ) -> Result<(), FileError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| FileError::unusable(path, "is not text in UTF-8"))?;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(key) = words.next() else { continue };
            // The text must not say the key, nor what may be a part of it.
            let wrong =
                |reason: &str| FileError::unusable(path, format!("line {number}: {reason}"));
            if !LENGTH.contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(wrong(
                    "a key must have 16 to 512 printable characters of ASCII",
                ));
            }
            let mut names = Names::default();
            let count = words.map(|pattern| names.add(pattern)).count();
            let grant = match (self, count) {
                (Self::Read, 0) => Grant::Read,
                (Self::Write, 0) => Grant::Write,
                (Self::Read | Self::Write, _) => {
                    return Err(wrong("something follows the key"));
                }
                (Self::Curricula, 0) => {
                    return Err(wrong("no name of a curriculum follows the key"));
                }
                (Self::Curricula, _) => Grant::Curricula(Arc::new(names)),
            };
            let hash = hash(key.as_bytes());
            if keys.iter().any(|(known, _)| *known == hash) && matches!(self, Self::Curricula) {
                return Err(wrong("the key is on a line before, too"));
            }
            keys.push((hash, grant));
        }
        Ok(())
    }
}

fn hash(key: &[u8]) -> Digest {
    Digest::of_parts([key])
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbb";

    fn read(files: &[(Kind, &str)]) -> Result<Keys, String> {
        let contents = files.iter().map(|(_, text)| text.as_bytes().to_vec());
        let contents: Vec<_> = contents.collect();
        let files: Vec<_> = files
            .iter()
            .map(|(kind, _)| (PathBuf::from("keys"), *kind))
            .collect();
        Keys::read(&files, &contents).map_err(|error| error.to_string())
    }

    fn rank(keys: &Keys, key: &str) -> Option<u8> {
        keys.find(key.as_bytes()).map(|(_, grant)| grant.rank())
    }

    #[test]
    fn keys_are_found_with_what_they_allow() {
        let read_keys = format!("# of trainers\n{A} # the old one\n\n  {B}\t\n");
        let write_keys = format!("{B}\r\n");
        let keys = read(&[(Kind::Read, &read_keys), (Kind::Write, &write_keys)]).unwrap();
        assert_eq!(rank(&keys, A), Some(1));
        assert_eq!(rank(&keys, B), Some(2), "the more powerful counts");
        for wrong in ["", "aaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaa", "# of trainers"] {
            assert_eq!(rank(&keys, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_follow_the_keys_of_curricula() {
        let text = format!("{A} imagenet laion-*\n");
        let keys = read(&[(Kind::Curricula, &text)]).unwrap();
        let Some((_, Grant::Curricula(names))) = keys.find(A.as_bytes()) else {
            panic!("not found");
        };
        assert!(names.match_any("laion-2b") && !names.match_any("coco"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        for (kind, text, reason) in [
            (Kind::Read, "# nothing\n", "holds no key"),
            (Kind::Read, "\nshort-secret\n", "line 2: a key must have 16"),
            (Kind::Read, &format!("{A} imagenet"), "something follows"),
            (Kind::Curricula, A, "no name"),
            (Kind::Curricula, &format!("{A} x\n{A} y"), "line 2: the key"),
            (Kind::Write, "schlüsselschlüssel", "printable"),
        ] {
            let error = read(&[(kind, text)]).err().unwrap();
            assert!(error.contains(reason), "{error}");
            let secrets = text.split_whitespace().filter(|word| word.len() > 8);
            assert!(
                !secrets.into_iter().any(|word| error.contains(word)),
                "{error}"
            );
        }
        let many: String = (0..=MOST).map(|i| format!("{A}{i}\n")).collect();
        assert!(
            read(&[(Kind::Read, &many)])
                .err()
                .unwrap()
                .contains("more than")
        );
    }
}
