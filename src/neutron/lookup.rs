//! Who has an address, for metadata: asked of the server where the model does not know (`metadata/agent.py: _get_ports`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::json;

use super::bus::CallError;
use super::decode;
use super::server::Server;
use crate::model::{InstanceId, NetworkId, ProjectId, RouterId};

/// Owners of a router's interfaces (`neutron_lib.constants.ROUTER_INTERFACE_OWNERS`).
const INTERFACES: [&str; 3] = [
    "network:router_interface",
    "network:ha_router_replicated_interface",
    "network:router_interface_distributed",
];

/// Asks the server about ports. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Ports(Server);

impl Ports {
    pub(super) fn new(server: Server) -> Self {
        Self(server)
    }

    /// The machine with this address on one of these networks; a link-local one is told by the MAC in it. `None`: nobody, or
    /// not one alone.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn who(
        &self,
        networks: &[NetworkId],
        address: IpAddr,
    ) -> Result<Option<(InstanceId, ProjectId)>, CallError> {
        // Without a network the server would look in all of them.
        if networks.is_empty() {
            return Ok(None);
        }
        let filters = match mac_in(address) {
            Some(mac) => json!({ "mac_address": [mac], "network_id": networks }),
            None => json!({ "fixed_ips": { "ip_address": [address] }, "network_id": networks }),
        };
        let ports = self.0.ports(filters).await?;
        Ok(match ports.as_slice() {
            [port] => decode::machine(port),
            _ => None,
        })
    }

    /// The networks that a router has interfaces in.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn networks_of(&self, router: RouterId) -> Result<Vec<NetworkId>, CallError> {
        let filters = json!({ "device_id": [router], "device_owner": INTERFACES });
        let ports = self.0.ports(filters).await?;
        let ids = ports.iter().filter_map(decode::network_of);
        Ok(ids.collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// Of a link-local address made from it (RFC 4291 appendix A).
fn mac_in(address: IpAddr) -> Option<String> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    if !address.is_unicast_link_local() {
        return None;
    }
    let [.., a, b, c, 0xff, 0xfe, d, e, f] = address.octets() else {
        return None;
    };
    Some(format!(
        "{:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}",
        a ^ 2
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_tells_its_mac() {
        for (address, want) in [
            ("fe80::f816:3eff:fe2f:6a53", Some("fa:16:3e:2f:6a:53")),
            ("fe80::1", None),
            ("2001:db8::f816:3eff:fe2f:6a53", None),
            ("10.0.0.1", None),
        ] {
            let address = address.parse().expect("an address of the table");
            assert_eq!(mac_in(address).as_deref(), want, "{address}");
        }
    }
}
