//! Who serves: warren, or the agents whose place it takes. Both read the same files.

use crate::cloud::{Cloud, LONG, Node, Service};
use crate::common::{Running, wait_for};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Warren,
    Reference,
}

/// Answers as fast as anything can: JSON of Nova's usual size, or a few words.
const NOVA: &str = "
global
    maxconn 2000
defaults
    mode http
    timeout client 60s
    timeout http-keep-alive 60s
listen nova
    bind 10.254.0.1:8775
    http-request return status 200 content-type application/json file /run/nova.json if { path_end .json }
    http-request return status 200 content-type text/plain string i-00000001
";

const NOVA_JSON: usize = 1500;

/// The name of the node; whoever serves there is the same agent to the server.
const NODE: &str = "net1";

const CONF: &str = "/etc/neutron/neutron.conf";
const DHCP: &str = "/etc/neutron/dhcp_agent.ini";
const L3: &str = "/etc/neutron/l3_agent.ini";
const METADATA: &str = "/etc/neutron/metadata_agent.ini";

/// Zed's privsep daemon hangs when two of its threads want the same lock ("cannot switch to a different thread"), as it does
/// with many networks at once. The one that executes programs has several all the same: it is busy for 12 s with the gratuitous
/// ARPs of each of a router's addresses, and nothing else would be done meanwhile.
const PRIVSEP: &str = "
[privsep]
thread_pool_size = 4
[privsep_namespace]
thread_pool_size = 1
[privsep_link]
thread_pool_size = 1
[privsep_dhcp_release]
thread_pool_size = 1
[privsep_conntrack]
thread_pool_size = 1
";

/// Nova's metadata service, for as long as it is held.
pub(crate) fn nova(cloud: &Cloud) -> Running {
    let place = cloud.place();
    place.write("/run/nova.cfg", NOVA);
    place.write("/run/nova.json", &"x".repeat(NOVA_JSON));
    place.spawn(&["haproxy", "-db", "-f", "/run/nova.cfg"])
}

/// The server schedules to, and binds ports for, agents that it has heard of.
pub(crate) fn make_known(cloud: &Cloud) {
    let node = cloud.node(NODE);
    node.linuxbridge_agent();
    node.stop("neutron-linuxbridge-agent");
    let mut warren = warren(&node, "dhcp,l3,metadata");
    for binary in ["neutron-dhcp-agent", "neutron-l3-agent"] {
        wait_for(binary, LONG, || cloud.agent(NODE, binary).map(drop));
    }
    warren.stop();
}

/// A fresh one, for which no notice waits.
pub(crate) fn node(cloud: &Cloud) -> Node {
    for topic in ["dhcp_agent", "l3_agent"] {
        let _not_there = cloud
            .broker
            .control(&["purge_queue", &format!("{topic}.{NODE}")]);
    }
    let node = cloud.node(NODE);
    node.configure("neutron.conf", PRIVSEP);
    // Guests' addresses become the node's own: who asks binds to the device of the network, and is that network's guest.
    let guests = "for of in all default; do echo 0 >/proc/sys/net/ipv4/conf/$of/rp_filter; done";
    node.place().sh(guests).ok();
    node
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warren => "warren",
            Self::Reference => "the agents",
        }
    }

    /// All of a network. The reference's metadata agent serves all networks, and is there already.
    pub(crate) fn serve_networks(self, node: &Node) -> Service {
        match self {
            Self::Warren => warren(node, "dhcp,metadata"),
            Self::Reference => agent(node, "neutron-dhcp-agent", DHCP),
        }
    }

    pub(crate) fn serve_routers(self, node: &Node) -> Service {
        match self {
            Self::Warren => warren(node, "l3,metadata"),
            Self::Reference => agent(node, "neutron-l3-agent", L3),
        }
    }

    /// What is said when all that the server knows was taken in.
    pub(crate) fn synced(self) -> &'static str {
        match self {
            Self::Warren => "full sync",
            Self::Reference => "Synchronizing state complete",
        }
    }
}

fn warren(node: &Node, roles: &str) -> Service {
    let args = [
        "run",
        "--roles",
        roles,
        "--config-file",
        CONF,
        "--config-file",
        DHCP,
        "--config-file",
        L3,
        "--config-file",
        METADATA,
    ];
    node.warren_start(&args)
}

fn agent(node: &Node, binary: &str, file: &str) -> Service {
    let argv = [binary, "--config-file", CONF, "--config-file", file];
    let mut service = Service::new(&node.place(), binary, &argv);
    service.start();
    service
}
