//! Where instances reach the metadata service, and who they are (Neutron: `agent/metadata/driver.py`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::scope::{Claims, MetadataScope, Residents};
use super::{Settings, Shared, dhcp};
use crate::model::{DeviceOwner, Network, NetworkId, Port, Router, RouterId, State, Target};

/// The address that every cloud's instances ask.
pub(super) const V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The same by IPv6, on each link its own.
pub(super) const V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
pub(super) const V6_NET: Ipv6Net = Ipv6Net::new_assert(V6, 128);
pub(super) const V4_NET: Ipv4Net = Ipv4Net::new_assert(V4, 32);
const LINK_LOCAL: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16));

/// Set on the DHCP device whenever instances may ask there.
pub(super) fn address_wanted(settings: &Settings) -> Option<IpNet> {
    (settings.metadata.isolated || settings.metadata.force).then_some(IpNet::V4(V4_NET))
}

/// Who lives at which address of a network.
pub fn residents(network: &Network) -> Residents {
    let mut residents = Residents {
        network: network.id,
        by_address: Claims::default(),
    };
    network.ports.values().for_each(|port| residents.join(port));
    residents
}

impl Residents {
    /// One port more lives there.
    pub fn join(&mut self, port: &Arc<Port>) {
        if dhcp::needs_data(port) {
            for fixed in &port.fixed_ips {
                self.by_address.insert(fixed.ip, port.id, Arc::clone(port));
            }
        }
    }

    /// As if this port, which has joined, never had.
    pub fn leave(&mut self, port: &Port) {
        for fixed in &port.fixed_ips {
            self.by_address.remove(&fixed.ip, port.id);
        }
    }
}

/// In the DHCP namespace: where a subnet is isolated, or always if forced.
pub(super) fn of_network(
    state: &State,
    network: &Network,
    settings: &Settings,
    known: &impl Shared,
) -> Option<MetadataScope> {
    dhcp::own_port(network).filter(|_| network.admin_state_up)?;
    let for_all = settings.metadata.network && is_for_metadata(network);
    let wanted = settings.metadata.force
        || (settings.metadata.isolated && (for_all || known.has_isolated(network.id)));
    let mut networks = BTreeSet::from([network.id]);
    let mut of = Target::Network(network.id);
    if let Some(first) = first_router(network).filter(|_| settings.metadata.network) {
        networks.extend(behind_it(state, first));
        if let Some(router) = first.device.parse().ok().filter(|_| for_all) {
            of = Target::Router(RouterId(router));
        }
    }
    let listen = SocketAddr::new(IpAddr::V4(V4), 80);
    let scope = scope(listen, of, networks, known);
    (wanted && !scope.residents.is_empty()).then_some(scope)
}

/// Made by tenants so that machines of other networks reach metadata through it (`dhcp.py: should_enable_metadata`).
fn is_for_metadata(network: &Network) -> bool {
    let mut subnets = network.all_subnets();
    subnets.any(|subnet| LINK_LOCAL.contains(&subnet.cidr))
}

fn first_router(network: &Network) -> Option<&Arc<Port>> {
    network.ports.values().find(is_router_port)
}

fn is_router_port(port: &&Arc<Port>) -> bool {
    port.owner == DeviceOwner::RouterInterface
}

/// The networks of the router with this port. It may live on another host: its ports tell.
fn behind_it(state: &State, first: &Port) -> Vec<NetworkId> {
    let has_it = |network: &&Arc<Network>| {
        let mut ports = network.ports.values().filter(is_router_port);
        ports.any(|port| port.device == first.device)
    };
    let networks = state.networks.values().filter(has_it);
    networks.map(|network| network.id).collect()
}

/// In a router's namespace, for the networks of its interfaces; NAT redirects to the port.
pub(super) fn of_router(
    router: &Router,
    settings: &Settings,
    known: &impl Shared,
) -> Option<MetadataScope> {
    // Two legs in one network are still one network.
    let networks: BTreeSet<_> = router.interfaces.iter().map(|leg| leg.network).collect();
    let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), settings.metadata.port);
    let scope = scope(listen, Target::Router(router.id), networks, known);
    let has_guests = !scope.residents.is_empty() || settings.metadata.lookup;
    (settings.metadata.routed && router.admin_state_up && has_guests).then_some(scope)
}

fn scope(
    listen: SocketAddr,
    of: Target,
    networks: BTreeSet<NetworkId>,
    known: &impl Shared,
) -> MetadataScope {
    let residents = networks.iter().filter_map(|id| known.residents(*id));
    MetadataScope {
        listen,
        residents: residents.collect(),
        networks: networks.into_iter().collect(),
        of,
    }
}
