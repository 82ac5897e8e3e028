//! What notices said of ports while an older answer was still under way. The answer then takes it in, so that what came
//! later is not undone. Of each port the newest word is kept. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::{DeviceOwner, Network, NetworkId, Port, PortId};

/// A moment between two notices.
pub(super) type Moment = u64;

#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: BTreeMap<(NetworkId, PortId), (Moment, Change)>,
    now: Moment,
    /// What is older is in no entry.
    forgotten: Moment,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Put(Arc<Port>),
    Gone(PortId),
}

impl Journal {
    pub(super) fn now(&self) -> Moment {
        self.now
    }

    pub(super) fn note(&mut self, network: NetworkId, change: Change) {
        match self.entries.entry((network, change.port())) {
            Entry::Vacant(entry) => _ = entry.insert((self.now, change)),
            Entry::Occupied(mut entry) => {
                let (at, known) = entry.get_mut();
                *at = self.now;
                if !known.is_later_than(&change) {
                    *known = change;
                }
            }
        }
        self.now += 1;
    }

    /// No answer that was asked for before `moment` is still to come.
    pub(super) fn forget_before(&mut self, moment: Moment) {
        if moment > self.forgotten {
            self.forgotten = moment;
            self.entries.retain(|_, (at, _)| *at >= moment);
        }
    }

    /// Brings a network that was asked for at `since` up to now.
    pub(super) fn catch_up(&self, network: &mut Network, since: Moment) {
        let (least, most) = (PortId(Uuid::nil()), PortId(Uuid::max()));
        let own = self.entries.range((network.id, least)..=(network.id, most));
        for (_, (_, change)) in own.filter(|(_, (at, _))| *at >= since) {
            change.apply(network);
        }
    }
}

impl Change {
    pub(super) fn port(&self) -> PortId {
        match self {
            Self::Put(port) => port.id,
            Self::Gone(id) => *id,
        }
    }

    /// Though `other` came after it.
    fn is_later_than(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Put(known), Self::Put(new)) => known.revision > new.revision,
            _ => false,
        }
    }

    /// False: it says nothing new. A port that is known in a later revision stays as it is; of one that
    /// tells no revision the newest word counts (`dhcp/agent.py: DhcpPluginApi`'s cache does the same).
    pub(super) fn apply(&self, network: &mut Network) -> bool {
        match self {
            Self::Put(port) => {
                let own = network
                    .dhcp_port
                    .as_ref()
                    .is_some_and(|own| own.id == port.id);
                let known = network.ports.get(&port.id);
                if own || known.is_some_and(|known| known.revision > port.revision) {
                    return false;
                }
                network.ports.insert(port.id, Arc::clone(port));
                true
            }
            Self::Gone(id) => network.ports.remove(id).is_some(),
        }
    }
}

/// Owners whose ports DHCP has no use for, other agents' DHCP ports apart: those decide on the network's resolvers.
pub(super) fn is_of_use(port: &Port) -> bool {
    !matches!(port.owner, DeviceOwner::FloatingIp | DeviceOwner::Service)
}
