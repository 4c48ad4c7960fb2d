//! Lines of the log that a flood of clients must not multiply: at most one in a while, with a count.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Time between two lines on the same.
const INTERVAL: Duration = Duration::from_secs(60);

/// One thing that may happen often.
pub(super) struct Note {
    what: String,
    /// A std mutex: nothing awaits under it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    written: Option<Instant>,
    /// Since then.
    unwritten: u64,
    last: String,
}

impl Note {
    pub(super) fn new(what: String) -> Self {
        Self {
            what,
            state: Mutex::default(),
        }
    }

    /// Counts one more, and writes a line if there has been none for a while.
    pub(super) fn add(&self, last: impl Display) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.unwritten += 1;
        state.last = last.to_string();
        self.write(&mut state);
    }

    /// Writes what has been counted since the last line, if that was a while ago.
    pub(super) fn flush(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.unwritten > 0 {
            self.write(&mut state);
        }
    }

    fn write(&self, state: &mut State) {
        let now = Instant::now();
        if state.written.is_some_and(|then| now < then + INTERVAL) {
            return;
        }
        let (count, last) = (state.unwritten, &state.last);
        tracing::warn!(count, last = %last, "{}", self.what);
        (state.written, state.unwritten) = (Some(now), 0);
    }
}
