//! A router's namespace `qrouter-<id>` (Neutron: `agent/l3/router_info.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netns::Spec;
use netns::spec::{Link, Place, Route};

use super::{Plan, Settings, bridge, names, nat, ownership_inside, ownership_on_host};
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
    for leg in router.interfaces.iter().filter(|leg| leg.admin_state_up) {
        plug(
            &mut inside,
            &mut host,
            state,
            names::router_device(leg.port),
            leg,
            leg.addresses.iter().copied(),
        );
    }
    if let Some(gateway) = &router.gateway {
        let device = names::gateway_device(gateway.port.port);
        let floating = floating_addresses(router).map(host_net);
        let addresses = gateway.port.addresses.iter().copied().chain(floating);
        plug(
            &mut inside,
            &mut host,
            state,
            device.clone(),
            &gateway.port,
            addresses,
        );
        inside.routes.extend(gateway_routes(gateway, &device));
    }
    add_extra_routes(&mut inside.routes, router);
    inside.ruleset = Some(nat::ruleset(router, settings));
    Some(Plan {
        inside: Some(inside),
        host,
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

fn plug(
    inside: &mut Spec,
    host: &mut Spec,
    state: &State,
    device: DevName,
    leg: &RouterPort,
    addrs: impl Iterator<Item = IpNet>,
) {
    let network = state.networks.get(&leg.network);
    // The network's own target makes its bridge too; saying it here as well frees us from waiting for that.
    if let Some(network) = network {
        let bridge = bridge::bridge(network);
        host.links.extend(bridge.links);
        host.sysctls.extend(bridge.sysctls);
    }
    bridge::plug(host, leg.port, network.map(|network| &**network), leg.mtu);
    inside
        .sysctls
        .insert(format!("net/ipv6/conf/{device}/accept_ra"), "0".into());
    let link = Link::veth(names::tap_device(leg.port), Place::Home)
        .mac(leg.mac)
        .mtu(leg.mtu)
        .addrs(addrs);
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
