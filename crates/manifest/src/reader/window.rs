//! The fetches under way, and which comes next.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::group::{Group, Taken};
use crate::access::Budget;
use crate::manifest::Manifest;
use crate::place::Remote;

/// The most bytes that come with one request for several samples.
const GROUP_BYTES: u64 = 4 << 20;
/// Bytes between two samples that are fetched and thrown away rather than asked around: a few tar headers.
const GAP_BYTES: u64 = 16 << 10;
/// Samples that come with one request.
const GROUP_SAMPLES: usize = 1 << 10;
/// Samples that are asked for before they were fetched and whose turn may come yet.
const EARLY: usize = 1 << 16;

/// Where a remote sample's bytes lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spotted {
    pub(crate) remote: Remote,
    /// All of the object where it is `None`.
    pub(crate) range: Option<Range<u64>>,
    pub(crate) etag: Option<String>,
}

/// One sample's part of a fetch.
#[derive(Debug)]
pub(super) struct Slot {
    group: Arc<Group>,
    range: Option<Range<u64>>,
}

pub(super) struct Window<'a> {
    manifest: &'a Manifest,
    ahead: Box<dyn Iterator<Item = u64> + Send + 'a>,
    /// Taken from `ahead`, not yet begun.
    next: Option<(u64, Spotted)>,
    pub(super) slots: HashMap<u64, Slot>,
    groups: usize,
    budget: Budget,
    /// Read directly before `ahead` came to them.
    early: HashSet<u64>,
    /// Direct reads since a slot was taken, while all requests were under way.
    missed: usize,
}

impl Slot {
    /// Waits for the sample's bytes.
    pub(super) fn wait(self, stop: &AtomicBool) -> Taken {
        self.group.wait(self.range.as_ref(), stop)
    }
}

impl<'a> Window<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        ahead: Box<dyn Iterator<Item = u64> + Send + 'a>,
    ) -> Self {
        Self {
            manifest,
            ahead,
            next: None,
            slots: HashMap::new(),
            groups: 0,
            budget: Budget::of(manifest.access.options().prefetch_bytes),
            early: HashSet::new(),
            missed: 0,
        }
    }

    /// The sample's part of a fetch, if it is a remote one. Begins others.
    pub(super) fn take(&mut self, index: u64) -> Option<Slot> {
        self.begin();
        self.begun(index).or_else(|| self.direct(index))
    }

    fn begun(&mut self, index: u64) -> Option<Slot> {
        let slot = self.slots.remove(&index);
        match &slot {
            Some(slot) => {
                self.missed = 0;
                self.groups -= usize::from(slot.group.take());
            }
            None => self.miss(index),
        }
        slot
    }

    /// A fetch of its own for a sample that somebody waits for.
    fn direct(&mut self, index: u64) -> Option<Slot> {
        let sample = self.manifest.sample(index).ok()?;
        let Spotted {
            remote,
            range,
            etag,
        } = self.manifest.spotted(&sample)?;
        let access = &self.manifest.access;
        let ahead = access.ahead(&remote, range.clone(), etag.as_deref(), &self.budget);
        let offset = range.as_ref().map_or(0, |range| range.start);
        let group = Arc::new(Group::new(ahead.ok()?, offset, 1));
        Some(Slot { group, range })
    }

    /// Notes a direct read. Readers that ask for others than were announced would leave the window full for good; in
    /// the end it is emptied.
    fn miss(&mut self, index: u64) {
        if self.early.len() < EARLY {
            self.early.insert(index);
        }
        self.missed += usize::from(self.is_full());
        if self.missed > 4 * self.concurrency() {
            self.early.extend(self.slots.keys().take(EARLY));
            self.slots.clear();
            self.groups = 0;
            self.missed = 0;
        }
    }

    fn begin(&mut self) {
        while !self.is_full() {
            let Some(group) = self.next_group() else {
                return;
            };
            self.start(group);
        }
    }

    fn is_full(&self) -> bool {
        self.groups >= self.concurrency() || (self.groups > 0 && self.budget.is_spent())
    }

    fn concurrency(&self) -> usize {
        self.manifest.access.options().concurrency.max(1)
    }

    /// The next samples whose bytes lie close together; or one.
    fn next_group(&mut self) -> Option<Vec<(u64, Spotted)>> {
        let first = self.next_remote()?;
        let mut group = vec![first];
        while group.len() < GROUP_SAMPLES
            && let Some((index, spotted)) = self.next_remote()
        {
            if !joins(&group, &spotted) {
                self.next = Some((index, spotted));
                break;
            }
            group.push((index, spotted));
        }
        Some(group)
    }

    fn next_remote(&mut self) -> Option<(u64, Spotted)> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        loop {
            let index = self.ahead.next()?;
            if self.early.remove(&index) || self.slots.contains_key(&index) {
                continue;
            }
            // What cannot be looked up is reported when it is read.
            let sample = self.manifest.sample(index).ok();
            if let Some(spotted) = sample.and_then(|sample| self.manifest.spotted(&sample)) {
                return Some((index, spotted));
            }
        }
    }

    fn start(&mut self, group: Vec<(u64, Spotted)>) {
        let Some((_, first)) = group.first() else {
            return;
        };
        let range = span(&group);
        let etag = first.etag.as_deref();
        let access = &self.manifest.access;
        let Ok(ahead) = access.ahead(&first.remote, range.clone(), etag, &self.budget) else {
            // Refused: reported when it is read.
            return;
        };
        let offset = range.map_or(0, |range| range.start);
        let shared = Arc::new(Group::new(ahead, offset, group.len()));
        self.groups += 1;
        for (index, Spotted { range, .. }) in group {
            let group = Arc::clone(&shared);
            self.slots.insert(index, Slot { group, range });
        }
    }
}

impl fmt::Debug for Window<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Window")
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

/// Whether the sample's bytes follow closely on the group's, in the same object.
fn joins(group: &[(u64, Spotted)], next: &Spotted) -> bool {
    let (Some((_, first)), Some((_, last))) = (group.first(), group.last()) else {
        return false;
    };
    let (Some(begin), Some(end), Some(range)) = (&first.range, &last.range, &next.range) else {
        return false;
    };
    (&last.remote, &last.etag) == (&next.remote, &next.etag)
        && range.start >= end.end
        && range.start - end.end <= GAP_BYTES
        && range.end.saturating_sub(begin.start) <= GROUP_BYTES
        && begin.start <= begin.end
        && range.start <= range.end
}

/// From the first byte of the group's first sample to the last of its last; they are in order.
fn span(group: &[(u64, Spotted)]) -> Option<Range<u64>> {
    let (_, first) = group.first()?;
    let (_, last) = group.last()?;
    Some(first.range.as_ref()?.start..last.range.as_ref()?.end)
}
