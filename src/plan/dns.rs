//! Names: which a network has, and what is answered in its namespace.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::scope::{DnsScope, Forwarder, Side, Zone};
use super::{Settings, Shared, dhcp, names};
use crate::model::{DeviceOwner, DnsAssignment, Network, Port, State};

/// The names of one network's ports.
pub fn zone(network: &Network, settings: &Settings) -> Zone {
    let mut zone = Zone {
        domain: network.dns_domain.clone(),
        authoritative: settings.authoritative_dns,
        names: HashMap::with_capacity(2 * network.ports.len()),
        pointers: HashMap::with_capacity(network.ports.len()),
    };
    for port in network.ports.values().filter(|port| dhcp::needs_data(port)) {
        add(&mut zone, port);
    }
    zone
}

/// Names one port more. False, and nothing is done, where a zone made anew could come out otherwise: somebody else has
/// one of its names or addresses.
pub fn zone_joined(zone: &mut Zone, port: &Port) -> bool {
    let is_taken = |name: &DnsAssignment| {
        zone.names.contains_key(name.fqdn.as_str())
            || zone.names.contains_key(name.hostname.as_str())
            || zone.pointers.contains_key(&name.ip)
    };
    if port.owner != DeviceOwner::Machine || port.dns.iter().any(is_taken) {
        return false;
    }
    add(zone, port);
    true
}

fn add(zone: &mut Zone, port: &Port) {
    for DnsAssignment { ip, hostname, fqdn } in &port.dns {
        let full: Arc<str> = fqdn.as_str().into();
        zone.names.entry(Arc::clone(&full)).or_default().push(*ip);
        if hostname != fqdn {
            let bare = zone.names.entry(hostname.as_str().into());
            bare.or_default().push(*ip);
        }
        zone.pointers.insert(*ip, full);
    }
}

pub(super) fn scope(
    state: &State,
    network: &Network,
    settings: &Settings,
    known: &impl Shared,
) -> Option<DnsScope> {
    let port = dhcp::own_port(network).filter(|_| network.admin_state_up)?;
    let joined = if settings.joined_names {
        state.joined(network.id)
    } else {
        [].into()
    };
    let forwarders = network
        .subnets
        .iter()
        .flat_map(|subnet| &subnet.dns_forwarders);
    let mut forwarders: Vec<_> = forwarders
        .map(|ip| Forwarder {
            address: SocketAddr::new(*ip, 53),
            from: Side::Namespace,
        })
        .collect();
    if forwarders.is_empty() {
        forwarders.extend(settings.host_resolvers.iter().map(|address| Forwarder {
            address: *address,
            from: Side::Host,
        }));
    }
    Some(DnsScope {
        network: network.id,
        device: names::dhcp_device(port.id, settings.plugging),
        listen: dhcp::own_addresses(network, port)
            .map(|(_, address)| address.addr())
            .collect(),
        zones: std::iter::once(network.id)
            .chain(joined)
            .filter_map(|id| known.zone(id))
            .collect(),
        forwarders,
        clients: network.subnets.iter().map(|subnet| subnet.cidr).collect(),
    })
}
