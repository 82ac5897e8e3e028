//! What DHCPv6 serves on a network (Neutron: `agent/linux/dhcp.py`).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::dhcp::{client_id, common_options, dhcp_servers, needs_data, search};
use super::network::own_port;
use super::scope::{Claims, Dhcp6Client, Dhcp6Scope, Dhcp6Subnet};
use super::{Settings, names};
use crate::model::{DeviceOwner, Ipv6Mode, Network, Port, Subnet};

/// Shorter ones dnsmasq does not take, and Neutron's agent leaves them out.
const SHORTEST_PREFIX: u8 = 64;
/// RFC 3646.
const DOMAIN_SEARCH: u16 = 24;

/// `None`: without an own port, or without a subnet that DHCPv6 has a part in.
pub fn scope(network: &Network, settings: &Settings) -> Option<Dhcp6Scope> {
    let port = own_port(network).filter(|_| network.admin_state_up)?;
    let subnets: Vec<_> = network
        .all_subnets()
        .filter_map(|subnet| of_subnet(network, subnet))
        .collect();
    if subnets.is_empty() {
        return None;
    }
    let search = search(network);
    // The network's own domain counts more than a search list for all, as where Neutron's agent writes both; what the
    // network's own options say counts more than that.
    let of_all = settings
        .dhcp_options_of(6)
        .filter(|common| search.is_empty() || common.option.code != DOMAIN_SEARCH);
    let mut scope = Dhcp6Scope {
        network: network.id,
        device: names::dhcp_device(port.id, settings.plugging),
        mac: port.mac,
        lease: settings.lease,
        mtu: u16::try_from(network.mtu).ok().filter(|mtu| *mtu > 0),
        options: common_options(network, 6, of_all),
        search,
        every_address: settings.every_address,
        tags: settings.dhcp_tags.as_slice().into(),
        subnets,
        clients: Claims::default(),
        by_client_id: Claims::default(),
        tenants: Claims::default(),
    };
    network.ports.values().for_each(|port| scope.join(port));
    Some(scope)
}

impl Dhcp6Scope {
    /// Serves one port more.
    pub fn join(&mut self, port: &Port) {
        for address in sources(port) {
            self.tenants.insert(address, port.id, ());
        }
        let Some(client) = self.client(port).map(Arc::new) else {
            return;
        };
        if let Some(id) = client_id(port) {
            let client = Arc::clone(&client);
            self.by_client_id.insert(id.clone(), port.id, client);
        }
        self.clients.insert(port.mac, port.id, client);
    }

    /// As if this port, which has joined, never had.
    pub fn leave(&mut self, port: &Port) {
        for address in sources(port) {
            self.tenants.remove(&address, port.id);
        }
        self.clients.remove(&port.mac, port.id);
        if let Some(id) = client_id(port) {
            self.by_client_id.remove(id, port.id);
        }
    }

    /// `None`: it is no client, or has no address here.
    fn client(&self, port: &Port) -> Option<Dhcp6Client> {
        if !needs_data(port) {
            return None;
        }
        let index = |fixed: &crate::model::FixedIp| {
            let mut subnets = self.subnets.iter();
            subnets.position(|subnet| subnet.id == fixed.subnet)
        };
        let mut addresses: Vec<(usize, Ipv6Addr)> = port
            .fixed_ips
            .iter()
            .filter_map(|fixed| Some((index(fixed)?, v6(fixed.ip)?)))
            .collect();
        if !self.every_address {
            let all = addresses.clone();
            let mut place = 0..;
            addresses.retain(|(of, _)| {
                let later = place.next().and_then(|at: usize| all.get(at + 1..));
                !later
                    .unwrap_or_default()
                    .iter()
                    .any(|(other, _)| other == of)
            });
        }
        let (_, last) = addresses.last()?;
        let name = port.dns.iter().find(|name| name.ip == IpAddr::V6(*last));
        let options = port.extra_dhcp_opts.iter();
        Some(Dhcp6Client {
            port: port.id,
            mac: port.mac,
            fqdn: name.map(|name| Arc::clone(&name.fqdn)),
            options: options
                .filter(|option| option.ip_version == 6)
                .cloned()
                .collect(),
            addresses,
        })
    }
}

/// `None`: not IPv6, without DHCP, or its addresses are not DHCPv6's business (`dhcp.py: spawn_process`).
fn of_subnet(network: &Network, subnet: &Subnet) -> Option<Dhcp6Subnet> {
    let cidr = match subnet.cidr {
        IpNet::V6(cidr) if cidr.prefix_len() >= SHORTEST_PREFIX => cidr,
        IpNet::V6(_) | IpNet::V4(_) => return None,
    };
    let stateful = match (subnet.address_mode, subnet.ra_mode) {
        (Some(Ipv6Mode::Stateful), _) | (None, None) => true,
        (Some(Ipv6Mode::Stateless), _) => false,
        (Some(Ipv6Mode::Slaac), _) | (None, Some(_)) => return None,
    };
    if !subnet.enable_dhcp || subnet.is_provisional() {
        return None;
    }
    let all = |list: &[IpAddr]| -> Vec<Ipv6Addr> { list.iter().copied().filter_map(v6).collect() };
    let dns = match all(&subnet.dns_nameservers).as_slice() {
        [] => all(&dhcp_servers(network, subnet.id)),
        [Ipv6Addr::UNSPECIFIED] => Vec::new(),
        given => given.to_vec(),
    };
    Some(Dhcp6Subnet {
        id: subnet.id,
        cidr,
        segment: subnet.segment,
        local: network.subnet(subnet.id).is_some(),
        stateful,
        dns,
        ntp: all(&subnet.ntp_servers),
    })
}

/// What a machine can have as source without breaking the rules of its port (Neutron's anti-spoofing).
fn sources(port: &Port) -> impl Iterator<Item = Ipv6Addr> {
    let fixed = port.fixed_ips.iter().filter_map(|fixed| v6(fixed.ip));
    let all = fixed.chain([port.mac.link_local()]);
    all.filter(|_| port.owner == DeviceOwner::Machine)
}

fn v6(ip: IpAddr) -> Option<Ipv6Addr> {
    match ip {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    }
}
