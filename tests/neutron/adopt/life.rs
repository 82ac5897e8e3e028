//! What is there to be taken over.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::cloud::{Cloud, LONG, Node, id};
use crate::common::{Guest, HttpAnswer, HttpStub, wait_for, wait_until};

pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The address of `vm1`.
pub(super) const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 77);

/// A network with a router, served by whoever serves it: `vm1` has a floating IP, `vm2` has not.
pub(super) struct Life<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) net1: &'a Node,
    /// The namespaces.
    pub(super) dhcp: String,
    pub(super) router: String,
    /// Its id at the server.
    pub(super) outside: String,
    pub(super) floating: Ipv4Addr,
    pub(super) vm1: Guest,
    pub(super) vm2: Guest,
    /// Has no traffic that goes on: its client may set its interface anew.
    vm3: Guest,
    pub(super) world: Guest,
    _nova: HttpStub,
}

impl<'a> Life<'a> {
    pub(super) fn begin(cloud: &'a Cloud, net1: &'a Node) -> Self {
        let network = cloud.create("network", json!({"name": "blue"}));
        let subnet = cloud.create(
            "subnet",
            json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.1.0.0/24"}),
        );
        let slaac = json!({"network_id": id(&network), "ip_version": 6, "cidr": "fd00:1::/64",
            "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"});
        let slaac = cloud.create("subnet", slaac);
        let outside = cloud.create(
            "network",
            json!({"name": "outside", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "external"}),
        );
        cloud.create(
            "subnet",
            json!({"network_id": id(&outside), "ip_version": 4, "cidr": "203.0.113.0/24", "gateway_ip": "203.0.113.1", "enable_dhcp": false}),
        );
        let world = cloud.world("203.0.113.1/24");
        // What a virtual device leaves to hardware stays undone on the way into a switch in userspace.
        world.run(&["ethtool", "-K", "eth0", "tx", "off"]).ok();
        let gateway = json!({"network_id": id(&outside)});
        let router = cloud.create("router", json!({"external_gateway_info": gateway}));
        let interface = format!("/v2.0/routers/{}/add_router_interface", id(&router));
        for subnet in [&subnet, &slaac] {
            cloud.put(&interface, &json!({"subnet_id": id(subnet)}));
        }
        let instance = |name, address: Ipv4Addr| -> (Value, Guest) {
            let fixed = json!({"fixed_ips": [{"ip_address": address}]});
            let port = cloud.instance_port(id(&network), "net1", fixed);
            let guest = net1.guest(name, &port);
            cloud.port_active(id(&port));
            (port, guest)
        };
        let (port, vm1) = instance("vm1", NEIGHBOUR);
        let (_, vm2) = instance("vm2", Ipv4Addr::new(10, 1, 0, 78));
        let (_, vm3) = instance("vm3", Ipv4Addr::new(10, 1, 0, 79));
        let floating = cloud.create(
            "floatingip",
            json!({"floating_network_id": id(&outside), "port_id": id(&port)}),
        );
        let floating = floating["floating_ip_address"].as_str().unwrap();
        let life = Self {
            cloud,
            net1,
            dhcp: format!("qdhcp-{}", id(&network)),
            router: format!("qrouter-{}", id(&router)),
            outside: id(&outside).to_owned(),
            floating: floating.parse().unwrap(),
            vm1,
            vm2,
            vm3,
            world,
            _nova: cloud.nova(|request| {
                let who = request.header("x-instance-id").unwrap_or("nobody");
                HttpAnswer {
                    headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
                    ..HttpAnswer::new(200, format!("you are {who}"))
                }
            }),
        };
        life.vm1.udhcpc();
        life.vm2.udhcpc();
        let comes_in = wait_until(LONG, || life.world.ping(life.floating));
        assert!(comes_in, "no way in: {}", net1.tails());
        let goes_out = wait_until(LONG, || life.vm2.ping(OUTSIDE));
        assert!(goes_out, "no way out: {}", net1.tails());
        life
    }

    /// All that the node is there for, asked anew. A service that was just started may take a moment.
    #[track_caller]
    pub(super) fn works(&self) {
        let lease = self.vm3.udhcpc();
        let tails = || self.net1.tails();
        assert_eq!(lease.address, Ipv4Addr::new(10, 1, 0, 79), "{}", tails());
        wait_for("a way in", LONG, || {
            self.world.ping(self.floating).then_some(())
        });
        wait_for("a way out", LONG, || self.vm3.ping(OUTSIDE).then_some(()));
        wait_for("metadata", LONG, || {
            let url = "http://169.254.169.254/latest/meta-data/instance-id";
            let answer = self.vm3.curl(url, &[]).ok()?;
            answer.body.starts_with("you are ").then_some(())
        });
    }

    pub(super) fn programs_in(&self, namespace: &str) -> Vec<String> {
        let pids = self.net1.run(&["ip", "netns", "pids", namespace]).ok();
        let names = pids.lines().filter_map(|pid| {
            let name = self
                .net1
                .place()
                .read(&format!("/proc/{}/comm", pid.trim()))?;
            Some(name.trim().to_owned())
        });
        names.collect()
    }

    /// Rules of iptables, and nftables, in a namespace.
    pub(super) fn rules(&self, namespace: &str) -> [String; 2] {
        let iptables = ["sh", "-c", "iptables-save; ip6tables-save"];
        let nft = ["sh", "-c", "nft list tables inet"];
        let text = |argv: &[&str]| self.net1.run_in(namespace, argv).ok();
        [text(&iptables), text(&nft)]
    }
}

impl Life<'_> {
    /// The DHCP port's address.
    pub(super) fn name_server(&self) -> Ipv4Addr {
        let network = self.dhcp.trim_start_matches("qdhcp-");
        let path = format!("/v2.0/ports?network_id={network}&device_owner=network:dhcp");
        let ports = self.cloud.get(&path);
        let address = &ports["ports"][0]["fixed_ips"][0]["ip_address"];
        address.as_str().unwrap().parse().unwrap()
    }
}
