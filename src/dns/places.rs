//! A bounded number of places: for queries that wait, and for connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::shared::Bound;

/// The places of one namespace.
#[derive(Debug)]
pub(super) struct Places {
    bound: Bound,
    in_all: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    /// What each client has, by keys of its own. Short lists: [`Bound::per_client`].
    by_client: HashMap<IpAddr, Vec<u64>>,
}

/// One place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Arc<Places>,
    client: IpAddr,
    key: u64,
    /// `None`: it is one of those that are assured.
    _in_all: Option<OwnedSemaphorePermit>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    /// The client has one under this key.
    Repeated,
}

impl Places {
    pub(super) fn new(bound: Bound, in_all: Arc<Semaphore>) -> Self {
        Self {
            bound,
            in_all,
            taken: Mutex::default(),
        }
    }

    /// Never waits.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr, key: u64) -> Result<Place, NoPlace> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_client.get(&client).map_or(&[][..], Vec::as_slice);
        if own.contains(&key) {
            return Err(NoPlace::Repeated);
        }
        if own.len() >= self.bound.per_client || taken.count >= self.bound.per_namespace {
            return Err(NoPlace::Full);
        }
        let in_all = if taken.count < self.bound.assured {
            None
        } else {
            let in_all = Arc::clone(&self.in_all).try_acquire_owned();
            Some(in_all.map_err(|_| NoPlace::Full)?)
        };
        taken.count += 1;
        taken.by_client.entry(client).or_default().push(key);
        Ok(Place {
            of: Arc::clone(self),
            client,
            key,
            _in_all: in_all,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.count -= 1;
        if let Some(keys) = taken.by_client.get_mut(&self.client) {
            if let Some(at) = keys.iter().position(|key| *key == self.key) {
                keys.swap_remove(at);
            }
            if keys.is_empty() {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use super::*;

    #[test]
    fn each_bound_holds_and_places_come_back() {
        let bound = Bound {
            per_client: 2,
            per_namespace: 3,
            assured: 1,
            in_all: 2,
        };
        let in_all = Arc::new(Semaphore::new(bound.in_all));
        let here = Arc::new(Places::new(bound, Arc::clone(&in_all)));
        let there = Arc::new(Places::new(bound, in_all));
        let (one, two): (IpAddr, IpAddr) =
            ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());

        let first = here.take(one, 1).unwrap();
        assert_eq!(here.take(one, 1).unwrap_err(), NoPlace::Repeated);
        let second = here.take(one, 2).unwrap();
        assert_eq!(here.take(one, 3).unwrap_err(), NoPlace::Full, "client");
        let _other = here.take(two, 1).unwrap();
        assert_eq!(here.take(two, 2).unwrap_err(), NoPlace::Full, "namespace");
        let _assured = there.take(one, 1).unwrap();
        assert_eq!(there.take(one, 2).unwrap_err(), NoPlace::Full, "in all");
        drop((first, second));
        let _again = there.take(one, 2).unwrap();
        assert!(!here.taken.lock().unwrap().by_client.contains_key(&one));
    }
}
