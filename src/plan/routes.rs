//! A router's routes: out by its gateway, and the extra ones of its owner.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netns::spec::Route;

use super::settings::Ipv6Gateway;
use super::{Settings, names};
use crate::model::{DevName, Gateway, Router, RouterPort, RouterSubnet};

pub(super) fn of(router: &Router, settings: &Settings) -> BTreeSet<Route> {
    let outward = router
        .gateway
        .iter()
        .flat_map(|gateway| outward(gateway, settings));
    let mut routes: BTreeSet<Route> = outward.collect();
    add_extra(&mut routes, router);
    routes
}

/// The first of the leg's subnets that has a gateway of this family: the kernel holds one default route per metric, and
/// to that subnet belongs the address that we are known by.
pub(super) fn first_gateway(
    leg: &RouterPort,
    family: fn(&IpAddr) -> bool,
) -> Option<(&RouterSubnet, IpAddr)> {
    let with_gateway = leg
        .subnets
        .iter()
        .filter_map(|subnet| Some((subnet, subnet.gateway_ip.filter(family)?)));
    with_gateway
        .into_iter()
        .find(|(subnet, _)| !subnet.is_provisional())
}

/// Defaults, the way to a gateway outside of its subnet, and the external network's other subnets on-link.
fn outward(gateway: &Gateway, settings: &Settings) -> Vec<Route> {
    let port = &gateway.port;
    let device = names::gateway_device(port.port);
    let on_link = |net: IpNet| Route::to(net).dev(device.clone());
    let others = port.extra_subnets.iter();
    let mut routes: Vec<Route> = others
        .filter(|subnet| !subnet.is_provisional())
        .map(|subnet| on_link(subnet.cidr.trunc()))
        .collect();
    let [v4, v6] = [IpAddr::is_ipv4, IpAddr::is_ipv6].map(|family| first_gateway(port, family));
    for (subnet, hop) in [v4, v6].into_iter().flatten() {
        if !subnet.cidr.contains(&hop) && !is_link_local(hop) {
            routes.push(on_link(hop.into()));
        }
        routes.push(default(hop, &device));
    }
    if let (None, Ipv6Gateway::Address(hop)) = (v6, settings.ipv6_gateway) {
        routes.push(default(hop.into(), &device));
    }
    routes
}

fn default(hop: IpAddr, device: &DevName) -> Route {
    let everything = match hop {
        IpAddr::V4(_) => IpNet::V4(Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(Ipv6Net::default()),
    };
    Route::to(everything).via(hop).dev(device.clone())
}

/// Next hops of one destination are one multipath route. An extra default takes the gateway's place.
///
/// What leads nowhere is left out, and comes by itself when a leg is there that it leads over: the kernel would refuse it
/// (Neutron's agent lets it fail). The nets that we are in ourselves are reached directly, whatever an extra route says.
fn add_extra(routes: &mut BTreeSet<Route>, router: &Router) {
    let up = router.interfaces.iter().filter(|leg| leg.admin_state_up);
    let legs = up.chain(router.gateway.iter().map(|gateway| &gateway.port));
    let own: Vec<IpNet> = legs.flat_map(RouterPort::usable_addresses).collect();
    let on_link = routes.iter().filter(|route| route.via.is_empty());
    let connected: BTreeSet<IpNet> = own
        .iter()
        .map(IpNet::trunc)
        .chain(on_link.map(|route| route.destination))
        .collect();
    let is_neighbour = |hop: &IpAddr| {
        connected.iter().any(|net| net.contains(hop)) && !own.iter().any(|net| net.addr() == *hop)
    };
    let mut hops: BTreeMap<IpNet, BTreeSet<IpAddr>> = BTreeMap::new();
    for route in &router.routes {
        let (to, hop) = (route.destination.trunc(), route.nexthop);
        let one_family = to.addr().is_ipv4() == hop.is_ipv4();
        if one_family && is_neighbour(&hop) && !connected.contains(&to) {
            hops.entry(to).or_default().insert(hop);
        }
    }
    routes.retain(|route| !hops.contains_key(&route.destination));
    routes.extend(hops.into_iter().map(|(destination, via)| Route {
        via,
        ..Route::to(destination)
    }));
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
