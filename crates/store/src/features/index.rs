//! Where each digest lies.
//!
//! The packs themselves are the truth; the index is made from them. Entries of the newest packs are in
//! memory; once there are [`RECENT`], they become a run, a sorted file. Runs cover consecutive
//! numbers of packs, and [`FAN`] of one size become one of the next, so a space of a hundred million
//! samples has a dozen runs, of which memory holds 8 bytes for 128 samples. (In sled each page of
//! some ten entries costs memory, and random inserts reach the disk one page at a time.)

use super::{
    Found,
    packs::Packs,
    run::{self, Run},
};
use crate::{Counted, Digest, Result, StoreError, files};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Row of a digest that was forgotten after the packs before.
pub(super) const FORGOTTEN: u32 = u32::MAX;

/// Entries in memory before they become a run: those of 256 full packs, some 5 MB. Tests see runs
/// merge sooner.
const RECENT: usize = if cfg!(test) { 4 * 256 } else { 256 * 256 };

/// Runs of one size that become one.
const FAN: usize = 4;

/// A digest and where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) place: Found,
}

/// What look-ups need. Copied by [`Arc`] for merges, so that readers never wait for one.
#[derive(Debug, Default)]
pub(super) struct Index {
    recent: BTreeMap<Digest, Found>,
    /// Newest first; they cover packs from 0 on without a gap.
    runs: Vec<Arc<Run>>,
}

impl Index {
    /// The runs in `folder`, as far as they cover packs from 0 on; others are removed, since the
    /// packs that they covered are read again.
    pub(super) fn open(folder: &Path, names: Vec<(u64, u64)>) -> Result<Self> {
        let mut names = names;
        // Of two that begin alike, the longer was made from the shorter.
        names.sort_unstable_by_key(|(from, to)| (*from, std::cmp::Reverse(*to)));
        let mut index = Self::default();
        for (from, to) in names {
            let path = folder.join(Run::name(from, to));
            let run = match from == index.covered() {
                true => open_run(path.clone(), from, to)?,
                false => None,
            };
            match run {
                Some(run) => index.runs.insert(0, Arc::new(run)),
                None => drop(files::remove_file(&path)?),
            }
        }
        Ok(index)
    }

    /// Packs below this number are in runs.
    pub(super) fn covered(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.to)
    }

    pub(super) fn insert(&mut self, digest: Digest, place: Found) {
        self.recent.insert(digest, place);
    }

    /// The newest place of each digest, also of those that were forgotten.
    pub(super) fn find(&self, digests: &[Digest]) -> Result<Vec<Option<Found>>> {
        let mut places: Vec<_> = digests
            .iter()
            .map(|d| self.recent.get(d).copied())
            .collect();
        let mut open: Vec<usize> = (0..digests.len())
            .filter(|at| places[*at].is_none())
            .collect();
        open.sort_unstable_by_key(|at| digests[*at]);
        for run in &self.runs {
            if open.is_empty() {
                break;
            }
            let mut wanted = open.iter().map(|at| (*at, &digests[*at]));
            run.find(&mut wanted, &mut |at, place| places[at] = Some(place))?;
            open.retain(|at| places[*at].is_none());
        }
        Ok(places)
    }

    pub(super) fn is_full(&self) -> bool {
        self.recent.len() >= RECENT
    }

    pub(super) fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    /// Entries of runs that lead into no pack of `packs`.
    pub(super) fn stale(&self, packs: &Packs) -> Result<Counted> {
        let mut stale = Counted::default();
        for run in &self.runs {
            let mut damaged = 0;
            for entry in run.entries(&mut damaged)? {
                let place = entry?.place;
                if place.row != FORGOTTEN && !packs.contains(place.pack) {
                    stale.add(run::ENTRY as u64);
                }
            }
            stale.count += damaged;
            stale.bytes += damaged * run::ENTRY as u64;
        }
        Ok(stale)
    }

    /// Writes the entries in memory as a run that ends before pack `to`.
    pub(super) fn write_recent(&self, folder: &Path, to: u64) -> Result<Run> {
        let entries = self.recent.iter();
        let entries = entries.map(|(digest, place)| (*digest, *place));
        let entries = entries.map(|(digest, place)| Ok(Entry { digest, place }));
        Run::write(folder, (self.covered(), to), entries)
    }

    /// Takes `run`, made by [`Index::write_recent`], in place of the entries in memory.
    pub(super) fn take_recent(&mut self, run: Run) {
        self.recent.clear();
        self.runs.insert(0, Arc::new(run));
    }

    /// How many of the newest runs should become one; 0 when none.
    pub(super) fn mergeable(&self) -> usize {
        let size = |run: &Arc<Run>| run.entries.max(1).ilog2() / FAN.ilog2();
        let mut sizes = self.runs.iter().map(size);
        let Some(newest) = sizes.next() else { return 0 };
        let alike = 1 + sizes.take_while(|size| *size <= newest).count();
        if alike >= FAN { alike } else { 0 }
    }

    /// Takes `run` in place of the `count` newest, which it was made from, and removes their files.
    pub(super) fn replace(&mut self, count: usize, run: Run) -> Result<()> {
        let replaced: Vec<_> = self.runs.splice(..count, [Arc::new(run)]).collect();
        let kept = self.runs.first().map(|run| run.path().to_owned());
        let gone = replaced.iter().map(|run| run.path());
        gone.filter(|path| kept.as_deref() != Some(*path))
            .try_for_each(|path| files::remove_file(path).map(drop))
    }
}

/// The run at `path`; `None` when it is damaged.
fn open_run(path: PathBuf, from: u64, to: u64) -> Result<Option<Run>> {
    match Run::open(path) {
        Ok(run) => Ok(Some(run).filter(|run| (run.from, run.to) == (from, to))),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Merges `runs`, newest first, into one over the packs of all. What lies in packs that are gone is
/// left out; and once nothing older is left that it could hide, what was forgotten too.
pub(super) fn merge(folder: &Path, runs: &[Arc<Run>], packs: &Packs) -> Result<Run> {
    let from = runs.last().map_or(0, |run| run.from);
    let to = runs.first().map_or(0, |run| run.to);
    let mut damaged = vec![0; runs.len()];
    let mut heads = Vec::new();
    for (run, damaged) in runs.iter().zip(&mut damaged) {
        heads.push(run.entries(damaged)?.peekable());
    }
    let entries = std::iter::from_fn(|| next_merged(&mut heads).transpose());
    let kept = |entry: &Entry| match entry.place.row {
        FORGOTTEN => from > 0,
        _ => packs.contains(entry.place.pack),
    };
    Run::write(
        folder,
        (from, to),
        entries.filter(|entry| entry.as_ref().map_or(true, kept)),
    )
}

/// The entry of the smallest digest; of equal ones that of the first iterator. All of them advance.
fn next_merged<I: Iterator<Item = Result<Entry>>>(
    heads: &mut [std::iter::Peekable<I>],
) -> Result<Option<Entry>> {
    let mut least: Option<Entry> = None;
    for head in &mut *heads {
        match head.peek() {
            Some(Ok(entry)) if least.is_none_or(|least| entry.digest < least.digest) => {
                least = Some(*entry);
            }
            Some(Err(_)) => return head.next().transpose(),
            Some(Ok(_)) | None => {}
        }
    }
    let Some(least) = least else { return Ok(None) };
    for head in heads {
        head.next_if(|entry| entry.as_ref().is_ok_and(|e| e.digest == least.digest));
    }
    Ok(Some(least))
}
