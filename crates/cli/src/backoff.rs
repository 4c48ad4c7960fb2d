//! Pauses between attempts to reach a server.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// Before the second attempt.
const FIRST: Duration = Duration::from_millis(100);

/// A server that comes back is found within this time.
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from a tenth of a second to five seconds, each with up to a half taken off at random, so
/// that the many clients of a server that restarts do not come back at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    give_up_after: Duration,
    /// The first failure since the last sign of life. Silence alone is none: a job may wait for hours.
    away_since: Option<Instant>,
    attempt: u32,
}

impl Backoff {
    /// Gives up once attempts have failed for `give_up_after`.
    pub(crate) fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            away_since: None,
            attempt: 0,
        }
    }

    /// The server answered.
    pub(crate) fn heard(&mut self) {
        (self.away_since, self.attempt) = (None, 0);
    }

    /// How long to wait before the next attempt, no less than what the server `asked` for; `None` once
    /// it is time to give up.
    pub(crate) fn pause(&mut self, asked: Duration) -> Option<Duration> {
        let away = self.away_since.get_or_insert_with(Instant::now).elapsed();
        let left = self.give_up_after.checked_sub(away)?;
        if left.is_zero() {
            return None;
        }
        let full = FIRST.saturating_mul(1 << self.attempt.min(10)).min(LONGEST);
        self.attempt += 1;
        let own = full.mul_f64(1.0 - 0.5 * random());
        Some(asked.saturating_add(own).min(left))
    }
}

/// In [0, 1): the standard library's hash keys differ from one to the next.
fn random() -> f64 {
    (RandomState::new().hash_one(()) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    #[test]
    fn pauses_grow_up_to_a_bound_and_start_again() {
        let mut backoff = Backoff::new(Duration::from_secs(3_600));
        let pauses: Vec<_> = (0..12).map(|_| backoff.pause(NONE).unwrap()).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2, "{pauses:?}");
        assert!(
            pauses[8..]
                .iter()
                .all(|p| *p <= LONGEST && *p >= LONGEST / 2),
            "{pauses:?}"
        );
        assert!(pauses[3] > pauses[0], "{pauses:?}");
        backoff.heard();
        assert!(backoff.pause(NONE).unwrap() <= FIRST);
    }

    #[test]
    fn a_server_is_left_alone_as_long_as_it_asks_and_no_longer_than_the_whole_time() {
        let mut backoff = Backoff::new(Duration::from_secs(60));
        let asked = Duration::from_secs(7);
        let pause = backoff.pause(asked).unwrap();
        assert!(
            pause >= asked + FIRST / 2 && pause <= asked + FIRST,
            "{pause:?}"
        );
        let pause = backoff.pause(Duration::MAX).unwrap();
        assert!(pause <= Duration::from_secs(60), "{pause:?}");
    }

    #[test]
    fn nothing_waits_past_the_end() {
        assert_eq!(Backoff::new(Duration::ZERO).pause(NONE), None);
        let mut short = Backoff::new(Duration::from_millis(1));
        assert!(
            short
                .pause(NONE)
                .is_none_or(|pause| pause <= Duration::from_millis(1))
        );
    }

    #[test]
    fn silence_before_the_first_failure_does_not_count() {
        let mut backoff = Backoff::new(Duration::from_millis(20));
        std::thread::sleep(Duration::from_millis(40));
        assert!(backoff.pause(NONE).is_some());
        std::thread::sleep(Duration::from_millis(40));
        assert_eq!(backoff.pause(NONE), None);
        backoff.heard();
        assert!(backoff.pause(NONE).is_some());
    }

    #[test]
    fn pauses_differ() {
        let first = |_| Backoff::new(LONGEST).pause(NONE).unwrap();
        let pauses: std::collections::BTreeSet<_> = (0..32).map(first).collect();
        assert!(pauses.len() > 16, "{pauses:?}");
    }
}
