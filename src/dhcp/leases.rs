//! What has been said to whom. Not the truth about addresses (that is the model), and lost at a restart without harm:
//! it tells operators who is there, keeps a declined address back, and an offer's wish until its ACK.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::model::{MacAddr, PortId};
use crate::plan::scope::{DhcpClient, DhcpScope};

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
#[derive(Debug, Default)]
pub struct Leases {
    by_port: HashMap<PortId, Entry>,
    declined: Declined<Ipv4Addr>,
}

/// Addresses that their clients found in use, and since when.
#[derive(Debug)]
pub(super) struct Declined<A>(HashMap<A, Instant>);

#[derive(Debug)]
struct Entry {
    mac: MacAddr,
    address: Ipv4Addr,
    state: LeaseState,
    seen: Instant,
    /// Seconds that the client wished for when it was offered the address.
    wish: Option<u32>,
}

impl Leases {
    /// What there is to show of the scope's clients, in the order of addresses.
    pub fn list(&self, scope: &DhcpScope, now: Instant) -> Vec<Lease> {
        let row = |client: &Arc<DhcpClient>| {
            let entry = self.by_port.get(&client.port)?;
            let current = client.addresses.iter().any(|(_, ip)| *ip == entry.address);
            current.then(|| Lease {
                port: client.port,
                mac: entry.mac,
                address: entry.address.into(),
                state: entry.state,
                seen_seconds_ago: now.saturating_duration_since(entry.seen).as_secs(),
            })
        };
        let mut rows: Vec<_> = clients(scope).filter_map(row).collect();
        rows.sort_by_key(|lease| (lease.address, lease.port));
        rows
    }

    /// Forgets ports that are gone, once they are so many that it matters: looking at each costs as much as a new scope.
    pub fn trim(&mut self, scope: &DhcpScope) {
        if self.by_port.len() > scope.clients.len() + scope.by_client_id.len() {
            let known: HashSet<_> = clients(scope).map(|client| client.port).collect();
            self.by_port.retain(|port, _| known.contains(port));
        }
    }

    pub(super) fn is_declined(&self, address: Ipv4Addr, now: Instant) -> bool {
        self.declined.has(address, now)
    }

    /// The wish of the offer that this ACK belongs to.
    pub(super) fn wish(&self, port: PortId) -> Option<u32> {
        let entry = self
            .by_port
            .get(&port)
            .filter(|entry| entry.state == LeaseState::Offered);
        entry.and_then(|entry| entry.wish)
    }

    /// Takes note of what the client with this `mac` is told, or has said.
    pub(super) fn note(
        &mut self,
        (client, mac): (&DhcpClient, MacAddr),
        address: Ipv4Addr,
        state: LeaseState,
        wish: Option<u32>,
        seen: Instant,
    ) {
        match state {
            LeaseState::Declined => self.declined.insert(address, seen),
            LeaseState::Bound => self.declined.remove(address),
            LeaseState::Offered | LeaseState::Released => {}
        }
        let entry = Entry {
            mac,
            address,
            state,
            seen,
            wish,
        };
        self.by_port.insert(client.port, entry);
    }

    /// The client took another server's offer.
    pub(super) fn forget_offer(&mut self, port: PortId) {
        if self
            .by_port
            .get(&port)
            .is_some_and(|entry| entry.state == LeaseState::Offered)
        {
            self.by_port.remove(&port);
        }
    }
}

impl<A: Copy + Eq + Hash> Declined<A> {
    pub(super) fn has(&self, address: A, now: Instant) -> bool {
        let since = self.0.get(&address);
        since.is_some_and(|since| now.saturating_duration_since(*since) < DECLINED_FOR)
    }

    pub(super) fn insert(&mut self, address: A, now: Instant) {
        self.0
            .retain(|_, since| now.saturating_duration_since(*since) < DECLINED_FOR);
        self.0.insert(address, now);
    }

    /// The client uses it, so nobody else does.
    pub(super) fn remove(&mut self, address: A) {
        self.0.remove(&address);
    }
}

impl<A> Default for Declined<A> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

fn clients(scope: &DhcpScope) -> impl Iterator<Item = &Arc<DhcpClient>> {
    scope.clients.values().chain(scope.by_client_id.values())
}
