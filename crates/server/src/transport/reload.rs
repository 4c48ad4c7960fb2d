//! Files that are read again when they change: replaced, written over, or the target of another link, as
//! Kubernetes changes what it mounts.

use crate::metrics::RELOADS;
use curriculum_store::Digest;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

/// How often files are looked at. They are small: reading them costs less than to know that one need not.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of a file, at most.
const MAX_BYTES: u64 = 1 << 20;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// What it holds is of no use.
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never what is in it.
        reason: String,
    },
}

impl FileError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. } | Self::Unusable { path, .. } => path,
        }
    }

    pub(crate) fn unusable(path: &Path, reason: impl ToString) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// The contents of the files, in their order.
pub(crate) type Contents = [Vec<u8>];

type Build<T> = Box<dyn Fn(&Contents) -> Result<T, FileError> + Send + Sync>;

/// What is made of some files, as they last were of use.
pub(crate) struct Reloading<T> {
    /// For the log.
    what: &'static str,
    files: Vec<PathBuf>,
    build: Build<T>,
    /// A std lock: nothing awaits under it.
    current: RwLock<Arc<T>>,
    seen: Mutex<Seen>,
}

/// Contents, good or bad, by their digests.
struct Seen {
    /// Found at the last look.
    last: Digest,
    /// Found twice in a row, and then tried.
    tried: Digest,
}

impl<T> Reloading<T> {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(crate) fn open(
        what: &'static str,
        files: Vec<PathBuf>,
        build: impl Fn(&Contents) -> Result<T, FileError> + Send + Sync + 'static,
    ) -> Result<Self, FileError> {
        let contents = read(&files)?;
        let current = RwLock::new(Arc::new(build(&contents)?));
        let seen = digest(&contents);
        Ok(Self {
            what,
            files,
            build: Box::new(build),
            current,
            seen: Mutex::new(Seen {
                last: seen,
                tried: seen,
            }),
        })
    }

    pub(crate) fn current(&self) -> Arc<T> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again and takes what is new, once it was found so twice in a row: a file that is being
    /// written may hold half of a key, or half of all keys. What cannot be used changes nothing, and is said
    /// once. Blocks.
    fn refresh(&self) {
        let contents = read(&self.files);
        let found = match &contents {
            Ok(contents) => digest(contents),
            Err(error) => Digest::of_parts([error.to_string().as_bytes()]),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = std::mem::replace(&mut seen.last, found) == found;
        if !settled || seen.tried == found {
            return;
        }
        seen.tried = found;
        match contents.and_then(|contents| (self.build)(&contents)) {
            Ok(new) => {
                let current = self.current.write();
                *current.unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                self.count("taken");
                tracing::info!("new {} in use", self.what);
            }
            Err(error) => {
                self.count("refused");
                tracing::error!(%error, "new {} cannot be used, the old stay in use", self.what);
            }
        }
    }

    fn count(&self, outcome: &'static str) {
        metrics::counter!(RELOADS, "what" => self.what, "outcome" => outcome).increment(1);
    }
}

/// All files of a server that are read again.
#[derive(Default)]
pub(crate) struct Reloads(Vec<Arc<dyn Fn() + Send + Sync>>);

impl Reloads {
    pub(crate) fn add<T: Send + Sync + 'static>(&mut self, files: &Arc<Reloading<T>>) {
        let files = Arc::clone(files);
        self.0.push(Arc::new(move || files.refresh()));
    }

    /// Looks at all of them, away from the async workers.
    pub(crate) async fn refresh(&self) {
        for refresh in &self.0 {
            let refresh = Arc::clone(refresh);
            let _ = tokio::task::spawn_blocking(move || refresh()).await;
        }
    }
}

fn read(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, FileError> {
    files.iter().map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_BYTES => {
            Err(FileError::unusable(path, "is larger than 1 MiB"))
        }
        Ok(_) => Ok(bytes),
        Err(source) => Err(FileError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

fn digest(contents: &[Vec<u8>]) -> Digest {
    Digest::of_parts(contents.iter().map(Vec::as_slice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix};

    fn number(path: &Path) -> Reloading<u32> {
        let file = path.to_owned();
        Reloading::open("numbers", vec![path.to_owned()], move |contents| {
            let text = String::from_utf8_lossy(&contents[0]);
            text.trim()
                .parse()
                .map_err(|error| FileError::unusable(&file, error))
        })
        .unwrap()
    }

    #[test]
    fn new_contents_are_taken_and_bad_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        fs::write(&path, "1").unwrap();
        let number = number(&path);
        for (text, expected) in [("2", 2), ("two", 2), ("3", 3)] {
            fs::write(&path, text).unwrap();
            look_twice(&number);
            assert_eq!(*number.current(), expected, "{text}");
        }
        fs::remove_file(&path).unwrap();
        look_twice(&number);
        assert_eq!(*number.current(), 3, "the file is gone");
        fs::write(&path, "4").unwrap();
        look_twice(&number);
        assert_eq!(*number.current(), 4, "the file is back");
    }

    fn look_twice(number: &Reloading<u32>) {
        number.refresh();
        number.refresh();
    }

    #[test]
    fn half_of_a_file_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        fs::write(&path, "1").unwrap();
        let number = number(&path);
        for text in ["2", "23", "234", "2345"] {
            fs::write(&path, text).unwrap();
            number.refresh();
            assert_eq!(*number.current(), 1, "{text}");
        }
        number.refresh();
        assert_eq!(*number.current(), 2_345);
    }

    /// As Kubernetes mounts a secret: the file is a link into a folder that is a link, which is swapped.
    #[test]
    fn swapped_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("old", "1"), ("new", "2")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("number"), text).unwrap();
        }
        unix::fs::symlink("old", at("..data")).unwrap();
        unix::fs::symlink("..data/number", at("number")).unwrap();
        let number = number(&at("number"));
        unix::fs::symlink("new", at("..tmp")).unwrap();
        fs::rename(at("..tmp"), at("..data")).unwrap();
        look_twice(&number);
        assert_eq!(*number.current(), 2);
    }

    #[test]
    fn what_is_wrong_at_the_start_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let open = || {
            let build = |_: &Contents| Ok(());
            Reloading::open("numbers", vec![path.clone()], build)
        };
        let error = open().err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        fs::write(&path, vec![0; MAX_BYTES as usize + 1]).unwrap();
        let error = open().err().unwrap().to_string();
        assert!(error.contains("larger than 1 MiB"), "{error}");
    }
}
