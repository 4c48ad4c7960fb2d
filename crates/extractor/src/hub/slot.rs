//! A model's folder in the cache.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::http::Remote;
use super::{HubError, Outcome, Progress, Pulled};
use crate::ExtractorError;
use crate::model::Registered;

/// What the first pull recorded, in `pin.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// `owner/name` on the hub.
    pub repository: String,
    /// The file's path in it.
    pub file: String,
    /// The commit; empty where the hub named none.
    pub commit: String,
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
}

/// `CACHE/NAME/`, held against other processes if it was locked.
pub(super) struct Slot {
    folder: PathBuf,
    registered: &'static Registered,
    _lock: Option<File>,
}

impl Slot {
    /// For reading: what is there was put there by a rename.
    pub(super) fn at(cache: &Path, registered: &'static Registered) -> Self {
        Self {
            folder: cache.join(registered.name),
            registered,
            _lock: None,
        }
    }

    /// For writing; waits for whoever has it.
    pub(super) fn lock(
        cache: &Path,
        registered: &'static Registered,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, HubError> {
        let slot = Self::at(cache, registered);
        fs::create_dir_all(&slot.folder).map_err(cannot_write(&slot.folder))?;
        let path = slot.folder.join(".lock");
        let file = File::create(&path).map_err(cannot_write(&path))?;
        let locked = match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                progress(Progress::Waiting);
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
        };
        match locked {
            Ok(()) => {}
            // A file system without locks: checksums and renames still hold.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            Err(error) => return Err(cannot_write(&path)(error)),
        }
        Ok(Self {
            _lock: Some(file),
            ..slot
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.registered.name
    }

    pub(super) fn model(&self) -> PathBuf {
        self.folder.join("model.onnx")
    }

    pub(super) fn pin(&self) -> Result<Option<Pin>, HubError> {
        self.read_pin().map_err(|source| HubError::CannotRead {
            path: self.pin_file(),
            source,
        })
    }

    /// The pin, where the model beside it is the one that it pins.
    pub(super) fn intact(&self) -> Result<Option<Pin>, HubError> {
        let Some(pin) = self.pin()? else {
            return Ok(None);
        };
        let path = self.model();
        match digest_of(&path) {
            Ok(hasher) => Ok((hex(hasher) == pin.sha256).then_some(pin)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(HubError::CannotRead { path, source }),
        }
    }

    /// Where a download is collected: one file for each content, so that what is found there can be
    /// gone on with.
    pub(super) fn part(&self, sha256: Option<&str>) -> PathBuf {
        let content = sha256.unwrap_or("unknown");
        self.folder.join(format!("model.onnx.{content}.part"))
    }

    pub(super) fn pulled(&self, pin: Pin, outcome: Outcome) -> Pulled {
        Pulled {
            path: self.model(),
            pin,
            outcome,
        }
    }

    /// The pin goes first: a pull that ends between the two finds a file that is not the pinned one,
    /// and fetches that.
    pub(super) fn install(
        &self,
        part: &Path,
        remote: &Remote,
        sha256: String,
        bytes: u64,
    ) -> Result<Pin, HubError> {
        let pin = Pin {
            repository: self.registered.repository.to_owned(),
            file: Registered::FILE.to_owned(),
            commit: remote.commit.clone().unwrap_or_default(),
            sha256,
            bytes,
        };
        self.write("model.toml", &self.registered.entry())?;
        self.write("pin.toml", &pin)?;
        let model = self.model();
        fs::rename(part, &model).map_err(cannot_write(&model))?;
        self.remove_parts()?;
        Ok(pin)
    }

    pub(super) fn load(&self) -> Result<Vec<u8>, ExtractorError> {
        let unreadable =
            |path: PathBuf| move |source| ExtractorError::ModelUnreadable { path, source };
        let pin = self.read_pin().map_err(unreadable(self.pin_file()))?;
        let path = self.model();
        let (Some(pin), true) = (pin, path.exists()) else {
            return Err(ExtractorError::NotPulled {
                name: self.name().to_owned(),
            });
        };
        let onnx = fs::read(&path).map_err(unreadable(path.clone()))?;
        let found = hex(Sha256::new_with_prefix(&onnx));
        if found != pin.sha256 {
            return Err(ExtractorError::PinBroken {
                name: self.name().to_owned(),
                path,
                pinned: pin.sha256,
                found,
            });
        }
        Ok(onnx)
    }

    fn pin_file(&self) -> PathBuf {
        self.folder.join("pin.toml")
    }

    fn read_pin(&self) -> io::Result<Option<Pin>> {
        match fs::read_to_string(self.pin_file()) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), HubError> {
        let path = self.folder.join(name);
        let temporary = self.folder.join(format!("{name}.tmp"));
        let text = toml::to_string(value).map_err(io::Error::other);
        let written = text.and_then(|text| {
            let mut file = File::create(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        });
        written.map_err(cannot_write(&path))
    }

    /// Downloads of other contents, which nobody will go on with.
    fn remove_parts(&self) -> Result<(), HubError> {
        let entries = fs::read_dir(&self.folder).map_err(cannot_write(&self.folder))?;
        for entry in entries.flatten() {
            if entry.path().extension().is_some_and(|end| end == "part") {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// The state after the whole of a file.
pub(super) fn digest_of(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

pub(super) fn hex(hasher: Sha256) -> String {
    let digits = hasher.finalize();
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn remove(path: &Path) -> Result<(), HubError> {
    fs::remove_file(path).map_err(cannot_write(path))
}

pub(super) fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> HubError {
    move |source| HubError::CannotWrite {
        path: path.to_owned(),
        source,
    }
}
