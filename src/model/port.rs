//! Ports: who has which addresses on a network.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DhcpOption, InstanceId, MacAddr, NetworkId, PortId, ProjectId, SubnetId};

/// There can be very many: what it holds has no room to grow, and what is served of it is shared with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Port {
    pub id: PortId,
    pub name: String,
    pub network: NetworkId,
    pub project: ProjectId,
    pub mac: MacAddr,
    pub admin_state_up: bool,
    pub fixed_ips: Box<[FixedIp]>,
    pub owner: DeviceOwner,
    /// Neutron's `device_id` for a machine's port.
    pub instance: Option<InstanceId>,
    pub extra_dhcp_opts: Box<[DhcpOption]>,
    /// Client id (option 61 as on the wire) by which this port is found where the MAC is no port's.
    pub client_id: Option<Vec<u8>>,
    pub dns: Box<[DnsAssignment]>,
    /// Neutron's `device_id` where the owner is no machine: the router's id, or what names an agent's DHCP port.
    #[serde(default)]
    pub device: String,
    /// The host that the port is bound to; empty: none.
    #[serde(default)]
    pub host: String,
    /// Counted up by Neutron at each change (`revision_number`); 0: not told.
    #[serde(default)]
    pub revision: u64,
}

/// `device_id` of a DHCP port that the server keeps for whichever agent comes next.
const RESERVED: &str = "reserved_dhcp_port";

impl Port {
    /// Up, without addresses; its project and MAC are still to come.
    pub fn new(id: PortId, network: NetworkId, owner: DeviceOwner) -> Self {
        Self {
            id,
            name: String::new(),
            network,
            project: ProjectId::from(""),
            mac: MacAddr([0; 6]),
            admin_state_up: true,
            fixed_ips: Box::default(),
            owner,
            instance: None,
            extra_dhcp_opts: Box::default(),
            client_id: None,
            dns: Box::default(),
            device: String::new(),
            host: String::new(),
            revision: 0,
        }
    }

    /// A DHCP port that no agent serves from now.
    pub fn is_reserved(&self) -> bool {
        self.owner == DeviceOwner::Dhcp && self.device == RESERVED
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    pub subnet: SubnetId,
    pub ip: IpAddr,
}

/// Neutron's `device_owner`, as far as it decides anything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceOwner {
    /// `compute:*`, and whatever else is a client.
    Machine,
    /// `network:dhcp`
    Dhcp,
    /// `network:router_interface` and its HA and distributed kinds.
    RouterInterface,
    /// `network:router_gateway`
    RouterGateway,
    /// `network:floatingip`
    FloatingIp,
    /// `network:router_ha_interface`, `network:distributed`: others that need no DHCP.
    Service,
    /// `network:*` of any other kind (`network:router_centralized_snat`, `network:local_ip`): named, and known to DHCP.
    Other,
}

/// The name of one address. Lower case, no trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsAssignment {
    pub ip: IpAddr,
    pub hostname: Arc<str>,
    pub fqdn: Arc<str>,
}
