//! Which samples are to be extracted, found while others are at work.

use super::StageError;
use crate::{features::Samples, metrics};
use curriculum_store::{Digest, FeatureSpace, StoreError};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Samples that may be ahead of those at work.
const AHEAD: usize = 4096;

/// The samples of a job whose content has no features, each content once.
///
/// It looks at one chunk of samples at a time, so its memory is that of a chunk and of the samples at
/// work.
pub(super) struct Plan<'a> {
    samples: Samples<'a>,
    /// Held while a chunk is looked up and while finished samples are crossed off, so that a content
    /// is always either at work or found. Never held while a sample is read or extracted.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Index of the first sample that was not looked at.
    next: u64,
    /// Samples that need no work of their own, as far as known.
    done: u64,
    to_do: VecDeque<u64>,
    /// Samples to do that are fetched ahead; they come before the others.
    announced: VecDeque<u64>,
    /// Samples to do and at work.
    planned: HashMap<u64, Planned>,
    /// Their contents.
    contents: HashSet<Digest>,
    failure: Option<StoreError>,
}

/// A sample to be extracted.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) id: String,
    pub(super) digest: Digest,
    pub(super) by_etag: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(samples: Samples<'a>) -> Self {
        Self {
            samples,
            state: Mutex::default(),
        }
    }

    /// Whether a sample is left to be extracted.
    pub(super) fn has_more(&self) -> Result<bool, StageError> {
        let mut state = self.state();
        state.look_ahead(&self.samples)?;
        Ok(!state.to_do.is_empty())
    }

    /// Samples that need no work of their own, as far as known: failed before, or of a content that is
    /// extracted.
    pub(super) fn done(&self) -> u64 {
        self.state().done
    }

    /// Where features go.
    pub(super) fn space(&self) -> &FeatureSpace {
        self.samples.space
    }

    /// Length of a feature vector.
    pub(super) fn dimension(&self) -> usize {
        self.samples.space.dimension()
    }

    /// All samples of the job.
    pub(super) fn total(&self) -> u64 {
        self.samples.count
    }

    /// The samples to extract, in order. What keeps them from being found ends them:
    /// [`Plan::failure`].
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + Send {
        std::iter::from_fn(|| {
            let mut state = self.state();
            if state.announced.is_empty()
                && let Err(error) = state.look_ahead(&self.samples)
            {
                state.failure = Some(error);
                return None;
            }
            let announced = state.announced.pop_front();
            let next = announced.or_else(|| state.to_do.pop_front());
            next.map(|index| index as usize)
        })
    }

    /// The same samples, for whoever fetches them ahead of their turn: `None` when enough are ahead,
    /// and more again later. Among local samples a reader would look for a remote one to the end.
    pub(super) fn ahead(&self) -> impl Iterator<Item = u64> + Send {
        std::iter::from_fn(|| {
            let mut state = self.state();
            if state.announced.len() >= AHEAD {
                return None;
            }
            // An error comes up again in their turn.
            state.look_ahead(&self.samples).ok()?;
            let next = state.to_do.pop_front()?;
            state.announced.push_back(next);
            Some(next)
        })
    }

    /// What kept samples from being found.
    pub(super) fn failure(&self) -> Result<(), StoreError> {
        self.state().failure.take().map_or(Ok(()), Err)
    }

    /// A sample at work.
    pub(super) fn sample(&self, index: u64) -> Option<Planned> {
        self.state().planned.get(&index).cloned()
    }

    /// Takes a sample whose features have come; its content stays at work until it is on disk.
    pub(super) fn take(&self, index: u64) -> Option<Planned> {
        self.state().planned.remove(&index)
    }

    /// These contents are on disk.
    pub(super) fn cross_off(&self, contents: &[Digest]) {
        let mut state = self.state();
        for content in contents {
            state.contents.remove(content);
        }
    }

    /// Every change is complete before anything can panic, so poison is ignored.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Looks at samples until there is something to do, or none are left.
    fn look_ahead(&mut self, samples: &Samples<'_>) -> Result<(), StoreError> {
        while self.to_do.is_empty() && self.next < samples.count {
            let some = samples.some(self.next)?;
            let mut reused = 0;
            for (sample, found) in some {
                let index = self.next;
                self.next += 1;
                match sample.digest {
                    Some(digest) if found.is_none() && self.contents.insert(digest) => {
                        self.to_do.push_back(index);
                        let planned = Planned {
                            id: sample.id,
                            digest,
                            by_etag: sample.by_etag,
                        };
                        self.planned.insert(index, planned);
                    }
                    Some(_) => {
                        reused += 1;
                        self.done += 1;
                    }
                    None => self.done += 1,
                }
            }
            metrics::samples("reused", reused);
        }
        Ok(())
    }
}
