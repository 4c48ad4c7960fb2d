//! What a store says of a sample's content, without reading it.

use std::sync::atomic::AtomicBool;

use blake3::{Hash, Hasher};

use crate::access::{AccessError, Question, Stamp};
use crate::error::ReadError;
use crate::index::Spot;
use crate::manifest::Manifest;
use crate::place::{Place, Remote};
use crate::sample::Sample;

impl Manifest {
    /// For each sample a digest of its object's place, etag and size, and of its run of bytes in the object where it
    /// is a part of one. As long as it is the same, so are the bytes, if the store keeps its word. `None` where
    /// nothing says so: for local files, and stores that give no etag or a weak one.
    ///
    /// The place is part of it because an etag is only good for its own object: many web servers make it of size and
    /// time.
    ///
    /// What the listing did not say is asked, many samples at a time; `stop` ends that early, with
    /// [`AccessError::Interrupted`].
    pub fn etags(
        &self,
        samples: &[Sample],
        stop: &AtomicBool,
    ) -> Vec<Result<Option<Hash>, ReadError>> {
        let mut etags = Vec::with_capacity(samples.len());
        for window in samples.chunks(self.access.options().concurrency.max(1)) {
            let asked: Vec<Known> = window.iter().map(|sample| self.known(sample)).collect();
            for (sample, known) in window.iter().zip(asked) {
                etags.push(known.digest(stop).map_err(|source| ReadError::Access {
                    id: sample.id.to_string(),
                    source,
                }));
            }
        }
        etags
    }

    fn known(&self, sample: &Sample) -> Known {
        let Some((part, stamp)) = self.part(sample) else {
            return Known::Local;
        };
        match stamp.filter(|stamp| stamp.etag.is_some()) {
            Some(stamp) => Known::Said(part, stamp),
            None => match self.access.ask(&part.remote) {
                Ok(question) => Known::Asked(part, question),
                Err(error) => Known::Failed(error),
            },
        }
    }

    /// The remote object that holds the sample, and what the listing said of it.
    fn part(&self, sample: &Sample) -> Option<(Part, Option<Stamp>)> {
        let file = self.files.get(sample.file)?;
        let (place, stamp, which) = match sample.spot {
            Spot::Id | Spot::Path(_) => (
                sample.place(&file.base()).ok()?,
                sample.stamp.clone(),
                Which::All,
            ),
            Spot::Range { offset, length, .. } => {
                let place = sample.place(&file.base()).ok()?;
                (place, sample.stamp.clone(), Which::Bytes(offset, length))
            }
            Spot::Member { offset, length } => (
                file.place.clone(),
                Some(file.stamp.clone()),
                Which::Bytes(offset, length),
            ),
            Spot::Spooled { offset, length } => (
                file.place.clone(),
                Some(file.stamp.clone()),
                Which::Unpacked(offset, length),
            ),
            Spot::Row { group, row } => (
                file.place.clone(),
                Some(file.stamp.clone()),
                Which::Row(group, row),
            ),
            // The listing gave the bytes themselves.
            Spot::Assigned(_) => return None,
        };
        match place {
            Place::Remote(remote) => Some((Part { remote, which }, stamp)),
            Place::Local(_) => None,
        }
    }
}

/// Which part of which object a sample is.
struct Part {
    remote: Remote,
    which: Which,
}

enum Which {
    All,
    /// Offset and length.
    Bytes(u64, u64),
    /// The same, of what is unpacked from all files that list samples.
    Unpacked(u64, u64),
    /// Row group and row.
    Row(u32, u32),
}

/// What is known of a sample's object so far.
enum Known {
    Local,
    Said(Part, Stamp),
    Asked(Part, Question),
    Failed(AccessError),
}

impl Known {
    fn digest(self, stop: &AtomicBool) -> Result<Option<Hash>, AccessError> {
        match self {
            Self::Local => Ok(None),
            Self::Said(part, stamp) => Ok(digest(&part, &stamp)),
            Self::Asked(part, question) => Ok(digest(&part, &question.wait(stop)?)),
            Self::Failed(error) => Err(error),
        }
    }
}

/// `None` for a weak etag, which does not promise equal bytes.
fn digest(part: &Part, stamp: &Stamp) -> Option<Hash> {
    let etag = stamp
        .etag
        .as_deref()
        .filter(|etag| !etag.starts_with("W/"))?;
    let mut hasher = Hasher::new_derive_key("curriculum-manifest etag 1");
    for text in [&*part.remote.to_string(), etag] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let (tag, first, second) = match part.which {
        Which::All => (0, 0, 0),
        Which::Bytes(offset, length) => (1, offset, length),
        Which::Unpacked(offset, length) => (2, offset, length),
        Which::Row(group, row) => (3, group.into(), row.into()),
    };
    hasher.update(&[tag, u8::from(stamp.size.is_some())]);
    for number in [stamp.size.unwrap_or(0), first, second] {
        hasher.update(&number.to_le_bytes());
    }
    Some(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::access::testing::web::{Reply, Web};
    use crate::access::{Access, AccessOptions};
    use crate::source::Source;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn etags(web: &Web) -> Vec<Option<Hash>> {
        let access = Access::new(AccessOptions::default()).unwrap();
        let source = Source::new(web.url("/list.jsonl"));
        let manifest =
            Manifest::open(&source, &access, &mut |_| ControlFlow::Continue(())).unwrap();
        let samples = manifest.samples(0..manifest.len()).unwrap();
        let etags = manifest.etags(&samples, &GO_ON);
        etags.into_iter().map(|etag| etag.unwrap()).collect()
    }

    fn server(etag: &'static str, body: &'static [u8]) -> Web {
        let rows = (0..100).map(|i| format!("{{\"id\":\"{i}\",\"path\":\"{i}.png\"}}\n"));
        let list: String = rows.collect();
        Web::start(move |request| match &*request.path {
            "/list.jsonl" => Reply::object(request, list.as_bytes()),
            "/7.png" => Reply::object(request, body),
            _ => Reply::object(request, body).header("ETag", etag),
        })
    }

    #[test]
    fn are_asked_for_and_differ_where_anything_does() {
        let web = server("\"v1\"", b"12345");
        let found = etags(&web);
        assert_eq!(found[7], None);
        let mut distinct: Vec<_> = found.iter().flatten().map(Hash::to_hex).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(
            distinct.len(),
            99,
            "one server's etag for two objects says nothing"
        );
        assert_eq!(etags(&web), found);
        let requests = web.seen();
        assert!(
            requests
                .iter()
                .all(|request| { request.method == "HEAD" || request.path == "/list.jsonl" })
        );
    }

    #[test]
    fn depend_on_etag_and_size_and_not_on_weak_ones() {
        let part = |which| match Place::parse("s3://b/x") {
            Ok(Place::Remote(remote)) => Part { remote, which },
            other => panic!("{other:?}"),
        };
        let stamp = |etag: &str, size| Stamp {
            size: Some(size),
            modified_ns: None,
            etag: Some(etag.to_owned()),
        };
        let all = [
            digest(&part(Which::All), &stamp("a", 1)),
            digest(&part(Which::All), &stamp("b", 1)),
            digest(&part(Which::All), &stamp("a", 2)),
            digest(&part(Which::Bytes(0, 1)), &stamp("a", 2)),
            digest(&part(Which::Bytes(0, 2)), &stamp("a", 2)),
            digest(&part(Which::Unpacked(0, 2)), &stamp("a", 2)),
            digest(&part(Which::Row(0, 2)), &stamp("a", 2)),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(a.is_some() && !all[i + 1..].contains(a));
        }
        assert_eq!(digest(&part(Which::All), &stamp("W/a", 1)), None);
        assert_eq!(digest(&part(Which::All), &Stamp::default()), None);
        assert_eq!(etags(&server("W/\"v1\"", b"1")), vec![None; 100]);
    }

    #[test]
    fn of_local_files_are_none_and_failures_name_the_sample() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list.jsonl");
        let absent = Web::start(|_| Reply::status(404));
        let rows = format!(
            "{{\"id\":\"a\",\"path\":\"a.png\"}}\n{{\"id\":\"b\",\"path\":\"{}\"}}\n",
            absent.url("/b.png")
        );
        std::fs::write(&list, rows).unwrap();
        let source = Source::new(list.to_str().unwrap());
        let access = Access::unrestricted();
        let manifest =
            Manifest::open(&source, &access, &mut |_| ControlFlow::Continue(())).unwrap();
        let samples = manifest.samples(0..2).unwrap();
        let found = manifest.etags(&samples, &GO_ON);
        assert!(matches!(found[0], Ok(None)));
        let error = found[1].as_ref().unwrap_err().to_string();
        assert!(error.contains("`b`") && error.contains("/b.png"), "{error}");
        let stopped = manifest.etags(&samples, &AtomicBool::new(true));
        let error = stopped[1].as_ref().unwrap_err().to_string();
        assert!(error.contains("interrupted"), "{error}");
    }
}
