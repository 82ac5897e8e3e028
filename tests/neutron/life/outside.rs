//! The world outside: external networks, each on a wire of its own, so that tests do not meet there.

use serde_json::{Value, json};

use super::with;
use crate::cloud::{Cloud, Node, id};
use crate::common::{Guest, HttpAnswer, HttpStub};

/// Who asks there is told as whom the world sees it.
const WORLD: &str = "198.18.0.1";

/// Lays a node's ends of these wires, and tells its linuxbridge agent, which must not have been started.
pub(super) fn wires(cloud: &Cloud, node: &Node, wires: &[&str]) {
    let host = cloud.host();
    for wire in wires {
        if !host.run(&["ip", "link", "show", wire]).succeeded() {
            host.bridge(wire);
        }
        let end = format!("{wire}.{}", node.name());
        host.cable(&end, node, wire);
        host.ip(&format!("link set {end} master {wire}"));
    }
    let mappings: Vec<String> = wires.iter().map(|wire| format!("{wire}:{wire}")).collect();
    let mappings = mappings.join(",");
    let mapping = format!("[linux_bridge]\nphysical_interface_mappings = {mappings}");
    node.configure("plugins/ml2/linuxbridge_agent.ini", &mapping);
}

/// An external network, 198.18.0.0/24, and the world on it.
pub(super) struct Outside {
    pub(super) network: Value,
    pub(super) world: Guest,
    _answers: HttpStub,
}

impl Outside {
    /// On this wire, which is there already.
    pub(super) fn new(cloud: &Cloud, wire: &str) -> Self {
        Self::with(cloud, wire, json!({}))
    }

    /// The same with more attributes of its subnet.
    pub(super) fn with(cloud: &Cloud, wire: &str, subnet: Value) -> Self {
        let network = cloud.create(
            "network",
            json!({"name": "outside", "router:external": true, "provider:network_type": "flat",
                "provider:physical_network": wire}),
        );
        let own = json!({"network_id": id(&network), "ip_version": 4, "cidr": "198.18.0.0/24",
            "gateway_ip": WORLD, "enable_dhcp": false});
        cloud.create("subnet", with(own, subnet));
        let name = format!("w-{wire}");
        let world = cloud.host().guest(&name, wire, "02:00:00:00:01:01");
        world.ip(&format!("addr add {WORLD}/24 dev eth0"));
        // What a virtual device leaves to hardware stays undone on the way into a switch in userspace.
        world.run(&["ethtool", "-K", "eth0", "tx", "off"]).ok();
        let answers = HttpStub::start(&world, &format!("{WORLD}:80"), |request| {
            HttpAnswer::new(200, request.from.ip().to_string())
        });
        Self {
            network,
            world,
            _answers: answers,
        }
    }

    /// What a router's gateway here is asked for with.
    pub(super) fn gateway(&self, address: &str) -> Value {
        json!({"network_id": id(&self.network), "external_fixed_ips": [{"ip_address": address}]})
    }
}

/// As whom the world sees this instance; empty: not at all.
pub(super) fn see(guest: &Guest) -> String {
    let url = format!("http://{WORLD}/");
    let quickly = ["--connect-timeout", "1"];
    let answer = guest.curl_with(&url, &[], &quickly);
    answer.map(|answer| answer.body).unwrap_or_default()
}
