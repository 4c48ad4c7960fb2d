//! Tar files of the WebDataset layout: adjacent members whose names differ only after the first dot of the file
//! name form a sample, and what they share is its key.
//!
//! The choice of members is the `webdataset` package's: plain files with a dot in their name; no hidden ones, and
//! none in a top folder called `__…__`. An image is a member whose whole extension, from the first dot, is an image
//! extension: in `7.jpg` and `7.seg.png`, the second is a mask. On purpose different: what that package would let
//! pass as a sample without its image is an error.

use std::borrow::Cow;

use serde::Deserialize;

use super::members::{Kind as MemberKind, Member, Members};
use super::tape::{Spool, Tape};
use crate::error::ManifestError;
use crate::extension::is_image;
use crate::index::{Entry, Spot};
use crate::label::{JsonLabel, json_reason};
use crate::listing::Listing;
use crate::place::Place;
use crate::source::Kind;

/// The most bytes of a `.cls` member: one label.
const MAX_CLASS_BYTES: u64 = 4 << 10;
/// The most bytes of a `.json` member, which may hold much besides the label.
const MAX_JSON_BYTES: u64 = 16 << 20;

pub(crate) fn list(place: &Place, listing: &mut Listing<'_>) -> Result<(), ManifestError> {
    let archive = listing.access.open(place)?;
    let file = listing.files.add_file(&archive);
    listing.set_kind(Kind::Images, place)?;
    let mut members = Members::of(Tape::new(&archive)?);
    let mut shard = Shard {
        place,
        file,
        listing,
    };
    shard.scan(&mut members)
}

/// One tar file while it is listed.
struct Shard<'a, 'b> {
    place: &'a Place,
    file: u32,
    listing: &'a mut Listing<'b>,
}

/// The members of one key, as far as they matter.
struct Draft {
    key: String,
    image: Option<Image>,
    class: Option<Text>,
    json: Option<Text>,
}

struct Image {
    name: String,
    spot: Spot<&'static str>,
}

/// A member that may give the label.
struct Text {
    name: String,
    /// Or why it cannot be read, which matters only if the label is looked for in it.
    content: Result<String, String>,
}

impl Shard<'_, '_> {
    fn scan(&mut self, members: &mut Members) -> Result<(), ManifestError> {
        let mut current: Option<Draft> = None;
        while let Some(member) = members.next()? {
            self.refuse_pieces(&member)?;
            let Some((key, suffix)) =
                split_name(&member.name).filter(|_| member.kind == MemberKind::File)
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
            if is_image(suffix) {
                self.refuse_second(
                    draft,
                    draft.image.as_ref().map(|image| &image.name),
                    &member,
                )?;
                draft.image = Some(Image {
                    spot: self.keep(&member, members.tape())?,
                    name: member.name,
                });
            } else if suffix.eq_ignore_ascii_case("cls") {
                self.refuse_second(draft, draft.class.as_ref().map(|text| &text.name), &member)?;
                draft.class = Some(Text::read(member, MAX_CLASS_BYTES, members.tape())?);
            } else if suffix.eq_ignore_ascii_case("json") {
                self.refuse_second(draft, draft.json.as_ref().map(|text| &text.name), &member)?;
                draft.json = Some(Text::read(member, MAX_JSON_BYTES, members.tape())?);
            }
        }
        current.map_or(Ok(()), |draft| self.finish(draft))
    }

    /// A link or a sparse file has no bytes to point at. Where one stands for a part of a sample, leaving it out
    /// would change the dataset without a word. A sparse file ends the scan in any place: the map of its pieces
    /// lies between its header and its data.
    fn refuse_pieces(&self, member: &Member) -> Result<(), ManifestError> {
        let kind = match member.kind {
            MemberKind::Sparse => "sparse file",
            MemberKind::Link if split_name(&member.name).is_some() => "link",
            MemberKind::File | MemberKind::Link | MemberKind::Other => return Ok(()),
        };
        Err(ManifestError::UnsupportedMember {
            place: self.place.to_string(),
            member: member.name.clone(),
            kind,
        })
    }

    /// A key has one member of each role.
    fn refuse_second(
        &self,
        draft: &Draft,
        first: Option<&String>,
        second: &Member,
    ) -> Result<(), ManifestError> {
        match first {
            None => Ok(()),
            Some(first) => Err(ManifestError::RepeatedMember {
                place: self.place.to_string(),
                sample: draft.key.clone(),
                first: first.clone(),
                second: second.name.clone(),
            }),
        }
    }

    /// Where the member's bytes can be read later. What is too long to be read at all is not unpacked.
    fn keep(
        &mut self,
        member: &Member,
        tape: &mut Tape,
    ) -> Result<Spot<&'static str>, ManifestError> {
        let (offset, length) = (member.offset, member.length);
        if !tape.is_packed() {
            return Ok(Spot::Member { offset, length });
        }
        let spool = match &mut self.listing.spool {
            Some(spool) => spool,
            none => {
                let file = self.listing.access.scratch_file();
                none.insert(Spool::new(file.map_err(ManifestError::scratch)?))
            }
        };
        let start = spool.end();
        if length <= self.listing.access.options().max_sample_bytes {
            tape.spool(offset, length, spool)?;
        }
        Ok(Spot::Spooled {
            offset: start,
            length,
        })
    }

    fn finish(&mut self, draft: Draft) -> Result<(), ManifestError> {
        let label = self.label(&draft)?;
        let Some(image) = &draft.image else {
            return Err(ManifestError::NoImage {
                place: self.place.to_string(),
                sample: draft.key.clone(),
            });
        };
        self.listing.rows.push(&Entry {
            id: id_of(&image.name),
            label: label.as_deref(),
            file: self.file,
            line: 0,
            spot: image.spot,
            stamp: None,
            digest: None,
        })
    }

    /// From `.cls`, else from `.json`, else from the folder that the key lies in.
    fn label<'d>(&self, draft: &'d Draft) -> Result<Option<Cow<'d, str>>, ManifestError> {
        if let Some(class) = &draft.class {
            let text = class
                .text()
                .map_err(|reason| self.bad_label(class, reason))?;
            return match text.trim() {
                "" => Err(self.bad_label(class, "it is empty".to_owned())),
                label => Ok(Some(label.into())),
            };
        }
        if let Some(json) = &draft.json {
            let text = json.text().map_err(|reason| self.bad_label(json, reason))?;
            let label =
                json_label(text).map_err(|error| self.bad_label(json, json_reason(&error)))?;
            if let Some(label) = label {
                return Ok(Some(label.0));
            }
        }
        Ok(folder_of(&draft.key).map(Cow::from))
    }

    fn bad_label(&self, text: &Text, reason: String) -> ManifestError {
        ManifestError::BadLabel {
            place: self.place.to_string(),
            member: text.name.clone(),
            reason,
        }
    }
}

impl Text {
    fn read(member: Member, limit: u64, tape: &mut Tape) -> Result<Self, ManifestError> {
        let content = match usize::try_from(member.length) {
            Ok(length) if member.length <= limit => {
                let bytes = tape.read(member.offset, length)?;
                String::from_utf8(bytes).map_err(|error| error.to_string())
            }
            Ok(_) | Err(_) => Err(format!("{} bytes, the limit is {limit}", member.length)),
        };
        Ok(Self {
            name: member.name,
            content,
        })
    }

    fn text(&self) -> Result<&str, String> {
        self.content.as_deref().map_err(Clone::clone)
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
