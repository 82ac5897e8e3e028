//! Which of a host's namespaces somebody has to do with: several daemons, and Neutron's agents, may share them.

use super::{Event, State, Target};

/// What a daemon makes, and so may remove or give away; another one on this host may make the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    pub networks: bool,
    pub routers: bool,
}

impl Default for Kinds {
    fn default() -> Self {
        let (networks, routers) = (true, true);
        Self { networks, routers }
    }
}

impl Kinds {
    pub fn has(self, target: Target) -> bool {
        match target {
            Target::Network(_) => self.networks,
            Target::Router(_) => self.routers,
        }
    }

    /// With all kinds nobody else makes anything: also what does not say whose it is, is.
    pub fn has_all(self) -> bool {
        self == Self::default()
    }

    pub fn has_none(self) -> bool {
        !self.networks && !self.routers
    }

    /// What takes everything of other kinds out of a state.
    pub fn without_others(self, state: &State) -> Vec<Event> {
        let networks = state.networks.keys().filter(|_| !self.networks);
        let routers = state.routers.keys().filter(|_| !self.routers);
        let networks = networks.map(|id| Event::NetworkGone(*id));
        networks
            .chain(routers.map(|id| Event::RouterGone(*id)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::model::{ProjectId, Router, RouterId};

    #[test]
    fn others_go_from_a_state() {
        let router = Router {
            id: RouterId(Uuid::from_u128(1)),
            name: String::new(),
            project: ProjectId::from("p"),
            admin_state_up: true,
            interfaces: Vec::new(),
            gateway: None,
            routes: Vec::new(),
            floating_ips: Vec::new(),
            port_forwardings: Vec::new(),
            conntrack_helpers: Vec::new(),
            forwarded: Vec::new(),
            kind: Default::default(),
        };
        let mut known = State::default();
        known.apply(&Event::Router(Arc::new(router)));
        for (networks, routers, left) in [(true, true, 1), (false, true, 1), (true, false, 0)] {
            let mut state = known.clone();
            for gone in (Kinds { networks, routers }).without_others(&known) {
                state.apply(&gone);
            }
            assert_eq!(state.routers.len(), left, "{networks} {routers}");
        }
    }
}
