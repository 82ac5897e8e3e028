//! Values per network that several namespaces serve, made once for each version of the network.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Network, NetworkId, State};
use crate::plan::scope::{Residents, Zone};
use crate::plan::{self, Settings, Shared};

#[derive(Debug, Default)]
pub(super) struct Known(HashMap<NetworkId, Entry>);

#[derive(Debug)]
struct Entry {
    of: Arc<Network>,
    zone: Arc<Zone>,
    residents: Arc<Residents>,
}

impl Known {
    /// Catches up with the model; what has not changed is kept.
    pub(super) fn refresh(&mut self, state: &State, id: NetworkId, settings: &Settings) {
        match state.networks.get(&id) {
            Some(network) => {
                let entry = || Entry {
                    of: Arc::clone(network),
                    zone: Arc::new(plan::zone(network, settings)),
                    residents: Arc::new(plan::residents(network)),
                };
                if self
                    .0
                    .get(&id)
                    .is_none_or(|known| !Arc::ptr_eq(&known.of, network))
                {
                    self.0.insert(id, entry());
                }
            }
            None => {
                self.0.remove(&id);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Shared for Known {
    fn zone(&self, network: NetworkId) -> Option<Arc<Zone>> {
        self.0.get(&network).map(|entry| Arc::clone(&entry.zone))
    }

    fn residents(&self, network: NetworkId) -> Option<Arc<Residents>> {
        self.0
            .get(&network)
            .map(|entry| Arc::clone(&entry.residents))
    }
}
