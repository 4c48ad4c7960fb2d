//! A tar file of the WebDataset layout: adjacent members whose names differ only after the first dot of the file
//! name form a sample, and what they share is its key.
//!
//! The choice of members is the `webdataset` package's: plain files with a dot in their name; no hidden ones, and
//! none in a top folder called `__…__`. An image is a member whose whole extension, from the first dot, is an image
//! extension: in `7.jpg` and `7.seg.png`, the second is a mask. On purpose different: what that package would let
//! pass as a sample without its image is an error.

use std::sync::Arc;

use serde::Deserialize;

use super::members::{Kind, Member, Members};
use crate::access::Object;
use crate::error::ManifestError;
use crate::extension::is_image;
use crate::index::{Entry, Spot};
use crate::label::{JsonLabel, json_reason};
use crate::listing::Listing;
use crate::place::Place;

/// The most bytes of a `.cls` member: one label.
const MAX_CLASS_BYTES: u64 = 4 << 10;
/// The most bytes of a `.json` member, which may hold much besides the label.
const MAX_JSON_BYTES: u64 = 16 << 20;

pub(crate) fn list(place: &Place, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    let archive = listing.access.open(place)?;
    let file = listing.files.add_file(&archive);
    let mut shard = Shard {
        archive,
        file,
        listing,
    };
    shard.scan()
}

/// One tar file while it is listed.
struct Shard<'a, 'b> {
    archive: Arc<Object>,
    file: u32,
    listing: &'a mut Listing<'b>,
}

/// The members of one key, as far as they matter.
struct Draft {
    key: String,
    image: Option<Member>,
    class: Option<Member>,
    json: Option<Member>,
}

impl Shard<'_, '_> {
    fn scan(&mut self) -> Result<(), ManifestError> {
        let mut members = Members::of(Arc::clone(&self.archive));
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
            draft.add(member, &self.archive)?;
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
            place: self.archive.place().to_string(),
            member: member.name.clone(),
            kind,
        })
    }

    fn finish(&mut self, draft: Draft) -> Result<(), ManifestError> {
        let label = self.label(&draft)?;
        let Some(image) = draft.image else {
            return Err(ManifestError::NoImage {
                place: self.archive.place().to_string(),
                sample: draft.key,
            });
        };
        self.listing.rows.push(&Entry {
            id: id_of(&image.name),
            label: label.as_deref(),
            file: self.file,
            line: 0,
            spot: Spot::Member {
                offset: image.offset,
                length: image.length,
            },
            stamp: None,
        })
    }

    /// From `.cls`, else from `.json`, else from the folder that the key lies in.
    fn label(&self, draft: &Draft) -> Result<Option<String>, ManifestError> {
        if let Some(member) = &draft.class {
            let text = self.text(member, MAX_CLASS_BYTES)?;
            return match text.trim() {
                "" => Err(self.bad_label(member, "it is empty".to_owned())),
                label => Ok(Some(label.to_owned())),
            };
        }
        if let Some(member) = &draft.json {
            let text = self.text(member, MAX_JSON_BYTES)?;
            let label =
                json_label(&text).map_err(|error| self.bad_label(member, json_reason(&error)))?;
            if let Some(label) = label {
                return Ok(Some(label.0.into_owned()));
            }
        }
        Ok(folder_of(&draft.key).map(str::to_owned))
    }

    fn text(&self, member: &Member, limit: u64) -> Result<String, ManifestError> {
        let length = match usize::try_from(member.length) {
            Ok(length) if member.length <= limit => length,
            Ok(_) | Err(_) => {
                let reason = format!("{} bytes, the limit is {limit}", member.length);
                return Err(self.bad_label(member, reason));
            }
        };
        let bytes = self.archive.read_at(member.offset, length)?;
        String::from_utf8(bytes).map_err(|error| self.bad_label(member, error.to_string()))
    }

    fn bad_label(&self, member: &Member, reason: String) -> ManifestError {
        ManifestError::BadLabel {
            place: self.archive.place().to_string(),
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
    fn add(&mut self, member: Member, archive: &Object) -> Result<(), ManifestError> {
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
                place: archive.place().to_string(),
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

/// The id of an image: its member's name, as a folder of the same images would give it.
fn id_of(name: &str) -> &str {
    let mut id = name;
    while let Some(rest) = id.strip_prefix("./") {
        id = rest.trim_start_matches('/');
    }
    id
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
