//! Names: which a network has, and what is answered in its namespace.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::scope::{DnsScope, Forwarder, Side, Zone};
use super::{Settings, Shared, dhcp, names};
use crate::model::{Network, State};

/// The names of one network's ports.
pub fn zone(network: &Network, settings: &Settings) -> Zone {
    let ports = network.ports.values().filter(|port| dhcp::needs_data(port));
    let mut names: HashMap<Arc<str>, Vec<IpAddr>> = HashMap::with_capacity(2 * network.ports.len());
    let mut pointers = HashMap::with_capacity(network.ports.len());
    for assignment in ports.flat_map(|port| &port.dns) {
        let fqdn: Arc<str> = assignment.fqdn.as_str().into();
        names
            .entry(Arc::clone(&fqdn))
            .or_default()
            .push(assignment.ip);
        if assignment.hostname != assignment.fqdn {
            names
                .entry(assignment.hostname.as_str().into())
                .or_default()
                .push(assignment.ip);
        }
        pointers.insert(assignment.ip, fqdn);
    }
    Zone {
        domain: network.dns_domain.clone(),
        authoritative: settings.authoritative_dns,
        names,
        pointers,
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
        device: names::dhcp_device(port.id),
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
