//! Places, who has them, and who waits for them. One client, an address with its key, has at most half of them,
//! and the last eighth is for clients that have none: others come in whoever holds what it has.

use super::authorize::WithKey;
use crate::transport::Peer;
use http::Extensions;
use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// Clients whose turn it is, and who have their share, that are passed over for one place at most.
const PASSED: usize = 16;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    address: Option<IpAddr>,
    /// Its key, or its port where each connection counts for itself.
    key: Option<u64>,
}

impl Client {
    /// Whom a request is of. A network of IPv6 is one address: its machines choose among 2⁶⁴.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let peer = extensions.get::<Peer>();
        Self {
            address: peer.map(|peer| network(peer.0.ip())),
            key: extensions.get::<WithKey>().map(|key| key.0),
        }
    }

    /// The connection of a request, as if it were a client.
    pub(super) fn connection(extensions: &Extensions) -> Self {
        let peer = extensions.get::<Peer>();
        Self {
            address: peer.map(|peer| peer.0.ip()),
            key: peer.map(|peer| peer.0.port().into()),
        }
    }
}

/// An address as far as it says who somebody is.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// A fixed number of places.
pub(super) struct Places {
    rules: Rules,
    /// A std mutex: nothing awaits under it, and all that is done under it takes the same time however many
    /// wait.
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct Rules {
    count: usize,
    /// The most of one client.
    share: usize,
    /// For clients that have none.
    reserve: usize,
}

#[derive(Default)]
struct State {
    taken: usize,
    waiting: usize,
    next: u64,
    clients: HashMap<Client, Standing>,
    /// Clients that wait, whose turn it is first. One that has given up may still be among them.
    turns: VecDeque<Client>,
}

#[derive(Default)]
struct Standing {
    taken: usize,
    waiting: VecDeque<(u64, oneshot::Sender<Place>)>,
    in_turns: bool,
}

/// What comes of asking for a place.
pub(super) enum Entry {
    Place(Place),
    Waiting(Waiting),
    /// There is none, nor room to wait.
    Full,
}

/// A place that is taken until this is dropped.
pub(super) struct Place {
    client: Client,
    places: Arc<Places>,
}

/// Resolves to a place. Dropped before, nobody waits any more.
pub(super) struct Waiting {
    id: u64,
    client: Client,
    place: oneshot::Receiver<Place>,
    places: Arc<Places>,
}

impl Rules {
    /// Whether a client that has `own` of `taken` may have one more.
    fn allow(self, taken: usize, own: usize) -> bool {
        match own {
            0 => taken < self.count,
            _ => own < self.share && taken < self.count - self.reserve,
        }
    }
}

impl Places {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Self::shared(count, count.div_ceil(2))
    }

    /// Of which one client has at most `share`.
    pub(super) fn shared(count: usize, share: usize) -> Arc<Self> {
        let rules = Rules {
            count,
            share,
            reserve: count / 8,
        };
        Arc::new(Self {
            rules,
            state: Mutex::default(),
        })
    }

    /// A place, or a wait for one. As many may wait as there are places, shared in the same way.
    pub(super) fn enter(this: &Arc<Self>, client: Client, may_wait: bool) -> Entry {
        let mut state = this.state();
        let State { taken, waiting, .. } = *state;
        let standing = state.clients.entry(client).or_default();
        if this.rules.allow(taken, standing.taken) {
            standing.taken += 1;
            state.taken += 1;
            return Entry::Place(this.place(client));
        }
        if !may_wait || !this.rules.allow(waiting, standing.waiting.len()) {
            state.forget(client);
            return Entry::Full;
        }
        let (sender, place) = oneshot::channel();
        let id = state.next;
        state.next += 1;
        state.waiting += 1;
        let standing = state.clients.entry(client).or_default();
        standing.waiting.push_back((id, sender));
        if !std::mem::replace(&mut standing.in_turns, true) {
            state.turns.push_back(client);
        }
        Entry::Waiting(Waiting {
            id,
            client,
            place,
            places: Arc::clone(this),
        })
    }

    /// A place, if there is one now.
    pub(super) fn try_enter(this: &Arc<Self>, client: Client) -> Option<Place> {
        match Self::enter(this, client, false) {
            Entry::Place(place) => Some(place),
            Entry::Waiting(_) | Entry::Full => None,
        }
    }

    fn place(self: &Arc<Self>, client: Client) -> Place {
        Place {
            client,
            places: Arc::clone(self),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next that waits and may have a place that is free, which is counted as taken.
    fn hand_over(&mut self, rules: Rules) -> Option<(Client, oneshot::Sender<Place>)> {
        let mut passes = PASSED.min(self.turns.len());
        while let Some(client) = self.turns.pop_front() {
            let Some(standing) = self.clients.get_mut(&client) else {
                continue;
            };
            if !standing.waiting.is_empty() && !rules.allow(self.taken, standing.taken) {
                self.turns.push_back(client);
                passes -= 1;
                match passes {
                    0 => return None,
                    _ => continue,
                }
            }
            let next = standing.waiting.pop_front();
            standing.in_turns = !standing.waiting.is_empty();
            if standing.in_turns {
                self.turns.push_back(client);
            }
            if let Some((_, sender)) = next {
                standing.taken += 1;
                self.taken += 1;
                self.waiting -= 1;
                return Some((client, sender));
            }
            self.forget(client);
        }
        None
    }

    /// Forgets clients that have given up, once they are many: they go when their turn comes, which may be
    /// never while all places are held. Half of them have given up then, so that a client costs little.
    fn tidy(&mut self, count: usize) {
        if self.turns.len() <= 2 * count {
            return;
        }
        for client in std::mem::take(&mut self.turns) {
            let Some(standing) = self.clients.get_mut(&client) else {
                continue;
            };
            standing.in_turns = !standing.waiting.is_empty();
            match standing.in_turns {
                true => self.turns.push_back(client),
                false => self.forget(client),
            }
        }
    }

    /// Clients come and go: those that neither have nor want anything are not kept.
    fn forget(&mut self, client: Client) {
        if let Some(standing) = self.clients.get(&client)
            && standing.taken == 0
            && !standing.in_turns
        {
            self.clients.remove(&client);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        state.taken -= 1;
        if let Some(standing) = state.clients.get_mut(&self.client) {
            standing.taken -= 1;
        }
        // More than one where the place before was for none of those that waited then.
        let next: Vec<_> = std::iter::from_fn(|| state.hand_over(self.places.rules)).collect();
        state.forget(self.client);
        drop(state);
        for (client, sender) in next {
            // One that has just given up drops the place, which goes to the next.
            let _ = sender.send(self.places.place(client));
        }
    }
}

impl Future for Waiting {
    type Output = Place;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Place> {
        match Pin::new(&mut self.place).poll(context) {
            Poll::Ready(Ok(place)) => Poll::Ready(place),
            // Never an error: the sender is kept until it sends, or this is dropped.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.places.state();
        let Some(standing) = state.clients.get_mut(&self.client) else {
            return;
        };
        // In the order of their numbers; not among them once it has a place.
        let found = standing
            .waiting
            .binary_search_by_key(&self.id, |(id, _)| *id);
        if let Ok(index) = found {
            standing.waiting.remove(index);
            state.waiting -= 1;
        }
        state.tidy(self.places.rules.count);
    }
}

#[cfg(test)]
mod tests;
