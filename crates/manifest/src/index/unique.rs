//! Whether ids are unique, in bounded memory.
//!
//! Of each id 16 bytes are kept, of a BLAKE3 hash under a key of this process's own, so that nobody can choose ids
//! that meet. They are shared out by their first byte among 256 parts; past [`IN_MEMORY`] ids the parts move to a
//! temporary file, and at the end each part is looked through by itself. What moves is looked through too, so that a
//! source that repeats itself without end is found out early. For 100,000,000 ids that is a file of
//! 2.4 GB, and about 40 MB of memory.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::ops::ControlFlow;

use super::read_at;

const PARTS: usize = 256;
/// Ids kept in memory: 24 MiB.
const IN_MEMORY: usize = 1 << 20;

/// Two words of hash, then the index of the row.
type Key = [u64; 3];

/// Takes the ids in order of their rows.
pub(super) struct Unique {
    secret: [u8; 32],
    parts: Vec<Part>,
    /// Keys in memory, over all parts.
    held: usize,
    limit: usize,
    rows: u64,
    spill: Option<Spill>,
    /// A repetition among keys that moved to the file.
    found: Option<Duplicate>,
}

#[derive(Default)]
struct Part {
    held: Vec<Key>,
    /// Where its earlier keys lie in the file, and how many.
    spilled: Vec<(u64, usize)>,
}

struct Spill {
    file: File,
    length: u64,
}

/// Two rows of one id, and the second of them the first in its manifest to repeat one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) first: u64,
    pub(crate) second: u64,
}

impl Unique {
    pub(super) fn new() -> Self {
        Self::with_limit(IN_MEMORY)
    }

    fn with_limit(limit: usize) -> Self {
        let mut secret = [0; 32];
        for (i, word) in secret.chunks_mut(8).enumerate() {
            word.copy_from_slice(&RandomState::new().hash_one(i).to_le_bytes());
        }
        Self {
            secret,
            parts: (0..PARTS).map(|_| Part::default()).collect(),
            held: 0,
            limit,
            rows: 0,
            spill: None,
            found: None,
        }
    }

    /// Adds the id of the next row. `scratch` makes a temporary file.
    pub(super) fn push(
        &mut self,
        id: &str,
        scratch: &dyn Fn() -> io::Result<File>,
    ) -> io::Result<()> {
        let hash = blake3::keyed_hash(&self.secret, id.as_bytes());
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        let part = usize::from(words[0][0]);
        let key = [
            u64::from_le_bytes(words[0]),
            u64::from_le_bytes(words[1]),
            self.rows,
        ];
        self.parts[part].held.push(key);
        self.held += 1;
        self.rows += 1;
        if self.held >= self.limit {
            self.spill(scratch)?;
        }
        Ok(())
    }

    /// A repetition that is known already; what is pushed after it need not be looked at.
    pub(super) fn found(&self) -> Option<Duplicate> {
        self.found
    }

    fn spill(&mut self, scratch: &dyn Fn() -> io::Result<File>) -> io::Result<()> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill {
                file: scratch()?,
                length: 0,
            }),
        };
        for part in &mut self.parts {
            part.held.sort_unstable();
            earlier(&mut self.found, &part.held);
            let bytes: &[u8] = bytemuck::cast_slice(&part.held);
            spill.file.write_all(bytes)?;
            part.spilled.push((spill.length, part.held.len()));
            spill.length += bytes.len() as u64;
            part.held.clear();
        }
        self.held = 0;
        Ok(())
    }

    /// The first row whose id was used before. `proceed` is asked between parts; the answer is the error
    /// [`io::ErrorKind::Interrupted`] once it breaks.
    pub(super) fn finish(
        self,
        proceed: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> io::Result<Option<Duplicate>> {
        let mut found = self.found;
        let mut keys = Vec::new();
        for part in self.parts {
            if proceed().is_break() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            keys.clear();
            keys.extend_from_slice(&part.held);
            for (offset, count) in part.spilled {
                let start = keys.len();
                keys.resize(start + count, [0; 3]);
                if let Some(spill) = &self.spill {
                    let bytes = bytemuck::cast_slice_mut(&mut keys[start..]);
                    read_at(&spill.file, bytes, offset)?;
                }
            }
            keys.sort_unstable();
            earlier(&mut found, &keys);
        }
        Ok(found)
    }
}

/// Looks for a repetition in sorted keys that is earlier than the one `found`.
fn earlier(found: &mut Option<Duplicate>, keys: &[Key]) {
    for pair in keys.windows(2) {
        let ([a, b, first], [c, d, second]) = (pair[0], pair[1]);
        if (a, b) == (c, d) && found.is_none_or(|found| second < found.second) {
            *found = Some(Duplicate { first, second });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn find(ids: &[String], limit: usize) -> Option<Duplicate> {
        let mut unique = Unique::with_limit(limit);
        for id in ids {
            unique.push(id, &tempfile::tempfile).unwrap();
        }
        unique.finish(&mut || ControlFlow::Continue(())).unwrap()
    }

    fn by_map(ids: &[String]) -> Option<Duplicate> {
        let mut seen = HashMap::new();
        for (second, id) in (0..).zip(ids) {
            if let Some(first) = seen.insert(id, second) {
                return Some(Duplicate { first, second });
            }
        }
        None
    }

    #[test]
    fn finds_one_among_many_that_were_spilled() {
        let mut ids: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
        assert_eq!(find(&ids, 512), None);
        ids[19_999] = "7".to_owned();
        let expected = Duplicate {
            first: 7,
            second: 19_999,
        };
        assert_eq!(find(&ids, 512), Some(expected));
    }

    #[test]
    fn finds_out_early_about_endless_repetition() {
        let mut unique = Unique::with_limit(64);
        for _ in 0..64 {
            assert_eq!(unique.found(), None);
            unique.push("again", &tempfile::tempfile).unwrap();
        }
        let expected = Duplicate {
            first: 0,
            second: 1,
        };
        assert_eq!(unique.found(), Some(expected));
    }

    #[test]
    fn stops_when_asked() {
        let unique = Unique::new();
        let error = unique.finish(&mut || ControlFlow::Break(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(ids in proptest::collection::vec("[ab]{0,4}", 0..24), limit in 1..30_usize) {
            prop_assert_eq!(find(&ids, limit), by_map(&ids));
        }
    }
}
