//! The data that the servers serve: one immutable value per namespace and service, swapped whole.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::CommonOption;
pub use super::claims::Claims;
pub use super::settings::{NoRebind, TextRecord};
use crate::model::{
    DevName, DhcpOption, DhcpTag, MacAddr, NetworkId, Port, PortId, SegmentId, SubnetId, Target,
};

/// What a namespace serves.
#[derive(Debug, Clone, Default)]
pub struct Services {
    pub dhcp: Option<Arc<DhcpScope>>,
    pub dhcp6: Option<Arc<Dhcp6Scope>>,
    pub dns: Option<Arc<DnsScope>>,
    pub metadata: Option<Arc<MetadataScope>>,
    pub ra: Option<Arc<RaScope>>,
}

/// What DHCP (v4) knows of one network.
#[derive(Debug, Clone, PartialEq)]
pub struct DhcpScope {
    pub network: NetworkId,
    /// Where it is served.
    pub device: DevName,
    pub mac: MacAddr,
    /// Seconds; `u32::MAX` is for ever.
    pub lease: u32,
    /// T1 and T2 in seconds where set; else 1/2 and 7/8 of the lease.
    pub renewal: Option<u32>,
    pub rebinding: Option<u32>,
    pub mtu: Option<u16>,
    /// Option 15.
    pub domain: Option<String>,
    /// Option 119.
    pub search: Vec<String>,
    /// What a port and its subnet do not say themselves; all of version 4.
    pub options: Arc<[CommonOption]>,
    /// What clients are told apart by, in order.
    pub tags: Arc<[DhcpTag]>,
    /// Every reply as broadcast, asked for or not.
    pub broadcast_reply: bool,
    /// There is no IPv4 on the network, but IPv6 is: clients that can do without may be told so (RFC 8925).
    pub only_v6: bool,
    pub subnets: Vec<DhcpSubnet>,
    pub clients: Claims<MacAddr, Arc<DhcpClient>>,
    /// By client id; these are in `clients` too.
    pub by_client_id: Claims<Vec<u8>, Arc<DhcpClient>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DhcpSubnet {
    pub id: SubnetId,
    pub cidr: Ipv4Net,
    /// Our own address there: server id, default DNS. `None`: a subnet of elsewhere, served to relays only.
    pub server: Option<Ipv4Addr>,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub ntp: Vec<Ipv4Addr>,
    /// Content of options 121 and 249, in order; next hop `0.0.0.0` is on-link.
    pub classless_routes: Vec<(Ipv4Net, Ipv4Addr)>,
}

/// A port as DHCP sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct DhcpClient {
    pub port: PortId,
    pub mac: MacAddr,
    /// (index into [`DhcpScope::subnets`], address). Of those on one link the last wins.
    pub addresses: Box<[(usize, Ipv4Addr)]>,
    pub fqdn: Option<Arc<str>>,
    /// Version 4 only, in the port's order.
    pub options: Box<[DhcpOption]>,
}

impl DhcpClient {
    /// Option 12: without domain. What dnsmasq makes of the name in its host file.
    pub fn hostname(&self) -> Option<&str> {
        self.fqdn.as_deref()?.split('.').next()
    }
}

/// What DHCPv6 knows of one network.
#[derive(Debug, Clone, PartialEq)]
pub struct Dhcp6Scope {
    pub network: NetworkId,
    /// Where it is served.
    pub device: DevName,
    pub mac: MacAddr,
    /// Seconds, preferred and valid; `u32::MAX` is for ever.
    pub lease: u32,
    pub mtu: Option<u16>,
    /// Option 24.
    pub search: Vec<String>,
    /// A client has all of its port's addresses of one subnet, instead of the last.
    pub every_address: bool,
    /// What a port does not say itself; all of version 6.
    pub options: Arc<[CommonOption]>,
    /// What clients are told apart by, in order.
    pub tags: Arc<[DhcpTag]>,
    pub subnets: Vec<Dhcp6Subnet>,
    pub clients: Claims<MacAddr, Arc<Dhcp6Client>>,
    /// By DUID; these are in `clients` too.
    pub by_client_id: Claims<Vec<u8>, Arc<Dhcp6Client>>,
    /// What machines of the network have as source addresses: none of them is a relay.
    pub tenants: Claims<Ipv6Addr, ()>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Dhcp6Subnet {
    pub id: SubnetId,
    pub cidr: Ipv6Net,
    /// The subnets of one segment are on one link.
    pub segment: Option<SegmentId>,
    /// On our own link; else served to relays only.
    pub local: bool,
    /// Addresses are given, not only options.
    pub stateful: bool,
    pub dns: Vec<Ipv6Addr>,
    /// Options 31 and 56.
    pub ntp: Vec<Ipv6Addr>,
}

/// A port as DHCPv6 sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dhcp6Client {
    pub port: PortId,
    pub mac: MacAddr,
    /// (index into [`Dhcp6Scope::subnets`], address), also of subnets that are not stateful.
    pub addresses: Vec<(usize, Ipv6Addr)>,
    pub fqdn: Option<Arc<str>>,
    /// Version 6 only, in the port's order.
    pub options: Vec<DhcpOption>,
}

/// The names of one network. Keys are lower case without trailing dot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Zone {
    /// Own domain; empty: none.
    pub domain: String,
    /// Names below `domain` that nobody has do not exist (NXDOMAIN), instead of being forwarded.
    pub authoritative: bool,
    /// Fully qualified and bare names.
    pub names: Claims<Arc<str>, IpAddr>,
    /// Address -> fully qualified name.
    pub pointers: Claims<IpAddr, Arc<str>>,
}

/// What DNS answers in one namespace.
#[derive(Debug, Clone)]
pub struct DnsScope {
    pub network: NetworkId,
    pub device: DevName,
    /// Own addresses, port 53, UDP and TCP.
    pub listen: Vec<IpAddr>,
    /// Own zone first; then those of networks that a router joins to this one.
    pub zones: Vec<Arc<Zone>>,
    /// Tried in order.
    pub forwarders: Vec<Forwarder>,
    /// For the names of a domain, in its place: those of the longest domain that fits.
    pub domain_forwarders: Vec<(Arc<str>, Forwarder)>,
    /// Only these sources are answered (dnsmasq's `local-service`).
    pub clients: Vec<IpNet>,
    /// One name more that is ours.
    pub text: Option<Arc<TextRecord>>,
    /// So many answers of forwarders are kept.
    pub cache: usize,
    /// `None`: forwarders may answer with any address.
    pub no_rebind: Option<Arc<NoRebind>>,
}

impl DnsScope {
    /// Forwarders are asked alike, and what they say is judged alike.
    pub fn forwards_like(&self, other: &Self) -> bool {
        self.forwarders == other.forwarders
            && self.domain_forwarders == other.domain_forwarders
            && self.no_rebind == other.no_rebind
    }
}

/// A resolver, and the side it is asked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Forwarder {
    pub address: SocketAddr,
    pub from: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// From inside the network's namespace, through its default route.
    Namespace,
    /// From the host.
    Host,
}

/// Who may ask for metadata in one namespace, and where the listener is.
#[derive(Debug, Clone)]
pub struct MetadataScope {
    /// `169.254.169.254:80` in a DHCP namespace, `0.0.0.0:9697` in a router's; and the same for IPv6 where there is that.
    pub listen: Vec<SocketAddr>,
    /// Whose link-local addresses are meant.
    pub device: Option<DevName>,
    /// Which of the networks is behind each device, where several are: link-local addresses mean something there only.
    pub links: BTreeMap<DevName, NetworkId>,
    /// The networks whose ports ask here: one in a DHCP namespace, those of its interfaces in a router's.
    pub residents: Vec<Arc<Residents>>,
    /// The same networks, also those whose residents are unknown here.
    pub networks: Vec<NetworkId>,
    /// Whose guests these are to a metadata agent of its own.
    pub of: Target,
}

impl MetadataScope {
    /// The model does not know who lives in one of them.
    pub fn has_unknown_networks(&self) -> bool {
        self.residents.len() < self.networks.len()
    }
}

/// Who lives at which address of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Residents {
    pub network: NetworkId,
    pub by_address: Claims<IpAddr, Arc<Port>>,
}

/// What router advertisements say in one namespace: on these devices, and on no other.
#[derive(Debug, Clone, PartialEq)]
pub struct RaScope {
    /// Whose namespace it is.
    pub of: Target,
    pub links: BTreeMap<DevName, Arc<RaLink>>,
}

/// What one device's link is told (RFC 4861 section 6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaLink {
    /// Source: the link-local address made of it, which the plan sets.
    pub mac: MacAddr,
    /// Whether to use us as a default router; else only what is told counts.
    pub default_router: bool,
    /// Addresses by DHCPv6 (M).
    pub managed: bool,
    /// The rest by DHCPv6 (O).
    pub other: bool,
    /// Not told where IPv6 has no such MTU.
    pub mtu: Option<u32>,
    pub prefixes: Vec<RaPrefix>,
    /// Name servers, and the domain that names are looked for in (RFC 8106).
    pub dns: Vec<Ipv6Addr>,
    pub domains: Vec<String>,
    /// Of these name servers, who is not to be asked any more when we cease.
    pub ending: Vec<Ipv6Addr>,
    /// More that we lead to (RFC 4191).
    pub routes: Vec<Ipv6Net>,
    /// Seconds between two unasked ones: at least, at most.
    pub interval: (u16, u16),
}

/// On-link in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RaPrefix {
    pub net: Ipv6Net,
    /// Machines make their addresses of it (A).
    pub autonomous: bool,
}
