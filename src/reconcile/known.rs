//! Values made of all ports of a network, made once for each version of it. Where only ports differ from the version
//! before, they are continued from it: a port that comes, goes or changes among ten thousand costs what that one port does.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use imbl::ordmap::DiffItem;

use crate::model::{Network, NetworkId, RouterId, State, Target};
use crate::plan::scope::{Dhcp6Scope, DhcpScope, Residents, Zone};
use crate::plan::{self, Settings, Shared};

#[derive(Debug, Default)]
pub(super) struct Known {
    networks: HashMap<NetworkId, Entry>,
    /// Of each router the networks that have ports of it.
    routed: HashMap<RouterId, BTreeSet<NetworkId>>,
}

#[derive(Debug, Clone)]
struct Entry {
    of: Arc<Network>,
    dhcp: Option<Arc<DhcpScope>>,
    dhcp6: Option<Arc<Dhcp6Scope>>,
    zone: Arc<Zone>,
    residents: Arc<Residents>,
    has_isolated: bool,
    /// In the order of their ports.
    routers: Arc<[RouterId]>,
}

impl Known {
    /// Catches up with the model; what has not changed is kept.
    pub(super) fn refresh(&mut self, state: &State, id: NetworkId, settings: &Settings) {
        let Some(network) = state.networks.get(&id) else {
            self.put(id, None);
            return;
        };
        let known = self.networks.get(&id);
        if known.is_some_and(|known| Arc::ptr_eq(&known.of, network)) {
            return;
        }
        let continued = known.and_then(|known| known.continued(network));
        let entry = continued.unwrap_or_else(|| Entry::of(network, settings));
        self.put(id, Some(entry));
    }

    /// The networks of all routers that have ports on these: through one that is made for metadata (`enable_metadata_network`)
    /// the machines of the others are told who they are.
    pub(super) fn routed_together(&self, targets: &BTreeSet<Target>) -> BTreeSet<Target> {
        let networks = targets.iter().filter_map(|target| match target {
            Target::Network(id) => self.networks.get(id),
            Target::Router(_) => None,
        });
        let routers: BTreeSet<RouterId> = networks
            .flat_map(|entry| entry.routers.iter().copied())
            .collect();
        let routed = routers.iter().filter_map(|router| self.routed.get(router));
        routed.flatten().copied().map(Target::Network).collect()
    }

    /// After a change of the settings.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn put(&mut self, id: NetworkId, entry: Option<Entry>) {
        let routers = |entry: &Entry| Arc::clone(&entry.routers);
        let new = entry.as_ref().map(routers).unwrap_or_default();
        let old = match entry {
            Some(entry) => self.networks.insert(id, entry),
            None => self.networks.remove(&id),
        };
        let old = old.as_ref().map(routers).unwrap_or_default();
        if old == new {
            return;
        }
        for router in &*old {
            if let Some(networks) = self.routed.get_mut(router) {
                networks.remove(&id);
                if networks.is_empty() {
                    self.routed.remove(router);
                }
            }
        }
        for router in &*new {
            self.routed.entry(*router).or_default().insert(id);
        }
    }
}

impl Entry {
    fn of(network: &Arc<Network>, settings: &Settings) -> Self {
        Self {
            of: Arc::clone(network),
            dhcp: plan::dhcp_scope(network, settings).map(Arc::new),
            dhcp6: plan::dhcp6_scope(network, settings).map(Arc::new),
            zone: Arc::new(plan::zone(network, settings)),
            residents: Arc::new(plan::residents(network)),
            has_isolated: plan::has_isolated(network),
            routers: plan::routers_on(network).collect(),
        }
    }

    /// What [`Entry::of`] would give for a later version of the network; `None` where more than clients has changed.
    fn continued(&self, network: &Arc<Network>) -> Option<Self> {
        if !network.same_but_ports(&self.of) {
            return None;
        }
        let mut next = Self {
            of: Arc::clone(network),
            ..self.clone()
        };
        let mut dhcp = next.dhcp.as_mut().map(Arc::make_mut);
        let mut dhcp6 = next.dhcp6.as_mut().map(Arc::make_mut);
        let zone = Arc::make_mut(&mut next.zone);
        let residents = Arc::make_mut(&mut next.residents);
        // Looks only where the two versions do not share.
        for change in self.of.ports.diff(&network.ports) {
            let (old, new) = match change {
                DiffItem::Add(_, new) => (None, Some(new)),
                DiffItem::Update { old, new } => (Some(old.1), Some(new.1)),
                DiffItem::Remove(_, old) => (Some(old), None),
            };
            if old
                .into_iter()
                .chain(new)
                .any(|port| plan::shapes_scope(port))
            {
                return None;
            }
            if let Some(old) = old {
                dhcp.iter_mut().for_each(|dhcp| dhcp.leave(old));
                dhcp6.iter_mut().for_each(|dhcp6| dhcp6.leave(old));
                zone.leave(old);
                residents.leave(old);
            }
            if let Some(new) = new {
                dhcp.iter_mut().for_each(|dhcp| dhcp.join(new));
                dhcp6.iter_mut().for_each(|dhcp6| dhcp6.join(new));
                zone.join(new);
                residents.join(new);
            }
        }
        Some(next)
    }
}

impl Shared for Known {
    fn dhcp(&self, network: NetworkId) -> Option<Arc<DhcpScope>> {
        self.networks.get(&network)?.dhcp.clone()
    }

    fn dhcp6(&self, network: NetworkId) -> Option<Arc<Dhcp6Scope>> {
        self.networks.get(&network)?.dhcp6.clone()
    }

    fn zone(&self, network: NetworkId) -> Option<Arc<Zone>> {
        self.networks
            .get(&network)
            .map(|entry| Arc::clone(&entry.zone))
    }

    fn residents(&self, network: NetworkId) -> Option<Arc<Residents>> {
        self.networks
            .get(&network)
            .map(|entry| Arc::clone(&entry.residents))
    }

    fn has_isolated(&self, network: NetworkId) -> bool {
        let entry = self.networks.get(&network);
        entry.is_some_and(|entry| entry.has_isolated)
    }

    fn first_router(&self, network: NetworkId) -> Option<RouterId> {
        self.networks.get(&network)?.routers.first().copied()
    }

    fn networks_of(&self, router: RouterId) -> Vec<NetworkId> {
        let networks = self.routed.get(&router).into_iter().flatten();
        networks.copied().collect()
    }
}

#[cfg(test)]
mod tests;
