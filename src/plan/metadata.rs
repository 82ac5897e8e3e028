//! Where instances reach the metadata service, and who they are (Neutron: `agent/metadata/driver.py`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use super::scope::{Claims, MetadataScope, Residents};
use super::{Settings, Shared, dhcp};
use crate::model::{Network, Port, Router};

/// The address that every cloud's instances ask.
pub(super) const V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
pub(super) const V4_NET: Ipv4Net = Ipv4Net::new_assert(V4, 32);

/// Set on the DHCP device whenever instances may ask there.
pub(super) fn address_wanted(settings: &Settings) -> Option<IpNet> {
    (settings.metadata.isolated || settings.metadata.force).then_some(IpNet::V4(V4_NET))
}

/// Who lives at which address of a network.
pub fn residents(network: &Network) -> Residents {
    let mut residents = Residents {
        network: network.id,
        by_address: Claims::default(),
    };
    network.ports.values().for_each(|port| residents.join(port));
    residents
}

impl Residents {
    /// One port more lives there.
    pub fn join(&mut self, port: &Arc<Port>) {
        if dhcp::needs_data(port) {
            for fixed in &port.fixed_ips {
                self.by_address.insert(fixed.ip, port.id, Arc::clone(port));
            }
        }
    }

    /// As if this port, which has joined, never had.
    pub fn leave(&mut self, port: &Port) {
        for fixed in &port.fixed_ips {
            self.by_address.remove(&fixed.ip, port.id);
        }
    }
}

/// In the DHCP namespace: where a subnet is isolated, or always if forced.
pub(super) fn of_network(
    network: &Network,
    settings: &Settings,
    known: &impl Shared,
) -> Option<MetadataScope> {
    dhcp::own_port(network).filter(|_| network.admin_state_up)?;
    let wanted =
        settings.metadata.force || (settings.metadata.isolated && known.has_isolated(network.id));
    let residents = known.residents(network.id).filter(|_| wanted)?;
    Some(MetadataScope {
        listen: SocketAddr::new(IpAddr::V4(V4), 80),
        residents: vec![residents],
    })
}

/// In a router's namespace, for the networks of its interfaces; NAT redirects to the port.
pub(super) fn of_router(
    router: &Router,
    settings: &Settings,
    known: &impl Shared,
) -> Option<MetadataScope> {
    let networks = router.interfaces.iter().map(|leg| leg.network);
    let residents: Vec<_> = networks.filter_map(|id| known.residents(id)).collect();
    let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), settings.metadata.port);
    (settings.metadata.routed && router.admin_state_up && !residents.is_empty())
        .then_some(MetadataScope { listen, residents })
}
