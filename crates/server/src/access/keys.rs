//! The keys and what each allows, read from files, each by itself: a slip in one must not keep a key alive that
//! another does not hold any more.

use super::names::Names;
use crate::{
    config::Auth,
    transport::reload::{FileError, Reloading, Reloads},
};
use curriculum_store::Digest;
use std::{path::Path, sync::Arc};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// Characters of a key.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=512;

/// Keys of a file, at most: each call's is compared with all of them.
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

/// Tells keys apart without telling what they are.
pub(crate) type KeyId = u64;

/// The keys of a file. Hashes, of one length, so that a comparison takes as long whatever is compared.
type FileKeys = Vec<(Digest, Grant)>;

/// All valid keys, kept up to date: of a key in two files the more powerful grant counts, which is of the later.
pub(crate) struct Keys(Vec<Arc<Reloading<FileKeys>>>);

impl Keys {
    /// The files' keys; none where nobody needs a key.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub(crate) fn open(auth: &Auth, reloads: &mut Reloads) -> Result<Option<Self>, FileError> {
        let mut files = Vec::new();
        for (path, kind) in [
            (&auth.curriculum_keys_file, Kind::Curricula),
            (&auth.read_keys_file, Kind::Read),
            (&auth.write_keys_file, Kind::Write),
        ] {
            if let Some(path) = path {
                let file = Arc::new(kind.open(path)?);
                reloads.add(&file);
                files.push(file);
            }
        }
        Ok((!files.is_empty()).then_some(Self(files)))
    }

    /// What a key allows. Takes as long for any key, valid or not.
    pub(crate) fn find(&self, key: &[u8]) -> Option<(KeyId, Grant)> {
        let hash = hash(key);
        let mut grant = None;
        for file in &self.0 {
            let keys = file.current();
            let mut found = u64::MAX;
            for (index, (known, _)) in (0..).zip(keys.iter()) {
                let same = known.as_bytes().ct_eq(hash.as_bytes());
                found.conditional_assign(&index, same);
            }
            let here = usize::try_from(found)
                .ok()
                .and_then(|found| keys.get(found));
            grant = here.map(|(_, grant)| grant.clone()).or(grant);
        }
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        Some((u64::from_le_bytes([a, b, c, d, e, f, g, h]), grant?))
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Curricula,
    Read,
    Write,
}

impl Kind {
    fn open(self, path: &Path) -> Result<Reloading<FileKeys>, FileError> {
        let file = path.to_owned();
        Reloading::open("keys", vec![path.to_owned()], move |contents| {
            let bytes = contents.first().map(Vec::as_slice).unwrap_or_default();
            self.read(&file, bytes)
        })
    }

    fn read(self, path: &Path, bytes: &[u8]) -> Result<FileKeys, FileError> {
        let mut keys = FileKeys::new();
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
        if keys.is_empty() {
            return Err(FileError::unusable(path, "holds no key"));
        }
        if keys.len() > MOST {
            let reason = format!("there are more than {MOST} keys");
            return Err(FileError::unusable(path, reason));
        }
        Ok(keys)
    }
}

fn hash(key: &[u8]) -> Digest {
    Digest::of_parts([key])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const A: &str = "aaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbb";

    /// Keys in files of their kinds.
    fn open(folder: &Path, files: &[(Kind, &str)]) -> (Keys, Reloads) {
        let mut auth = Auth::default();
        for (kind, text) in files {
            let (name, file) = match kind {
                Kind::Curricula => ("curricula", &mut auth.curriculum_keys_file),
                Kind::Read => ("read", &mut auth.read_keys_file),
                Kind::Write => ("write", &mut auth.write_keys_file),
            };
            fs::write(folder.join(name), text).unwrap();
            *file = Some(folder.join(name));
        }
        let mut reloads = Reloads::default();
        let keys = Keys::open(&auth, &mut reloads).unwrap().unwrap();
        (keys, reloads)
    }

    fn rank(keys: &Keys, key: &str) -> Option<u8> {
        keys.find(key.as_bytes()).map(|(_, grant)| match grant {
            Grant::Curricula(_) => 0,
            Grant::Read => 1,
            Grant::Write => 2,
        })
    }

    #[test]
    fn keys_are_found_with_what_they_allow() {
        let read_keys = format!("# of trainers\n{A} # the old one\n\n  {B}\t\n");
        let write_keys = format!("{B}\r\n");
        let folder = tempfile::tempdir().unwrap();
        let files = [(Kind::Read, &*read_keys), (Kind::Write, &write_keys)];
        let (keys, _) = open(folder.path(), &files);
        assert_eq!(rank(&keys, A), Some(1));
        assert_eq!(rank(&keys, B), Some(2), "the more powerful counts");
        for wrong in ["", "aaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaa", "# of trainers"] {
            assert_eq!(rank(&keys, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_follow_the_keys_of_curricula() {
        let text = format!("{A} imagenet laion-*\n");
        let folder = tempfile::tempdir().unwrap();
        let (keys, _) = open(folder.path(), &[(Kind::Curricula, &text)]);
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
            let error = kind.read(Path::new("keys"), text.as_bytes()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(reason), "{error}");
            let secrets = text.split_whitespace().filter(|word| word.len() > 8);
            assert!(
                !secrets.into_iter().any(|word| error.contains(word)),
                "{error}"
            );
        }
        let many: String = (0..=MOST).map(|i| format!("{A}{i}\n")).collect();
        let error = Kind::Read.read(Path::new("keys"), many.as_bytes());
        assert!(error.unwrap_err().to_string().contains("more than"));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_does_not_keep_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let curricula = format!("{A} imagenet\n");
        let files = [(Kind::Curricula, &*curricula), (Kind::Read, B)];
        let (keys, reloads) = open(folder.path(), &files);
        assert_eq!((rank(&keys, A), rank(&keys, B)), (Some(0), Some(1)));
        fs::write(folder.path().join("curricula"), A).unwrap();
        fs::write(folder.path().join("read"), "cccccccccccccccc\n").unwrap();
        for _ in 0..2 {
            reloads.refresh().await;
        }
        assert_eq!(rank(&keys, A), Some(0), "as before");
        assert_eq!(rank(&keys, B), None, "taken out");
    }
}
