//! What this agent is called, and what that makes of the names in its messages.

use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use crate::model::{DnsAssignment, Network, NetworkId, Port};

/// Chosen once, for all networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Agents' `dns_domain`: lower case, without trailing dot; empty: none.
    dns_domain: String,
    /// What begins the `device_id` of every DHCP port of this host.
    device: String,
}

impl Naming {
    /// `host` is `[DEFAULT] host`, `dns_domain` as configured.
    pub fn new(host: &str, dns_domain: &str) -> Self {
        // neutron_lib: utils/host.py cuts the host at its first dot.
        let host = host.split('.').next().unwrap_or_default();
        let id = Uuid::new_v5(&Uuid::NAMESPACE_DNS, host.as_bytes());
        Self {
            dns_domain: dns_domain.trim_end_matches('.').to_ascii_lowercase(),
            device: format!("dhcp{id}"),
        }
    }

    pub fn dns_domain(&self) -> &str {
        &self.dns_domain
    }

    /// `device_id` of our own port on a network.
    pub fn dhcp_device(&self, network: NetworkId) -> String {
        format!("{}-{network}", self.device)
    }

    /// Ours, in either spelling: agents since 22.0 add the segmentation id of a routed network's segment.
    pub(super) fn is_own(&self, port: &Port, network: &Network) -> bool {
        let own = self.dhcp_device(network.id);
        let Some(rest) = port.device.strip_prefix(&own) else {
            return false;
        };
        let local = |id: u32| {
            network.segments.iter().any(|segment| {
                let here = |subnet: &crate::model::Subnet| subnet.segment == Some(segment.id);
                segment.segmentation_id == Some(id) && network.subnets.iter().any(here)
            })
        };
        rest.is_empty()
            || rest
                .strip_prefix('-')
                .and_then(|id| id.parse().ok())
                .is_some_and(local)
    }

    /// The name of an address that nobody named (`dhcp.py: _get_dns_assignment`).
    pub(super) fn unnamed(&self, ip: IpAddr) -> DnsAssignment {
        let hostname: Arc<str> = format!("host-{ip}").replace(['.', ':'], "-").into();
        let fqdn = if self.dns_domain.is_empty() {
            Arc::clone(&hostname)
        } else {
            format!("{hostname}.{}", self.dns_domain).into()
        };
        DnsAssignment { ip, hostname, fqdn }
    }
}
