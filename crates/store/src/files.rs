//! Files that are there completely or not at all.

use crate::{Result, StoreError, unsynced::Unsynced};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// How temporary files begin; what an interrupted run left of them goes when the folder is opened.
pub(crate) const UNFINISHED: &str = "unfinished";

/// A file on its way to its name. Dropped before [`NewFile::publish`], it leaves nothing.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    temporary: PathBuf,
    published: bool,
}

impl NewFile {
    /// Opens the temporary file; whoever holds its name alone may call this.
    pub(crate) fn create(temporary: PathBuf) -> Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&temporary)
            .map_err(StoreError::io("create", &temporary))?;
        Ok(Self {
            file,
            temporary,
            published: false,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(StoreError::io("write", &self.temporary))
    }

    /// Overwrites the first bytes.
    pub(crate) fn write_at_start(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .rewind()
            .and_then(|()| self.file.write_all(bytes))
            .map_err(StoreError::io("write", &self.temporary))
    }

    /// Puts the file under its name, and on disk with the others of `unsynced`.
    pub(crate) fn publish_later(mut self, path: &Path, unsynced: &Unsynced) -> Result<()> {
        fs::rename(&self.temporary, path).map_err(StoreError::io("rename to", path))?;
        self.published = true;
        unsynced.add(path.to_owned())
    }

    /// Puts the file on disk and under its name.
    pub(crate) fn publish(mut self, path: &Path) -> Result<()> {
        self.file
            .sync_all()
            .map_err(StoreError::io("sync", &self.temporary))?;
        fs::rename(&self.temporary, path).map_err(StoreError::io("rename to", path))?;
        self.published = true;
        // The rename itself is durable only once the folder is.
        let folder = path.parent().unwrap_or(Path::new("."));
        sync_folder(folder).map_err(StoreError::io("sync", folder))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published {
            // Whatever remains is removed when the folder is opened again.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// A folder on its way to its name. Dropped before [`NewFolder::publish`], it leaves nothing.
#[derive(Debug)]
pub(crate) struct NewFolder {
    path: PathBuf,
    published: bool,
}

impl NewFolder {
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        create_folder(&path)?;
        Ok(Self {
            path,
            published: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the folder, whose files are on disk, its name; another of that name is removed before.
    pub(crate) fn publish(mut self, name: &Path) -> Result<()> {
        remove_folder(name)?;
        fs::rename(&self.path, name).map_err(StoreError::io("rename to", name))?;
        self.published = true;
        let parent = name.parent().unwrap_or(Path::new("."));
        sync_folder(parent).map_err(StoreError::io("sync", parent))
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes `bytes` to `path` by way of `temporary`, which lies on the same file system.
pub(crate) fn write_whole(temporary: PathBuf, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(temporary)?;
    file.write(bytes)?;
    file.publish(path)
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

/// Creates `folder`, below a folder that exists, so that it survives a power cut.
pub(crate) fn create_folder(folder: &Path) -> Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => {
            let parent = folder.parent().unwrap_or(Path::new("."));
            sync_folder(parent).map_err(StoreError::io("sync", parent))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StoreError::io("create", folder)(source)),
    }
}

/// The file at `path`; `None` when there is none.
pub(crate) fn open_if_there(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("open", path)(error)),
    }
}

/// The bytes of `path`; `None` when there is no such file, [`StoreError::Corrupt`] when it is longer
/// than `limit` and so cannot be what it should be.
pub(crate) fn read_whole(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = open_if_there(path)? else {
        return Ok(None);
    };
    let length = file.metadata().map_err(StoreError::io("read", path))?.len();
    if length > limit {
        return Err(StoreError::corrupt(path.display().to_string(), "too long"));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(StoreError::io("read", path))?;
    Ok(Some(bytes))
}

/// Removes `path` if it is there.
pub(crate) fn remove_file(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("remove", path)(error)),
    }
}

/// Names in `folder`, in no order; none when there is no such folder. What is not UTF-8 is not ours.
pub(crate) fn names(folder: &Path) -> Result<impl Iterator<Item = Result<String>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(StoreError::io("list", folder)(error)),
    };
    let folder = folder.to_owned();
    let name = move |entry: io::Result<fs::DirEntry>| match entry {
        Ok(entry) => entry.file_name().into_string().ok().map(Ok),
        Err(error) => Some(Err(StoreError::io("list", &folder)(error))),
    };
    Ok(entries.into_iter().flatten().filter_map(name))
}

/// Removes what interrupted runs left in `folder`.
pub(crate) fn remove_unfinished(folder: &Path) -> Result<()> {
    for name in names(folder)? {
        let name = name?;
        if !name.starts_with(UNFINISHED) {
            continue;
        }
        let path = folder.join(name);
        match path.is_dir() {
            true => drop(remove_folder(&path)?),
            false => drop(remove_file(&path)?),
        }
    }
    Ok(())
}

/// Removes `folder` and all in it, if it is there; returns the bytes of its files.
pub(crate) fn remove_folder(folder: &Path) -> Result<u64> {
    let bytes = folder_bytes(folder)?;
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StoreError::io("remove", folder)(error)),
    }
}

/// Bytes of the files in `folder`; 0 when there is no such folder.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for name in names(folder)? {
        bytes += file_bytes(&folder.join(name?))?;
    }
    Ok(bytes)
}

/// Bytes of the file at `path`; 0 when it is gone.
pub(crate) fn file_bytes(path: &Path) -> Result<u64> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// A file that ends early is damaged; anything else is the disk's fault.
pub(crate) fn read_error(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            StoreError::corrupt(path.display().to_string(), "too short")
        }
        _ => StoreError::io("read", path)(error),
    }
}
