//! Digests that stand for a manifest: of what was listed, and of what was read.
//!
//! Both hash a sequence of frames. Text is preceded by its length, and whatever may be absent by a byte that says
//! so; hence no two sequences of samples give the same bytes to the hash.

use blake3::{Hash, Hasher};

use crate::access::{Look, Stamp};
use crate::error::{ManifestError, ReadErrorKind};
use crate::index::Spot;
use crate::manifest::Manifest;
use crate::place::Place;
use crate::sample::Sample;

/// The digest of a manifest's content: the ids, the labels and the bytes of its samples, in order.
///
/// It depends neither on where the bytes lie nor on the format that listed them, so equal samples give an equal
/// digest on any machine. Push the samples in manifest order.
#[derive(Debug, Clone)]
pub struct ContentDigest(Frames);

impl ContentDigest {
    /// The digest of no sample.
    #[must_use]
    pub fn new() -> Self {
        Self(Frames::new("curriculum-manifest content 1"))
    }

    /// Adds the next sample: the BLAKE3 hash of its bytes, or why there are none.
    pub fn push(&mut self, sample: &Sample, bytes: Result<Hash, ReadErrorKind>) -> &mut Self {
        let bytes = bytes.map_err(ReadErrorKind::as_str);
        self.push_kept(&sample.id, sample.label.as_deref(), bytes)
    }

    /// As [`push`](Self::push), from what was kept of a sample: its id, its label, and the hash or the
    /// [kind](ReadErrorKind::as_str) of error.
    pub fn push_kept(
        &mut self,
        id: &str,
        label: Option<&str>,
        bytes: Result<Hash, &str>,
    ) -> &mut Self {
        self.0.text(id);
        self.0.optional_text(label);
        match bytes {
            Ok(hash) => {
                self.0.tag(0);
                self.0.bytes(hash.as_bytes());
            }
            Err(kind) => {
                self.0.tag(1);
                self.0.text(kind);
            }
        }
        self
    }

    /// The digest of the samples pushed so far.
    #[must_use]
    pub fn finish(&self) -> Hash {
        self.0.finish()
    }
}

impl Default for ContentDigest {
    fn default() -> Self {
        Self::new()
    }
}

/// The digest behind [`Manifest::fingerprint`].
pub(crate) fn fingerprint(manifest: &Manifest) -> Result<Hash, ManifestError> {
    let mut frames = Frames::new("curriculum-manifest fingerprint 2");
    frames.text(manifest.format().as_str());
    let mut last_file = None;
    manifest.index.visit(0..manifest.len(), &mut |sample| {
        frames.text(&sample.id);
        frames.optional_text(sample.label.as_deref());
        frames.spot(&sample.spot);
        if let Some(digest) = &sample.digest {
            // No stamp begins so.
            frames.tag(2);
            frames.bytes(digest);
        }
        let Some(file) = manifest.files.get(sample.file) else {
            return Ok(());
        };
        match &sample.spot {
            Spot::Id | Spot::Path(_) | Spot::Range { .. } => match sample.place(&file.base()) {
                Ok(place) => frames.stamp(look(manifest, &place, sample.stamp.as_ref())),
                Err(_) => frames.tag(0),
            },
            // A file of many samples is looked at once.
            Spot::Member { .. } | Spot::Spooled { .. } | Spot::Row { .. } | Spot::Assigned(_)
                if last_file != Some(sample.file) =>
            {
                frames.stamp(look(manifest, &file.place, Some(&file.stamp)));
                last_file = Some(sample.file);
            }
            Spot::Member { .. } | Spot::Spooled { .. } | Spot::Row { .. } | Spot::Assigned(_) => {}
        }
        Ok::<_, ManifestError>(())
    })?;
    Ok(frames.finish())
}

/// The state of a file: as it is now where it is local, as it was `listed` where it is not. `None` where nothing
/// is known or nothing is there.
fn look(manifest: &Manifest, place: &Place, listed: Option<&Stamp>) -> Option<Stamp> {
    match place {
        Place::Remote(_) => listed.cloned(),
        Place::Local(_) => match manifest.access.look(place) {
            Ok(Look::File(stamp)) => Some(stamp),
            Ok(Look::Folder) | Err(_) => None,
        },
    }
}

#[derive(Debug, Clone)]
struct Frames(Hasher);

impl Frames {
    /// `context` sets apart digests of different meaning; changing it changes them all.
    fn new(context: &str) -> Self {
        Self(Hasher::new_derive_key(context))
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn tag(&mut self, tag: u8) {
        self.bytes(&[tag]);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    fn optional_text(&mut self, text: Option<&str>) {
        self.tag(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    /// Where the bytes lie, relative to the file that lists the sample.
    fn spot(&mut self, spot: &Spot<Box<str>>) {
        match spot {
            Spot::Id => self.tag(0),
            Spot::Path(path) => {
                self.tag(1);
                self.text(path);
            }
            Spot::Range {
                path,
                offset,
                length,
            } => {
                self.tag(2);
                self.optional_text(path.as_deref());
                self.run(*offset, *length);
            }
            Spot::Member { offset, length } => {
                self.tag(3);
                self.run(*offset, *length);
            }
            Spot::Spooled { offset, length } => {
                self.tag(4);
                self.run(*offset, *length);
            }
            Spot::Row { group, row } => {
                self.tag(5);
                self.run((*group).into(), (*row).into());
            }
            Spot::Assigned(bytes) => {
                self.tag(6);
                self.bytes(bytes);
            }
        }
    }

    fn run(&mut self, offset: u64, length: u64) {
        self.number(offset);
        self.number(length);
    }

    fn optional_number(&mut self, number: Option<u64>) {
        self.tag(u8::from(number.is_some()));
        self.number(number.unwrap_or(0));
    }

    /// The state of a file, or that nothing is known of it.
    fn stamp(&mut self, stamp: Option<Stamp>) {
        let Some(stamp) = stamp else {
            return self.tag(0);
        };
        self.tag(1);
        self.optional_number(stamp.size);
        let modified = stamp.modified_ns.unwrap_or(u128::MAX);
        self.bytes(&modified.to_le_bytes());
        self.optional_text(stamp.etag.as_deref());
    }

    fn finish(&self) -> Hash {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Row = (String, Option<String>, Result<u8, bool>);

    fn digest(rows: &[Row]) -> Hash {
        let mut digest = ContentDigest::new();
        for (id, label, bytes) in rows {
            let sample = Sample {
                id: id.as_str().into(),
                label: label.as_deref().map(Into::into),
                file: 0,
                line: 0,
                spot: Spot::Id,
                stamp: None,
                digest: None,
            };
            let bytes = bytes.map(|byte| blake3::hash(&[byte]));
            digest.push(&sample, bytes.map_err(kind));
        }
        digest.finish()
    }

    fn kind(missing: bool) -> ReadErrorKind {
        if missing {
            ReadErrorKind::NotFound
        } else {
            ReadErrorKind::Io
        }
    }

    fn row(id: &str, label: Option<&str>) -> Row {
        (id.into(), label.map(Into::into), Ok(0))
    }

    #[test]
    fn framing_keeps_neighbours_apart() {
        let rows = [
            vec![],
            vec![row("ab", None)],
            vec![row("ab", Some(""))],
            vec![row("a", Some("b"))],
            vec![row("", Some("ab"))],
            vec![row("a", None), row("b", None)],
            vec![row("b", None), row("a", None)],
            vec![("ab".into(), None, Err(true))],
            vec![("ab".into(), None, Err(false))],
        ];
        for (i, a) in rows.iter().enumerate() {
            for b in &rows[i + 1..] {
                assert_ne!(digest(a), digest(b), "{a:?} and {b:?}");
            }
        }
    }

    /// The value is stored with versions: a change of framing must be a decision, not an accident.
    #[test]
    fn content_digest_is_pinned() {
        let rows = [row("a/1.png", Some("a")), ("b".into(), None, Err(true))];
        assert_eq!(
            digest(&rows).to_hex().as_str(),
            "395f2eacf289b967453dcf117de552b43247597a17f66c80d91cdfb418a5b294"
        );
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let bytes = prop_oneof![
            (0..2u8).prop_map(Ok),
            proptest::bool::ANY.prop_map(Err::<u8, bool>)
        ];
        let row = ("[ab]{0,2}", proptest::option::of("[ab]{0,2}"), bytes);
        proptest::collection::vec(row, 0..3)
    }

    proptest! {
        #[test]
        fn equal_digests_mean_equal_rows(a in rows(), b in rows()) {
            prop_assert_eq!(digest(&a) == digest(&b), a == b);
        }
    }
}
