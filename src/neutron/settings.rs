//! What the agents' configuration files chose for our part towards Neutron, checked.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::bus;
use crate::model::Kinds;

/// The agent whose place we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Dhcp,
    L3,
    Metadata,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Dhcp, Self::L3, Self::Metadata];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dhcp => "dhcp",
            Self::L3 => "l3",
            Self::Metadata => "metadata",
        })
    }
}

/// What is made in these roles: for metadata alone nothing is.
impl From<&BTreeSet<Role>> for Kinds {
    fn from(roles: &BTreeSet<Role>) -> Self {
        Self {
            networks: roles.contains(&Role::Dhcp),
            routers: roles.contains(&Role::L3),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// `[DEFAULT] host`, verbatim: who we are to the server.
    pub host: String,
    pub roles: BTreeSet<Role>,
    pub bus: bus::Settings,
    /// Between two state reports (`[AGENT] report_interval`); `None`: none is sent.
    pub report_interval: Option<Duration>,
    /// `[AGENT] availability_zone`
    pub availability_zone: String,
    /// Only repeated in the state report (`[AGENT] log_agent_heartbeats`).
    pub log_agent_heartbeats: bool,
    /// As configured; repeated in the state report.
    pub interface_driver: String,
    pub dhcp: Dhcp,
    pub l3: L3,
    pub metadata: Metadata,
}

#[derive(Debug, Clone)]
pub struct Dhcp {
    /// As configured; repeated in the state report.
    pub driver: String,
    /// Seconds, -1 is for ever; repeated in the state report.
    pub lease: i64,
    /// Every network's domain; empty: none.
    pub dns_domain: String,
    /// How often what failed is looked at, and the shortest time between two such looks.
    pub resync_interval: Duration,
    pub resync_throttle: Duration,
}

#[derive(Debug, Clone)]
pub struct L3 {
    /// As configured; `legacy` is what we are.
    pub agent_mode: String,
    pub handle_internal_only_routers: bool,
    /// Names of the extensions that are on (`[agent] extensions`).
    pub extensions: BTreeSet<String>,
    /// A failed full sync is tried again this often.
    pub periodic_interval: Duration,
}

/// Repeated in the metadata agent's state report.
#[derive(Debug, Clone)]
pub struct Metadata {
    pub nova_host: String,
    pub nova_port: u16,
    pub proxy_socket: String,
}
