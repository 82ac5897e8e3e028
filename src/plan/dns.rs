//! Names: which a network has, and what is answered in its namespace.

use std::net::SocketAddr;
use std::sync::Arc;

use super::network::{own_addresses, own_port};
use super::scope::{DnsScope, Forwarder, Side, Zone};
use super::{Settings, Shared, dhcp, names};
use crate::model::{DnsAssignment, Network, Port, State};

/// The names of one network's ports.
pub fn zone(network: &Network, settings: &Settings) -> Zone {
    let mut zone = Zone {
        domain: network.dns_domain.clone(),
        authoritative: settings.authoritative_dns,
        ..Zone::default()
    };
    network.ports.values().for_each(|port| zone.join(port));
    zone
}

impl Zone {
    /// Names one port more.
    pub fn join(&mut self, port: &Port) {
        if !dhcp::needs_data(port) {
            return;
        }
        for DnsAssignment { ip, hostname, fqdn } in &port.dns {
            self.names.insert(Arc::clone(fqdn), port.id, *ip);
            if hostname != fqdn {
                self.names.insert(Arc::clone(hostname), port.id, *ip);
            }
            self.pointers.insert(*ip, port.id, Arc::clone(fqdn));
        }
    }

    /// As if this port, which has joined, never had.
    pub fn leave(&mut self, port: &Port) {
        for DnsAssignment { ip, hostname, fqdn } in &port.dns {
            self.names.remove(&**fqdn, port.id);
            self.names.remove(&**hostname, port.id);
            self.pointers.remove(ip, port.id);
        }
    }
}

pub(super) fn scope(
    state: &State,
    network: &Network,
    settings: &Settings,
    known: &impl Shared,
) -> Option<DnsScope> {
    let port = own_port(network).filter(|_| network.admin_state_up)?;
    let joined = if settings.joined_names {
        state.joined(network.id)
    } else {
        [].into()
    };
    let own = network
        .subnets
        .iter()
        .flat_map(|subnet| &subnet.dns_forwarders);
    let mut forwarders: Vec<_> = own
        .map(|ip| Forwarder {
            address: SocketAddr::new(*ip, 53),
            from: Side::Namespace,
        })
        .collect();
    for (given, from) in [
        (&settings.forwarders, Side::Namespace),
        (&settings.host_resolvers, Side::Host),
    ] {
        if forwarders.is_empty() {
            forwarders.extend(given.iter().map(|&address| Forwarder { address, from }));
        }
    }
    Some(DnsScope {
        network: network.id,
        device: names::dhcp_device(port.id, settings.plugging),
        listen: own_addresses(network, port)
            .map(|(_, address)| address.addr())
            .collect(),
        zones: std::iter::once(network.id)
            .chain(joined)
            .filter_map(|id| known.zone(id))
            .collect(),
        forwarders,
        domain_forwarders: settings
            .domain_forwarders
            .iter()
            .map(|(domain, address)| {
                let from = Side::Namespace;
                (
                    domain.as_str().into(),
                    Forwarder {
                        address: *address,
                        from,
                    },
                )
            })
            .collect(),
        clients: network.subnets.iter().map(|subnet| subnet.cidr).collect(),
        text: settings.text.clone(),
        cache: settings.dns_cache,
        no_rebind: settings.no_rebind.clone(),
    })
}
