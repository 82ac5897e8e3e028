//! The way out of IPv6: whichever way it is known, what goes there is not translated, while IPv4 beside it is.

use serde_json::{Value, json};

use super::outside::{self, Outside, see};
use super::{Ground, here, qrouter};
use crate::cloud::{Cloud, id};
use crate::common::{Guest, HttpAnswer, HttpStub, Sender, wait_until};

const WIRE: &str = "out20";
/// Further away than the external subnet, which is 2001:db8:6::/64.
const WORLD: &str = "2001:db8:1::1";
const OWN: &str = "fd00:60::11";

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn a_way_out_for_ipv6() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let ground = Ground::prepared(cloud, "life20", |node| {
        outside::wires(cloud, node, &[WIRE]);
        node.configure("l3_agent.ini", "[DEFAULT]\nipv6_gateway = fe80::2");
    });
    let mut life = Life::begin(ground);
    // By what the external subnet says: a global address, and one that is of every link.
    life.leads("via 2001:db8:6::1");
    life.gateway_is(json!("fe80::1"));
    life.leads("via fe80::1 dev");
    // It says nothing: by what the operator says.
    life.gateway_is(Value::Null);
    life.leads("via fe80::2 dev");
    life.as_advertised();
}

struct Life<'a> {
    ground: Ground<'a>,
    outside: Outside,
    subnet: Value,
    router: Value,
    vm: Guest,
    _answers: HttpStub,
}

impl<'a> Life<'a> {
    fn begin(ground: Ground<'a>) -> Self {
        let cloud = ground.cloud;
        let outside = Outside::new(cloud, WIRE);
        let v6 = json!({"gateway_ip": "2001:db8:6::1", "enable_dhcp": false});
        let subnet = ground.subnet(&outside.network, "2001:db8:6::/64", v6);
        outside.world.ip(&format!(
            "addr add 2001:db8:6::1/64 dev eth0 nodad\naddr add fe80::1/64 dev eth0 nodad\n\
             addr add fe80::2/64 dev eth0 nodad\naddr add {WORLD}/128 dev lo nodad\n\
             route add fd00:60::/64 via 2001:db8:6::5"
        ));
        let answers = HttpStub::start(&outside.world, &format!("[{WORLD}]:80"), |request| {
            HttpAnswer::new(200, request.from.ip().to_string())
        });
        let addresses = ["198.18.0.50", "2001:db8:6::5"].map(|ip| json!({"ip_address": ip}));
        let gateway = json!({"network_id": id(&outside.network), "external_fixed_ips": addresses});
        let router = json!({"external_gateway_info": gateway});
        let router = cloud.create("router", here(&ground.node, "r20", router));
        let blue = ground.network("blue", json!({}));
        let path = format!("/v2.0/routers/{}/add_router_interface", id(&router));
        let stateful =
            json!({"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"});
        for (cidr, more) in [("10.60.0.0/24", json!({})), ("fd00:60::/64", stateful)] {
            let subnet = ground.subnet(&blue, cidr, more);
            cloud.put(&path, &json!({"subnet_id": id(&subnet)}));
        }
        let own = json!({"fixed_ips": [{"ip_address": "10.60.0.11"}, {"ip_address": OWN}]});
        let port = cloud.instance_port(id(&blue), ground.node.name(), own);
        let vm = ground.guest("vm", &port);
        vm.udhcpc();
        // The way out is the router's word.
        vm.ip(&format!("addr add {OWN}/64 dev eth0 nodad"));
        Self {
            ground,
            outside,
            subnet,
            router,
            vm,
            _answers: answers,
        }
    }

    /// Of the external subnet.
    fn gateway_is(&self, gateway: Value) {
        let change = json!({ "gateway_ip": gateway });
        self.ground
            .cloud
            .update("subnet", id(&self.subnet), &change);
    }

    /// Packets go by that route, as they are; those of IPv4 in the router's name.
    #[track_caller]
    fn leads(&self, route: &str) {
        let mut state = (String::new(), String::new());
        let right = wait_until(super::SOON, || {
            state = (self.default_routes(), self.seen_as());
            state.0.contains(route) && state.0.lines().count() == 1 && state.1 == OWN
        });
        assert!(right, "not {route}: {state:?}\n{}", self.ground.tails());
        assert_eq!(see(&self.vm), "198.18.0.50");
        assert!(self.vm.ping(WORLD));
    }

    /// As whom the world sees the instance over IPv6; empty: not at all.
    fn seen_as(&self) -> String {
        let url = format!("http://[{WORLD}]/");
        let quickly = ["--connect-timeout", "1"];
        let answer = self.vm.curl_with(&url, &[], &quickly);
        answer.map(|answer| answer.body).unwrap_or_default()
    }

    fn default_routes(&self) -> String {
        let show = ["-6", "route", "show", "default"];
        self.ground.ip_in(&qrouter(&self.router), &show)
    }

    /// Nobody says anything: by what somebody outside says of itself.
    fn as_advertised(&mut self) {
        let silent = "[DEFAULT]\nipv6_gateway =";
        self.ground.node.configure("l3_agent.ini", silent);
        self.ground.restart();
        self.ground.until("the way out to be gone", || {
            self.default_routes().is_empty() && self.seen_as().is_empty()
        });
        let wire = self.outside.world.wire();
        let sender = Sender {
            mac: wire.mac(),
            ip: "fe80::1".parse().unwrap(),
        };
        wire.send(&sender.advertises(&[]));
        self.leads("proto ra");
    }
}
