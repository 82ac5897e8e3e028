//! Networks and subnets.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{DevName, DhcpOption, NetworkId, Port, PortId, ProjectId, SegmentId, SubnetId};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub id: NetworkId,
    pub name: String,
    pub project: ProjectId,
    pub admin_state_up: bool,
    /// Bytes.
    pub mtu: u32,
    pub external: bool,
    /// Without trailing dot; empty: bare names only.
    pub dns_domain: String,
    /// Where names are looked for besides (option 119). As `dns_domain`, none of them empty.
    #[serde(default)]
    pub dns_search: Vec<String>,
    /// What clients on it are told besides, where their ports do not say it. Of DHCPv4.
    #[serde(default)]
    pub dhcp_options: Vec<DhcpOption>,
    pub attachment: Attachment,
    pub subnets: Vec<Subnet>,
    /// Of a routed network: subnets on segments that this host has no part in. They are served to relays.
    #[serde(default)]
    pub non_local_subnets: Vec<Subnet>,
    /// Of a routed network: all of its segments, on whichever hosts.
    #[serde(default)]
    pub segments: Vec<Segment>,
    /// Our own DHCP port (owner `network:dhcp`); `None` while there is none.
    pub dhcp_port: Option<Arc<Port>>,
    /// Every other port. They can be many, and a version of the network shares with the one before what did not change.
    pub ports: OrdMap<PortId, Arc<Port>>,
}

/// How the network's bridge on this host reaches the rest of its layer 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attachment {
    /// Ports are plugged where someone else (Neutron's L2 agent) takes them up.
    Foreign,
    /// Only this host.
    Local {
        bridge: DevName,
    },
    /// Untagged on a physical device.
    Flat {
        bridge: DevName,
        device: DevName,
    },
    /// 802.1Q, 1 to 4094.
    Vlan {
        bridge: DevName,
        device: DevName,
        tag: u16,
    },
    Vxlan {
        bridge: DevName,
        vxlan: Vxlan,
    },
}

/// A VXLAN segment's underlay (RFC 7348).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vxlan {
    pub vni: u32,
    pub local: Option<IpAddr>,
    pub device: Option<DevName>,
    pub group: Option<IpAddr>,
    pub remotes: BTreeSet<IpAddr>,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subnet {
    pub id: SubnetId,
    pub name: String,
    pub cidr: IpNet,
    pub gateway_ip: Option<IpAddr>,
    pub enable_dhcp: bool,
    /// Handed to clients (option 6) instead of our own address; exactly `0.0.0.0`: no DNS at all.
    pub dns_nameservers: Vec<IpAddr>,
    /// Where our DNS forwards, asked from inside the network's namespace; empty: the host's resolvers, asked from the host.
    pub dns_forwarders: Vec<IpAddr>,
    /// Option 42.
    pub ntp_servers: Vec<IpAddr>,
    pub host_routes: Vec<HostRoute>,
    /// Only subnets of one segment reach each other without a router.
    #[serde(default)]
    pub segment: Option<SegmentId>,
    /// Who advertises the prefix, and how (`ipv6_ra_mode`).
    #[serde(default)]
    pub ra_mode: Option<Ipv6Mode>,
    /// How machines come by their addresses (`ipv6_address_mode`).
    #[serde(default)]
    pub address_mode: Option<Ipv6Mode>,
    /// Its prefix is delegated from upstream; until then it is `::/64`.
    #[serde(default)]
    pub prefix_delegation: bool,
}

/// A piece of layer 2 that a routed network is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub id: SegmentId,
    /// VLAN tag or VNI; `None`: flat.
    pub segmentation_id: Option<u32>,
}

/// How an IPv6 address or prefix is given out (RFC 4862, RFC 8415).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipv6Mode {
    Slaac,
    /// The address by DHCPv6.
    Stateful,
    /// The address by SLAAC, the rest by DHCPv6.
    Stateless,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostRoute {
    pub destination: IpNet,
    pub nexthop: IpAddr,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("by another agent"),
            Self::Local { .. } => f.write_str("local"),
            Self::Flat { device, .. } => write!(f, "flat on {device}"),
            Self::Vlan { device, tag, .. } => write!(f, "VLAN {tag} on {device}"),
            Self::Vxlan { vxlan, .. } => write!(f, "VXLAN {}", vxlan.vni),
        }
    }
}

impl Subnet {
    /// With DHCP, and without a gateway.
    pub fn new(id: SubnetId, cidr: IpNet) -> Self {
        Self {
            id,
            name: String::new(),
            cidr,
            gateway_ip: None,
            enable_dhcp: true,
            dns_nameservers: Vec::new(),
            dns_forwarders: Vec::new(),
            ntp_servers: Vec::new(),
            host_routes: Vec::new(),
            segment: None,
            ra_mode: None,
            address_mode: None,
            prefix_delegation: false,
        }
    }

    /// Its machines make their addresses of the prefix and their MAC, whatever anyone says (Neutron: `is_auto_address_subnet`).
    pub fn is_auto_addressed(&self) -> bool {
        let auto = |mode| matches!(mode, Some(Ipv6Mode::Slaac | Ipv6Mode::Stateless));
        auto(self.ra_mode) || auto(self.address_mode)
    }

    /// A prefix is still to be delegated for it (Neutron: `PROVISIONAL_IPV6_PD_PREFIX`).
    pub fn is_provisional(&self) -> bool {
        self.cidr == IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 64))
    }
}

impl Network {
    /// Up, with nothing on it, and with Ethernet's MTU; its project is still to come.
    pub fn new(id: NetworkId) -> Self {
        Self {
            id,
            name: String::new(),
            project: ProjectId(String::new()),
            admin_state_up: true,
            mtu: 1500,
            external: false,
            dns_domain: String::new(),
            dns_search: Vec::new(),
            dhcp_options: Vec::new(),
            attachment: Attachment::Foreign,
            subnets: Vec::new(),
            non_local_subnets: Vec::new(),
            segments: Vec::new(),
            dhcp_port: None,
            ports: OrdMap::new(),
        }
    }

    /// The bridge on this host, where we have one of our own.
    pub fn bridge(&self) -> Option<&DevName> {
        match &self.attachment {
            Attachment::Foreign => None,
            Attachment::Local { bridge }
            | Attachment::Flat { bridge, .. }
            | Attachment::Vlan { bridge, .. }
            | Attachment::Vxlan { bridge, .. } => Some(bridge),
        }
    }

    /// All but the ports is the same.
    pub fn same_but_ports(&self, other: &Self) -> bool {
        // Named one by one, so that a new field must be thought of here.
        let Self {
            id,
            name,
            project,
            admin_state_up,
            mtu,
            external,
            dns_domain,
            dns_search,
            dhcp_options,
            attachment,
            subnets,
            non_local_subnets,
            segments,
            dhcp_port,
            ports: _,
        } = self;
        *id == other.id
            && *name == other.name
            && *project == other.project
            && *admin_state_up == other.admin_state_up
            && *mtu == other.mtu
            && *external == other.external
            && *dns_domain == other.dns_domain
            && *dns_search == other.dns_search
            && *dhcp_options == other.dhcp_options
            && *attachment == other.attachment
            && *subnets == other.subnets
            && *non_local_subnets == other.non_local_subnets
            && *segments == other.segments
            && *dhcp_port == other.dhcp_port
    }

    /// Its subnets, those of other segments last.
    pub fn all_subnets(&self) -> impl DoubleEndedIterator<Item = &Subnet> {
        self.subnets.iter().chain(&self.non_local_subnets)
    }

    /// One of this host's subnets.
    pub fn subnet(&self, id: SubnetId) -> Option<&Subnet> {
        self.subnets.iter().find(|subnet| subnet.id == id)
    }
}
