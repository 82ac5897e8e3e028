//! What links are told in advertisements: by a router on its interfaces (Neutron: `agent/linux/ra.py`), and, where the operator
//! wants it, by a network's DHCP namespace where the network has no router of ours.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv6Net};

use super::network::own_port;
use super::scope::{RaLink, RaPrefix, RaScope};
use super::{Settings, dhcp, metadata, names};
use crate::model::{
    DeviceOwner, Ipv6Mode, MacAddr, Network, Port, Router, RouterPort, RouterSubnet, State, Subnet,
    SubnetId, Target,
};

/// Bytes; with less there is no IPv6 (RFC 8200 section 5).
const LEAST_MTU: u32 = 1280;
/// More are not told (`ra.py: MAX_RDNSS_ENTRIES`).
const NAME_SERVERS: usize = 3;

/// On each interface with an IPv6 subnet; never on the gateway, where someone else is the router.
pub(super) fn of_router(state: &State, router: &Router, settings: &Settings) -> Option<RaScope> {
    let legs = router.interfaces.iter().filter(|leg| leg.admin_state_up);
    let legs = legs.filter(|leg| router.admin_state_up && is_advertised(leg));
    let links = legs.map(|leg| {
        let network = state.networks.get(&leg.network);
        let link = link(leg, network.map(|network| &**network), settings);
        (names::router_device(leg.port), Arc::new(link))
    });
    let scope = RaScope {
        of: Target::Router(router.id),
        links: links.collect(),
    };
    (!scope.links.is_empty()).then_some(scope)
}

/// Whether the leg's link hears of us.
pub(super) fn is_advertised(leg: &RouterPort) -> bool {
    of_leg(leg).next().is_some()
}

/// In the DHCP namespace: the subnets that say how they are advertised, and that no router of ours advertises. What leads out
/// is somebody else's router, who has to say so itself.
pub(super) fn of_network(network: &Network, settings: &Settings) -> Option<RaScope> {
    let port = own_port(network).filter(|_| network.admin_state_up)?;
    let prefixes: Vec<_> = unrouted(network, settings).collect();
    let told = told(&prefixes, (port.mac, network.mtu), Some(network), settings);
    let own = port.fixed_ips.iter().filter_map(|fixed| v6(fixed.ip));
    let link = RaLink {
        default_router: false,
        routes: Vec::new(),
        ending: own.filter(|own| told.dns.contains(own)).collect(),
        ..told
    };
    let device = names::dhcp_device(port.id, settings.plugging);
    (!prefixes.is_empty()).then(|| RaScope {
        of: Target::Network(network.id),
        links: [(device, Arc::new(link))].into(),
    })
}

/// Whether the DHCP namespace has something to advertise.
pub(super) fn is_advertised_without_router(network: &Network, settings: &Settings) -> bool {
    unrouted(network, settings).next().is_some()
}

fn unrouted<'a>(
    network: &'a Network,
    settings: &Settings,
) -> impl Iterator<Item = Prefix<'a>> + use<'a> {
    let wanted = settings.advertise_without_router;
    let subnets = network.subnets.iter().filter(move |_| wanted);
    let spoken_for = |subnet: &Subnet| {
        let is_on_it = |port: &Port| port.fixed_ips.iter().any(|fixed| fixed.subnet == subnet.id);
        let mut ports = network.ports.values();
        ports.any(|port| port.owner == DeviceOwner::RouterInterface && is_on_it(port))
    };
    let subnets = subnets.filter(|subnet| {
        subnet.enable_dhcp && subnet.ra_mode.is_some() && !subnet.is_provisional()
    });
    let subnets = subnets.filter(move |subnet| !spoken_for(subnet));
    subnets.filter_map(|subnet| {
        Prefix::new(
            subnet.id,
            subnet.cidr,
            subnet.ra_mode,
            &subnet.dns_nameservers,
        )
    })
}

/// A subnet as advertisements speak of it.
struct Prefix<'a> {
    subnet: SubnetId,
    net: Ipv6Net,
    /// `None`: not at all.
    mode: Option<Ipv6Mode>,
    name_servers: &'a [IpAddr],
}

impl<'a> Prefix<'a> {
    /// `None`: it is of IPv4.
    fn new(
        subnet: SubnetId,
        cidr: IpNet,
        mode: Option<Ipv6Mode>,
        name_servers: &'a [IpAddr],
    ) -> Option<Self> {
        let IpNet::V6(net) = cidr else { return None };
        Some(Self {
            subnet,
            net,
            mode,
            name_servers,
        })
    }

    /// Those that are named; where none is, whoever serves DHCP there, as far as we know the network. `::` is nobody.
    fn dns(&self, network: Option<&Network>) -> Vec<Ipv6Addr> {
        let named: Vec<_> = self.name_servers.iter().copied().filter_map(v6).collect();
        match (named.as_slice(), network) {
            ([Ipv6Addr::UNSPECIFIED], _) => Vec::new(),
            ([], Some(network)) => dhcp::dhcp_servers(network, self.subnet)
                .into_iter()
                .filter_map(v6)
                .collect(),
            _ => named,
        }
    }
}

fn of_leg(leg: &RouterPort) -> impl Iterator<Item = Prefix<'_>> {
    let usable = leg.subnets.iter().filter(|subnet| !subnet.is_provisional());
    usable.filter_map(|subnet: &RouterSubnet| {
        Prefix::new(
            subnet.id,
            subnet.cidr,
            subnet.ra_mode,
            &subnet.dns_nameservers,
        )
    })
}

fn link(leg: &RouterPort, network: Option<&Network>, settings: &Settings) -> RaLink {
    let prefixes: Vec<_> = of_leg(leg).collect();
    told(&prefixes, (leg.mac, leg.mtu), network, settings)
}

/// As a router says it.
fn told(
    subnets: &[Prefix<'_>],
    (mac, mtu): (MacAddr, u32),
    network: Option<&Network>,
    settings: &Settings,
) -> RaLink {
    let has = |mode| subnets.iter().any(|subnet| subnet.mode == Some(mode));
    let prefixes = subnets.iter().filter_map(|subnet| {
        let autonomous = match subnet.mode? {
            Ipv6Mode::Slaac | Ipv6Mode::Stateless => true,
            Ipv6Mode::Stateful => false,
        };
        Some(RaPrefix {
            net: subnet.net,
            autonomous,
        })
    });
    // The others are told these by DHCPv6.
    let slaac = || {
        let all = subnets.iter();
        all.filter(|subnet| subnet.mode == Some(Ipv6Mode::Slaac))
    };
    let mut dns: Vec<Ipv6Addr> = Vec::new();
    for server in slaac().flat_map(|subnet| subnet.dns(network)) {
        if !dns.contains(&server) && dns.len() < NAME_SERVERS {
            dns.push(server);
        }
    }
    let domains = network.filter(|_| slaac().next().is_some());
    let asked = settings.metadata.routed;
    RaLink {
        mac,
        default_router: true,
        managed: has(Ipv6Mode::Stateful),
        other: has(Ipv6Mode::Stateless),
        mtu: Some(mtu).filter(|mtu| *mtu >= LEAST_MTU),
        prefixes: prefixes.collect(),
        ending: dns.clone(),
        dns,
        domains: domains.map(dhcp::search).unwrap_or_default(),
        routes: asked.then_some(metadata::V6_NET).into_iter().collect(),
        interval: settings.ra_interval,
    }
}

fn v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}
