//! What the source's words add up to.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;

use super::{
    Event, Instance, InstanceId, Network, NetworkId, Port, PortId, Router, RouterId, Target,
};

/// The model. A clone costs nothing, and a change afterwards what it touches: all else is shared.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub networks: OrdMap<NetworkId, Arc<Network>>,
    pub routers: OrdMap<RouterId, Arc<Router>>,
    pub instances: OrdMap<InstanceId, Arc<Instance>>,
}

impl State {
    /// Takes one word in; answers what has to converge because of it. An object said again unchanged costs nothing.
    pub fn apply(&mut self, event: &Event) -> BTreeSet<Target> {
        match event {
            Event::Network(network) => self.put_network(network),
            Event::NetworkGone(id) => match self.networks.remove(id) {
                Some(_) => &self.network_and_joined(*id) | &self.gateways_on(*id),
                None => BTreeSet::new(),
            },
            Event::Port(port) => self.put_port(port),
            Event::PortGone(network, port) => self.drop_port(*network, *port),
            Event::Router(router) => self.put_router(router),
            Event::RouterGone(id) => match self.routers.remove(id) {
                Some(router) => Self::router_and_networks(&router),
                None => BTreeSet::new(),
            },
            Event::Instance(instance) => {
                self.instances
                    .insert(instance.id.clone(), Arc::clone(instance));
                BTreeSet::new()
            }
            Event::InstanceGone(id) => {
                self.instances.remove(id);
                BTreeSet::new()
            }
            Event::Complete { .. } => BTreeSet::new(),
        }
    }

    /// Routers with a leg in this network.
    pub fn routers_on(&self, network: NetworkId) -> impl Iterator<Item = &Arc<Router>> {
        self.routers
            .values()
            .filter(move |router| router.interfaces.iter().any(|leg| leg.network == network))
    }

    /// Networks that a router joins to this one, itself excluded.
    pub fn joined(&self, network: NetworkId) -> BTreeSet<NetworkId> {
        let legs = self
            .routers_on(network)
            .flat_map(|router| router.interfaces.iter().map(|leg| leg.network));
        legs.filter(|other| *other != network).collect()
    }

    /// The port with this id on this network, our own included.
    pub fn port(&self, network: NetworkId, port: PortId) -> Option<&Arc<Port>> {
        let network = self.networks.get(&network)?;
        network
            .ports
            .get(&port)
            .or_else(|| network.dhcp_port.as_ref().filter(|own| own.id == port))
    }

    fn put_network(&mut self, network: &Arc<Network>) -> BTreeSet<Target> {
        let known = self.networks.get(&network.id);
        if known.is_some_and(|known| known == network) {
            return BTreeSet::new();
        }
        let attached = |network: &Network| (network.attachment.clone(), network.mtu);
        let attached_anew = known.is_none_or(|known| attached(known) != attached(network));
        self.networks.insert(network.id, Arc::clone(network));
        let mut targets = self.network_and_joined(network.id);
        if attached_anew {
            targets.append(&mut self.gateways_on(network.id));
        }
        targets
    }

    fn put_port(&mut self, port: &Arc<Port>) -> BTreeSet<Target> {
        let Some(network) = self.networks.get_mut(&port.network) else {
            return BTreeSet::new();
        };
        if network
            .ports
            .get(&port.id)
            .is_some_and(|known| known == port)
        {
            return BTreeSet::new();
        }
        Arc::make_mut(network)
            .ports
            .insert(port.id, Arc::clone(port));
        self.network_and_joined(port.network)
    }

    fn drop_port(&mut self, network: NetworkId, port: PortId) -> BTreeSet<Target> {
        let Some(known) = self.networks.get_mut(&network) else {
            return BTreeSet::new();
        };
        if !known.ports.contains_key(&port) {
            return BTreeSet::new();
        }
        Arc::make_mut(known).ports.remove(&port);
        self.network_and_joined(network)
    }

    fn put_router(&mut self, router: &Arc<Router>) -> BTreeSet<Target> {
        match self.routers.insert(router.id, Arc::clone(router)) {
            Some(known) if known == *router => BTreeSet::new(),
            Some(known) => &Self::router_and_networks(&known) | &Self::router_and_networks(router),
            None => Self::router_and_networks(router),
        }
    }

    /// A network's names and residents are served by its neighbours and routers too.
    fn network_and_joined(&self, id: NetworkId) -> BTreeSet<Target> {
        let routers = self.routers_on(id).map(|router| Target::Router(router.id));
        let joined = self.joined(id).into_iter().map(Target::Network);
        routers.chain(joined).chain([Target::Network(id)]).collect()
    }

    /// Routers with their gateway in this network: to them it is a bridge and an uplink, and its ports are nothing.
    fn gateways_on(&self, id: NetworkId) -> BTreeSet<Target> {
        let routers = self.routers.values().filter(|router| {
            let gateway = router.gateway.as_ref();
            gateway.is_some_and(|gateway| gateway.port.network == id)
        });
        routers.map(|router| Target::Router(router.id)).collect()
    }

    /// Which subnets are isolated, and whose names are served, depends on the router's legs.
    fn router_and_networks(router: &Router) -> BTreeSet<Target> {
        let networks = router
            .interfaces
            .iter()
            .map(|leg| Target::Network(leg.network));
        networks.chain([Target::Router(router.id)]).collect()
    }
}
