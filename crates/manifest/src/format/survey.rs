//! What a folder holds: images, or files that list samples.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::resolve::format_of;
use super::walk::{io, is_folder, utf8_name};
use crate::access::Access;
use crate::error::ManifestError;
use crate::extension::names_image;
use crate::format::Format;
use crate::pattern::MAX_FILES;
use crate::place::Place;

/// Folders within folders that are looked into for files that list samples.
const MAX_DEPTH: usize = 16;
/// Entries looked at before a folder without a file of a known kind is taken for an image folder.
const MAX_LOOKS: usize = 1 << 16;

/// The format of what lies in `folder`.
pub(super) fn detect(folder: &Place, access: &Access) -> Result<Format, ManifestError> {
    let mut survey = Survey::default();
    match folder {
        Place::Local(root) => survey.local(root, access)?,
        Place::Remote(_) => access.list(folder, &mut |listed| match survey.looks > MAX_LOOKS {
            true => ControlFlow::Break(()),
            false => survey.see(listed.relative),
        })?,
    }
    Ok(survey.format())
}

/// The files of `format` below `folder`, sorted by their paths; names that begin with `.` or `_` are not files of a
/// dataset.
pub(super) fn files(
    folder: &Place,
    format: Format,
    access: &Access,
) -> Result<Vec<Place>, ManifestError> {
    let mut names = Vec::new();
    match folder {
        Place::Local(root) => local_files(root, "", format, 0, &mut names)?,
        Place::Remote(_) => access.list(folder, &mut |listed| {
            if counts(listed.relative, format) {
                names.push(listed.relative.to_owned());
            }
            match names.len() > MAX_FILES {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?,
    }
    if names.len() > MAX_FILES {
        return Err(ManifestError::TooManyFiles { limit: MAX_FILES });
    }
    if names.is_empty() {
        let place = folder.to_string();
        return Err(ManifestError::Empty { place });
    }
    names.sort_unstable();
    let join = |name: String| folder.join(&name).map_err(ManifestError::from);
    names.into_iter().map(join).collect()
}

fn local_files(
    root: &Path,
    below: &str,
    format: Format,
    depth: usize,
    names: &mut Vec<String>,
) -> Result<(), ManifestError> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).map_err(io(&folder))? {
        let entry = entry.map_err(io(&folder))?;
        let is_real_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_real_folder && format_of(&Place::Local(entry.path())) != Some(format) {
            continue;
        }
        let name = utf8_name(&folder, &entry)?;
        let path = match below {
            "" => name,
            below => format!("{below}/{name}"),
        };
        if is_real_folder && depth < MAX_DEPTH && !is_hidden(&path) {
            local_files(root, &path, format, depth + 1, names)?;
        } else if !is_real_folder && counts(&path, format) {
            names.push(path);
        }
        if names.len() > MAX_FILES {
            return Err(ManifestError::TooManyFiles { limit: MAX_FILES });
        }
    }
    Ok(())
}

fn counts(path: &str, format: Format) -> bool {
    format_of(&Place::Local(PathBuf::from(path))) == Some(format) && !path.split('/').any(is_hidden)
}

fn is_hidden(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.starts_with(['.', '_'])
}

/// What was seen of a folder so far.
#[derive(Default)]
struct Survey {
    /// A tar or Parquet file at the top.
    top: Option<Format>,
    /// The same, further down.
    below: Option<Format>,
    has_folder: bool,
    image_at_top: bool,
    image_below: bool,
    looks: usize,
}

impl Survey {
    /// Takes note of a path below the folder; breaks once no other path can change the answer.
    fn see(&mut self, path: &str) -> ControlFlow<()> {
        let is_top = !path.contains('/');
        self.has_folder |= !is_top;
        self.looks += 1;
        if names_image(path) {
            match is_top {
                true => self.image_at_top = true,
                false => self.image_below = true,
            }
        } else if let Some(format @ (Format::Parquet | Format::WebDataset)) =
            format_of(&Place::Local(PathBuf::from(path)))
            && !path.split('/').any(is_hidden)
        {
            let seen = match is_top {
                true => &mut self.top,
                false => &mut self.below,
            };
            seen.get_or_insert(format);
        }
        match self.image_below {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn local(&mut self, root: &Path, access: &Access) -> Result<(), ManifestError> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(root).map_err(io(root))? {
            let entry = entry.map_err(io(root))?;
            if is_folder(&entry)? {
                self.has_folder = true;
                // A link may lead where nothing may be read; the listing reports it.
                if access.check_local(&entry.path()).is_ok() {
                    folders.push(entry.path());
                }
            } else if self.see(&entry.file_name().to_string_lossy()).is_break() {
                return Ok(());
            }
        }
        // Only names matter here, so what cannot be read is left to the listing to report.
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                    continue;
                }
                let path = entry.path();
                let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                if self.see(&path).is_break() || self.looks > MAX_LOOKS {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Images in sub-folders come first: an archive that lies beside them is likely to be where they came from.
    fn format(&self) -> Format {
        match self.top.or(self.below) {
            _ if self.image_below => Format::ImageFolder,
            Some(format) => format,
            None if self.image_at_top && !self.has_folder => Format::FlatFolder,
            None => Format::ImageFolder,
        }
    }
}
