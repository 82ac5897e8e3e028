//! A router's namespace `qrouter-<id>` (Neutron: `agent/l3/router_info.py`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv6Net};
use netns::Spec;
use netns::spec::Link;

use super::settings::Ipv6Gateway;
use super::{
    OwnPort, Plan, Settings, bridge, metadata, names, nat, ownership_inside, ownership_on_host, ra,
    routes,
};
use crate::model::{DevName, Gateway, Router, RouterPort, State};

pub(super) fn plan(state: &State, router: &Router, settings: &Settings) -> Option<Plan> {
    if !router.admin_state_up {
        return None;
    }
    let mut host = Spec {
        ownership: ownership_on_host(),
        ..Spec::default()
    };
    let mut inside = Spec {
        ownership: ownership_inside(),
        ..Spec::default()
    };
    inside.links.insert(names::loopback(), Link::existing());
    inside.sysctls.extend(sysctls());
    let mut ports = Vec::new();
    for leg in router.interfaces.iter().filter(|leg| leg.admin_state_up) {
        let device = names::router_device(leg.port);
        let addresses = leg.usable_addresses().chain(on_its_link(leg, settings));
        let link = plug(&mut host, state, leg, settings).addrs(addresses);
        add(&mut inside, &mut ports, device, leg, link);
    }
    if let Some(gateway) = &router.gateway {
        let device = names::gateway_device(gateway.port.port);
        let floating = floating_addresses(router).map(host_net);
        let addresses = gateway.port.usable_addresses().chain(floating);
        let link = plug(&mut host, state, &gateway.port, settings).addrs(addresses);
        add(&mut inside, &mut ports, device.clone(), &gateway.port, link);
        inside
            .sysctls
            .extend(gateway_sysctls(gateway, &device, settings));
    }
    inside.routes = routes::of(router, settings);
    inside.ruleset = Some(nat::ruleset(router, settings));
    Some(Plan {
        inside: Some(inside),
        host,
        ports,
    })
}

/// Addresses on the gateway beside its own: associated floating IPs, and those with port forwardings.
pub(super) fn floating_addresses(router: &Router) -> impl Iterator<Item = Ipv4Addr> {
    let associated = router
        .floating_ips
        .iter()
        .filter(|floating| floating.fixed_ip.is_some())
        .map(|floating| floating.floating_ip);
    let forwarded = router
        .port_forwardings
        .iter()
        .map(|forwarding| forwarding.floating_ip);
    let own: BTreeSet<IpAddr> = router
        .gateway
        .iter()
        .flat_map(|gateway| &gateway.port.addresses)
        .map(IpNet::addr)
        .collect();
    associated
        .chain(forwarded)
        .filter(move |address| !own.contains(&IpAddr::V4(*address)))
}

/// Where IPv6 is advertised: the address that we advertise from, at once and as machines expect it, and the one at which
/// they ask for metadata.
fn on_its_link(leg: &RouterPort, settings: &Settings) -> impl Iterator<Item = IpNet> {
    let own = Ipv6Net::new_assert(leg.mac.link_local(), 64);
    let asked = settings.metadata.routed.then_some(metadata::V6_NET);
    let wanted = [own].into_iter().chain(asked);
    wanted.filter(|_| ra::is_advertised(leg)).map(IpNet::V6)
}

/// A leg's device, and what the host needs for it.
fn plug(host: &mut Spec, state: &State, leg: &RouterPort, settings: &Settings) -> Link {
    let network = state.networks.get(&leg.network);
    // The network's own target makes its bridge too; saying it here as well frees us from waiting for that.
    if let Some(network) = network {
        let bridge = bridge::bridge(network);
        host.links.extend(bridge.links);
        host.sysctls.extend(bridge.sysctls);
    }
    let network = network.map(|network| &**network);
    bridge::plug(host, leg.port, network, leg.mtu, settings.plugging).mac(leg.mac)
}

fn add(inside: &mut Spec, ports: &mut Vec<OwnPort>, device: DevName, leg: &RouterPort, link: Link) {
    inside
        .sysctls
        .insert(format!("net/ipv6/conf/{device}/accept_ra"), "0".into());
    inside
        .sysctls
        .insert(format!("net/ipv6/conf/{device}/accept_dad"), "0".into());
    ports.push(OwnPort {
        device: device.clone(),
        id: leg.port,
        mac: leg.mac,
    });
    inside.links.insert(device, link);
}

fn sysctls() -> impl Iterator<Item = (String, String)> {
    let values = [
        ("net/ipv4/ip_forward", "1"),
        // Answer for an address only where it is set, and with the best source.
        ("net/ipv4/conf/all/arp_ignore", "1"),
        ("net/ipv4/conf/all/arp_announce", "2"),
        // We know the way; a router that forwards takes none for IPv6 anyway.
        ("net/ipv4/conf/all/accept_redirects", "0"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv6/conf/default/accept_ra", "0"),
        // Nor does anybody say that a link-local address of ours is theirs: we would be no router any more.
        ("net/ipv6/conf/default/accept_dad", "0"),
        // A segment that connection tracking does not expect still belongs to its connection, and to its translation.
        ("net/netfilter/nf_conntrack_tcp_be_liberal", "1"),
    ];
    values
        .into_iter()
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
}

/// Advertisements are listened to where nothing else says the way out (2: although we forward).
fn gateway_sysctls(
    gateway: &Gateway,
    device: &DevName,
    settings: &Settings,
) -> [(String, String); 2] {
    let listens = settings.ipv6_gateway == Ipv6Gateway::Advertised
        && routes::first_gateway(&gateway.port, IpAddr::is_ipv6).is_none();
    let key = |name: &str| format!("net/ipv6/conf/{device}/{name}");
    [
        (key("accept_ra"), if listens { "2" } else { "0" }.into()),
        (key("forwarding"), "1".into()),
    ]
}

fn host_net(address: Ipv4Addr) -> IpNet {
    IpAddr::V4(address).into()
}
