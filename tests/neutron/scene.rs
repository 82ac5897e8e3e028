//! What tests of warren's behaviour begin with: a node that warren serves, with a guest on it.

use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cloud::{Cloud, LONG, Node, Service, id};
use crate::common::{Guest, PATIENCE, WARREN, wait_for};
use crate::drop_in::FILES;

pub(crate) const BINARIES: [&str; 3] = [
    "neutron-dhcp-agent",
    "neutron-l3-agent",
    "neutron-metadata-agent",
];

const NOTIFY: &str = "/run/notify.sock";

/// warren on a node.
pub(crate) struct Warren {
    pub(crate) service: Service,
    notify: UnixDatagram,
}

impl Warren {
    /// As soon as the server has heard of all three of its agents.
    #[track_caller]
    pub(crate) fn start(cloud: &Cloud, node: &Node) -> Self {
        let machine = node.machine();
        let notify = UnixDatagram::bind(machine.path(NOTIFY)).unwrap();
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = format!("NOTIFY_SOCKET={NOTIFY}");
        let [env, chdir, directory, binary] = WARREN;
        let argv = [&[env, chdir, directory, &socket, binary, "run"], &FILES[..]].concat();
        let mut warren = Self {
            service: Service::new(&machine, "warren", &argv),
            notify,
        };
        warren.boot();
        warren.known(cloud, node);
        warren
    }

    /// Starts it and waits until it says that it is ready. How long that took.
    #[track_caller]
    pub(crate) fn boot(&mut self) -> Duration {
        let begin = Instant::now();
        self.service.start();
        let mut word = [0; 4096];
        loop {
            let read = self.notify.recv(&mut word);
            let read = read.unwrap_or_else(|e| panic!("{e}: {}", self.service.tail()));
            let said = String::from_utf8_lossy(&word[..read]);
            if said.lines().any(|line| line == "READY=1") {
                return begin.elapsed();
            }
        }
    }

    #[track_caller]
    pub(crate) fn known(&mut self, cloud: &Cloud, node: &Node) {
        known(cloud, node, &mut self.service);
    }

    /// How often it asked for all networks, and for all routers.
    pub(crate) fn syncs(&self) -> [usize; 2] {
        let log = self.service.log();
        let count = |what| {
            let lines = log.lines().filter(|line| line.contains("full sync"));
            lines.filter(|line| line.contains(what)).count()
        };
        [count("networks="), count("routers=")]
    }

    pub(crate) fn says(&self, what: &str) -> usize {
        self.service.log().matches(what).count()
    }
}

/// Waits until the server calls all three of the node's agents alive.
#[track_caller]
pub(crate) fn known(cloud: &Cloud, node: &Node, service: &mut Service) {
    for binary in BINARIES {
        wait_for(&format!("{binary} to report"), LONG, || {
            assert!(service.is_alive(), "{}", service.tail());
            let agent = cloud.agent(node.name(), binary)?;
            (agent["alive"] == true).then_some(())
        });
    }
}

/// A network that comes to this node only.
#[track_caller]
pub(crate) fn network(cloud: &Cloud, node: &Node, cidr: &str) -> (Value, Value) {
    let network = json!({"name": "blue", "availability_zone_hints": [node.name()]});
    let network = cloud.create("network", network);
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": cidr});
    (network, cloud.create("subnet", subnet))
}

/// An instance with this address on the network.
#[track_caller]
pub(crate) fn guest(cloud: &Cloud, node: &Node, network: &Value, at: &str) -> (Value, Guest) {
    let fixed = json!({"fixed_ips": [{"ip_address": at}]});
    let port = cloud.instance_port(id(network), node.name(), fixed);
    let guest = node.guest(&format!("vm-{at}"), &port);
    cloud.port_active(id(&port));
    let lease = guest.udhcpc();
    assert_eq!(lease.address.to_string(), at);
    (port, guest)
}

/// One exchange with the DHCP server; nothing of it is kept.
pub(crate) fn dhcp_answers(guest: &Guest) -> bool {
    let asking = "udhcpc -f -n -q -t3 -T1 -i eth0 -s /bin/true";
    guest
        .run(&asking.split(' ').collect::<Vec<_>>())
        .succeeded()
}

/// Whether the resolver knows who has an address.
pub(crate) fn is_named(guest: &Guest, resolver: Ipv4Addr, address: &str) -> bool {
    let asked = guest.run(&[
        "dig",
        "+short",
        "+time=1",
        "+tries=1",
        &format!("@{resolver}"),
        "-x",
        address,
    ]);
    asked.stdout.contains("host-")
}

/// The one of a network's own DHCP port.
#[track_caller]
pub(crate) fn resolver(cloud: &Cloud, network: &Value) -> Ipv4Addr {
    let ports = format!(
        "/v2.0/ports?network_id={}&device_owner=network:dhcp",
        id(network)
    );
    let found = cloud.get(&ports);
    let address = found["ports"][0]["fixed_ips"][0]["ip_address"].as_str();
    address.unwrap().parse().unwrap()
}
