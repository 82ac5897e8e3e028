//! Routers, floating IPs and port forwardings.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{
    AddressScopeId, FloatingIpId, HostRoute, Ipv6Mode, MacAddr, NetworkId, PortForwardingId,
    PortId, ProjectId, RouterId, SubnetId,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Router {
    pub id: RouterId,
    pub name: String,
    pub project: ProjectId,
    pub admin_state_up: bool,
    pub interfaces: Vec<RouterPort>,
    pub gateway: Option<Gateway>,
    /// Extra routes; several of one destination: multipath.
    pub routes: Vec<HostRoute>,
    pub floating_ips: Vec<FloatingIp>,
    pub port_forwardings: Vec<PortForwarding>,
    #[serde(default)]
    pub conntrack_helpers: Vec<ConntrackHelper>,
    /// Floating IPs that have port forwardings, which the source tells apart from the router.
    #[serde(default)]
    pub forwarded: Vec<FloatingIpId>,
    #[serde(default)]
    pub kind: RouterKind,
}

/// On how many hosts a router lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouterKind {
    /// On one.
    #[default]
    Legacy,
    /// On several, of which one is active (VRRP).
    Ha,
    /// On every host with machines of it (DVR).
    Distributed,
    /// Distributed, with a highly available SNAT.
    DistributedHa,
}

/// A router's leg in a network (`qr-` or `qg-`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouterPort {
    pub port: PortId,
    pub network: NetworkId,
    pub mac: MacAddr,
    pub admin_state_up: bool,
    /// Bytes.
    pub mtu: u32,
    /// Own addresses, each with its subnet's prefix length.
    pub addresses: Vec<IpNet>,
    /// Subnets that it has an address in.
    pub subnets: Vec<RouterSubnet>,
    /// The network's other subnets: on-link at a gateway.
    pub extra_subnets: Vec<RouterSubnet>,
    #[serde(default)]
    pub scopes: AddressScopes,
}

/// Of a leg's addresses, by family. Without one they are of the null scope, which is a scope like any other: its
/// addresses are routed to each other, and to no other scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressScopes {
    pub v4: Option<AddressScopeId>,
    pub v6: Option<AddressScopeId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouterSubnet {
    pub id: SubnetId,
    pub cidr: IpNet,
    pub gateway_ip: Option<IpAddr>,
    /// How the router advertises it (`ipv6_ra_mode`); `None`: itself only, not the prefix.
    #[serde(default)]
    pub ra_mode: Option<Ipv6Mode>,
    /// Name servers of its machines, where the router tells them.
    #[serde(default)]
    pub dns_nameservers: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gateway {
    pub port: RouterPort,
    pub enable_snat: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloatingIp {
    pub id: FloatingIpId,
    pub floating_ip: Ipv4Addr,
    /// `None`: not associated; the address is not set.
    pub fixed_ip: Option<Ipv4Addr>,
    /// Address scope of the fixed IP.
    #[serde(default)]
    pub fixed_scope: Option<AddressScopeId>,
    /// What the source believes; `None`: it has no opinion.
    #[serde(default)]
    pub status: Option<FloatingIpStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FloatingIpStatus {
    Active,
    Down,
    Error,
}

/// Ports of a floating IP that go to an internal address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortForwarding {
    pub floating_ip: Ipv4Addr,
    pub protocol: Protocol,
    pub internal_ip: Ipv4Addr,
    pub ports: Forwarding,
    /// The source's name of it; `None`: it names none.
    #[serde(default)]
    pub id: Option<PortForwardingId>,
    /// The floating IP with that address; `None`: it is the gateway's own, or not told.
    #[serde(default)]
    pub floating: Option<FloatingIpId>,
}

/// Inclusive ranges: the k-th external port goes to the k-th internal one; a smaller internal range wraps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    pub external: (u16, u16),
    pub internal: (u16, u16),
}

/// Follows what a protocol agrees upon inside of its connections (FTP's data ports, say), so that it passes NAT.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConntrackHelper {
    /// The kernel's name of it: `ftp`, `netbios-ns`.
    pub helper: String,
    pub protocol: Protocol,
    pub port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
    Dccp,
}

impl Router {
    /// Up, without legs; its project is still to come.
    pub fn new(id: RouterId) -> Self {
        Self {
            id,
            name: String::new(),
            project: ProjectId(String::new()),
            admin_state_up: true,
            interfaces: Vec::new(),
            gateway: None,
            routes: Vec::new(),
            floating_ips: Vec::new(),
            port_forwardings: Vec::new(),
            conntrack_helpers: Vec::new(),
            forwarded: Vec::new(),
            kind: RouterKind::Legacy,
        }
    }
}

impl RouterPort {
    /// Those that can be set.
    pub fn usable_addresses(&self) -> impl Iterator<Item = IpNet> {
        let all = self.addresses.iter().copied();
        all.filter(|address| !is_provisional(address))
    }
}

impl RouterSubnet {
    pub fn is_provisional(&self) -> bool {
        is_provisional(&self.cidr)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A prefix is still to be delegated for this net (Neutron: `PROVISIONAL_IPV6_PD_PREFIX`).
fn is_provisional(net: &IpNet) -> bool {
    net.trunc() == IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 64))
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Dccp => "dccp",
            Self::Sctp => "sctp",
        }
    }

    /// IANA protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Dccp => 33,
            Self::Sctp => 132,
        }
    }
}
