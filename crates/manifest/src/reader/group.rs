//! One fetch, and the samples whose bytes it brings.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::access::{AccessError, Ahead, Share};

/// Bytes that are under way or have come.
#[derive(Debug)]
pub(super) struct Group {
    /// Where they begin in their object.
    offset: u64,
    /// How many samples are in it.
    samples: usize,
    /// Samples that nobody has taken yet.
    left: AtomicUsize,
    /// Held by the first to wait, for as long as it waits: the others wait for the same.
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    UnderWay(Ahead),
    /// With what they take up of the budget.
    Here(Vec<u8>, Share),
    Failed,
}

/// What a sample got.
#[derive(Debug)]
pub(super) enum Taken {
    Bytes(Vec<u8>),
    Failed(AccessError),
    /// The group failed, which says nothing of the sample.
    Again,
}

impl Group {
    pub(super) fn new(ahead: Ahead, offset: u64, samples: usize) -> Self {
        Self {
            offset,
            samples,
            left: AtomicUsize::new(samples),
            state: Mutex::new(State::UnderWay(ahead)),
        }
    }

    /// Notes that a sample is taken. Whether it was the last.
    pub(super) fn take(&self) -> bool {
        self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// Waits for the bytes at `range` of the object; all that were fetched where it is `None`.
    pub(super) fn wait(&self, range: Option<&Range<u64>>, stop: &AtomicBool) -> Taken {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Failed);
        let (bytes, share) = match before {
            State::Failed => return Taken::Again,
            State::Here(bytes, share) => (bytes, share),
            State::UnderWay(ahead) => match ahead.wait(stop) {
                Ok(here) => here,
                Err(error @ AccessError::Interrupted { .. }) => return Taken::Failed(error),
                Err(error) if self.samples == 1 => return Taken::Failed(error),
                Err(_) => return Taken::Again,
            },
        };
        if self.samples == 1 {
            return Taken::Bytes(bytes);
        }
        let taken = match range.and_then(|range| slice(&bytes, self.offset, range)) {
            Some(part) => Taken::Bytes(part.to_vec()),
            None => Taken::Again,
        };
        *state = State::Here(bytes, share);
        taken
    }
}

fn slice<'a>(bytes: &'a [u8], offset: u64, range: &Range<u64>) -> Option<&'a [u8]> {
    let at = |position: u64| usize::try_from(position.checked_sub(offset)?).ok();
    bytes.get(at(range.start)?..at(range.end)?)
}
