//! Nobody takes more than their share: connections and requests per guest, per namespace and in all. And nobody makes
//! connections, or asks on those that are open, faster than its share.
//!
//! A connection past its limit is closed at once; a request past its limit waits its turn behind its own kind. So a
//! guest that floods or stalls waits for itself, and a namespace full of them takes nothing of what is assured to others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::Limits;
use super::route::Origin;
use crate::complaint::Complaint;
use crate::model::Target;
use crate::pace::{self, Pace, Who};

/// Of what a namespace may have, newcomers may have one part in so many: each of them may be a made-up address of one machine.
const NEWCOMERS: usize = 2;

/// What all namespaces share.
#[derive(Debug)]
pub(super) struct Commons {
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    /// Of connections made, also those that end at once; and of requests.
    paces: ArcSwap<pace::Budgets>,
}

/// Who is connected in one namespace.
#[derive(Debug)]
pub(super) struct Door {
    limits: Limits,
    commons: Arc<Commons>,
    /// Requests that are not of the common budget.
    assured: Arc<Semaphore>,
    /// Requests of newcomers.
    newcomers: Arc<Semaphore>,
    inside: Mutex<Inside>,
    paces: Mutex<Paces>,
    throttling: Complaint,
}

#[derive(Debug)]
struct Paces {
    connects: Pace<Origin>,
    requests: Pace<Origin>,
}

#[derive(Debug, Default)]
struct Inside {
    connections: usize,
    /// Those of newcomers.
    newcomers: usize,
    /// Those with a connection.
    guests: HashMap<Name, Guest>,
}

/// `None`: any of the addresses that are no machine's. Else who forges addresses would be many guests. Newcomers are told apart:
/// there it is not known whose an address is before it has asked, and who has a connection has that address.
type Name = Option<Origin>;

#[derive(Debug)]
struct Guest {
    connections: usize,
    requests: Arc<Semaphore>,
}

/// A guest's connection, for as long as this lives.
#[derive(Debug)]
pub(super) struct Seat {
    door: Arc<Door>,
    who: Who<Origin>,
    requests: Arc<Semaphore>,
    _of_all: Option<OwnedSemaphorePermit>,
}

/// A request under way, for as long as this lives.
#[derive(Debug)]
pub(super) struct Permit {
    _of_guest: OwnedSemaphorePermit,
    _of_newcomers: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

impl Commons {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::new(Semaphore::new(limits.connections)),
            requests: Arc::new(Semaphore::new(limits.requests)),
            paces: ArcSwap::from_pointee(pace::Limits::METADATA),
        })
    }

    pub(super) fn pace(&self, budgets: pace::Budgets) {
        self.paces.store(Arc::new(budgets));
    }
}

impl Paces {
    fn new(budgets: pace::Budgets, now: Instant) -> Self {
        Self {
            connects: Pace::new(budgets, now),
            requests: Pace::new(budgets, now),
        }
    }
}

fn name(who: Who<Origin>) -> Name {
    match who {
        Who::Known(origin) | Who::Newcomer(origin) => Some(origin),
        Who::Other(_) => None,
    }
}

impl Door {
    pub(super) fn new(limits: &Limits, commons: &Arc<Commons>) -> Arc<Self> {
        Arc::new(Self {
            assured: Arc::new(Semaphore::new(limits.assured_requests)),
            newcomers: Arc::new(Semaphore::new(limits.requests.div_ceil(NEWCOMERS))),
            limits: limits.clone(),
            commons: Arc::clone(commons),
            inside: Mutex::default(),
            paces: Mutex::new(Paces::new(**commons.paces.load(), Instant::now())),
            throttling: Complaint::default(),
        })
    }

    /// Says that guests `of` this target have more than their share.
    pub(super) fn complain(&self, of: Target, now: Instant) {
        if let Some(times) = self.throttling.due(now) {
            let loudest = self.loudest(now).map(|guest| guest.address.to_string());
            warn!(%of, loudest, times, "dropped connections to metadata, or delayed requests, of who made more than its share");
        }
    }

    /// Counts a connection that was made. Whether its guest has not made too many, and how long to accept no more.
    pub(super) fn knock(&self, who: Who<Origin>, now: Instant) -> (bool, Duration) {
        let pace = &mut self.paces().connects;
        (pace.admits(who, now), pace.read(1, now))
    }

    /// Who makes too many connections; where nobody does, who asks too often on those that are open.
    pub(super) fn loudest(&self, now: Instant) -> Option<Origin> {
        let paces = self.paces();
        let by_connects = paces.connects.loudest(now);
        by_connects.or_else(|| paces.requests.loudest(now))
    }

    /// With the budgets that hold now.
    fn paces(&self) -> MutexGuard<'_, Paces> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let budgets = **self.commons.paces.load();
        paces.connects.set(budgets);
        paces.requests.set(budgets);
        paces
    }

    /// `None`: this guest, this namespace or all together have as many connections as they may.
    pub(super) fn admit(self: &Arc<Self>, who: Who<Origin>) -> Option<Seat> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.limits.connections_per_namespace;
        let is_newcomer = matches!(who, Who::Newcomer(_));
        if inside.connections >= most
            || (is_newcomer && inside.newcomers >= most.div_ceil(NEWCOMERS))
        {
            return None;
        }
        let of_all = if inside.connections < self.limits.assured_connections {
            None
        } else {
            let all = Arc::clone(&self.commons.connections);
            Some(all.try_acquire_owned().ok()?)
        };
        let guest = inside.guests.entry(name(who)).or_insert_with(|| Guest {
            connections: 0,
            requests: Arc::new(Semaphore::new(self.limits.requests_per_guest)),
        });
        if guest.connections >= self.limits.connections_per_guest {
            return None;
        }
        guest.connections += 1;
        let requests = Arc::clone(&guest.requests);
        inside.connections += 1;
        inside.newcomers += usize::from(is_newcomer);
        Some(Seat {
            door: Arc::clone(self),
            who,
            requests,
            _of_all: of_all,
        })
    }
}

impl Seat {
    pub(super) fn origin(&self) -> Origin {
        let (Who::Known(origin) | Who::Newcomer(origin) | Who::Other(origin)) = self.who;
        origin
    }

    /// Counts a request. How long it is to wait, since its guest has asked more often than its share.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.door.paces().requests.defer(self.who, now)
    }

    fn is_newcomer(&self) -> bool {
        matches!(self.who, Who::Newcomer(_))
    }

    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    /// A permit, if neither this guest nor those it counts with are at their limit.
    pub(super) fn try_begin(&self) -> Option<Permit> {
        let of_guest = Arc::clone(&self.requests).try_acquire_owned().ok()?;
        let of_newcomers = if self.is_newcomer() {
            Some(Arc::clone(&self.door.newcomers).try_acquire_owned().ok()?)
        } else {
            None
        };
        let all = Arc::clone(&self.door.commons.requests).try_acquire_owned();
        let of_all = all.or_else(|_full| Arc::clone(&self.door.assured).try_acquire_owned());
        Some(Permit {
            _of_guest: of_guest,
            _of_newcomers: of_newcomers,
            _of_all: of_all.ok()?,
        })
    }

    /// Waits for a permit: first among this guest's requests, then among those of its namespace and of all. Cancel-safe.
    pub(super) async fn begin(&self) -> Permit {
        let open = "these semaphores are never closed";
        let of_guest = Arc::clone(&self.requests).acquire_owned().await;
        let of_newcomers = if self.is_newcomer() {
            let permit = Arc::clone(&self.door.newcomers).acquire_owned().await;
            Some(permit.expect(open))
        } else {
            None
        };
        let of_all = tokio::select! {
            permit = Arc::clone(&self.door.commons.requests).acquire_owned() => permit,
            permit = Arc::clone(&self.door.assured).acquire_owned() => permit,
        };
        Permit {
            _of_guest: of_guest.expect(open),
            _of_newcomers: of_newcomers,
            _of_all: of_all.expect(open),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let inside = self.door.inside.lock();
        let mut inside = inside.unwrap_or_else(PoisonError::into_inner);
        inside.connections -= 1;
        inside.newcomers -= usize::from(self.is_newcomer());
        if let Entry::Occupied(mut guest) = inside.guests.entry(name(self.who)) {
            guest.get_mut().connections -= 1;
            if guest.get().connections == 0 {
                guest.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest_at(last: u8) -> Origin {
        Origin::new([10, 0, 0, last].into(), None)
    }

    fn known(last: u8) -> Who<Origin> {
        Who::Known(guest_at(last))
    }

    fn stranger(last: u8) -> Who<Origin> {
        Who::Other(guest_at(last))
    }

    #[test]
    fn connections_are_bounded_per_guest_per_namespace_and_in_all() {
        let limits = Limits {
            connections: 2,
            connections_per_namespace: 4,
            connections_per_guest: 2,
            assured_connections: 1,
            ..Limits::default()
        };
        let commons = Commons::new(&limits);
        let [red, blue, green] = [(); 3].map(|()| Door::new(&limits, &commons));
        let mut seats = Vec::new();
        for (name, door, guest, want) in [
            ("first", &red, known(1), true),
            ("second of a guest", &red, known(1), true),
            ("third of a guest", &red, known(1), false),
            ("the same guest's address elsewhere", &blue, known(1), true),
            ("a stranger", &blue, stranger(7), true),
            ("past all", &blue, known(2), false),
            ("but everyone may have one", &green, known(1), true),
            ("and no more", &green, known(1), false),
        ] {
            let seat = door.admit(guest);
            assert_eq!(seat.is_some(), want, "{name}");
            seats.extend(seat);
        }
        seats.clear();
        assert!(red.inside.lock().expect("no panic").guests.is_empty());
        for guest in 1..=3 {
            let seat = red.admit(stranger(guest));
            assert_eq!(seat.is_some(), guest < 3, "strangers count as one guest");
            seats.extend(seat);
        }
    }

    #[test]
    fn newcomers_are_guests_of_their_own_and_leave_room() {
        let limits = Limits {
            connections_per_namespace: 8,
            connections_per_guest: 2,
            requests: 2,
            ..Limits::default()
        };
        let door = Door::new(&limits, &Commons::new(&limits));
        let newcomer = |last| Who::Newcomer(guest_at(last));
        let mut seats = Vec::new();
        for (name, guest, want) in [
            ("first", newcomer(1), true),
            ("second", newcomer(1), true),
            ("third", newcomer(1), false),
            ("the same, once it is known", known(1), false),
            ("another", newcomer(2), true),
            ("and another", newcomer(3), true),
            ("past half of all", newcomer(4), false),
            ("that is for the known", known(4), true),
        ] {
            let seat = door.admit(guest);
            assert_eq!(seat.is_some(), want, "{name}");
            seats.extend(seat);
        }
        let request = seats[0].try_begin();
        assert!(request.is_some());
        assert!(seats[2].try_begin().is_none(), "past half of all");
        assert!(seats[4].try_begin().is_some(), "that is for the known");
        seats.remove(2);
        assert!(door.admit(newcomer(4)).is_some(), "room again");
    }

    #[test]
    fn a_namespace_has_an_end() {
        let limits = Limits {
            connections_per_namespace: 3,
            ..Limits::default()
        };
        let door = Door::new(&limits, &Commons::new(&limits));
        let seats = [1, 2, 3, 4].map(|guest| door.admit(known(guest)));
        assert_eq!(seats.iter().flatten().count(), 3);
    }

    #[test]
    fn who_asks_too_often_waits_and_nobody_else() {
        let limits = Limits::default();
        let commons = Commons::new(&limits);
        let door = Door::new(&limits, &commons);
        let now = Instant::now();
        let seats = [known(1), known(2), stranger(3)].map(|guest| {
            let seat = door.admit(guest);
            seat.expect("there is room")
        });
        let waits = |seat: &Seat| (0..2000).map(|_| seat.wait(now)).max();
        assert_eq!(waits(&seats[0]), Some(Duration::ZERO));
        assert_eq!(seats[0].wait(now), Duration::from_millis(2));
        assert_eq!(door.loudest(now), Some(guest_at(1)));
        assert_eq!(waits(&seats[1]), Some(Duration::ZERO));
        assert!(
            waits(&seats[2]) > Some(Duration::from_secs(9)),
            "a stranger"
        );
        commons.pace(pace::Budgets::UNLIMITED);
        let later = now + Duration::from_secs(1);
        assert_eq!(seats[2].wait(later), Duration::ZERO, "new budgets");
    }

    #[test]
    fn requests_are_bounded_per_guest_and_in_all() {
        let limits = Limits {
            requests: 2,
            requests_per_guest: 2,
            assured_requests: 1,
            ..Limits::default()
        };
        let commons = Commons::new(&limits);
        let [red, blue] = [(); 2].map(|()| Door::new(&limits, &commons));
        let seat = |door: &Arc<Door>, guest| {
            let seat = door.admit(known(guest));
            seat.expect("there is room")
        };
        let (one, again, two) = (seat(&red, 1), seat(&red, 1), seat(&red, 2));
        let other = seat(&blue, 1);
        let first = one.try_begin();
        let second = again.try_begin();
        assert!(first.is_some() && second.is_some());
        assert!(
            one.try_begin().is_none(),
            "a guest's connections count together"
        );
        let third = two.try_begin();
        assert!(third.is_some(), "assured to its namespace");
        assert!(two.try_begin().is_none(), "no more is");
        let fourth = other.try_begin();
        assert!(fourth.is_some(), "assured to another one");
        drop(first);
        assert!(two.try_begin().is_some(), "room again");
    }
}
