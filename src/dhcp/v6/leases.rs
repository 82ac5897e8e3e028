//! What has been said to whom, as for IPv4: not the truth about addresses, and lost at a restart without harm.

use std::collections::{HashMap, HashSet};
use std::net::Ipv6Addr;
use std::time::Instant;

use crate::dhcp::leases::{Declined, Lease, LeaseState};
use crate::model::{MacAddr, PortId};
use crate::plan::scope::{Dhcp6Client, Dhcp6Scope};

/// The table of one network. Strangers are not in it, so it is bounded by the network's ports.
#[derive(Debug, Default)]
pub struct Leases {
    by_port: HashMap<PortId, Entry>,
    declined: Declined<Ipv6Addr>,
}

#[derive(Debug)]
struct Entry {
    mac: MacAddr,
    addresses: Vec<Ipv6Addr>,
    state: LeaseState,
    seen: Instant,
}

impl Leases {
    /// What there is to show of the scope's clients, in the order of addresses.
    pub fn list(&self, scope: &Dhcp6Scope, now: Instant) -> Vec<Lease> {
        let mut rows = Vec::new();
        for client in scope.clients.values() {
            let Some(entry) = self.by_port.get(&client.port) else {
                continue;
            };
            let current = |ip: &&Ipv6Addr| client.addresses.iter().any(|(_, of)| of == *ip);
            rows.extend(entry.addresses.iter().filter(current).map(|ip| Lease {
                port: client.port,
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
    pub fn trim(&mut self, scope: &Dhcp6Scope) {
        if self.by_port.len() > scope.clients.len() {
            let known: HashSet<_> = scope.clients.values().map(|client| client.port).collect();
            self.by_port.retain(|port, _| known.contains(port));
        }
    }

    pub(super) fn is_declined(&self, address: Ipv6Addr, now: Instant) -> bool {
        self.declined.has(address, now)
    }

    /// Takes note of what the client with this `mac` is told, or has said.
    pub(super) fn note(
        &mut self,
        (client, mac): (&Dhcp6Client, MacAddr),
        addresses: Vec<Ipv6Addr>,
        state: LeaseState,
        seen: Instant,
    ) {
        for address in &addresses {
            match state {
                LeaseState::Declined => self.declined.insert(*address, seen),
                LeaseState::Bound => self.declined.remove(*address),
                LeaseState::Offered | LeaseState::Released => {}
            }
        }
        let entry = Entry {
            mac,
            addresses,
            state,
            seen,
        };
        self.by_port.insert(client.port, entry);
    }

    /// The client took another server's offer.
    pub(super) fn forget_offer(&mut self, port: PortId) {
        let entry = self.by_port.get(&port);
        if entry.is_some_and(|entry| entry.state == LeaseState::Offered) {
            self.by_port.remove(&port);
        }
    }
}
