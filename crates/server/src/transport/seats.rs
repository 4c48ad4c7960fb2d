//! The connections that there are, and which of them goes for a new one when there are too many: one that has
//! never shown that it may call anything before one that has, then the one that has been idle for longest. What
//! is at work stays. Once few are left, an address has half of them at most.

use super::watched::Life;
use crate::{layers::network, metrics::CONNECTIONS};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// Connections that may be told to leave and not be gone yet, beyond the number that there may be. Others are
/// cut: the files that all of them take together are bounded.
const LEAVING: usize = 64;

/// All of them.
pub(super) struct Seats {
    most: usize,
    /// A std mutex: nothing awaits under it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// By age, the oldest first.
    taken: BTreeMap<u64, Taken>,
    addresses: HashMap<IpAddr, usize>,
    leaving: HashSet<u64>,
}

struct Taken {
    address: IpAddr,
    life: Arc<Life>,
    leave: oneshot::Sender<()>,
}

/// The right to be connected, until it is dropped.
pub(super) struct Seat {
    id: u64,
    seats: Arc<Seats>,
}

/// A connection's place among the others.
pub(super) struct Seated {
    pub(super) seat: Seat,
    /// Told when the connection must go; dropped when it must do so at once.
    pub(super) leave: oneshot::Receiver<()>,
    /// Whether another goes for it.
    pub(super) displaces: bool,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            state: Mutex::default(),
        }
    }

    /// A place for a new connection, if need be that of another; none where all others are at work.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, life: &Arc<Life>) -> Option<Seated> {
        let address = network(address);
        let mut state = self.state();
        let own = state.addresses.get(&address).copied().unwrap_or_default();
        let few_left = state.taken.len() >= self.most - self.most / 8;
        let displaces = if few_left && own >= self.most.div_ceil(2) {
            state.dismiss(Some(address))?;
            true
        } else if state.taken.len() >= self.most {
            state.dismiss(None)?;
            true
        } else {
            false
        };
        let (sender, leave) = oneshot::channel();
        let id = state.next;
        state.next += 1;
        *state.addresses.entry(address).or_default() += 1;
        let taken = Taken {
            address,
            life: Arc::clone(life),
            leave: sender,
        };
        state.taken.insert(id, taken);
        metrics::gauge!(CONNECTIONS).increment(1.0);
        let seats = Arc::clone(self);
        Some(Seated {
            seat: Seat { id, seats },
            leave,
            displaces,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells the one to leave that is needed least, of an address if one is given.
    fn dismiss(&mut self, of: Option<IpAddr>) -> Option<()> {
        let mut least = None;
        for (id, taken) in &self.taken {
            if of.is_some_and(|address| address != taken.address) {
                continue;
            }
            let need = match (taken.life.is_admitted(), taken.life.idle_since()) {
                (false, Some(_)) => (0, *id),
                (false, None) => (1, *id),
                (true, Some(since)) => (2, since),
                (true, None) => continue,
            };
            if least.is_none_or(|(least, _)| need < least) {
                least = Some((need, *id));
            }
            if need.0 == 0 {
                break;
            }
        }
        let (_, id) = least?;
        let taken = self.remove(id)?;
        // Otherwise the sender is dropped.
        if self.leaving.len() < LEAVING && taken.leave.send(()).is_ok() {
            self.leaving.insert(id);
        }
        Some(())
    }

    fn remove(&mut self, id: u64) -> Option<Taken> {
        let taken = self.taken.remove(&id)?;
        if let Some(count) = self.addresses.get_mut(&taken.address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&taken.address);
            }
        }
        Some(taken)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::gauge!(CONNECTIONS).decrement(1.0);
        let mut state = self.seats.state();
        state.leaving.remove(&self.id);
        state.remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot::error::TryRecvError;

    const A: [u8; 4] = [10, 0, 0, 1];
    const B: [u8; 4] = [10, 0, 0, 2];

    struct One {
        life: Arc<Life>,
        seated: Seated,
    }

    fn sit(seats: &Arc<Seats>, address: [u8; 4]) -> Option<One> {
        let life = Arc::default();
        let seated = seats.take(address.into(), &life)?;
        Some(One { life, seated })
    }

    fn stays(one: &mut One) -> bool {
        one.seated.leave.try_recv() == Err(TryRecvError::Empty)
    }

    fn called(one: &One) {
        one.life.begin_call();
        one.life.admit();
        one.life.end_call();
    }

    #[test]
    fn strangers_go_first_then_the_longest_idle_and_nobody_at_work() {
        let seats = Arc::new(Seats::new(4));
        let mut all = [A, A, B, B].map(|address| sit(&seats, address).unwrap());
        // The first watches without a key, the second has called, the third is at work.
        all[0].life.begin_call();
        called(&all[1]);
        called(&all[2]);
        all[2].life.begin_call();
        let mut come = Vec::new();
        for (address, goes) in [([10, 0, 0, 3], 3), ([10, 0, 0, 4], 0), ([10, 0, 0, 5], 1)] {
            assert!(stays(&mut all[goes]));
            let newcomer = sit(&seats, address).unwrap();
            assert!(newcomer.seated.displaces && !stays(&mut all[goes]));
            newcomer.life.admit();
            newcomer.life.begin_call();
            come.push(newcomer);
        }
        assert!(stays(&mut all[2]) && come.iter_mut().all(stays));
        assert!(sit(&seats, [10, 0, 0, 6]).is_none(), "all are at work");
        come.pop();
        assert!(!sit(&seats, [10, 0, 0, 6]).unwrap().seated.displaces);
    }

    #[test]
    fn an_address_has_half_once_few_are_left() {
        let seats = Arc::new(Seats::new(8));
        let mut own: Vec<_> = (0..7).map(|_| sit(&seats, A).unwrap()).collect();
        assert!(own.iter_mut().all(stays), "there are enough");
        let other = sit(&seats, B).unwrap();
        other.life.begin_call();
        other.life.admit();
        for one in &own[1..] {
            called(one);
            one.life.begin_call();
        }
        assert!(sit(&seats, A).unwrap().seated.displaces);
        assert!(!stays(&mut own[0]));
        drop(other);
        own.truncate(5);
        assert!(!sit(&seats, A).unwrap().seated.displaces);
    }

    #[test]
    fn those_who_leave_are_bounded_too() {
        let seats = Arc::new(Seats::new(1));
        let mut all: Vec<_> = (0..LEAVING + 2).map(|_| sit(&seats, A).unwrap()).collect();
        let cut = &mut all[LEAVING];
        assert_eq!(cut.seated.leave.try_recv(), Err(TryRecvError::Closed));
        assert!(stays(&mut all[LEAVING + 1]));
        drop(all);
        let state = seats.state();
        assert!(state.taken.is_empty() && state.addresses.is_empty());
        assert!(state.leaving.is_empty());
    }
}
