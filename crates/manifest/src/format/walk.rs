//! The images below a class folder, folder by folder, in the order of `sorted(os.walk(…, followlinks=True))`.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::access::Access;
use crate::error::ManifestError;
use crate::extension::names_image;

/// The most folders reached through links in one class. Links can multiply folders without a loop, two links per
/// level giving 2^levels; real datasets link to thousands.
const LINKED_LIMIT: usize = 1 << 20;

/// A folder and the names of the images that lie directly in it, sorted.
#[derive(Debug)]
pub(super) struct Folder {
    /// Below the root, with `/`.
    pub(super) path: String,
    pub(super) images: Vec<String>,
}

/// A walk through one class folder.
pub(super) struct Walk<'a> {
    root: &'a Path,
    access: &'a Access,
    pub(super) linked_limit: usize,
    linked: usize,
    pending: Vec<Pending>,
}

/// A folder still to be read.
struct Pending {
    /// Below the root, through links, with `/`.
    path: String,
    /// The same folder without links.
    real: PathBuf,
    /// The real folders of the links that were followed to get here.
    links: Rc<[PathBuf]>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(root: &'a Path, access: &'a Access) -> Self {
        Self {
            root,
            access,
            linked_limit: LINKED_LIMIT,
            linked: 0,
            pending: Vec::new(),
        }
    }

    /// The folders of `class`. They sort as whole path strings, as Python sorts them, so `a-b` comes before `a/b`.
    pub(super) fn images_under(mut self, class: &str) -> Result<Vec<Folder>, ManifestError> {
        let start = self.root.join(class);
        self.access.check_local(&start)?;
        self.pending.push(Pending {
            path: class.to_owned(),
            real: fs::canonicalize(&start).map_err(io(&start))?,
            links: Rc::new([]),
        });
        let mut folders = Vec::new();
        while let Some(folder) = self.pending.pop() {
            folders.push(self.read(&folder)?);
            if self.linked > self.linked_limit {
                return Err(ManifestError::TooManyLinkedFolders {
                    place: start.display().to_string(),
                    limit: self.linked_limit,
                });
            }
        }
        folders.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(folders)
    }

    fn read(&mut self, folder: &Pending) -> Result<Folder, ManifestError> {
        let path = self.root.join(&folder.path);
        let mut images = Vec::new();
        for entry in fs::read_dir(&path).map_err(io(&path))? {
            let entry = entry.map_err(io(&path))?;
            if is_folder(&entry)? {
                let below = folder.enter(&entry, &utf8_name(&path, &entry)?)?;
                if is_link(&entry)? {
                    self.access.check_local(&entry.path())?;
                }
                self.linked += usize::from(!below.links.is_empty());
                self.pending.push(below);
            } else if names_image(&entry.file_name().to_string_lossy()) {
                images.push(utf8_name(&path, &entry)?);
            }
        }
        images.sort_unstable();
        Ok(Folder {
            path: folder.path.clone(),
            images,
        })
    }
}

impl Pending {
    /// The sub-folder `name`. A link to a folder that holds it, or that holds a link followed on the way to it,
    /// would be met again and again below itself.
    fn enter(&self, entry: &DirEntry, name: &str) -> Result<Self, ManifestError> {
        let path = format!("{}/{name}", self.path);
        if !is_link(entry)? {
            return Ok(Self {
                path,
                real: self.real.join(name),
                links: Rc::clone(&self.links),
            });
        }
        let real = fs::canonicalize(entry.path()).map_err(io(&entry.path()))?;
        let links: Rc<[PathBuf]> = self.links.iter().chain([&self.real]).cloned().collect();
        if links.iter().any(|holder| holder.starts_with(&real)) {
            let place = entry.path().display().to_string();
            return Err(ManifestError::LinkLoop { place });
        }
        Ok(Self { path, real, links })
    }
}

/// Whether the entry is a folder or a link to one. A link that leads nowhere is none.
pub(super) fn is_folder(entry: &DirEntry) -> Result<bool, ManifestError> {
    let file_type = entry.file_type().map_err(io(&entry.path()))?;
    Ok(if file_type.is_symlink() {
        fs::metadata(entry.path()).is_ok_and(|target| target.is_dir())
    } else {
        file_type.is_dir()
    })
}

fn is_link(entry: &DirEntry) -> Result<bool, ManifestError> {
    let file_type = entry.file_type();
    Ok(file_type.map_err(io(&entry.path()))?.is_symlink())
}

/// The entry's name in `folder`.
pub(super) fn utf8_name(folder: &Path, entry: &DirEntry) -> Result<String, ManifestError> {
    entry
        .file_name()
        .into_string()
        .map_err(|name| ManifestError::NonUtf8Name {
            place: folder.display().to_string(),
            name: name.to_string_lossy().into_owned(),
        })
}

/// For `map_err`: the operating system's refusal, with the path it was about.
pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ManifestError {
    ManifestError::io(path.display())
}
