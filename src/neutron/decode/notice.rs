//! What the server tells agents unasked: the methods that it calls on us.
//!
//! Of most notices only ids are taken: what they say may be older than what a question now would bring. Keys and
//! arguments that we do not know are no fault.

use serde_json::Value;

use super::read::{Dict, Fault, Read, flag, uuid};
use super::{DecodeError, Decoded, Naming, port};
use crate::model::{NetworkId, Port, PortId, RouterId, SubnetId};

/// Ids in one notice.
const ROUTERS: usize = 100_000;

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
    /// A subnet of this network was created or updated.
    SubnetChanged(NetworkId),
    SubnetGone {
        subnet: SubnetId,
        network: Option<NetworkId>,
    },
    /// Created or updated.
    PortChanged(Box<Decoded<Port>>),
    PortGone {
        port: PortId,
        network: Option<NetworkId>,
    },
    /// Everything may be otherwise.
    AgentUpdated,
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
    AgentUpdated,
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
) -> Result<Option<DhcpNotice>, DecodeError> {
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
        "agent_updated" => return Ok(Some(DhcpNotice::AgentUpdated)),
        "port_create_end" | "port_update_end" => {
            return port_changed(method, args, naming).map(Some);
        }
        _ => return Ok(None),
    };
    let notice = payload(args).and_then(|dict| read(dict).map_err(|fault| fault.under("payload")));
    notice.map(Some).map_err(|fault| refused(fault, method))
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
            "agent_updated" => L3Notice::AgentUpdated,
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

fn payload(args: &Value) -> Read<Dict<'_>> {
    Dict::of(args)?.required("payload", Dict::of)
}

fn port_changed(method: &str, args: &Value, naming: &Naming) -> Result<DhcpNotice, DecodeError> {
    let found = payload(args).and_then(|payload| payload.required("port", Ok));
    let value = found.map_err(|fault| refused(fault, method))?;
    port(value, naming).map(|port| DhcpNotice::PortChanged(Box::new(port)))
}

fn network_updated(value: &Value) -> Read<DhcpNotice> {
    // Absent is up: the notice then is a mere "look again".
    let admin_state_up = Dict::of(value)?.optional("admin_state_up", flag)?;
    Ok(DhcpNotice::NetworkUpdated {
        network: NetworkId(id(value)?),
        admin_state_up: admin_state_up.unwrap_or(true),
    })
}

fn subnet_changed(value: &Value) -> Read<DhcpNotice> {
    let network = Dict::of(value)?.required("network_id", uuid)?;
    Ok(DhcpNotice::SubnetChanged(NetworkId(network)))
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
