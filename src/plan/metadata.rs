//! Where instances reach the metadata service, and who they are (Neutron: `agent/metadata/driver.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::network::own_port;
use super::scope::{Claims, MetadataScope, Residents};
use super::{Settings, Shared, dhcp, names, ra};
use crate::model::{DeviceOwner, Network, NetworkId, Port, Router, RouterId, Target};

/// The address that every cloud's instances ask.
pub(super) const V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The same by IPv6, on each link its own.
pub(super) const V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
pub(super) const V6_NET: Ipv6Net = Ipv6Net::new_assert(V6, 128);
pub(super) const V4_NET: Ipv4Net = Ipv4Net::new_assert(V4, 32);
const LINK_LOCAL: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16));

/// Set on the DHCP device whenever instances may ask there. Neither is looked for on the link before it is set (DAD): where
/// several hosts serve the network each has them. To that of IPv6 machines go directly, so it is only where they are served:
/// behind a router it is the router's.
pub(super) fn addresses_wanted(network: &Network, settings: &Settings) -> Vec<IpNet> {
    if !(settings.metadata.isolated || settings.metadata.force) {
        return Vec::new();
    }
    let is_served = || {
        let for_all = settings.metadata.network && is_for_metadata(network);
        settings.metadata.force || for_all || dhcp::has_isolated(network)
    };
    let v6 = has_v6(network) && is_served();
    let v6 = v6.then_some(IpNet::V6(V6_NET));
    [IpNet::V4(V4_NET)].into_iter().chain(v6).collect()
}

fn has_v6(network: &Network) -> bool {
    let mut subnets = network.all_subnets();
    subnets.any(|subnet| subnet.cidr.addr().is_ipv6())
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
            for address in addresses(port) {
                self.by_address.insert(address, port.id, Arc::clone(port));
            }
        }
    }

    /// As if this port, which has joined, never had.
    pub fn leave(&mut self, port: &Port) {
        for address in addresses(port) {
            self.by_address.remove(&address, port.id);
        }
    }
}

/// Those that it has, and the one that it asks from by IPv6, which it makes itself.
fn addresses(port: &Port) -> impl Iterator<Item = IpAddr> {
    let fixed = port.fixed_ips.iter().map(|fixed| fixed.ip);
    fixed.chain([IpAddr::V6(port.mac.link_local())])
}

/// In the DHCP namespace: where a subnet is isolated, or always if forced.
pub(super) fn of_network(
    network: &Network,
    settings: &Settings,
    known: &impl Shared,
) -> Option<MetadataScope> {
    let port = own_port(network).filter(|_| network.admin_state_up)?;
    let for_all = settings.metadata.network && is_for_metadata(network);
    let wanted = settings.metadata.force
        || (settings.metadata.isolated && (for_all || known.has_isolated(network.id)));
    let mut networks = BTreeSet::from([network.id]);
    let mut of = Target::Network(network.id);
    let device = names::dhcp_device(port.id, settings.plugging);
    let mut links = BTreeMap::new();
    if for_all && let Some(first) = known.first_router(network.id) {
        // It may live on another host: its ports tell.
        networks.extend(known.networks_of(first));
        of = Target::Router(first);
        // From there nobody comes by a link-local address.
        links.insert(device.clone(), network.id);
    }
    let v6 = has_v6(network).then_some(IpAddr::V6(V6));
    let listen = [IpAddr::V4(V4)].into_iter().chain(v6);
    let listen = listen.map(|address| SocketAddr::new(address, 80));
    let scope = MetadataScope {
        device: Some(device),
        links,
        ..scope(listen.collect(), of, networks, known)
    };
    (wanted && !scope.residents.is_empty()).then_some(scope)
}

/// Made by tenants so that machines of other networks reach metadata through it (`dhcp.py: should_enable_metadata`).
fn is_for_metadata(network: &Network) -> bool {
    let mut subnets = network.all_subnets();
    subnets.any(|subnet| LINK_LOCAL.contains(&subnet.cidr))
}

/// The routers with ports on a network, in the order of these.
pub fn routers_on(network: &Network) -> impl Iterator<Item = RouterId> {
    let ports = network.ports.values();
    let routers = ports.filter(|port| port.owner == DeviceOwner::RouterInterface);
    routers.filter_map(|port| port.device.parse().ok().map(RouterId))
}

/// In a router's namespace, for the networks of its interfaces; NAT redirects to the port.
pub(super) fn of_router(
    router: &Router,
    settings: &Settings,
    known: &impl Shared,
) -> Option<MetadataScope> {
    // Two legs in one network are still one network.
    let networks: BTreeSet<_> = router.interfaces.iter().map(|leg| leg.network).collect();
    let v6 = speaks_v6(router).then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let listen = [IpAddr::V4(Ipv4Addr::UNSPECIFIED)].into_iter().chain(v6);
    let listen = listen.map(|address| SocketAddr::new(address, settings.metadata.port));
    let legs = router.interfaces.iter();
    let scope = MetadataScope {
        links: legs
            .map(|leg| (names::router_device(leg.port), leg.network))
            .collect(),
        ..scope(listen.collect(), Target::Router(router.id), networks, known)
    };
    let has_guests = !scope.residents.is_empty() || settings.metadata.lookup;
    (settings.metadata.routed && router.admin_state_up && has_guests).then_some(scope)
}

/// There is IPv6 on one of its interfaces.
pub(super) fn speaks_v6(router: &Router) -> bool {
    router.interfaces.iter().any(ra::is_advertised)
}

fn scope(
    listen: Vec<SocketAddr>,
    of: Target,
    networks: BTreeSet<NetworkId>,
    known: &impl Shared,
) -> MetadataScope {
    let residents = networks.iter().filter_map(|id| known.residents(*id));
    MetadataScope {
        listen,
        device: None,
        links: BTreeMap::new(),
        residents: residents.collect(),
        networks: networks.into_iter().collect(),
        of,
    }
}
