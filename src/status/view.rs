//! The stable shapes behind `--json`. Fields are added, never renamed. No secret, user data or key is in any of them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::model::{
    DevName, FloatingIp, HostRoute, InstanceId, MacAddr, NetworkId, NsName, PortForwarding, PortId,
    RouterId,
};

/// A question. Objects are asked for by name or id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", content = "name", rename_all = "lowercase")]
pub enum Ask {
    /// Does the loop answer?
    Alive,
    Status,
    Network(String),
    Router(String),
    Instance(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", content = "data", rename_all = "lowercase")]
pub enum Reply {
    Alive,
    Status(Box<Status>),
    Network(Box<NetworkView>),
    Router(Box<RouterView>),
    Instance(Box<InstanceView>),
    /// Nothing of that name, with what there is.
    Unknown {
        kind: String,
        name: String,
        known: Vec<String>,
    },
    /// The question was not understood.
    Refused {
        reason: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    pub uptime_seconds: u64,
    pub source: SourceView,
    pub networks: usize,
    pub routers: usize,
    pub instances: usize,
    /// Targets not yet looked at since they changed.
    pub pending: usize,
    pub targets: Vec<TargetView>,
    /// What serves no single network or router: by name, what it has done.
    #[serde(default)]
    pub counters: serde_json::Value,
}

/// Where the model comes from, and whether its last word was understood.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SourceView {
    pub name: String,
    /// Why the last change was refused; the state before it goes on.
    pub refused: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetView {
    pub kind: String,
    pub id: String,
    pub name: String,
    pub namespace: NsName,
    #[serde(flatten)]
    pub convergence: Convergence,
}

/// How far the kernel is what the plan says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Convergence {
    #[default]
    Pending,
    Converged,
    Failed {
        error: String,
        /// In a row.
        failures: u32,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkView {
    pub id: NetworkId,
    pub name: String,
    pub namespace: NsName,
    /// Where instances plug in.
    pub bridge: Option<DevName>,
    pub attachment: String,
    pub mtu: u32,
    pub external: bool,
    pub dns_domain: String,
    #[serde(flatten)]
    pub convergence: Convergence,
    pub subnets: Vec<SubnetView>,
    pub ports: Vec<PortView>,
    pub leases: Vec<LeaseView>,
    pub counters: serde_json::Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubnetView {
    pub name: String,
    pub cidr: IpNet,
    pub gateway_ip: Option<IpAddr>,
    pub dhcp: bool,
    /// Our own address there.
    pub dhcp_address: Option<IpAddr>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PortView {
    pub id: PortId,
    /// Its own, where it was given one.
    pub name: String,
    pub owner: PortOwner,
    /// Name of the instance or router that has it.
    pub of: Option<String>,
    pub network: String,
    pub bridge: Option<DevName>,
    pub mac: MacAddr,
    pub addresses: Vec<IpAddr>,
    pub names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortOwner {
    Instance,
    /// Our own, where DHCP and DNS answer.
    Dhcp,
    /// A router's interface.
    Router,
    /// A router's gateway.
    Gateway,
    FloatingIp,
    Service,
}

/// A client that DHCP has seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseView {
    pub mac: MacAddr,
    pub address: IpAddr,
    pub state: String,
    pub seen_seconds_ago: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouterView {
    pub id: RouterId,
    pub name: String,
    pub namespace: NsName,
    #[serde(flatten)]
    pub convergence: Convergence,
    pub interfaces: Vec<LegView>,
    pub gateway: Option<LegView>,
    pub snat: bool,
    pub routes: Vec<HostRoute>,
    pub floating_ips: Vec<FloatingIp>,
    pub port_forwardings: Vec<PortForwarding>,
    pub counters: serde_json::Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LegView {
    pub device: DevName,
    pub network: String,
    pub mac: MacAddr,
    pub addresses: Vec<IpNet>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceView {
    pub id: InstanceId,
    pub name: String,
    pub hostname: String,
    pub ports: Vec<PortView>,
    pub floating_ips: Vec<FloatingIp>,
    pub leases: Vec<LeaseView>,
}
