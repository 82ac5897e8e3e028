//! Nobody takes more than their share: connections and requests per guest, per namespace and in all.
//!
//! A connection past its limit is closed at once; a request past its limit waits its turn behind its own kind. So a
//! guest that floods or stalls waits for itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;

/// What all namespaces share.
#[derive(Debug)]
pub(super) struct Budgets {
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
}

/// Who is connected in one namespace.
#[derive(Debug, Default)]
pub(super) struct Door {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    connections: usize,
    /// Those with a connection.
    guests: HashMap<IpAddr, Guest>,
}

#[derive(Debug)]
struct Guest {
    connections: usize,
    requests: Arc<Semaphore>,
}

/// A guest's connection, for as long as this lives.
#[derive(Debug)]
pub(super) struct Seat {
    door: Arc<Door>,
    source: IpAddr,
    requests: Arc<Semaphore>,
    budgets: Arc<Budgets>,
    _connection: OwnedSemaphorePermit,
}

/// A request under way, for as long as this lives.
#[derive(Debug)]
pub(super) struct Permit {
    _of_guest: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Budgets {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::new(Semaphore::new(limits.connections)),
            requests: Arc::new(Semaphore::new(limits.requests)),
        })
    }
}

impl Door {
    /// `None`: this guest, this namespace or all together have as many connections as they may.
    pub(super) fn admit(
        self: &Arc<Self>,
        source: IpAddr,
        limits: &Limits,
        budgets: &Arc<Budgets>,
    ) -> Option<Seat> {
        let all = Arc::clone(&budgets.connections);
        let connection = all.try_acquire_owned().ok()?;
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.connections >= limits.connections_per_namespace {
            return None;
        }
        let guest = match inside.guests.entry(source) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Guest {
                connections: 0,
                requests: Arc::new(Semaphore::new(limits.requests_per_guest)),
            }),
        };
        if guest.connections >= limits.connections_per_guest {
            return None;
        }
        guest.connections += 1;
        let requests = Arc::clone(&guest.requests);
        inside.connections += 1;
        Some(Seat {
            door: Arc::clone(self),
            source,
            requests,
            budgets: Arc::clone(budgets),
            _connection: connection,
        })
    }
}

impl Seat {
    pub(super) fn source(&self) -> IpAddr {
        self.source
    }

    /// A permit, if neither this guest nor all together are at their limit.
    pub(super) fn try_begin(&self) -> Option<Permit> {
        Some(Permit {
            _of_guest: Arc::clone(&self.requests).try_acquire_owned().ok()?,
            _of_all: Arc::clone(&self.budgets.requests)
                .try_acquire_owned()
                .ok()?,
        })
    }

    /// Waits for a permit: first among this guest's requests, then among those of all. Cancel-safe.
    pub(super) async fn begin(&self) -> Permit {
        let open = "these semaphores are never closed";
        let of_guest = Arc::clone(&self.requests).acquire_owned().await;
        let of_all = Arc::clone(&self.budgets.requests).acquire_owned().await;
        Permit {
            _of_guest: of_guest.expect(open),
            _of_all: of_all.expect(open),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let inside = self.door.inside.lock();
        let mut inside = inside.unwrap_or_else(PoisonError::into_inner);
        inside.connections -= 1;
        if let Entry::Occupied(mut guest) = inside.guests.entry(self.source) {
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

    #[test]
    fn connections_are_bounded_per_guest_per_namespace_and_in_all() {
        let limits = Limits {
            connections: 4,
            connections_per_namespace: 3,
            connections_per_guest: 2,
            ..Limits::default()
        };
        let budgets = Budgets::new(&limits);
        let (red, blue) = (Arc::new(Door::default()), Arc::new(Door::default()));
        let mut seats = Vec::new();
        for (name, door, guest, want) in [
            ("first", &red, 1, true),
            ("second of a guest", &red, 1, true),
            ("third of a guest", &red, 1, false),
            ("another guest", &red, 2, true),
            ("past the namespace's", &red, 3, false),
            ("the same guest's address elsewhere", &blue, 1, true),
            ("past all", &blue, 2, false),
        ] {
            let seat = door.admit(IpAddr::from([10, 0, 0, guest]), &limits, &budgets);
            assert_eq!(seat.is_some(), want, "{name}");
            seats.extend(seat);
        }
        drop(seats);
        assert!(red.inside.lock().expect("no panic").guests.is_empty());
        assert!(
            red.admit(IpAddr::from([10, 0, 0, 3]), &limits, &budgets)
                .is_some()
        );
    }

    #[test]
    fn requests_are_bounded_per_guest_and_in_all() {
        let limits = Limits {
            requests: 3,
            requests_per_guest: 2,
            ..Limits::default()
        };
        let budgets = Budgets::new(&limits);
        let door = Arc::new(Door::default());
        let seat = |last| door.admit(IpAddr::from([10, 0, 0, last]), &limits, &budgets);
        let (one, again, two) = (seat(1), seat(1), seat(2));
        let (one, again, two) = (one.expect("room"), again.expect("room"), two.expect("room"));
        let first = one.try_begin();
        assert!(
            first.is_some()
                && again.try_begin().is_some_and(|second| {
                    // All connections of a guest count together.
                    let third = one.try_begin();
                    drop(second);
                    third.is_none()
                })
        );
        let others = (two.try_begin(), again.try_begin());
        assert!(others.0.is_some() && others.1.is_some());
        assert!(two.try_begin().is_none(), "all together are at their limit");
        drop(first);
        assert!(two.try_begin().is_some());
    }
}
