//! What has been said to whom. Not the truth about addresses (that is the model), and lost at a restart without harm:
//! it tells operators who is there, keeps a declined address back, and an offer's wish until its ACK.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::model::{MacAddr, PortId};
use crate::plan::scope::{Dhcp6Scope, DhcpScope};

/// So long a declined address is not offered: dnsmasq's `DECLINE_BACKOFF`.
pub const DECLINED_FOR: Duration = Duration::from_secs(600);

/// What a port was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    Offered,
    Bound,
    Released,
    /// The client found its address in use by someone else.
    Declined,
}

/// One row for `warren show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lease {
    pub port: PortId,
    pub mac: MacAddr,
    pub address: IpAddr,
    pub state: LeaseState,
    /// Since the client was last heard, in seconds.
    pub seen_seconds_ago: u64,
}

/// The table of one network. Strangers are not in it, so it is bounded by the network's ports.
#[derive(Debug)]
pub struct Table<S: Served> {
    by_port: HashMap<PortId, Entry<S::Given>>,
    /// Addresses that the clients of these ports found in use, and since when. A port that is given such an address later has
    /// yet to find that out.
    declined: HashMap<(PortId, S::Address), Instant>,
}

/// What the table is of: the scope of either version.
pub trait Served {
    type Address: Debug + Copy + Eq + Hash + Into<IpAddr> + Send;
    /// What one client is told at once.
    type Given: Debug + AsRef<[Self::Address]> + Send;

    /// How many clients there are, without a look at each.
    fn count(&self) -> usize;
    /// Each client's port, and its addresses.
    fn clients(&self) -> impl Iterator<Item = (PortId, &[(usize, Self::Address)])>;
}

#[derive(Debug)]
struct Entry<G> {
    mac: MacAddr,
    given: G,
    state: LeaseState,
    seen: Instant,
    /// Seconds that the client wished for when it was offered the address.
    wish: Option<u32>,
}

impl<S: Served> Table<S> {
    /// What there is to show of the scope's clients, in the order of addresses.
    pub fn list(&self, scope: &S, now: Instant) -> Vec<Lease> {
        let mut rows = Vec::new();
        for (port, addresses) in scope.clients() {
            let Some(entry) = self.by_port.get(&port) else {
                continue;
            };
            let current = |ip: &&S::Address| addresses.iter().any(|(_, of)| of == *ip);
            let given = entry.given.as_ref().iter().filter(current);
            rows.extend(given.map(|ip| Lease {
                port,
                mac: entry.mac,
                address: (*ip).into(),
                state: entry.state,
                seen_seconds_ago: now.saturating_duration_since(entry.seen).as_secs(),
            }));
        }
        rows.sort_by_key(|lease| (lease.address, lease.port));
        rows
    }

    /// Forgets ports that are gone, once they are so many that it matters: looking at each costs as much as a new scope.
    pub fn trim(&mut self, scope: &S) {
        if self.by_port.len() > scope.count() {
            let known: HashSet<_> = scope.clients().map(|(port, _)| port).collect();
            self.by_port.retain(|port, _| known.contains(port));
        }
    }

    pub(super) fn is_declined(&self, port: PortId, address: S::Address, now: Instant) -> bool {
        let since = self.declined.get(&(port, address));
        since.is_some_and(|since| is_kept_back(*since, now))
    }

    /// The wish of the offer that this ACK belongs to.
    pub(super) fn wish(&self, port: PortId) -> Option<u32> {
        let entry = self.by_port.get(&port);
        let offer = entry.filter(|entry| entry.state == LeaseState::Offered)?;
        offer.wish
    }

    /// Takes note of what the client with this `mac` is told, or has said.
    pub(super) fn note(
        &mut self,
        (port, mac): (PortId, MacAddr),
        given: S::Given,
        state: LeaseState,
        wish: Option<u32>,
        seen: Instant,
    ) {
        match state {
            LeaseState::Declined => {
                self.declined.retain(|_, since| is_kept_back(*since, seen));
                let declined = given.as_ref().iter().map(|ip| ((port, *ip), seen));
                self.declined.extend(declined);
            }
            // The client uses it, so nobody else does.
            LeaseState::Bound => {
                for ip in given.as_ref() {
                    self.declined.remove(&(port, *ip));
                }
            }
            LeaseState::Offered | LeaseState::Released => {}
        }
        let entry = Entry {
            mac,
            given,
            state,
            seen,
            wish,
        };
        self.by_port.insert(port, entry);
    }

    /// The client took another server's offer.
    pub(super) fn forget_offer(&mut self, port: PortId) {
        let entry = self.by_port.get(&port);
        if entry.is_some_and(|entry| entry.state == LeaseState::Offered) {
            self.by_port.remove(&port);
        }
    }
}

impl<S: Served> Default for Table<S> {
    fn default() -> Self {
        Self {
            by_port: HashMap::new(),
            declined: HashMap::new(),
        }
    }
}

impl Served for DhcpScope {
    type Address = Ipv4Addr;
    type Given = [Ipv4Addr; 1];

    fn count(&self) -> usize {
        self.clients.len()
    }

    fn clients(&self) -> impl Iterator<Item = (PortId, &[(usize, Ipv4Addr)])> {
        let clients = self.clients.values();
        clients.map(|client| (client.port, &*client.addresses))
    }
}

impl Served for Dhcp6Scope {
    type Address = Ipv6Addr;
    type Given = Vec<Ipv6Addr>;

    fn count(&self) -> usize {
        self.clients.len()
    }

    fn clients(&self) -> impl Iterator<Item = (PortId, &[(usize, Ipv6Addr)])> {
        let clients = self.clients.values();
        clients.map(|client| (client.port, &*client.addresses))
    }
}

fn is_kept_back(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < DECLINED_FOR
}
