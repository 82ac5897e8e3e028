//! `dhcp_ready_on_ports`: a port becomes active, and its machine boots, only after we said that it is served.
//! Which ports wait, and which may be told. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Network, NetworkId, PortId};

/// Ports in one call (`agent/dhcp/agent.py: DHCP_READY_PORTS_SYNC_MAX`).
const MOST: usize = 64;

/// How much somebody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Somebody made or changed this port just now.
    Now,
    /// Its network was looked at as a whole.
    Network,
}

#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Until the loop reports that it serves them.
    waiting: BTreeMap<NetworkId, BTreeMap<PortId, Urgency>>,
    due: BTreeSet<(Urgency, PortId)>,
}

impl Ready {
    /// The port shall be told as soon as it is served as it is now.
    pub(super) fn wait(&mut self, network: NetworkId, port: PortId, urgency: Urgency) {
        let waiting = self.waiting.entry(network).or_default();
        let known = waiting.entry(port).or_insert(urgency);
        *known = urgency.min(*known);
    }

    pub(super) fn forget(&mut self, network: NetworkId) {
        self.waiting.remove(&network);
    }

    /// `served` is what the kernel and the servers hold; `newest` what the server said last. A port that changed
    /// between goes on waiting, one that is no more waits no longer.
    pub(super) fn served(&mut self, served: &Network, newest: &Network) {
        let Some(waiting) = self.waiting.get_mut(&served.id) else {
            return;
        };
        let port = |network: &Network, id| {
            let own = network.dhcp_port.as_ref().filter(|own| own.id == id);
            own.or_else(|| network.ports.get(&id)).cloned()
        };
        waiting.retain(|&id, &mut urgency| {
            let now = port(newest, id);
            if now.is_some() && port(served, id) != now {
                return true;
            }
            if now.is_some() {
                self.due.insert((urgency, id));
            }
            false
        });
        if waiting.is_empty() {
            self.waiting.remove(&served.id);
        }
    }

    /// The most urgent ones; they are told from now on, and come back by [`Ready::failed`].
    pub(super) fn take(&mut self) -> Vec<(Urgency, PortId)> {
        let taken: Vec<_> = self.due.iter().take(MOST).copied().collect();
        for port in &taken {
            self.due.remove(port);
        }
        taken
    }

    pub(super) fn failed(&mut self, ports: Vec<(Urgency, PortId)>) {
        self.due.extend(ports);
    }

    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }
}
