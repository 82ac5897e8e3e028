//! A network's namespace `qdhcp-<id>` (Neutron: `agent/linux/dhcp.py`). What is served in it: `dhcp`, `dhcp6`, `dns`, `metadata`.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netns::Spec;
use netns::spec::{Link, Route};

use super::{OwnPort, Plan, Plugging, Settings, bridge, metadata, names, ownership_inside, ra};
use crate::model::{DevName, Network, Port, Subnet};

/// A DHCP port and an enabled subnet make the namespace; without them only the bridge is wanted.
pub(super) fn plan(network: &Network, settings: &Settings) -> Option<Plan> {
    if !network.admin_state_up {
        return None;
    }
    let mut host = bridge::bridge(network);
    let port = own_port(network);
    let inside = port.map(|port| inside(network, port, settings, &mut host));
    let ports = port.map(|port| OwnPort {
        device: names::dhcp_device(port.id, settings.plugging),
        id: port.id,
        mac: port.mac,
    });
    Some(Plan {
        inside,
        host,
        ports: ports.into_iter().collect(),
    })
}

fn inside(network: &Network, port: &Port, settings: &Settings, host: &mut Spec) -> Spec {
    let mut spec = Spec {
        ownership: ownership_inside(),
        ..Spec::default()
    };
    let device = names::dhcp_device(port.id, settings.plugging);
    let own = own_addresses(network, port).map(|(_, address)| address);
    let besides = metadata::addresses_wanted(network, settings)
        .into_iter()
        .chain(advertised_from(network, port, settings));
    let plugging = settings.plugging;
    let link = bridge::plug(host, port.id, Some(network), network.mtu, plugging)
        .mac(port.mac)
        .addrs(own.chain(besides));
    spec.links.insert(names::loopback(), Link::existing());
    let mut of_device = vec![("ipv6", "accept_redirects"), ("ipv4", "accept_redirects")];
    if plugging == Plugging::Internal {
        // It comes before the default below is set.
        of_device.extend([("ipv6", "accept_ra"), ("ipv6", "accept_dad")]);
    }
    for (family, key) in of_device {
        spec.sysctls
            .insert(format!("net/{family}/conf/{device}/{key}"), "0".into());
    }
    spec.links.insert(device.clone(), link);
    let families = [IpAddr::is_ipv4, IpAddr::is_ipv6];
    spec.routes.extend(
        families
            .map(|family| default_route(network, port, &device, family))
            .into_iter()
            .flatten(),
    );
    // No tenant's advertisement configures us, and none says that our link-local address is its own; and we may listen on an address before it is set.
    spec.sysctls
        .insert("net/ipv6/conf/default/accept_ra".into(), "0".into());
    spec.sysctls
        .insert("net/ipv6/conf/default/accept_dad".into(), "0".into());
    // Nor does anybody lead our own packets elsewhere.
    spec.sysctls
        .insert("net/ipv4/conf/all/accept_redirects".into(), "0".into());
    spec.sysctls
        .insert("net/ipv4/ip_nonlocal_bind".into(), "1".into());
    spec
}

/// The address that advertisements come from, at once and as machines expect it.
fn advertised_from(network: &Network, port: &Port, settings: &Settings) -> Option<IpNet> {
    let own = Ipv6Net::new_assert(port.mac.link_local(), 64);
    ra::is_advertised_without_router(network, settings).then_some(IpNet::V6(own))
}

/// The port that the network is served from, if any subnet wants that.
pub(super) fn own_port(network: &Network) -> Option<&Arc<Port>> {
    network
        .dhcp_port
        .as_ref()
        .filter(|_| network.subnets.iter().any(|subnet| subnet.enable_dhcp))
}

/// Own addresses on subnets with DHCP, with their prefix length.
pub(super) fn own_addresses<'a>(
    network: &'a Network,
    port: &'a Port,
) -> impl Iterator<Item = (&'a Subnet, IpNet)> {
    let enabled = |fixed: &crate::model::FixedIp| {
        let subnet = network.subnet(fixed.subnet)?;
        (subnet.enable_dhcp && !subnet.is_provisional()).then_some(subnet)
    };
    port.fixed_ips.iter().filter_map(move |fixed| {
        let subnet = enabled(fixed)?;
        Some((subnet, IpNet::new(fixed.ip, subnet.cidr.prefix_len()).ok()?))
    })
}

/// Through the gateway of the first subnet that has one: DNS forwards that way (`dhcp.py: _set_default_route`).
fn default_route(
    network: &Network,
    port: &Port,
    device: &DevName,
    family: fn(&IpAddr) -> bool,
) -> Option<Route> {
    let has_own = |subnet: &&Subnet| {
        let mut own = own_addresses(network, port);
        own.any(|(of, _)| of.id == subnet.id)
    };
    let mut with_gateway = network
        .subnets
        .iter()
        .filter(|subnet| !subnet.prefix_delegation)
        .filter(has_own)
        .filter_map(|subnet| Some((subnet, subnet.gateway_ip.filter(family)?)));
    let (subnet, gateway) = with_gateway.next()?;
    // Our own address as gateway would be a route to ourselves.
    if port.fixed_ips.iter().any(|fixed| fixed.ip == gateway) {
        return None;
    }
    let everything = match gateway {
        IpAddr::V4(_) => IpNet::V4(Ipv4Net::default()),
        IpAddr::V6(_) => IpNet::V6(Ipv6Net::default()),
    };
    let mut route = Route::to(everything).via(gateway).dev(device.clone());
    let on_link = matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local());
    route.onlink = !on_link && !subnet.cidr.contains(&gateway);
    Some(route)
}
