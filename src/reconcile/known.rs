//! Values made of all ports of a network, made once for each version of it. Of a network that only got ports they are not
//! made anew but copied and continued: one port among ten thousand is a copy of two tables, not ten thousand clients.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Network, NetworkId, State};
use crate::plan::scope::{DhcpScope, Residents, Zone};
use crate::plan::{self, Settings, Shared};

#[derive(Debug, Default)]
pub(super) struct Known(HashMap<NetworkId, Entry>);

#[derive(Debug, Clone)]
struct Entry {
    of: Arc<Network>,
    dhcp: Option<Arc<DhcpScope>>,
    zone: Arc<Zone>,
    residents: Arc<Residents>,
}

impl Known {
    /// Catches up with the model; what has not changed is kept.
    pub(super) fn refresh(&mut self, state: &State, id: NetworkId, settings: &Settings) {
        let Some(network) = state.networks.get(&id) else {
            self.0.remove(&id);
            return;
        };
        let known = self.0.get(&id);
        if known.is_some_and(|known| Arc::ptr_eq(&known.of, network)) {
            return;
        }
        let continued = known.and_then(|known| known.continued(network));
        let entry = continued.unwrap_or_else(|| Entry::of(network, settings));
        self.0.insert(id, entry);
    }

    /// After a change of the settings.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Entry {
    fn of(network: &Arc<Network>, settings: &Settings) -> Self {
        Self {
            of: Arc::clone(network),
            dhcp: plan::dhcp_scope(network, settings).map(Arc::new),
            zone: Arc::new(plan::zone(network, settings)),
            residents: Arc::new(plan::residents(network)),
        }
    }

    /// What [`Entry::of`] would give for a network that got ports since; `None` where that takes more.
    fn continued(&self, network: &Arc<Network>) -> Option<Self> {
        let new = network.ports_since(&self.of)?;
        let mut next = self.clone();
        next.of = Arc::clone(network);
        let mut dhcp = next.dhcp.as_mut().map(Arc::make_mut);
        let zone = Arc::make_mut(&mut next.zone);
        let residents = Arc::make_mut(&mut next.residents);
        let all_joined = new.into_iter().all(|port| {
            dhcp.as_mut()
                .is_none_or(|dhcp| plan::dhcp_scope_joined(dhcp, port))
                && plan::zone_joined(zone, port)
                && plan::residents_joined(residents, port)
        });
        all_joined.then_some(next)
    }
}

impl Shared for Known {
    fn dhcp(&self, network: NetworkId) -> Option<Arc<DhcpScope>> {
        self.0.get(&network)?.dhcp.clone()
    }

    fn zone(&self, network: NetworkId) -> Option<Arc<Zone>> {
        self.0.get(&network).map(|entry| Arc::clone(&entry.zone))
    }

    fn residents(&self, network: NetworkId) -> Option<Arc<Residents>> {
        self.0
            .get(&network)
            .map(|entry| Arc::clone(&entry.residents))
    }
}

#[cfg(test)]
mod tests;
