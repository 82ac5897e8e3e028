//! What the server said last of the networks that we serve, and who has which of their addresses: whether a port takes
//! another's is one look-up, however many ports there are. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use super::journal::Change;
use crate::model::{Network, NetworkId, Port, PortId, SubnetId};

#[derive(Debug, Default)]
pub(super) struct Networks {
    all: BTreeMap<NetworkId, Served>,
    subnets: usize,
    ports: usize,
}

#[derive(Debug)]
struct Served {
    network: Arc<Network>,
    addresses: Addresses,
}

/// Of a network's ports, our own apart. Two of them may have one address.
#[derive(Debug, Default)]
struct Addresses(BTreeSet<(SubnetId, IpAddr, PortId)>);

impl Networks {
    pub(super) fn new(known: BTreeMap<NetworkId, Arc<Network>>) -> Self {
        let mut networks = Self::default();
        known
            .into_values()
            .for_each(|network| networks.put(network));
        networks
    }

    pub(super) fn get(&self, id: NetworkId) -> Option<&Arc<Network>> {
        self.all.get(&id).map(|served| &served.network)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = NetworkId> {
        self.all.keys().copied()
    }

    pub(super) fn put(&mut self, network: Arc<Network>) {
        self.remove(network.id);
        self.subnets += network.all_subnets().count();
        self.ports += ports(&network);
        let mut addresses = Addresses::default();
        network.ports.values().for_each(|port| addresses.join(port));
        let served = Served { network, addresses };
        self.all.insert(served.network.id, served);
    }

    /// False: it was none of ours.
    pub(super) fn remove(&mut self, id: NetworkId) -> bool {
        let Some(Served { network, .. }) = self.all.remove(&id) else {
            return false;
        };
        self.subnets -= network.all_subnets().count();
        self.ports -= ports(&network);
        true
    }

    /// One port of a network that we serve; false: that is known.
    pub(super) fn change(&mut self, id: NetworkId, change: &Change) -> bool {
        let Some(Served { network, addresses }) = self.all.get_mut(&id) else {
            return false;
        };
        let before = (network.ports.get(&change.port()).cloned(), ports(network));
        if !change.apply(Arc::make_mut(network)) {
            return false;
        }
        let (old, count) = before;
        self.ports = self.ports - count + ports(network);
        if let Some(old) = old {
            addresses.leave(&old);
        }
        if let Change::Put(new) = change {
            addresses.join(new);
        }
        true
    }

    /// Another port of its network is known at one of its addresses.
    pub(super) fn takes_an_address(&self, port: &Port) -> bool {
        let served = self.all.get(&port.network);
        served.is_some_and(|served| served.addresses.has_another(port))
    }

    /// The network with this subnet; `told`: the one that it is said to be on.
    pub(super) fn of_subnet(&self, subnet: SubnetId, told: Option<NetworkId>) -> Option<NetworkId> {
        self.of(told, |network| {
            network.all_subnets().any(|own| own.id == subnet)
        })
    }

    /// The network with this port.
    pub(super) fn of_port(&self, port: PortId) -> Option<NetworkId> {
        self.of(None, |network| network.ports.contains_key(&port))
    }

    /// What a state report tells.
    pub(super) fn counts(&self) -> [(&'static str, usize); 3] {
        [
            ("networks", self.all.len()),
            ("subnets", self.subnets),
            ("ports", self.ports),
        ]
    }

    /// All are looked through only where a notice does not tell.
    fn of(&self, told: Option<NetworkId>, has: impl Fn(&Network) -> bool) -> Option<NetworkId> {
        match told {
            Some(id) => self.get(id).filter(|network| has(network)).map(|_| id),
            None => {
                let mut all = self.all.values().map(|served| &served.network);
                all.find(|network| has(network)).map(|network| network.id)
            }
        }
    }
}

impl Addresses {
    fn join(&mut self, port: &Port) {
        let fixed = port.fixed_ips.iter();
        self.0
            .extend(fixed.map(|fixed| (fixed.subnet, fixed.ip, port.id)));
    }

    fn leave(&mut self, port: &Port) {
        for fixed in &port.fixed_ips {
            self.0.remove(&(fixed.subnet, fixed.ip, port.id));
        }
    }

    fn has_another(&self, port: &Port) -> bool {
        let (least, most) = (PortId(Uuid::nil()), PortId(Uuid::max()));
        port.fixed_ips.iter().any(|fixed| {
            let at = |id| (fixed.subnet, fixed.ip, id);
            let mut there = self.0.range(at(least)..=at(most));
            there.any(|(_, _, id)| *id != port.id)
        })
    }
}

fn ports(network: &Network) -> usize {
    network.ports.len() + usize::from(network.dhcp_port.is_some())
}
