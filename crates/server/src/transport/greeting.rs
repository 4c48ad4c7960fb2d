//! Connections, and calls, that have not said anything yet. A client that connects and keeps silent costs others
//! nothing: such connections are bounded in number, the oldest goes for a new one, and in time.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
    future::pending,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

/// All of them.
pub(crate) struct Greetings {
    most: usize,
    /// A std mutex: nothing awaits under it.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// By age, the oldest first.
    senders: BTreeMap<u64, oneshot::Sender<()>>,
}

/// Dropped when the client has said enough.
pub(crate) struct Ticket {
    id: u64,
    greetings: Arc<Greetings>,
}

/// Why a client was not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// A newer one needed its place.
    GivenUp,
    TooLong,
}

impl Display for Silence {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::GivenUp => "silent, and given up for a newer one",
            Self::TooLong => "silent for too long",
        })
    }
}

/// What the connection itself waits for.
pub(crate) struct Greeting {
    given_up: oneshot::Receiver<()>,
    limit: Pin<Box<Sleep>>,
    over: bool,
}

impl Greetings {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            waiting: Mutex::default(),
        }
    }

    /// A new connection, which has so long to say something.
    pub(crate) fn begin(self: &Arc<Self>, limit: Duration) -> (Greeting, Ticket) {
        let (sender, given_up) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.senders.len() >= self.most
            && let Some((_, oldest)) = waiting.senders.pop_first()
        {
            let _ = oldest.send(());
        }
        let id = waiting.next;
        waiting.next += 1;
        waiting.senders.insert(id, sender);
        let greeting = Greeting {
            given_up,
            limit: Box::pin(sleep(limit)),
            over: false,
        };
        let greetings = Arc::clone(self);
        (greeting, Ticket { id, greetings })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.greetings.waiting().senders.remove(&self.id);
    }
}

impl Greeting {
    /// Why the client was not waited for any longer; never, once its ticket is dropped.
    pub(crate) async fn failed(&mut self) -> Silence {
        if !self.over {
            tokio::select! {
                given_up = &mut self.given_up => match given_up {
                    Ok(()) => return Silence::GivenUp,
                    Err(_) => self.over = true,
                },
                () = &mut self.limit => return Silence::TooLong,
            }
        }
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn the_oldest_goes_for_a_new_one() {
        let greetings = Arc::new(Greetings::new(2));
        let (mut first, _first) = greetings.begin(LONG);
        let (mut second, spoken) = greetings.begin(LONG);
        let (mut third, _third) = greetings.begin(LONG);
        assert_eq!(first.failed().await, Silence::GivenUp);
        drop(spoken);
        let (_, _fourth) = greetings.begin(LONG);
        for greeting in [&mut second, &mut third] {
            let failed = timeout(SHORT, greeting.failed()).await;
            assert!(failed.is_err(), "{failed:?}");
        }
    }

    #[tokio::test]
    async fn the_silent_are_given_up_and_those_who_spoke_are_not() {
        let greetings = Arc::new(Greetings::new(8));
        let (mut silent, _ticket) = greetings.begin(SHORT);
        assert_eq!(silent.failed().await, Silence::TooLong);
        let (mut speaking, ticket) = greetings.begin(SHORT);
        drop(ticket);
        assert!(timeout(3 * SHORT, speaking.failed()).await.is_err());
    }
}
