use super::*;
use std::net::Ipv4Addr;

fn client(number: u8) -> Client {
    Client {
        address: Some(Ipv4Addr::new(10, 0, 0, number).into()),
        key: None,
    }
}

fn take(places: &Arc<Places>, number: u8) -> Place {
    Places::try_enter(places, client(number)).expect("no place")
}

fn wait(places: &Arc<Places>, number: u8) -> Waiting {
    match Places::enter(places, client(number), true) {
        Entry::Waiting(waiting) => waiting,
        Entry::Place(_) | Entry::Full => panic!("no wait"),
    }
}

fn is_full(places: &Arc<Places>, number: u8, may_wait: bool) -> bool {
    matches!(Places::enter(places, client(number), may_wait), Entry::Full)
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
    let held = [take(&places, 1), take(&places, 2)];
    assert!(is_full(&places, 3, false));
    let mut waiting = [wait(&places, 1), wait(&places, 3)];
    assert!(is_full(&places, 4, true));
    drop(held);
    assert!(waiting.iter_mut().all(|waiting| got(waiting).is_some()));
    assert!(places.state().clients.is_empty() && places.state().taken == 0);
}

#[test]
fn one_client_has_half_and_the_last_eighth_is_for_those_who_have_none() {
    let places = Places::new(16);
    let mut held: Vec<_> = (0..8).map(|_| take(&places, 1)).collect();
    assert!(is_full(&places, 1, false));
    held.extend((0..6).map(|_| take(&places, 2)));
    assert!(is_full(&places, 2, false), "fewer than half, but many");
    held.extend([take(&places, 3), take(&places, 4)]);
    assert!(is_full(&places, 5, false));
    // Nor are places handed over to those who hold theirs.
    let mut greedy: Vec<_> = (0..8).map(|_| wait(&places, 1)).collect();
    assert!(is_full(&places, 1, true), "half of those who may wait");
    greedy.extend((0..6).map(|_| wait(&places, 2)));
    let mut modest = wait(&places, 5);
    held.pop();
    let place = got(&mut modest).expect("its turn");
    assert!(greedy.iter_mut().all(|waiting| got(waiting).is_none()));
    drop(place);
    assert!(greedy.iter_mut().all(|waiting| got(waiting).is_none()));
    held.push(take(&places, 6));
    drop(held);
    while let Some(mut waiting) = greedy.pop() {
        assert!(got(&mut waiting).is_some(), "{} wait", greedy.len());
    }
    assert!(places.state().clients.is_empty() && places.state().taken == 0);
}

#[test]
fn clients_take_turns() {
    let places = Places::new(4);
    let mut held: Vec<_> = [1, 1, 2, 2].map(|n| take(&places, n)).into();
    let mut many: Vec<_> = (0..2).map(|_| wait(&places, 3)).collect();
    let mut one = wait(&places, 4);
    held.pop();
    let first = got(&mut many[0]).expect("it came first");
    held.pop();
    let second = got(&mut one).expect("the other's turn");
    assert!(got(&mut many[1]).is_none());
    drop((first, second));
    assert!(got(&mut many[1]).is_some());
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
    let held = [take(&places, 0), take(&places, 1)];
    let mut patient = wait(&places, 255);
    for number in 2..=200 {
        drop(wait(&places, number));
        assert!(is_full(&places, number, false));
    }
    let state = places.state();
    let (turns, clients) = (state.turns.len(), state.clients.len());
    assert!(turns <= 4 && clients <= 6, "{turns} {clients}");
    drop(state);
    drop(held);
    assert!(got(&mut patient).is_some());
}

#[test]
fn a_network_of_ipv6_is_one_address() {
    let network = |text: &str| network(text.parse().unwrap()).to_string();
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(network("::ffff:10.1.2.3"), "10.1.2.3");
    assert_eq!(network("10.1.2.3"), "10.1.2.3");
}
