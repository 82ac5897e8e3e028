//! One real life of a cloud with warren on its nodes: every change that the API offers, seen from the instances.
//!
//! Each test has nodes of its own in the shared cloud. A network or router made with [`here`] comes to that node alone.
#![allow(
    clippy::print_stdout,
    reason = "figures, for who runs this with --nocapture"
)]

mod boot;
mod compare;
mod dhcp;
mod flood;
mod metadata;
mod modes;
mod newest;
mod out6;
mod outside;
mod pair;
mod router;
mod scopes;
mod segments;
mod six;
mod switch;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use netns::MacAddr;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::cloud::{Cloud, LONG, Node, Service, id};
use crate::common::{Advertised, DhcpClient, Guest, Host, Lease, Wire, wait_until};

/// What the tests change is seen within this: on a busy machine the server alone takes a while.
const SOON: Duration = LONG;

/// One node, and warren on it.
struct Ground<'a> {
    cloud: &'a Cloud,
    node: Node,
    warren: Service,
}

impl<'a> Ground<'a> {
    /// Beside the real linuxbridge agent; `prepare` writes more into its files before anything reads them.
    #[track_caller]
    fn prepared(cloud: &'a Cloud, name: &str, prepare: impl FnOnce(&Node)) -> Self {
        Self::beside(cloud, name, prepare, Node::linuxbridge_agent)
    }

    /// Beside the real openvswitch agent.
    #[track_caller]
    fn switched(cloud: &'a Cloud, name: &str, prepare: impl FnOnce(&Node)) -> Self {
        Self::beside(cloud, name, prepare, Node::openvswitch)
    }

    #[track_caller]
    fn beside(
        cloud: &'a Cloud,
        name: &str,
        prepare: impl FnOnce(&Node),
        start_agent: fn(&Node),
    ) -> Self {
        let node = cloud.node(name);
        prepare(&node);
        start_agent(&node);
        let warren = crate::drop_in::warren(cloud, &node);
        Self {
            cloud,
            node,
            warren,
        }
    }

    /// Ends warren in good order, and starts it again.
    #[track_caller]
    fn restart(&mut self) {
        self.warren.stop();
        self.warren.start();
    }

    /// Waits until `condition` holds; else says what was waited for, and what warren said meanwhile.
    #[track_caller]
    fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        let held = wait_until(SOON, condition);
        assert!(held, "waited in vain for {what}\n{}", self.tails());
    }

    fn tails(&self) -> String {
        format!("{}{}", self.warren.tail(), self.node.tails())
    }

    /// An instance with this port, as soon as the server calls the port active.
    #[track_caller]
    fn guest(&self, name: &str, port: &Value) -> Guest {
        let guest = self.node.guest(name, port);
        self.active(port);
        guest
    }

    /// A machine on a network's bridge, with a port that is bound to no host: the L2 agent lets its tap alone.
    #[track_caller]
    fn unbound(&self, name: &str, network: &Value, mac: MacAddr) -> Guest {
        let port = json!({"network_id": id(network), "mac_address": mac.to_string()});
        self.cloud.create("port", port);
        let bridge = format!("brq{}", &id(network)[..11]);
        self.until("the network's bridge", || {
            let show = ["ip", "link", "show", &bridge];
            self.node.run(&show).succeeded()
        });
        let guest = self.node.unplugged(name);
        let host: &Host = &self.node;
        host.plug(&guest, "eth0", &bridge, &mac.to_string());
        guest
    }

    #[track_caller]
    fn active(&self, port: &Value) {
        let mut last = Value::Null;
        let active = wait_until(LONG, || {
            last = self.cloud.show("port", id(port));
            last["status"] == "ACTIVE"
        });
        assert!(active, "not active: {last:#}\n{}", self.tails());
    }

    /// The client renews its lease until that is as it should be.
    #[track_caller]
    fn renewed(&self, client: &mut DhcpClient, what: &str, is_right: impl Fn(&Lease) -> bool) {
        let begin = Instant::now();
        loop {
            client.signal(Signal::SIGUSR1);
            let lease = client.bound();
            if is_right(&lease) {
                return;
            }
            assert!(
                begin.elapsed() < SOON,
                "{what} does not show in the lease: {lease:#?}\n{}",
                self.tails()
            );
        }
    }

    /// The next advertisement of which this is so.
    #[track_caller]
    fn heard(&self, wire: &Wire, what: &str, is_it: impl Fn(&Advertised) -> bool) -> Advertised {
        let mut all = Vec::new();
        let heard = wire.recv(SOON, |frame| {
            let said = Advertised::parse(frame)?;
            all.push(said.clone());
            is_it(&said).then_some(said)
        });
        heard.unwrap_or_else(|| panic!("not heard: {what}: {all:#?}\n{}", self.tails()))
    }

    /// What `ip` prints in a namespace; empty while that is not there.
    fn ip_in(&self, namespace: &str, args: &[&str]) -> String {
        let argv = [&["ip"], args].concat();
        self.node.run_in(namespace, &argv).stdout
    }

    fn has(&self, namespace: &str) -> bool {
        self.node.namespaces().iter().any(|name| name == namespace)
    }

    /// Of a network; never told by id alone in a failure's message.
    fn network(&self, name: &str, more: Value) -> Value {
        self.cloud.create("network", here(&self.node, name, more))
    }

    fn subnet(&self, network: &Value, cidr: &str, more: Value) -> Value {
        let version = if cidr.contains(':') { 6 } else { 4 };
        let subnet = json!({"network_id": id(network), "ip_version": version, "cidr": cidr});
        self.cloud.create("subnet", with(subnet, more))
    }
}

/// Attributes of something that is to come to this node.
fn here(node: &Node, name: &str, more: Value) -> Value {
    with(
        json!({"name": name, "availability_zone_hints": [node.name()]}),
        more,
    )
}

fn with(mut attributes: Value, more: Value) -> Value {
    let (Some(all), Value::Object(more)) = (attributes.as_object_mut(), more) else {
        panic!("attributes are objects");
    };
    all.extend(more);
    attributes
}

fn fixed(ip: &str) -> Value {
    json!({"fixed_ips": [{"ip_address": ip}]})
}

fn qdhcp(network: &Value) -> String {
    format!("qdhcp-{}", id(network))
}

fn qrouter(router: &Value) -> String {
    format!("qrouter-{}", id(router))
}

#[track_caller]
fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}
