//! A router's life: what goes through it, while its owner changes everything about it, from birth on one node to its
//! death on another.

use std::time::Instant;

use serde_json::{Value, json};

use super::outside::{self, Outside, see};
use super::{Ground, fixed, here, ip, qrouter, with};
use crate::cloud::{Cloud, id};
use crate::common::{Guest, HttpAnswer, HttpStub, tcp_stream, wait_until};

const WIRE: &str = "out2";
/// Of another external network.
const OTHER: &str = "other2";

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn a_routers_life() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let ground = Ground::prepared(cloud, "life2", |node| {
        outside::wires(cloud, node, &[WIRE, OTHER]);
    });
    let outside = Outside::new(cloud, WIRE);
    let life = Life::begin(ground, outside);
    life.on_one_node();
    life.to_another_outside();
    life.to_another_node();
}

pub(super) struct Life<'a> {
    pub(super) ground: Ground<'a>,
    outside: Outside,
    router: Value,
    /// blue's and green's
    subnets: [Value; 2],
    /// of vm1 in blue, and of vm2 in green
    ports: Vec<Value>,
    guests: Vec<Guest>,
}

impl<'a> Life<'a> {
    /// Two networks, an instance in each, and the router between them.
    pub(super) fn begin(ground: Ground<'a>, outside: Outside) -> Self {
        let blue = ground.network("blue", json!({}));
        let blue_subnet = ground.subnet(&blue, "10.2.0.0/24", json!({}));
        let green = ground.network("green", json!({}));
        let green_subnet = ground.subnet(&green, "10.3.0.0/24", json!({}));
        let router = here(&ground.node, "r1", json!({}));
        let router = ground.cloud.create("router", router);
        let mut life = Self {
            ground,
            outside,
            router,
            subnets: [blue_subnet, green_subnet],
            ports: Vec::new(),
            guests: Vec::new(),
        };
        life.interfaces(&blue, &green);
        life
    }

    pub(super) fn on_one_node(&self) {
        self.gateway();
        self.extra_routes();
        self.without_snat();
        self.interface_moves();
        self.floating_ip();
        self.floating_ip_of_one_address();
        self.port_forwarding();
        self.down_and_up();
    }

    fn change(&self, attributes: Value) -> Value {
        self.ground
            .cloud
            .update("router", id(&self.router), &attributes)
    }

    fn interface(&self, verb: &str, subnet: &Value) {
        let path = format!("/v2.0/routers/{}/{verb}_router_interface", id(&self.router));
        self.ground
            .cloud
            .put(&path, &json!({"subnet_id": id(subnet)}));
    }

    pub(super) fn vm1(&self) -> &Guest {
        &self.guests[0]
    }

    /// vm1's id, as Nova has it.
    pub(super) fn instance(&self) -> &str {
        self.ports[0]["device_id"].as_str().unwrap()
    }

    fn vm2(&self) -> &Guest {
        &self.guests[1]
    }

    /// Waits until the world sees vm1 as this address.
    #[track_caller]
    fn seen_as(&self, address: &str) {
        let mut last = String::new();
        let seen = wait_until(super::SOON, || {
            last = see(self.vm1());
            last == address
        });
        assert!(
            seen,
            "the world sees vm1 as {last:?}, not as {address}\n{}\n{}",
            self.inside(),
            self.ground.tails()
        );
    }

    /// What the router's namespace holds, for a failure's message.
    fn inside(&self) -> String {
        let ns = qrouter(&self.router);
        let node = &self.ground.node;
        let nft = node.run_in(&ns, &["nft", "list", "ruleset"]);
        let (addresses, routes) = (
            self.ground.ip_in(&ns, &["-o", "addr"]),
            self.ground.ip_in(&ns, &["route"]),
        );
        format!("{addresses}{routes}{nft}")
    }

    fn gateway_with(&self, more: Value) -> Value {
        let gateway = json!({"network_id": id(&self.outside.network)});
        json!({"external_gateway_info": with(gateway, more)})
    }

    fn interfaces(&mut self, blue: &Value, green: &Value) {
        let node = self.ground.node.name().to_owned();
        self.interface("add", &self.subnets[0]);
        self.interface("add", &self.subnets[1]);
        for (name, network, address) in [("vm1", blue, "10.2.0.11"), ("vm2", green, "10.3.0.12")] {
            let port = self
                .ground
                .cloud
                .instance_port(id(network), &node, fixed(address));
            let guest = self.ground.guest(name, &port);
            guest.udhcpc();
            self.ports.push(port);
            self.guests.push(guest);
        }
        let reached = || self.vm1().ping("10.3.0.12");
        self.ground.until("the way between two networks", reached);
        self.interface("remove", &self.subnets[1]);
        self.ground
            .until("the way between to end", || !self.vm1().ping("10.3.0.1"));
        self.interface("add", &self.subnets[1]);
        self.ground.until("the way between, again", reached);
        assert_eq!(see(self.vm1()), "", "there is no gateway yet");
    }

    fn gateway(&self) {
        let at = |ip: &str| self.gateway_with(json!({"external_fixed_ips": [{"ip_address": ip}]}));
        self.change(at("198.18.0.50"));
        self.seen_as("198.18.0.50");
        self.change(at("198.18.0.51"));
        self.seen_as("198.18.0.51");
        let world = &self.outside.world;
        assert!(world.ping("198.18.0.51") && !world.ping("198.18.0.50"));
        self.change(json!({"external_gateway_info": {}}));
        self.ground.until("the gateway to go", || {
            !world.ping("198.18.0.51") && see(self.vm1()).is_empty()
        });
        self.change(at("198.18.0.52"));
        self.seen_as("198.18.0.52");
    }

    /// With the same addresses, and yet another world.
    fn to_another_outside(&self) {
        let other = Outside::new(self.ground.cloud, OTHER);
        self.change(json!({"external_gateway_info": other.gateway("198.18.0.53")}));
        self.seen_as("198.18.0.53");
        let (there, here) = (&other.world, &self.outside.world);
        assert!(there.ping("198.18.0.53") && !here.ping("198.18.0.52"));
        let back = json!({"external_fixed_ips": [{"ip_address": "198.18.0.52"}]});
        self.change(self.gateway_with(back));
        self.seen_as("198.18.0.52");
        assert!(here.ping("198.18.0.52") && !there.ping("198.18.0.53"));
    }

    /// Behind vm2 there is one more network.
    fn extra_routes(&self) {
        self.vm2().ip("addr add 192.0.2.1/32 dev lo");
        let route = json!({"destination": "192.0.2.0/24", "nexthop": "10.3.0.12"});
        self.change(json!({"routes": [route]}));
        self.ground
            .until("an extra route", || self.vm1().ping("192.0.2.1"));
        self.change(json!({"routes": []}));
        self.ground
            .until("the extra route to go", || !self.vm1().ping("192.0.2.1"));
    }

    /// The server has no other way: a port of the router's keeps its address.
    fn interface_moves(&self) {
        let cloud = self.ground.cloud;
        let subnet = &self.subnets[1];
        let vm2 = self.vm2();
        let at = |address: &str, not: &str| {
            self.ground.until("another address of a leg", || {
                vm2.ping(address) && !vm2.ping(not)
            });
        };
        self.interface("remove", subnet);
        let leg = with(
            fixed("10.3.0.254"),
            json!({"network_id": subnet["network_id"]}),
        );
        let leg = json!({"port_id": id(&cloud.create("port", leg))});
        let path =
            |verb: &str| format!("/v2.0/routers/{}/{verb}_router_interface", id(&self.router));
        cloud.put(&path("add"), &leg);
        at("10.3.0.254", "10.3.0.1");
        cloud.put(&path("remove"), &leg);
        self.interface("add", subnet);
        at("10.3.0.1", "10.3.0.254");
    }

    fn without_snat(&self) {
        self.outside
            .world
            .ip("route add 10.2.0.0/24 via 198.18.0.52");
        let external = json!([{"ip_address": "198.18.0.52"}]);
        self.change(
            self.gateway_with(json!({"enable_snat": false, "external_fixed_ips": external})),
        );
        self.seen_as("10.2.0.11");
        self.change(
            self.gateway_with(json!({"enable_snat": true, "external_fixed_ips": external})),
        );
        self.seen_as("198.18.0.52");
        self.outside.world.ip("route del 10.2.0.0/24");
    }

    fn floating(&self, address: &str) -> Value {
        let network = id(&self.outside.network);
        self.ground.cloud.create(
            "floatingip",
            json!({"floating_network_id": network, "floating_ip_address": address}),
        )
    }

    #[track_caller]
    fn status(&self, floating: &Value, wanted: &str) {
        let mut shown = Value::Null;
        let right = wait_until(super::SOON, || {
            shown = self.ground.cloud.show("floatingip", id(floating));
            shown["status"] == wanted
        });
        assert!(
            right,
            "not {wanted}: {shown:#}\n{}\n{}",
            self.inside(),
            self.ground.tails()
        );
    }

    fn floating_ip(&self) {
        let (cloud, world) = (self.ground.cloud, &self.outside.world);
        let floating = self.floating("198.18.0.60");
        let to = |port: Value| cloud.update("floatingip", id(&floating), &json!({"port_id": port}));
        self.status(&floating, "DOWN");
        // Someone asks for it all the time.
        let pinging = world.pinging("198.18.0.60");
        let begin = Instant::now();
        to(json!(id(&self.ports[0])));
        let answered = begin.elapsed();
        let first = wait_until(super::SOON, || pinging.answers() > 0);
        println!(
            "floating ip set call to its answer {answered:?}, to the first packet {:?}",
            begin.elapsed()
        );
        assert!(
            first,
            "no way in\n{}\n{}",
            self.inside(),
            self.ground.tails()
        );
        drop(pinging);
        self.status(&floating, "ACTIVE");
        self.seen_as("198.18.0.60");

        let stream = tcp_stream(world, self.vm1(), ip("198.18.0.60"), 7000);
        to(json!(id(&self.ports[1])));
        self.status(&floating, "ACTIVE");
        self.ground.until("the floating IP to lead to vm2", || {
            see(self.vm2()) == "198.18.0.60"
        });
        self.seen_as("198.18.0.52");
        assert!(world.ping("198.18.0.60"));
        let report = stream.ended();
        assert!(
            report.broken.is_some(),
            "a stream to vm1 goes on after its floating IP is vm2's: {report:?}"
        );

        to(Value::Null);
        self.status(&floating, "DOWN");
        self.ground
            .until("the way in to end", || !world.ping("198.18.0.60"));
        to(json!(id(&self.ports[1])));
        self.status(&floating, "ACTIVE");
        cloud.remove("floatingip", id(&floating));
        self.ground
            .until("the way in to end", || !world.ping("198.18.0.60"));
        self.ground.until("vm2 to be seen as the router", || {
            see(self.vm2()) == "198.18.0.52"
        });
    }

    /// vm1 has two addresses: a floating IP leads to one of them, then to the other, and when it goes, so do its flows.
    fn floating_ip_of_one_address(&self) {
        const OWN: [&str; 2] = ["10.2.0.11", "10.2.0.21"];
        let (cloud, world) = (self.ground.cloud, &self.outside.world);
        let port = id(&self.ports[0]);
        let both = OWN.map(|own| json!({ "ip_address": own }));
        cloud.update("port", port, &json!({ "fixed_ips": both }));
        self.vm1().ip("addr add 10.2.0.21/24 dev eth0");
        let _answers = OWN.map(|own| {
            HttpStub::start(self.vm1(), &format!("{own}:8090"), move |_| {
                HttpAnswer::new(200, own)
            })
        });
        let floating = self.floating("198.18.0.63");
        for own in OWN {
            let to = json!({"port_id": port, "fixed_ip_address": own});
            cloud.update("floatingip", id(&floating), &to);
            self.ground.until(&format!("the way to {own}"), || {
                let quickly = ["--connect-timeout", "1"];
                let answer = world.curl_with("http://198.18.0.63:8090/", &[], &quickly);
                answer.is_ok_and(|answer| answer.body == own)
            });
        }
        let stream = tcp_stream(world, self.vm1(), ip("198.18.0.63"), 7001);
        cloud.remove("floatingip", id(&floating));
        let report = stream.ended();
        assert!(
            report.broken.is_some(),
            "a stream goes on after its floating IP went: {report:?}"
        );
        let tracked = ["conntrack", "-L", "--orig-dst", "198.18.0.63"];
        // What the world still sends there is tracked, too, but not translated.
        self.ground.until("no flow of it to be translated", || {
            let flows = self.ground.node.run_in(&qrouter(&self.router), &tracked);
            flows.succeeded() && !flows.stdout.contains("10.2.0.")
        });
        self.vm1().ip("addr del 10.2.0.21/24 dev eth0");
        cloud.update("port", port, &fixed(OWN[0]));
    }

    fn port_forwarding(&self) {
        let (cloud, world) = (self.ground.cloud, &self.outside.world);
        let floating = self.floating("198.18.0.61");
        let _vm1 = HttpStub::start(self.vm1(), "0.0.0.0:8080", |_| HttpAnswer::new(200, "vm1"));
        let path = format!("/v2.0/floatingips/{}/port_forwardings", id(&floating));
        let made = cloud.post(
            &path,
            &json!({"port_forwarding": {"protocol": "tcp", "internal_port_id": id(&self.ports[0]),
                "internal_ip_address": "10.2.0.11", "internal_port": 8080, "external_port": 80}}),
        );
        let one = format!("{path}/{}", id(&made["port_forwarding"]));
        let answers = |url: &str| {
            let quickly = ["--connect-timeout", "1"];
            let answer = world.curl_with(url, &[], &quickly);
            answer.is_ok_and(|answer| answer.body == "vm1")
        };
        self.ground
            .until("a forwarded port", || answers("http://198.18.0.61/"));
        self.status(&floating, "ACTIVE");
        cloud.put(&one, &json!({"port_forwarding": {"external_port": 81}}));
        self.ground.until("another forwarded port", || {
            answers("http://198.18.0.61:81/")
        });
        assert!(
            !answers("http://198.18.0.61/"),
            "the old port still leads in"
        );
        let _too = HttpStub::start(self.vm1(), "0.0.0.0:9002", |_| HttpAnswer::new(200, "vm1"));
        let made = cloud.post(
            &path,
            &json!({"port_forwarding": {"protocol": "tcp", "internal_port_id": id(&self.ports[0]),
                "internal_ip_address": "10.2.0.11", "internal_port_range": "9000:9003", "external_port_range": "8000:8003"}}),
        );
        let range = format!("{path}/{}", id(&made["port_forwarding"]));
        self.ground.until("a range of forwarded ports", || {
            answers("http://198.18.0.61:8002/")
        });
        let _echo = self
            .vm1()
            .spawn(&["socat", "UDP4-RECVFROM:5300,fork", "EXEC:cat"]);
        let made = cloud.post(
            &path,
            &json!({"port_forwarding": {"protocol": "udp", "internal_port_id": id(&self.ports[0]),
                "internal_ip_address": "10.2.0.11", "internal_port": 5300, "external_port": 80}}),
        );
        let udp = format!("{path}/{}", id(&made["port_forwarding"]));
        let echoed = || {
            let asked = world.sh("echo hello | socat -t1 - UDP4:198.18.0.61:80");
            asked.stdout.trim() == "hello"
        };
        self.ground.until("a forwarded port of UDP", echoed);
        cloud.delete(&udp);
        self.ground
            .until("the forwarded port of UDP to end", || !echoed());
        cloud.delete(&one);
        self.ground.until("the forwarded port to end", || {
            !answers("http://198.18.0.61:81/")
        });
        assert!(answers("http://198.18.0.61:8002/"), "the range stays");
        cloud.delete(&range);
        self.ground
            .until("the range to end", || !answers("http://198.18.0.61:8002/"));
        self.status(&floating, "DOWN");
        cloud.remove("floatingip", id(&floating));
    }

    fn down_and_up(&self) {
        self.change(json!({"admin_state_up": false}));
        self.ground.until("a router that is down to go", || {
            !self.ground.has(&qrouter(&self.router))
        });
        self.change(json!({"admin_state_up": true}));
        self.seen_as("198.18.0.52");
    }

    /// Its flows are cut, its addresses stay; then it dies there.
    fn to_another_node(&self) {
        let cloud = self.ground.cloud;
        let mut second = Ground::prepared(cloud, "life3", |node| {
            outside::wires(cloud, node, &[WIRE]);
        });
        let agent = |node: &str| cloud.agent(node, "neutron-l3-agent").unwrap();
        let floating = self.floating("198.18.0.62");
        let to = json!({"port_id": id(&self.ports[0])});
        cloud.update("floatingip", id(&floating), &to);
        self.status(&floating, "ACTIVE");
        let of = |node: &str| format!("/v2.0/agents/{}/l3-routers", id(&agent(node)));
        cloud.delete(&format!("{}/{}", of("life2"), id(&self.router)));
        self.ground.until("the router to leave its first node", || {
            !self.ground.has(&qrouter(&self.router))
        });
        cloud.post(&of("life3"), &json!({"router_id": id(&self.router)}));
        second.until("the router on its second node", || {
            second.has(&qrouter(&self.router))
        });
        second.until("the way in through the second node", || {
            self.outside.world.ping("198.18.0.62")
        });
        self.seen_as("198.18.0.62");
        self.status(&floating, "ACTIVE");

        // It dies while its node does not listen, and nothing is remembered of it there.
        second.warren.kill9();
        cloud.remove("floatingip", id(&floating));
        self.interface("remove", &self.subnets[0]);
        self.interface("remove", &self.subnets[1]);
        cloud.remove("router", id(&self.router));
        second.node.machine().sh("rm -rf /var/lib/warren/*").ok();
        assert!(
            second.has(&qrouter(&self.router)),
            "killed, it keeps its namespaces"
        );
        second.warren.start();
        second.until("a dead router's namespace to go", || {
            !second.has(&qrouter(&self.router))
        });
    }
}
