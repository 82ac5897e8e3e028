//! `network_data.json`: how a guest without DHCP configures its interfaces (`nova/virt/netutils.py`).

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{View, ports};
use crate::model::{FixedIp, Ipv6Mode, Network, Port, Subnet};

pub(super) fn document(view: View<'_>) -> Value {
    let mut links = Vec::new();
    let mut networks = Vec::new();
    let mut services = Vec::new();
    for port in ports(view) {
        let Some(network) = view.state.networks.get(&port.network) else {
            continue;
        };
        let mut connected = false;
        // The format has room for one subnet of each family per port: the first.
        for v6 in [false, true] {
            let Some((fixed, subnet)) = first_subnet(network, port, v6) else {
                continue;
            };
            connected = true;
            networks.push(network_entry(networks.len(), port, *fixed, subnet));
            let unknown = dns_services(subnet).filter(|service| !services.contains(service));
            let unknown: Vec<Value> = unknown.collect();
            services.extend(unknown);
        }
        if connected {
            links.push(link(network, port));
        }
    }
    if links.is_empty() {
        return json!({});
    }
    json!({"links": links, "networks": networks, "services": services})
}

fn first_subnet<'a>(
    network: &'a Network,
    port: &'a Port,
    v6: bool,
) -> Option<(&'a FixedIp, &'a Subnet)> {
    let of_family = port
        .fixed_ips
        .iter()
        .filter(|fixed| fixed.ip.is_ipv6() == v6);
    of_family
        .filter_map(|fixed| Some((fixed, network.subnet(fixed.subnet)?)))
        .next()
}

fn link(network: &Network, port: &Port) -> Value {
    let dhcp = port
        .fixed_ips
        .iter()
        .filter_map(|fixed| network.subnet(fixed.subnet))
        .any(|subnet| subnet.enable_dhcp);
    json!({
        "id": link_id(port),
        "vif_id": port.id,
        "type": "bridge",
        // Where DHCP tells the MTU, it tells the truth.
        "mtu": (!dhcp).then_some(network.mtu),
        "ethernet_mac_address": port.mac.to_string(),
    })
}

/// The name of the tap device that Nova would have made.
fn link_id(port: &Port) -> String {
    format!("tap{:.11}", port.id.to_string())
}

fn network_entry(number: usize, port: &Port, fixed: FixedIp, subnet: &Subnet) -> Value {
    let family = if fixed.ip.is_ipv6() { "ipv6" } else { "ipv4" };
    let mut entry = json!({
        "id": format!("network{number}"),
        "link": link_id(port),
        "network_id": port.network,
        "type": family,
    });
    if let Some(mode) = subnet.address_mode {
        entry["type"] = match mode {
            Ipv6Mode::Slaac => "ipv6_slaac",
            Ipv6Mode::Stateful => "ipv6_dhcpv6-stateful",
            Ipv6Mode::Stateless => "ipv6_dhcpv6-stateless",
        }
        .into();
    } else if subnet.enable_dhcp {
        // And nothing more: addresses here would make cloud-init configure them without DHCP.
        entry["type"] = format!("{family}_dhcp").into();
        return entry;
    }
    entry["ip_address"] = json!(fixed.ip);
    entry["netmask"] = json!(subnet.cidr.netmask());
    entry["routes"] = routes(subnet).into();
    entry["services"] = dns_services(subnet).collect::<Vec<Value>>().into();
    entry
}

/// The default route first, then the subnet's own.
fn routes(subnet: &Subnet) -> Vec<Value> {
    let default = subnet.gateway_ip.map(|gateway| {
        let any = match gateway {
            IpAddr::V4(_) => "0.0.0.0",
            IpAddr::V6(_) => "::",
        };
        json!({"network": any, "netmask": any, "gateway": gateway})
    });
    let others = subnet.host_routes.iter().map(|route| {
        json!({
            "network": route.destination.network(),
            "netmask": route.destination.netmask(),
            "gateway": route.nexthop,
        })
    });
    default.into_iter().chain(others).collect()
}

fn dns_services(subnet: &Subnet) -> impl Iterator<Item = Value> {
    // 0.0.0.0 or :: is no server: it says that clients shall use none.
    let servers = subnet.dns_nameservers.iter();
    servers
        .filter(|address| !address.is_unspecified())
        .map(|address| json!({"type": "dns", "address": address}))
}
