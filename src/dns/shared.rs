//! What all DNS servers of the process share: their bounds. And what each counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::cache::{Cache, Room};
use super::places::Places;
use crate::pace::{Budgets, Limits};

/// How much may be open, and how long. Nothing is ever queued beyond these: it is turned away, and counted.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Queries that wait for a forwarder. As many as dnsmasq allows, now per network.
    pub waiting: Bound,
    /// The same by TCP, until the client has taken the answer: that may be 64 KiB, and whose zone it is of says how long.
    pub waiting_by_tcp: Bound,
    /// TCP connections.
    pub connections: Bound,
    /// How long one forwarder is waited for.
    pub per_forwarder: Duration,
    /// How long, until the next one is asked as well.
    pub head_start: Duration,
    /// How long a query is tried for in all, after which the client hears SERVFAIL.
    pub in_all: Duration,
    /// How long a forwarder that did not answer is asked last.
    pub rest: Duration,
    /// How long a TCP connection may take for its next query, or to take a reply.
    pub idle: Duration,
    /// Bytes that all caches have together.
    pub cached: usize,
}

/// One bound at three places, each of which must have room.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// In one namespace, for one address.
    pub per_client: usize,
    pub per_namespace: usize,
    /// Of those, so many whatever others have.
    pub assured: usize,
    /// In the process, besides those: its file descriptors and memory.
    pub in_all: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            waiting: Bound {
                per_client: 50,
                per_namespace: 150,
                assured: 16,
                in_all: 4096,
            },
            waiting_by_tcp: Bound {
                per_client: 32,
                per_namespace: 64,
                assured: 4,
                in_all: 1024,
            },
            connections: Bound {
                per_client: 4,
                per_namespace: 20,
                assured: 4,
                in_all: 1024,
            },
            per_forwarder: Duration::from_secs(2),
            head_start: Duration::from_millis(400),
            in_all: Duration::from_secs(5),
            rest: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            cached: 64 * 1024 * 1024,
        }
    }
}

/// The process-wide part of DNS.
#[derive(Debug)]
pub struct Shared {
    pub(super) settings: Settings,
    waiting: Arc<Semaphore>,
    waiting_by_tcp: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    cached: Arc<Room>,
    /// Of queries, also of those that are answered at once.
    pub(super) budgets: ArcSwap<Budgets>,
}

impl Shared {
    /// With the settings that suit most hosts.
    pub fn new() -> Arc<Self> {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            waiting: Arc::new(Semaphore::new(settings.waiting.in_all)),
            waiting_by_tcp: Arc::new(Semaphore::new(settings.waiting_by_tcp.in_all)),
            connections: Arc::new(Semaphore::new(settings.connections.in_all)),
            cached: Room::new(settings.cached),
            settings,
            budgets: ArcSwap::from_pointee(Limits::DNS),
        })
    }

    /// What is taken of each network from now on.
    pub fn limit(&self, budgets: Budgets) {
        self.budgets.store(Arc::new(budgets));
    }

    /// One namespace's places for queries that wait.
    pub(super) fn waiting(&self) -> Places {
        Places::new(self.settings.waiting, Arc::clone(&self.waiting))
    }

    pub(super) fn waiting_by_tcp(&self) -> Places {
        let in_all = Arc::clone(&self.waiting_by_tcp);
        Places::new(self.settings.waiting_by_tcp, in_all)
    }

    /// One namespace's cache.
    pub(super) fn cache(&self) -> Cache {
        Cache::new(Arc::clone(&self.cached))
    }

    /// One namespace's places for TCP connections.
    pub(super) fn connections(&self) -> Places {
        Places::new(self.settings.connections, Arc::clone(&self.connections))
    }
}

/// Counts events; never goes down.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.add_many(1);
    }

    pub(super) fn add_many(&self, times: usize) {
        self.0.fetch_add(times as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One list of names for the counters and what is shown of them.
macro_rules! counters {
    ($($(#[$text:meta])* $name:ident,)*) => {
        /// What one server has done since it was started.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        pub struct Counters {
            $($(#[$text])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: Count,)*
        }

        impl Tally {
            pub(super) fn read(&self) -> Counters {
                Counters { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Messages from sources that are served.
    queries,
    /// Messages and connections from other sources; dropped.
    strangers,
    /// Answered from the network's own names, with or without data.
    answered,
    /// Own names that nobody has (NXDOMAIN).
    denied,
    /// No query that we take (FORMERR, NOTIMP, REFUSED, BADVERS), or none at all (dropped).
    malformed,
    /// Answered with what a forwarder said before.
    cached,
    /// Passed to a forwarder, or waits for the answer to the same question of another client.
    forwarded,
    /// Of those: answered by one.
    forward_answered,
    /// Of those: no forwarder answered in time (SERVFAIL).
    forward_failed,
    /// Of those: the answer had addresses that names of elsewhere must not have (no data).
    rebinding,
    /// Not forwarded, for there is no forwarder (REFUSED).
    forward_nowhere,
    /// Not forwarded, for too many wait already (SERVFAIL).
    forward_full,
    /// Not forwarded again, for the client repeated a query that waits.
    forward_repeated,
    /// Messages to our own upstream ports that answer no question of ours; dropped.
    spoofed,
    /// Replies that could not be sent.
    unsent,
    /// Queries dropped, since their sender had more than its share.
    throttled,
    /// TCP connections taken.
    connections,
    /// TCP connections turned away, for there are too many.
    connections_full,
}
