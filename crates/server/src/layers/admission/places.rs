//! The places, and who waits for them.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// Whom a call is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) address: Option<IpAddr>,
    pub(super) key: Option<u64>,
}

/// A fixed number of places.
pub(super) struct Places {
    count: usize,
    /// A std mutex: nothing awaits under it, and all that is done under it takes the same time however many
    /// wait.
    state: Mutex<State>,
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

impl Places {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            count,
            state: Mutex::default(),
        })
    }

    /// A place, or a wait for one. As many may wait as there are places.
    pub(super) fn enter(this: &Arc<Self>, client: Client, may_wait: bool) -> Entry {
        let mut state = this.state();
        if state.taken < this.count {
            state.taken += 1;
            state.clients.entry(client).or_default().taken += 1;
            return Entry::Place(this.place(client));
        }
        if !may_wait || state.waiting >= this.count {
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
    /// The next that waits, with a place that is counted as taken.
    fn hand_over(&mut self, count: usize) -> Option<(Client, oneshot::Sender<Place>)> {
        let share = count.div_ceil(2);
        // Two clients at most have half of the places each.
        let mut passed = 0;
        while let Some(client) = self.turns.pop_front() {
            let Some(standing) = self.clients.get_mut(&client) else {
                continue;
            };
            let has_its_share = standing.taken >= share && !self.turns.is_empty() && passed < 2;
            if has_its_share && !standing.waiting.is_empty() {
                passed += 1;
                self.turns.push_back(client);
                continue;
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
        let next = state.hand_over(self.places.count);
        state.forget(self.client);
        drop(state);
        if let Some((client, sender)) = next {
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
        state.tidy(self.places.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn client(number: u8) -> Client {
        Client {
            address: Some(Ipv4Addr::new(10, 0, 0, number).into()),
            key: None,
        }
    }

    fn take(places: &Arc<Places>, number: u8) -> Place {
        match Places::enter(places, client(number), true) {
            Entry::Place(place) => place,
            Entry::Waiting(_) | Entry::Full => panic!("no place"),
        }
    }

    fn wait(places: &Arc<Places>, number: u8) -> Waiting {
        match Places::enter(places, client(number), true) {
            Entry::Waiting(waiting) => waiting,
            Entry::Place(_) | Entry::Full => panic!("no wait"),
        }
    }

    /// The place, if its turn has come.
    fn got(waiting: &mut Waiting) -> Option<Place> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(waiting).poll(&mut context) {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    #[test]
    fn beyond_the_places_calls_wait_and_beyond_as_many_again_they_are_refused() {
        let places = Places::new(2);
        let held = [take(&places, 1), take(&places, 1)];
        assert!(matches!(
            Places::enter(&places, client(2), false),
            Entry::Full
        ));
        let mut waiting = [wait(&places, 1), wait(&places, 1)];
        assert!(matches!(
            Places::enter(&places, client(2), true),
            Entry::Full
        ));
        drop(held);
        assert!(waiting.iter_mut().all(|waiting| got(waiting).is_some()));
        assert!(places.state().clients.is_empty() && places.state().taken == 0);
    }

    #[test]
    fn clients_take_turns() {
        let places = Places::new(4);
        let mut held: Vec<_> = (0..4).map(|_| take(&places, 1)).collect();
        let mut greedy: Vec<_> = (0..3).map(|_| wait(&places, 1)).collect();
        let mut modest = wait(&places, 2);
        // The first has more than half, so that the second's turn comes first.
        held.pop();
        let other = got(&mut modest).expect("the other's turn");
        held.pop();
        let third = got(&mut greedy[0]).expect("nobody else waits");
        assert!(got(&mut greedy[1]).is_none());
        drop((other, third));
        assert!(greedy[1..].iter_mut().all(|waiting| got(waiting).is_some()));
    }

    #[test]
    fn those_who_give_up_are_passed_over() {
        let places = Places::new(1);
        let held = take(&places, 1);
        let gone = [wait(&places, 1)];
        drop(gone);
        let mut waiting = wait(&places, 2);
        assert_eq!(places.state().waiting, 1);
        drop(held);
        let place = got(&mut waiting).expect("the next");
        // A place that is handed over and never fetched is free again.
        let unfetched = wait(&places, 3);
        drop((place, waiting));
        drop(unfetched);
        drop(take(&places, 4));
        assert!(places.state().clients.is_empty(), "nobody is remembered");
    }

    #[test]
    fn those_who_give_up_are_forgotten_though_no_place_becomes_free() {
        let places = Places::new(2);
        let held = [take(&places, 0), take(&places, 0)];
        let mut patient = wait(&places, 255);
        for number in 1..=200 {
            drop(wait(&places, number));
        }
        let state = places.state();
        let (turns, clients) = (state.turns.len(), state.clients.len());
        assert!(turns <= 4 && clients <= 5, "{turns} {clients}");
        drop(state);
        drop(held);
        assert!(got(&mut patient).is_some());
    }
}
