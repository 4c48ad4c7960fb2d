//! A tar file of the WebDataset layout: adjacent members whose names differ only after the first dot of the file
//! name form a sample, and what they share is its key.
//!
//! The choice of members is the `webdataset` package's: plain files with a dot in their name; no hidden ones, and
//! none in a top folder called `__…__`. An image is a member whose whole extension, from the first dot, is an image
//! extension: in `7.jpg` and `7.seg.png`, the second is a mask. On purpose different: what that package would let
//! pass as a sample without its image is an error.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::members::{Kind, Member, Members};
use crate::archive::Archive;
use crate::error::ManifestError;
use crate::extension::is_image;
use crate::label::{JsonLabel, Labels, json_reason};
use crate::sample::{Location, Sample, duplicate_id};

/// The most bytes of a `.cls` member: one label.
const MAX_CLASS_BYTES: u64 = 4 << 10;
/// The most bytes of a `.json` member, which may hold much besides the label.
const MAX_JSON_BYTES: u64 = 16 << 20;

pub(crate) fn list(source: &Path) -> Result<Vec<Sample>, ManifestError> {
    let archive = Archive::open(source).map_err(ManifestError::io(source))?;
    let mut listing = Listing {
        archive: Arc::new(archive),
        labels: Labels::default(),
        samples: Vec::new(),
    };
    listing.scan()?;
    match duplicate_id(&listing.samples) {
        None => Ok(listing.samples),
        Some(duplicate) => Err(ManifestError::DuplicateKey {
            path: source.to_path_buf(),
            sample: duplicate.id.to_owned(),
        }),
    }
}

struct Listing {
    archive: Arc<Archive>,
    labels: Labels,
    samples: Vec<Sample>,
}

/// The members of one key, as far as they matter.
struct Draft {
    key: String,
    image: Option<Member>,
    class: Option<Member>,
    json: Option<Member>,
}

impl Listing {
    fn scan(&mut self) -> Result<(), ManifestError> {
        let archive = Arc::clone(&self.archive);
        let mut members = Members::of(&archive)?;
        let mut current: Option<Draft> = None;
        while let Some(member) = members.next()? {
            self.refuse_pieces(&member)?;
            let Some((key, _)) = split_name(&member.name).filter(|_| member.kind == Kind::File)
            else {
                continue;
            };
            let draft = match current.take() {
                Some(draft) if draft.key == key => current.insert(draft),
                finished => {
                    finished.map_or(Ok(()), |draft| self.finish(draft))?;
                    current.insert(Draft::new(key))
                }
            };
            draft.add(member, self.archive.path())?;
        }
        current.map_or(Ok(()), |draft| self.finish(draft))
    }

    /// A link or a sparse file has no bytes to point at. Where one stands for a part of a sample, leaving it out
    /// would change the dataset without a word. A sparse file ends the scan in any place: the map of its pieces
    /// lies between its header and its data.
    fn refuse_pieces(&self, member: &Member) -> Result<(), ManifestError> {
        let kind = match member.kind {
            Kind::Sparse => "sparse file",
            Kind::Link if split_name(&member.name).is_some() => "link",
            Kind::File | Kind::Link | Kind::Other => return Ok(()),
        };
        Err(ManifestError::UnsupportedMember {
            path: self.archive.path().to_path_buf(),
            member: member.name.clone(),
            kind,
        })
    }

    fn finish(&mut self, draft: Draft) -> Result<(), ManifestError> {
        let label = self.label(&draft)?;
        let Some(image) = draft.image else {
            return Err(ManifestError::NoImage {
                path: self.archive.path().to_path_buf(),
                sample: draft.key,
            });
        };
        self.samples.push(Sample {
            id: draft.key.into(),
            label,
            location: Location::Member {
                archive: Arc::clone(&self.archive),
                offset: image.offset,
                length: image.length,
            },
        });
        Ok(())
    }

    /// From `.cls`, else from `.json`, else from the folder that the key lies in.
    fn label(&mut self, draft: &Draft) -> Result<Option<Arc<str>>, ManifestError> {
        if let Some(member) = &draft.class {
            let text = self.text(member, MAX_CLASS_BYTES)?;
            return match text.trim() {
                "" => Err(self.bad_label(member, "it is empty".to_owned())),
                label => Ok(Some(self.labels.share(label))),
            };
        }
        if let Some(member) = &draft.json {
            let text = self.text(member, MAX_JSON_BYTES)?;
            let label =
                json_label(&text).map_err(|error| self.bad_label(member, json_reason(&error)))?;
            if let Some(label) = label {
                return Ok(Some(self.labels.share(&label.0)));
            }
        }
        Ok(folder_of(&draft.key).map(|folder| self.labels.share(folder)))
    }

    fn text(&self, member: &Member, limit: u64) -> Result<String, ManifestError> {
        let length = match usize::try_from(member.length) {
            Ok(length) if member.length <= limit => length,
            Ok(_) | Err(_) => {
                let reason = format!("{} bytes, the limit is {limit}", member.length);
                return Err(self.bad_label(member, reason));
            }
        };
        let bytes = self.archive.read_at(member.offset, length);
        let bytes = bytes.map_err(ManifestError::io(self.archive.path()))?;
        String::from_utf8(bytes).map_err(|error| self.bad_label(member, error.to_string()))
    }

    fn bad_label(&self, member: &Member, reason: String) -> ManifestError {
        ManifestError::BadLabel {
            path: self.archive.path().to_path_buf(),
            member: member.name.clone(),
            reason,
        }
    }
}

impl Draft {
    fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            image: None,
            class: None,
            json: None,
        }
    }

    /// Takes a member of this key; one that is neither image nor label only shows that the key exists.
    fn add(&mut self, member: Member, archive: &Path) -> Result<(), ManifestError> {
        let suffix = split_name(&member.name).map_or("", |(_, suffix)| suffix);
        let place = if is_image(suffix) {
            &mut self.image
        } else if suffix.eq_ignore_ascii_case("cls") {
            &mut self.class
        } else if suffix.eq_ignore_ascii_case("json") {
            &mut self.json
        } else {
            return Ok(());
        };
        match place {
            Some(first) => Err(ManifestError::RepeatedMember {
                path: archive.to_path_buf(),
                sample: self.key.clone(),
                first: first.name.clone(),
                second: member.name,
            }),
            None => {
                *place = Some(member);
                Ok(())
            }
        }
    }
}

/// A member's key and extension, split at the first dot of its file name; `None` for what is not part of a sample.
fn split_name(name: &str) -> Option<(&str, &str)> {
    let top = name.split('/').next()?;
    if top.len() >= 4 && top.starts_with("__") && top.ends_with("__") {
        return None;
    }
    let file_name = name.rsplit('/').next()?;
    let (stem, suffix) = file_name.split_once('.')?;
    let key = name.strip_suffix(suffix)?.strip_suffix('.')?;
    (!stem.is_empty()).then_some((key, suffix))
}

/// The name of the folder that a key lies in.
fn folder_of(key: &str) -> Option<&str> {
    let (folders, _) = key.rsplit_once('/')?;
    let folder = folders.rsplit('/').next()?;
    (!matches!(folder, "" | ".")).then_some(folder)
}

/// The field `label` of a JSON object. Anything but an object has none.
fn json_label(text: &str) -> Result<Option<JsonLabel<'_>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow, default)]
        label: Option<JsonLabel<'a>>,
    }
    if !text.trim_ascii_start().starts_with('{') {
        return Ok(None);
    }
    serde_json::from_str::<Fields<'_>>(text).map(|fields| fields.label)
}

#[cfg(test)]
mod tests;
