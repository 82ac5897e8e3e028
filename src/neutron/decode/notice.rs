//! What the server tells agents unasked: the methods that it calls on us.
//!
//! Of most notices only ids are taken: what they say may be older than what a question now would bring. Keys and
//! arguments that we do not know are no fault.

use std::net::IpAddr;

use serde_json::Value;

use super::read::{Dict, Fault, Read, flag, ip, number, uuid};
use super::{DecodeError, Decoded, Naming, port};
use crate::model::{NetworkId, Port, PortId, RouterId, SubnetId};

/// Ids in one notice.
const ROUTERS: usize = 100_000;
const FIXED_IPS: usize = 1_000;
/// Of a notice that names none.
const LOWEST: u8 = 255;

/// What [`dhcp_notice`] knows.
pub const DHCP_METHODS: &[&str] = &[
    "network_create_end",
    "network_update_end",
    "network_delete_end",
    "subnet_create_end",
    "subnet_update_end",
    "subnet_delete_end",
    "port_create_end",
    "port_update_end",
    "port_delete_end",
    "agent_updated",
];

/// What [`l3_notice`] knows.
pub const L3_METHODS: &[&str] = &[
    "routers_updated",
    "router_deleted",
    "router_added_to_agent",
    "router_removed_from_agent",
    "network_update",
    "agent_updated",
    "add_arp_entry",
    "del_arp_entry",
    "fipnamespace_delete_on_ext_net",
];

/// A DHCP notice with its place in the queue: low first.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    pub notice: DhcpNotice,
    pub priority: u8,
}

#[derive(Debug, Clone, PartialEq)]
pub enum DhcpNotice {
    /// `network_create_end`: it was scheduled to us, at whatever time it was made.
    NetworkScheduled(NetworkId),
    NetworkUpdated {
        network: NetworkId,
        admin_state_up: bool,
    },
    /// `network_delete_end`: deleted, or scheduled away from us. All agents get it, also those that never had it.
    NetworkGone(NetworkId),
    /// Created or updated.
    SubnetChanged {
        subnet: SubnetId,
        network: NetworkId,
    },
    SubnetGone {
        subnet: SubnetId,
        network: Option<NetworkId>,
    },
    PortCreated(Box<Decoded<Port>>),
    PortUpdated(Box<Decoded<Port>>),
    PortGone {
        port: PortId,
        network: Option<NetworkId>,
        /// Empty: Zed does not tell those of a router's interface.
        addresses: Vec<IpAddr>,
    },
    /// Everything may be otherwise.
    AgentUpdated {
        admin_state_up: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum L3Notice {
    /// `routers_updated`, `router_added_to_agent`.
    Changed(Vec<RouterId>),
    /// `router_deleted`, `router_removed_from_agent`.
    Gone(RouterId),
    /// Its MTU, say.
    NetworkUpdated(NetworkId),
    /// Everything may be otherwise.
    AgentUpdated { admin_state_up: bool },
    /// `add_arp_entry`, `del_arp_entry`, `fipnamespace_delete_on_ext_net`: nothing for routers that live on one host.
    ForDistributed,
}

/// A method called on the DHCP agent; `None`: there is no such method.
///
/// # Errors
/// It does not say which object it is about, or that object is a port that makes no sense.
pub fn dhcp_notice(
    method: &str,
    args: &Value,
    naming: &Naming,
) -> Result<Option<Queued>, DecodeError> {
    let read: fn(Dict<'_>) -> Read<DhcpNotice> = match method {
        "network_create_end" => |payload| {
            payload
                .required("network", id)
                .map(|id| DhcpNotice::NetworkScheduled(NetworkId(id)))
        },
        "network_update_end" => |payload| payload.required("network", network_updated),
        "network_delete_end" => |payload| {
            payload
                .required("network_id", uuid)
                .map(|id| DhcpNotice::NetworkGone(NetworkId(id)))
        },
        "subnet_create_end" | "subnet_update_end" => {
            |payload| payload.required("subnet", subnet_changed)
        }
        "subnet_delete_end" => subnet_gone,
        "port_delete_end" => port_gone,
        "agent_updated" => |payload| {
            Ok(DhcpNotice::AgentUpdated {
                admin_state_up: admin_state_up(payload)?,
            })
        },
        "port_create_end" | "port_update_end" => {
            return port_changed(method, args, naming).map(Some);
        }
        _ => return Ok(None),
    };
    let queued = payload(args).and_then(|(dict, priority)| {
        let notice = read(dict).map_err(|fault| fault.under("payload"))?;
        Ok(Queued { notice, priority })
    });
    queued.map(Some).map_err(|fault| refused(fault, method))
}

/// A method called on the L3 agent; `None`: there is no such method.
///
/// # Errors
/// It does not say which object it is about.
pub fn l3_notice(method: &str, args: &Value) -> Result<Option<L3Notice>, DecodeError> {
    let read = || -> Read<Option<L3Notice>> {
        let dict = Dict::of(args)?;
        Ok(Some(match method {
            "routers_updated" => L3Notice::Changed(dict.list("routers", ROUTERS, router_id)?),
            "router_added_to_agent" => L3Notice::Changed(dict.list("payload", ROUTERS, router_id)?),
            "router_deleted" => L3Notice::Gone(RouterId(dict.required("router_id", uuid)?)),
            "router_removed_from_agent" => L3Notice::Gone(dict.required("payload", |value| {
                Dict::of(value)?.required("router_id", uuid).map(RouterId)
            })?),
            "network_update" => L3Notice::NetworkUpdated(NetworkId(dict.required("network", id)?)),
            "agent_updated" => dict.required("payload", |value| {
                let admin_state_up = admin_state_up(Dict::of(value)?)?;
                Ok(L3Notice::AgentUpdated { admin_state_up })
            })?,
            "add_arp_entry" | "del_arp_entry" | "fipnamespace_delete_on_ext_net" => {
                L3Notice::ForDistributed
            }
            _ => return Ok(None),
        }))
    };
    read().map_err(|fault| refused(fault, method))
}

fn refused(fault: Fault, method: &str) -> DecodeError {
    fault.of(format!("the notice {method}"))
}

/// The payload, and its priority.
fn payload(args: &Value) -> Read<(Dict<'_>, u8)> {
    Dict::of(args)?.required("payload", |value| {
        let payload = Dict::of(value)?;
        // One that makes no sense is none.
        let priority = payload.optional("priority", number(0..=u64::from(LOWEST)));
        Ok((payload, priority.ok().flatten().unwrap_or(LOWEST)))
    })
}

fn port_changed(method: &str, args: &Value, naming: &Naming) -> Result<Queued, DecodeError> {
    let found =
        payload(args).and_then(|(payload, priority)| Ok((payload.required("port", Ok)?, priority)));
    let (value, priority) = found.map_err(|fault| refused(fault, method))?;
    let port = Box::new(port(value, naming)?);
    let notice = if method == "port_create_end" {
        DhcpNotice::PortCreated(port)
    } else {
        DhcpNotice::PortUpdated(port)
    };
    Ok(Queued { notice, priority })
}

fn network_updated(value: &Value) -> Read<DhcpNotice> {
    let network = NetworkId(id(value)?);
    let admin_state_up = admin_state_up(Dict::of(value)?)?;
    Ok(DhcpNotice::NetworkUpdated {
        network,
        admin_state_up,
    })
}

fn subnet_changed(value: &Value) -> Read<DhcpNotice> {
    Ok(DhcpNotice::SubnetChanged {
        subnet: SubnetId(id(value)?),
        network: NetworkId(Dict::of(value)?.required("network_id", uuid)?),
    })
}

fn subnet_gone(payload: Dict<'_>) -> Read<DhcpNotice> {
    Ok(DhcpNotice::SubnetGone {
        subnet: SubnetId(payload.required("subnet_id", uuid)?),
        network: payload.optional("network_id", uuid)?.map(NetworkId),
    })
}

fn port_gone(payload: Dict<'_>) -> Read<DhcpNotice> {
    Ok(DhcpNotice::PortGone {
        port: PortId(payload.required("port_id", uuid)?),
        network: payload.optional("network_id", uuid)?.map(NetworkId),
        addresses: payload.list("fixed_ips", FIXED_IPS, |value| {
            Dict::of(value)?.required("ip_address", ip)
        })?,
    })
}

fn id(value: &Value) -> Read<uuid::Uuid> {
    Dict::of(value)?.required("id", uuid)
}

/// Very old servers send whole dicts.
fn router_id(value: &Value) -> Read<RouterId> {
    if value.is_object() {
        id(value)
    } else {
        uuid(value)
    }
    .map(RouterId)
}

/// Absent is up: the notice then is a mere "look again".
fn admin_state_up(dict: Dict<'_>) -> Read<bool> {
    Ok(dict.optional("admin_state_up", flag)?.unwrap_or(true))
}
