//! The server's methods that we call, typed. Each asks for the lowest version that has the method: an endpoint refuses a
//! newer one than its own, and never an older one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::bus::{Bus, CallError};
use crate::model::{FloatingIpId, NetworkId, PortId, RouterId, SubnetId};

const DHCP: &str = "q-plugin";
const L3: &str = "q-l3-plugin";
const METADATA: &str = "q-plugin";
const RESOURCES: &str = "q-plugin";
const REPORTS: &str = "q-reports-plugin";

/// A Neutron server, asked on behalf of this host. Clones share the connection.
#[derive(Debug, Clone)]
pub(super) struct Server {
    bus: Bus,
    host: String,
}

/// What an own DHCP port should have on a subnet: a certain address, or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedIp {
    pub(super) subnet: SubnetId,
    pub(super) ip: Option<std::net::IpAddr>,
}

/// What to change of a DHCP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PortChange {
    FixedIps(Vec<WantedIp>),
    DeviceId(String),
}

impl Server {
    pub(super) fn new(bus: Bus, host: &str) -> Self {
        Self {
            bus,
            host: host.to_owned(),
        }
    }

    /// `report_state`; how the server greets us: "new", "alive", "revived", or nothing if our clock is behind its start.
    pub(super) async fn report_state(
        &self,
        within: Duration,
        state: &Value,
        time: &str,
    ) -> Result<Option<String>, CallError> {
        let args = args([
            ("agent_state", json!({ "agent_state": state })),
            ("time", json!(time)),
        ]);
        let answer = self
            .bus
            .call_within(within, REPORTS, "1.0", "report_state", args)
            .await?;
        Ok(answer.as_str().map(str::to_owned))
    }

    /// Every network of this host, and those that the server now gives it.
    pub(super) async fn active_networks(&self) -> Result<Vec<Value>, CallError> {
        let args = args([
            ("host", json!(self.host)),
            ("enable_dhcp_filter", json!(false)),
        ]);
        let answer = self
            .bus
            .call(DHCP, "1.1", "get_active_networks_info", args)
            .await?;
        Ok(list(answer))
    }

    /// One network with all of its subnets, as in [`Self::active_networks`]; `None`: it is gone.
    pub(super) async fn network(&self, id: NetworkId) -> Result<Option<Value>, CallError> {
        let args = args([
            ("network_id", json!(id)),
            ("host", json!(self.host)),
            // Null turns the server's own filter off, which would hide subnets without DHCP.
            ("enable_dhcp", Value::Null),
        ]);
        let answer = self.bus.call(DHCP, "1.0", "get_network_info", args).await?;
        Ok(present(answer))
    }

    pub(super) async fn create_dhcp_port(
        &self,
        network: NetworkId,
        project: &str,
        device_id: &str,
        subnets: &[SubnetId],
    ) -> Result<Option<Value>, CallError> {
        let fixed_ips: Vec<Value> = subnets
            .iter()
            .map(|id| json!({ "subnet_id": id }))
            .collect();
        let port = json!({
            "name": "",
            "admin_state_up": true,
            "device_id": device_id,
            "network_id": network,
            "project_id": project,
            "fixed_ips": fixed_ips,
        });
        let args = args([
            ("port", json!({ "port": port })),
            ("host", json!(self.host)),
        ]);
        let answer = self.bus.call(DHCP, "1.1", "create_dhcp_port", args).await?;
        Ok(present(answer))
    }

    /// `None`: the port is gone, or another agent's.
    pub(super) async fn update_dhcp_port(
        &self,
        network: NetworkId,
        port: PortId,
        change: &PortChange,
    ) -> Result<Option<Value>, CallError> {
        let body = match change {
            PortChange::DeviceId(id) => json!({ "network_id": network, "device_id": id }),
            PortChange::FixedIps(wanted) => {
                let ips: Vec<Value> = wanted.iter().map(WantedIp::to_json).collect();
                json!({ "network_id": network, "fixed_ips": ips })
            }
        };
        let args = args([
            ("port_id", json!(port)),
            ("port", json!({ "port": body })),
            ("host", json!(self.host)),
        ]);
        let answer = self.bus.call(DHCP, "1.1", "update_dhcp_port", args).await?;
        Ok(present(answer))
    }

    pub(super) async fn dhcp_port(&self, port: PortId) -> Result<Option<Value>, CallError> {
        let args = args([("port_id", json!(port))]);
        let answer = self.bus.call(DHCP, "1.8", "get_dhcp_port", args).await?;
        Ok(present(answer))
    }

    pub(super) async fn release_dhcp_port(
        &self,
        network: NetworkId,
        device_id: &str,
    ) -> Result<(), CallError> {
        let args = args([
            ("network_id", json!(network)),
            ("device_id", json!(device_id)),
            ("host", json!(self.host)),
        ]);
        self.bus
            .call(DHCP, "1.0", "release_dhcp_port", args)
            .await
            .map(drop)
    }

    /// The ports may become active: what they need of DHCP is being served.
    pub(super) async fn dhcp_ready_on_ports(&self, ports: &[PortId]) -> Result<(), CallError> {
        // A further argument would be an error on the server.
        let args = args([("port_ids", json!(ports))]);
        self.bus
            .call(DHCP, "1.5", "dhcp_ready_on_ports", args)
            .await
            .map(drop)
    }

    pub(super) async fn router_ids(&self) -> Result<Vec<RouterId>, CallError> {
        let args = args([("host", json!(self.host))]);
        let answer = self.bus.call(L3, "1.9", "get_router_ids", args).await?;
        let ids = list(answer).into_iter();
        Ok(ids
            .filter_map(|id| serde_json::from_value(id).ok())
            .collect())
    }

    /// Those of the routers that are this host's.
    pub(super) async fn routers(&self, ids: &[RouterId]) -> Result<Vec<Value>, CallError> {
        let args = args([("host", json!(self.host)), ("router_ids", json!(ids))]);
        let answer = self.bus.call(L3, "1.0", "sync_routers", args).await?;
        Ok(list(answer))
    }

    /// The server also takes those for down that it last saw on this router, and that are not named any more.
    pub(super) async fn floating_ip_statuses(
        &self,
        router: RouterId,
        statuses: &BTreeMap<FloatingIpId, &'static str>,
    ) -> Result<(), CallError> {
        let args = args([
            ("router_id", json!(router)),
            ("fip_statuses", json!(statuses)),
        ]);
        self.bus
            .call(L3, "1.1", "update_floatingip_statuses", args)
            .await
            .map(drop)
    }

    /// Versioned objects of a kind (`port_forwarding.py: PortForwardingAgentExtension`).
    pub(super) async fn objects(
        &self,
        kind: &str,
        version: &str,
        filter: Value,
    ) -> Result<Vec<Value>, CallError> {
        let args = args([
            ("resource_type", json!(kind)),
            ("version", json!(version)),
            ("filter_kwargs", filter),
        ]);
        let answer = self.bus.call(RESOURCES, "1.1", "bulk_pull", args).await?;
        Ok(list(answer))
    }

    /// Ports by filter, for who asks for metadata.
    pub(super) async fn ports(&self, filters: Value) -> Result<Vec<Value>, CallError> {
        let args = args([("filters", filters)]);
        let answer = self.bus.call(METADATA, "1.0", "get_ports", args).await?;
        Ok(list(answer))
    }
}

impl WantedIp {
    fn to_json(&self) -> Value {
        match self.ip {
            Some(ip) => json!({ "subnet_id": self.subnet, "ip_address": ip }),
            None => json!({ "subnet_id": self.subnet }),
        }
    }
}

fn args<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// The server answers null, too, where there is nothing.
fn list(answer: Value) -> Vec<Value> {
    match answer {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn present(answer: Value) -> Option<Value> {
    (!answer.is_null()).then_some(answer)
}
