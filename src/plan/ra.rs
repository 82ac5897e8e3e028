//! What a router's links are told in advertisements (Neutron: `agent/linux/ra.py`).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv6Net};

use super::scope::{RaLink, RaPrefix, RaScope};
use super::{Settings, dhcp, metadata, names};
use crate::model::{Ipv6Mode, Network, Router, RouterPort, RouterSubnet, State, Target};

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
    v6_subnets(leg).next().is_some()
}

fn link(leg: &RouterPort, network: Option<&Network>, settings: &Settings) -> RaLink {
    let has = |mode| v6_subnets(leg).any(|(subnet, _)| subnet.ra_mode == Some(mode));
    let prefixes = v6_subnets(leg).filter_map(|(subnet, net)| {
        let autonomous = match subnet.ra_mode? {
            Ipv6Mode::Slaac | Ipv6Mode::Stateless => true,
            Ipv6Mode::Stateful => false,
        };
        Some(RaPrefix { net, autonomous })
    });
    // The others are told these by DHCPv6.
    let slaac = || v6_subnets(leg).filter(|(subnet, _)| subnet.ra_mode == Some(Ipv6Mode::Slaac));
    let mut dns: Vec<Ipv6Addr> = Vec::new();
    for server in slaac().flat_map(|(subnet, _)| name_servers(subnet, network)) {
        if !dns.contains(&server) && dns.len() < NAME_SERVERS {
            dns.push(server);
        }
    }
    let domains = network.filter(|_| slaac().next().is_some());
    let asked = settings.metadata.routed;
    RaLink {
        mac: leg.mac,
        default_router: true,
        managed: has(Ipv6Mode::Stateful),
        other: has(Ipv6Mode::Stateless),
        mtu: Some(leg.mtu).filter(|mtu| *mtu >= LEAST_MTU),
        prefixes: prefixes.collect(),
        dns,
        domains: domains.map(dhcp::search).unwrap_or_default(),
        routes: asked.then_some(metadata::V6_NET).into_iter().collect(),
        interval: settings.ra_interval,
    }
}

fn v6_subnets(leg: &RouterPort) -> impl Iterator<Item = (&RouterSubnet, Ipv6Net)> {
    let usable = leg.subnets.iter().filter(|subnet| !subnet.is_provisional());
    usable.filter_map(|subnet| match subnet.cidr {
        IpNet::V6(net) => Some((subnet, net)),
        IpNet::V4(_) => None,
    })
}

/// Those that are named; where none is, whoever serves DHCP there, as far as we know the network. `::` is nobody.
fn name_servers(subnet: &RouterSubnet, network: Option<&Network>) -> Vec<Ipv6Addr> {
    let named = subnet.dns_nameservers.iter().copied().filter_map(v6);
    let named: Vec<_> = named.collect();
    match (named.as_slice(), network) {
        ([Ipv6Addr::UNSPECIFIED], _) => Vec::new(),
        ([], Some(network)) => dhcp::dhcp_servers(network, subnet.id)
            .into_iter()
            .filter_map(v6)
            .collect(),
        _ => named,
    }
}

fn v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}
