//! Sorting what may be more than memory: runs in a temporary file, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::ops::Range;

use crate::index::read_at;

/// Bytes held before they become a run.
const RUN_BYTES: usize = 32 << 20;
/// Bytes of each run read at a time.
const READ_BYTES: usize = 64 << 10;

/// Takes pairs of a key and what belongs to it, to give them back in order of the keys' bytes.
pub(crate) struct Sorter<'a> {
    scratch: &'a dyn Fn() -> io::Result<File>,
    run_bytes: usize,
    bytes: Vec<u8>,
    pairs: Vec<Pair>,
    file: Option<File>,
    length: u64,
    runs: Vec<Range<u64>>,
}

/// A pair's place in the bytes: the key, and its value up to `end`.
#[derive(Clone)]
struct Pair {
    key: Range<usize>,
    end: usize,
}

/// The pairs, sorted.
pub(crate) struct Sorted {
    file: Option<File>,
    runs: Vec<Run>,
    /// The next pair of each run that has one.
    next: BinaryHeap<Reverse<Next>>,
}

/// Key, value and number of the run.
type Next = (Vec<u8>, Vec<u8>, usize);

struct Run {
    left: Range<u64>,
    buffer: Vec<u8>,
    /// What of the buffer is used.
    used: usize,
}

impl<'a> Sorter<'a> {
    pub(crate) fn new(scratch: &'a dyn Fn() -> io::Result<File>) -> Self {
        Self {
            scratch,
            run_bytes: RUN_BYTES,
            bytes: Vec::new(),
            pairs: Vec::new(),
            file: None,
            length: 0,
            runs: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.pairs.push(Pair {
            key: start..start + key.len(),
            end: self.bytes.len(),
        });
        let held = self.bytes.len() + self.pairs.len() * size_of::<Pair>();
        if held < self.run_bytes {
            return Ok(());
        }
        self.write_run()
    }

    fn write_run(&mut self) -> io::Result<()> {
        let run = self.take_run();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert((self.scratch)()?),
        };
        file.write_all(&run)?;
        let end = self.length + run.len() as u64;
        self.runs.push(self.length..end);
        self.length = end;
        Ok(())
    }

    /// What is held, sorted: each pair as two lengths, key and value.
    fn take_run(&mut self) -> Vec<u8> {
        let bytes = mem::take(&mut self.bytes);
        let mut pairs = mem::take(&mut self.pairs);
        pairs.sort_unstable_by(|a, b| bytes[a.key.clone()].cmp(&bytes[b.key.clone()]));
        let mut run = Vec::with_capacity(bytes.len() + 16 * pairs.len());
        for Pair { key, end } in pairs {
            let value = &bytes[key.end..end];
            run.extend_from_slice(&(key.len() as u64).to_le_bytes());
            run.extend_from_slice(&(value.len() as u64).to_le_bytes());
            run.extend_from_slice(&bytes[key]);
            run.extend_from_slice(value);
        }
        run
    }

    pub(crate) fn finish(mut self) -> io::Result<Sorted> {
        let last = self.take_run();
        let mut runs: Vec<Run> = mem::take(&mut self.runs).into_iter().map(Run::of).collect();
        runs.push(Run {
            left: 0..0,
            buffer: last,
            used: 0,
        });
        let mut sorted = Sorted {
            file: self.file,
            runs,
            next: BinaryHeap::new(),
        };
        for run in 0..sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }
}

impl Sorted {
    /// The next pair of key and value.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(Reverse((key, value, run))) = self.next.pop() else {
            return Ok(None);
        };
        self.advance(run)?;
        Ok(Some((key, value)))
    }

    fn advance(&mut self, number: usize) -> io::Result<()> {
        let Some(run) = self.runs.get_mut(number) else {
            return Ok(());
        };
        if let Some((key, value)) = run.next(self.file.as_ref())? {
            self.next.push(Reverse((key, value, number)));
        }
        Ok(())
    }
}

impl Run {
    fn of(left: Range<u64>) -> Self {
        Self {
            left,
            buffer: Vec::new(),
            used: 0,
        }
    }

    fn next(&mut self, file: Option<&File>) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        if self.used == self.buffer.len() && self.left.is_empty() {
            return Ok(None);
        }
        let key = self.number(file)?;
        let value = self.number(file)?;
        Ok(Some((
            self.take(file, key)?.to_vec(),
            self.take(file, value)?.to_vec(),
        )))
    }

    fn number(&mut self, file: Option<&File>) -> io::Result<usize> {
        let bytes = self.take(file, 8)?.first_chunk::<8>();
        let number = bytes.map(|bytes| u64::from_le_bytes(*bytes));
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn take(&mut self, file: Option<&File>, length: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.used < length {
            self.fill(file, length)?;
        }
        let start = self.used;
        self.used += length;
        let bytes = self.buffer.get(start..self.used);
        bytes.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn fill(&mut self, file: Option<&File>, length: usize) -> io::Result<()> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let held = self.buffer.len();
        let wanted = (length - held).max(READ_BYTES) as u64;
        let more = wanted.min(self.left.end - self.left.start);
        self.buffer.resize(held + more as usize, 0);
        if let Some(file) = file {
            read_at(file, &mut self.buffer[held..], self.left.start)?;
        }
        self.left.start += more;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorts_in_memory_and_beyond(
            pairs in proptest::collection::vec(("[a-c]{0,6}", "\\PC{0,6}"), 0..60),
            run_bytes in 1..600_usize,
        ) {
            let mut sorter = Sorter::new(&tempfile::tempfile);
            sorter.run_bytes = run_bytes;
            for (key, value) in &pairs {
                sorter.push(key.as_bytes(), value.as_bytes()).unwrap();
            }
            let mut sorted = sorter.finish().unwrap();
            let mut seen = Vec::new();
            while let Some((key, value)) = sorted.next().unwrap() {
                seen.push((String::from_utf8(key).unwrap(), String::from_utf8(value).unwrap()));
            }
            prop_assert!(seen.is_sorted_by(|(a, _), (b, _)| a <= b));
            let mut pairs = pairs;
            seen.sort();
            pairs.sort();
            prop_assert_eq!(seen, pairs);
        }
    }

    #[test]
    fn reads_pairs_longer_than_its_buffer() {
        let mut sorter = Sorter::new(&tempfile::tempfile);
        sorter.run_bytes = 1;
        let long = vec![7; 3 * READ_BYTES];
        sorter.push(b"b", &long).unwrap();
        sorter.push(&long, b"").unwrap();
        let mut sorted = sorter.finish().unwrap();
        assert_eq!(sorted.next().unwrap(), Some((long.clone(), Vec::new())));
        assert_eq!(sorted.next().unwrap(), Some((b"b".to_vec(), long)));
        assert_eq!(sorted.next().unwrap(), None);
    }
}
