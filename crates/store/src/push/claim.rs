//! One writer of a push at a time.

use super::{PushError, Pushes, Result};
use std::sync::PoisonError;

/// The right to write a push, given back unless it is kept.
pub(super) struct Claim<'a> {
    pushes: &'a Pushes,
    name: &'a str,
    kept: bool,
}

impl<'a> Claim<'a> {
    pub(super) fn new(pushes: &'a Pushes, name: &'a str) -> Result<Self> {
        let mut open = pushes.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.insert(name.to_owned()) {
            true => Ok(Self {
                pushes,
                name,
                kept: false,
            }),
            false => Err(PushError::Busy(name.to_owned())),
        }
    }

    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.pushes.release(self.name);
        }
    }
}
