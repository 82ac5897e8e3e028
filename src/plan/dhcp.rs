//! What DHCP serves in a network's namespace (Neutron: `agent/linux/dhcp.py`).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use super::network::{own_addresses, own_port};
use super::scope::{Claims, DhcpClient, DhcpScope, DhcpSubnet};
use super::{CommonOption, Settings, metadata, names};
use crate::model::{DeviceOwner, Network, Port, Subnet, SubnetId};

/// What DHCP serves; `None` without an own port.
pub fn scope(network: &Network, settings: &Settings) -> Option<DhcpScope> {
    let port = own_port(network).filter(|_| network.admin_state_up)?;
    let subnets: Vec<DhcpSubnet> = served(network)
        .map(|(subnet, cidr)| of_subnet(network, port, subnet, cidr, settings))
        .collect();
    let mut scope = DhcpScope {
        network: network.id,
        device: names::dhcp_device(port.id, settings.plugging),
        mac: port.mac,
        lease: settings.lease,
        renewal: settings.renewal,
        rebinding: settings.rebinding,
        mtu: u16::try_from(network.mtu).ok().filter(|mtu| *mtu > 0),
        domain: (!network.dns_domain.is_empty()).then(|| network.dns_domain.clone()),
        search: if settings.domain_search {
            search(network)
        } else {
            Vec::new()
        },
        options: common_options(network, 4, settings.dhcp_options_of(4)),
        tags: settings.dhcp_tags.as_slice().into(),
        broadcast_reply: settings.broadcast_reply,
        only_v6: is_only_v6(network),
        subnets,
        clients: Claims::default(),
        by_client_id: Claims::default(),
    };
    network.ports.values().for_each(|port| scope.join(port));
    Some(scope)
}

/// The domains in which machines of a network look for a name: its own first.
pub(super) fn search(network: &Network) -> Vec<String> {
    let own = Some(&network.dns_domain).filter(|domain| !domain.is_empty());
    let more = network.dns_search.iter().filter(|more| Some(*more) != own);
    own.into_iter().chain(more).cloned().collect()
}

/// Those of all networks, then those of this one, which count more.
pub(super) fn common_options(
    network: &Network,
    ip_version: u8,
    of_all: impl Iterator<Item = CommonOption>,
) -> Arc<[CommonOption]> {
    let own = network.dhcp_options.iter();
    let own = own.filter(|option| option.ip_version == ip_version);
    let own = own.map(|option| CommonOption {
        option: option.clone(),
        forced: false,
    });
    of_all.chain(own).collect()
}

/// Does the port decide about more than what itself is answered? A router's interface makes its subnet isolated or not;
/// a DHCP port is a name server to all.
pub fn shapes_scope(port: &Port) -> bool {
    matches!(port.owner, DeviceOwner::RouterInterface | DeviceOwner::Dhcp)
}

impl DhcpScope {
    /// Serves one port more.
    pub fn join(&mut self, port: &Port) {
        let Some(client) = of_port(port, &self.subnets).map(Arc::new) else {
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
        self.clients.remove(&port.mac, port.id);
        if let Some(id) = client_id(port) {
            self.by_client_id.remove(id, port.id);
        }
    }
}

/// All but these owners (`dhcp.py: _iter_hosts`).
pub(super) fn needs_data(port: &Port) -> bool {
    match port.owner {
        DeviceOwner::Machine
        | DeviceOwner::RouterInterface
        | DeviceOwner::RouterGateway
        | DeviceOwner::Other => true,
        DeviceOwner::Dhcp | DeviceOwner::FloatingIp | DeviceOwner::Service => false,
    }
}

/// There is a subnet with DHCP that is isolated.
pub fn has_isolated(network: &Network) -> bool {
    let mut served = network.all_subnets().filter(|subnet| subnet.enable_dhcp);
    served.any(|subnet| is_isolated(network, subnet))
}

/// No router port has the subnet's gateway address (`dhcp.py: get_isolated_subnets`).
fn is_isolated(network: &Network, subnet: &Subnet) -> bool {
    let at_gateway = |port: &&Arc<Port>| {
        let has_it = |fixed: &crate::model::FixedIp| {
            fixed.subnet == subnet.id && Some(fixed.ip) == subnet.gateway_ip
        };
        port.owner == DeviceOwner::RouterInterface && port.fixed_ips.iter().any(has_it)
    };
    !network.ports.values().any(|port| at_gateway(&port))
}

/// IPv4 subnets with DHCP, in the network's order; last those of other segments, whose machines ask through relays.
fn served(network: &Network) -> impl Iterator<Item = (&Subnet, Ipv4Net)> {
    let enabled = network.all_subnets().filter(|subnet| subnet.enable_dhcp);
    enabled.filter_map(|subnet| match subnet.cidr {
        IpNet::V4(cidr) => Some((subnet, cidr)),
        IpNet::V6(_) => None,
    })
}

/// Also subnets without DHCP count: somebody else may serve them.
fn is_only_v6(network: &Network) -> bool {
    let mut subnets = network.all_subnets().peekable();
    subnets.peek().is_some() && subnets.all(|subnet| subnet.cidr.addr().is_ipv6())
}

fn of_subnet(
    network: &Network,
    port: &Port,
    subnet: &Subnet,
    cidr: Ipv4Net,
    settings: &Settings,
) -> DhcpSubnet {
    let server = v4(own_addresses(network, port)
        .find(|(of, _)| of.id == subnet.id)
        .map(|(_, address)| address.addr()));
    let nameservers: Vec<Ipv4Addr> = subnet
        .dns_nameservers
        .iter()
        .filter_map(|ip| v4(Some(*ip)))
        .collect();
    let dns = match nameservers.as_slice() {
        [] => dhcp_servers(network, subnet.id)
            .into_iter()
            .filter_map(|ip| v4(Some(ip)))
            .collect(),
        [Ipv4Addr::UNSPECIFIED] => Vec::new(),
        given => given.to_vec(),
    };
    DhcpSubnet {
        id: subnet.id,
        cidr,
        server,
        router: gateway(subnet),
        dns,
        ntp: subnet
            .ntp_servers
            .iter()
            .filter_map(|ip| v4(Some(*ip)))
            .collect(),
        classless_routes: classless_routes(network, subnet, server, settings),
    }
}

/// The addresses of all DHCP ports on a subnet, ours and other hosts': each answers for the network's names. In the order
/// of the ports' ids, which is Neutron's: every agent says the same. Not those kept for an agent to come, which nobody
/// answers from (Neutron's agent names them all the same).
pub(super) fn dhcp_servers(network: &Network, subnet: SubnetId) -> Vec<IpAddr> {
    let others = network
        .ports
        .values()
        .filter(|port| port.owner == DeviceOwner::Dhcp && !port.is_reserved());
    let by_id: BTreeMap<_, _> = others
        .chain(&network.dhcp_port)
        .map(|port| (port.id, port))
        .collect();
    let fixed_ips = by_id.values().flat_map(|port| &port.fixed_ips);
    fixed_ips
        .filter(|fixed| fixed.subnet == subnet)
        .map(|fixed| fixed.ip)
        .collect()
}

/// Options 121 and 249 (RFC 3442): on-link subnets, host routes, the way to metadata, and the default route
/// once more, for a client that takes these ignores option 3 (`dhcp.py: _generate_opts_per_subnet`).
fn classless_routes(
    network: &Network,
    subnet: &Subnet,
    server: Option<Ipv4Addr>,
    settings: &Settings,
) -> Vec<(Ipv4Net, Ipv4Addr)> {
    let gateway = gateway(subnet);
    let others = network
        .all_subnets()
        .rev()
        .filter(|other| other.cidr != subnet.cidr && other.segment == subnet.segment);
    let mut routes: Vec<_> = others
        .filter_map(|other| Some((v4_net(other.cidr)?, Ipv4Addr::UNSPECIFIED)))
        .collect();
    let host_routes = subnet
        .host_routes
        .iter()
        .filter(|route| route.destination.prefix_len() > 0);
    routes.extend(
        host_routes
            .filter_map(|route| Some((v4_net(route.destination)?, v4(Some(route.nexthop))?))),
    );
    let isolated = is_isolated(network, subnet);
    let to_metadata = if settings.metadata.force || (isolated && settings.metadata.isolated) {
        server
    } else {
        gateway.filter(|_| !isolated)
    };
    routes.extend(to_metadata.map(|via| (metadata::V4_NET, via)));
    if !routes.is_empty() {
        routes.extend(gateway.map(|via| (Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0), via)));
    }
    routes
}

/// `gateway_ip`, else the next hop of the first default among the host routes.
fn gateway(subnet: &Subnet) -> Option<Ipv4Addr> {
    let default = || {
        subnet
            .host_routes
            .iter()
            .find(|route| route.destination.prefix_len() == 0)
    };
    v4(subnet.gateway_ip).or_else(|| v4(default().map(|route| route.nexthop)))
}

/// An empty id is dnsmasq's `*`: known by MAC alone.
pub(super) fn client_id(port: &Port) -> Option<&Vec<u8>> {
    port.client_id.as_ref().filter(|id| !id.is_empty())
}

/// A port as DHCP sees it. `None`: it is no client, or has no address here.
fn of_port(port: &Port, subnets: &[DhcpSubnet]) -> Option<DhcpClient> {
    if !needs_data(port) {
        return None;
    }
    let index =
        |fixed: &crate::model::FixedIp| subnets.iter().position(|subnet| subnet.id == fixed.subnet);
    let addresses: Box<[_]> = port
        .fixed_ips
        .iter()
        .filter_map(|fixed| Some((index(fixed)?, v4(Some(fixed.ip))?)))
        .collect();
    let (_, last) = addresses.last()?;
    let name = port.dns.iter().find(|name| name.ip == IpAddr::V4(*last));
    Some(DhcpClient {
        port: port.id,
        mac: port.mac,
        fqdn: name.map(|name| Arc::clone(&name.fqdn)),
        options: port
            .extra_dhcp_opts
            .iter()
            .filter(|option| option.ip_version == 4)
            .cloned()
            .collect(),
        addresses,
    })
}

fn v4(ip: Option<IpAddr>) -> Option<Ipv4Addr> {
    match ip? {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

fn v4_net(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}
