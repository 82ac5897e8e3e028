//! A router's namespace `qrouter-<id>` (Neutron: `agent/l3/router_info.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netns::Spec;
use netns::spec::{Link, Route};

use super::{OwnPort, Plan, Settings, bridge, names, nat, ownership_inside, ownership_on_host};
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
        let addresses = leg.addresses.iter().copied();
        let link = plug(&mut host, state, leg, settings).addrs(addresses);
        add(&mut inside, &mut ports, device, leg, link);
    }
    if let Some(gateway) = &router.gateway {
        let device = names::gateway_device(gateway.port.port);
        let floating = floating_addresses(router).map(host_net);
        let addresses = gateway.port.addresses.iter().copied().chain(floating);
        let link = plug(&mut host, state, &gateway.port, settings).addrs(addresses);
        add(&mut inside, &mut ports, device.clone(), &gateway.port, link);
        inside.routes.extend(gateway_routes(gateway, &device));
    }
    add_extra_routes(&mut inside.routes, router);
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
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv6/conf/default/accept_ra", "0"),
    ];
    values
        .into_iter()
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
}

/// Defaults, the way to a gateway outside of its subnet, and the external network's other subnets on-link.
fn gateway_routes(gateway: &Gateway, device: &DevName) -> Vec<Route> {
    let on_link = gateway
        .port
        .extra_subnets
        .iter()
        .map(|subnet| Route::to(subnet.cidr.trunc()).dev(device.clone()));
    let mut routes: Vec<Route> = on_link.collect();
    let mut hops = gateway
        .port
        .subnets
        .iter()
        .filter_map(|subnet| Some((subnet, subnet.gateway_ip.filter(IpAddr::is_ipv4)?)));
    // The kernel holds one default route per metric: the first subnet's wins.
    if let Some((subnet, hop)) = hops.next() {
        if !subnet.cidr.contains(&hop) {
            routes.push(Route::to(hop.into()).dev(device.clone()));
        }
        routes.push(Route::default_v4().via(hop).dev(device.clone()));
    }
    routes
}

/// Next hops of one destination are one multipath route. An extra default takes the gateway's place.
fn add_extra_routes(routes: &mut BTreeSet<Route>, router: &Router) {
    let mut hops: BTreeMap<IpNet, BTreeSet<IpAddr>> = BTreeMap::new();
    for route in &router.routes {
        hops.entry(route.destination.trunc())
            .or_default()
            .insert(route.nexthop);
    }
    routes.retain(|route| !hops.contains_key(&route.destination));
    routes.extend(hops.into_iter().map(|(destination, via)| Route {
        via,
        ..Route::to(destination)
    }));
}

fn host_net(address: Ipv4Addr) -> IpNet {
    IpAddr::V4(address).into()
}
