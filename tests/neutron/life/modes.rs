//! Every pair of `ipv6_ra_mode` and `ipv6_address_mode`, as the server takes or refuses it, and what an instance is told then:
//! the same as from a topology.

use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

use dhcproto::v4::{MessageType, OptionCode};
use dhcproto::{Encodable, Encoder};
use netns::MacAddr;
use serde_json::{Value, json};

use super::{Ground, SOON, here, qdhcp, with};
use crate::cloud::{Cloud, Node, id};
use crate::common::{Advertised, Dhcp, Guest, Sender, discover, settled, wait_until};

#[path = "../../ra/told.rs"]
mod told;

use told::{MODES_FILE, all_pairs, discover_listing, pairs};

type Pair = (&'static str, &'static str);

const NAME_SERVERS: &str = "name servers (RDNSS)";

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn every_pair_of_modes() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let ground = Ground::prepared(cloud, "life17", |_| ());
    taken_or_refused(&ground);
    let machines = Machine::one_of_each_pair(&ground, "a");
    hear(&ground, &machines, "no router");
    let router = cloud.create("router", here(&ground.node, "r17", json!({})));
    let path = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    for machine in &machines {
        let interface = json!({"subnet_id": id(&machine.subnet)});
        if machine.is_elsewheres() {
            let (status, said) = cloud.call("PUT", &path, Some(&interface)).unwrap();
            let why = said.to_string();
            let refused = status == 400 && why.contains("external router");
            assert!(refused, "{:?}: {status} {why}", machine.pair);
            continue;
        }
        cloud.put(&path, &interface);
    }
    let behind_it = machines.iter().filter(|machine| !machine.is_elsewheres());
    hear(&ground, behind_it, "router");
    without_ipv4(&ground);
}

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn the_dhcp_namespace_advertises() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let wanted = |node: &Node| {
        let line = "[warren]\nadvertise_without_router = true";
        node.configure("dhcp_agent.ini", line);
    };
    let ground = Ground::prepared(cloud, "life18", wanted);
    let machines = Machine::one_of_each_pair(&ground, "b");
    hear(&ground, &machines, "no router, advertised without");
    let slaac = |machine: &&Machine| machine.pair == ("slaac", "slaac");
    a_router_joins(&ground, machines.iter().find(slaac).unwrap());
    drop(machines);
    let second = Ground::prepared(cloud, "life19", wanted);
    two_agents_advertise(&ground, &second);
}

/// All sixteen: the server refuses what `warren check` refuses.
fn taken_or_refused(ground: &Ground<'_>) {
    let network = ground.network("sixteen", json!({}));
    for (number, pair) in (1..).zip(all_pairs()) {
        let subnet = json!({"network_id": id(&network), "ip_version": 6, "cidr": format!("fd00:99:{number}::/64"),
            "project_id": network["project_id"]});
        let body = json!({ "subnet": with(subnet, modes(pair)) });
        let answer = ground.cloud.call("POST", "/v2.0/subnets", Some(&body));
        let (status, said) = answer.unwrap();
        let wanted = match of_topology(pair, "refused") {
            Some(_) => 400,
            None => 201,
        };
        assert_eq!(status, wanted, "{pair:?}: {said}");
        if wanted == 400 {
            let why = said.to_string();
            assert!(why.contains("they must be the same value"), "{why}");
        }
    }
    ground.cloud.remove("network", id(&network));
}

/// What is told from a topology, as `tests/ra/modes.txt` has it.
fn of_topology(pair: Pair, column: &str) -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODES_FILE);
    let text = std::fs::read_to_string(file).unwrap();
    let head = format!("ra {}, address {}", pair.0, pair.1);
    let lines = text.lines().skip_while(|line| *line != head).skip(1);
    let mut lines = lines.take_while(|line| line.starts_with(' '));
    let column = format!("  {column}: ");
    let found = lines.find_map(|line| line.strip_prefix(&column));
    found.map(str::to_owned)
}

fn modes((ra, address): Pair) -> Value {
    let mut modes = json!({});
    for (key, mode) in [("ipv6_ra_mode", ra), ("ipv6_address_mode", address)] {
        if mode != "none" {
            modes[key] = json!(mode);
        }
    }
    modes
}

fn subnet(ground: &Ground<'_>, network: &Value, number: u8, pair: Pair) -> Value {
    ground.subnet(network, &format!("fd00:17:{number}::/64"), modes(pair))
}

/// A machine with a port, which asks for itself.
struct Machine {
    pair: Pair,
    network: Value,
    subnet: Value,
    guest: Guest,
    mac: MacAddr,
}

impl Machine {
    /// On a network of its own each.
    fn one_of_each_pair(ground: &Ground<'_>, name: &str) -> Vec<Self> {
        let made = (1..).zip(pairs()).map(|(number, pair)| {
            let network = ground.network(&format!("{name}{number}"), json!({}));
            // Some pairs are silence: by this the machine is seen to be known.
            ground.subnet(&network, &format!("10.17.{number}.0/24"), json!({}));
            let subnet = subnet(ground, &network, number, pair);
            (number, pair, network, subnet)
        });
        let made: Vec<_> = made.collect();
        let plugged = made.into_iter().map(|(number, pair, network, subnet)| {
            Self::plugged(ground, network, subnet, (name, number), pair)
        });
        let machines: Vec<_> = plugged.collect();
        for machine in &machines {
            settled(&machine.guest, "eth0");
            let wire = machine.guest.wire();
            ground.until("an OFFER", || {
                wire.send(&discover(machine.mac, 1));
                let offer = Dhcp::of(MessageType::Offer);
                wire.recv(Duration::from_millis(200), offer).is_some()
            });
        }
        machines
    }

    /// On a network of SLAAC alone.
    fn alone(ground: &Ground<'_>, network: Value, name: &str, number: u8) -> Self {
        let pair = ("slaac", "slaac");
        let subnet = subnet(ground, &network, number, pair);
        let machine = Self::plugged(ground, network, subnet, (name, number), pair);
        settled(&machine.guest, "eth0");
        machine
    }

    /// What it sends before it is settled may be lost.
    fn plugged(
        ground: &Ground<'_>,
        network: Value,
        subnet: Value,
        (name, number): (&str, u8),
        pair: Pair,
    ) -> Self {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0x17, number]);
        let guest = ground.unbound(&format!("{name}{number}"), &network, mac);
        Self {
            pair,
            network,
            subnet,
            guest,
            mac,
        }
    }

    /// Its router is somebody else's, as the server understands the modes: it may not be on one of ours.
    fn is_elsewheres(&self) -> bool {
        let (ra, address) = self.pair;
        ra == "none" && address != "none"
    }

    fn sender(&self) -> Sender {
        Sender {
            mac: self.mac.0,
            ip: self.mac.link_local(),
        }
    }

    /// What it was told last, once it is what it should be.
    fn told(&self, wanted: &str) -> String {
        let wire = self.guest.wire();
        let mut said = String::new();
        wait_until(SOON, || {
            said = told::told(&wire, self.sender());
            said == wanted
        });
        said
    }
}

/// As from a topology, in this column of the table there. They ask at the same time, each on its own network.
#[track_caller]
fn hear<'a>(ground: &Ground<'_>, machines: impl IntoIterator<Item = &'a Machine>, column: &str) {
    std::thread::scope(|scope| {
        let asked = machines.into_iter().map(|machine| {
            let wanted = of_topology(machine.pair, column).unwrap();
            let told = wanted.clone();
            (
                machine.pair,
                wanted,
                scope.spawn(move || machine.told(&told)),
            )
        });
        let asked: Vec<_> = asked.collect();
        for (pair, wanted, said) in asked {
            let said = said.join().unwrap();
            assert_eq!(said, wanted, "{pair:?}, {column}\n{}", ground.tails());
        }
    });
}

/// The MACs and addresses of those that serve DHCP there.
fn servers(cloud: &Cloud, network: &Value) -> Vec<(MacAddr, Vec<String>)> {
    let path = format!(
        "/v2.0/ports?network_id={}&device_owner=network:dhcp",
        id(network)
    );
    let ports = cloud.get(&path);
    let ports = ports["ports"].as_array().unwrap().iter();
    let servers = ports.map(|port| {
        let mac = port["mac_address"].as_str().unwrap().parse().unwrap();
        let addresses = port["fixed_ips"].as_array().unwrap().iter();
        let addresses = addresses.map(|fixed| fixed["ip_address"].as_str().unwrap().to_owned());
        let v6 = addresses.filter(|address| address.parse::<Ipv6Addr>().is_ok());
        (mac, v6.collect())
    });
    servers.collect()
}

/// Who advertised in the DHCP namespace leaves it to the router.
fn a_router_joins(ground: &Ground<'_>, machine: &Machine) {
    let cloud = ground.cloud;
    let wire = machine.guest.wire();
    let [(mac, own)] = &servers(cloud, &machine.network)[..] else {
        panic!("one server");
    };
    wire.send(&machine.sender().solicits());
    let said = ground.heard(&wire, "the DHCP namespace", |_| true);
    let prefix = machine.subnet["cidr"].as_str().unwrap();
    assert_eq!(said.from, mac.link_local());
    let right = said.fields["router lifetime"] == "0"
        && said.fields[NAME_SERVERS] == format!("{}, 1800", own[0])
        && said.fields[&format!("prefix {prefix}")].starts_with("on-link autonomous");
    assert!(right, "{said:#?}");
    let routes = ["ip", "-6", "route", "show", "default"];
    assert_eq!(machine.guest.run(&routes).ok(), "", "we lead nowhere");

    wire.drain();
    let router = cloud.create("router", here(&ground.node, "r18", json!({})));
    let path = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    cloud.put(&path, &json!({"subnet_id": id(&machine.subnet)}));
    let back = |said: &Advertised| {
        let servers = said.fields.get(NAME_SERVERS);
        said.from == mac.link_local() && servers.is_some_and(|servers| servers.ends_with(", 0"))
    };
    ground.heard(&wire, "what is taken back", back);
    let anew = |said: &Advertised| {
        said.from != mac.link_local()
            && said.fields["router lifetime"] == "1800"
            && said.fields.get(NAME_SERVERS) == Some(&format!("{}, 1800", own[0]))
    };
    ground.heard(&wire, "the router", anew);
    hear(ground, [machine], "router");
}

/// They say the same; one that goes takes back itself alone.
fn two_agents_advertise(first: &Ground<'_>, second: &Ground<'_>) {
    let cloud = first.cloud;
    let zones = [first, second].map(|ground| ground.node.name());
    let network = first.network("both", json!({"availability_zone_hints": zones}));
    let machine = Machine::alone(first, network.clone(), "both", 99);
    for ground in [first, second] {
        ground.until("the network on both nodes", || ground.has(&qdhcp(&network)));
    }
    let servers = servers(cloud, &network);
    assert_eq!(servers.len(), 2, "{servers:?}");
    let wire = machine.guest.wire();
    let mut said = Vec::new();
    let same = wait_until(SOON, || {
        wire.drain();
        wire.send(&machine.sender().solicits());
        let each = servers.iter().map(|(mac, _)| {
            let from = mac.link_local();
            let of = |frame: &[u8]| Advertised::parse(frame).filter(|said| said.from == from);
            // Asked anew for each: they answer in any order.
            wire.send(&machine.sender().solicits());
            wire.recv(Duration::from_secs(1), of)
        });
        said = each.flatten().map(|said| said.fields).collect();
        let named = |fields: &std::collections::BTreeMap<String, String>| {
            let named = fields.get(NAME_SERVERS).cloned().unwrap_or_default();
            servers.iter().all(|(_, own)| named.contains(&own[0]))
        };
        said.len() == 2 && said[0] == said[1] && named(&said[0])
    });
    assert!(same, "{said:#?}\n{}{}", first.tails(), second.tails());
    let addresses = machine
        .guest
        .run(&[
            "ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "global",
        ])
        .ok();
    assert_eq!(addresses.lines().count(), 1, "{addresses}");

    let agent = cloud.agent(second.node.name(), "neutron-dhcp-agent");
    let hosted = format!("/v2.0/agents/{}/dhcp-networks", id(&agent.unwrap()));
    let on_second = second.ip_in(&qdhcp(&network), &["-6", "addr"]);
    let is_on_second = |(_, own): &&(MacAddr, Vec<String>)| on_second.contains(&own[0]);
    let (mac, own) = servers.iter().find(is_on_second).unwrap();
    wire.drain();
    cloud.delete(&format!("{hosted}/{}", id(&network)));
    let end = first.heard(&wire, "the end of one", |said| {
        let named = said.fields.get(NAME_SERVERS);
        said.from == mac.link_local() && named.is_some_and(|named| named.ends_with(", 0"))
    });
    assert_eq!(end.fields[NAME_SERVERS], format!("{}, 0", own[0]));
    second.until("the network to leave the second node", || {
        !second.has(&qdhcp(&network))
    });
    hear(first, [&machine], "no router, advertised without");
}

/// DHCPv4 there: who can do without IPv4 is told so (RFC 8925), and nobody else hears anything.
fn without_ipv4(ground: &Ground<'_>) {
    let network = ground.network("only6", json!({}));
    let machine = Machine::alone(ground, network, "only6", 98);
    let wire = machine.guest.wire();
    let ask = |xid, listed: &[u8]| wire.send(&discover_listing(machine.mac.0, xid, listed));
    let mut offers = Vec::new();
    ground.until("what is offered in place of an address", || {
        ask(1, &[1, 3, 6]);
        ask(2, &[1, 3, 6, 108]);
        let offer = Dhcp::of(MessageType::Offer);
        offers.extend(wire.recv(Duration::from_millis(200), offer));
        !offers.is_empty()
    });
    let offer = &offers[0];
    assert_eq!(offer.message.xid(), 2, "IPv4 alone gets no answer");
    assert!(offer.message.yiaddr().is_unspecified() && offer.is_broadcast());
    let told = offer.message.opts().get(OptionCode::from(108)).unwrap();
    let mut bytes = Vec::new();
    told.encode(&mut Encoder::new(&mut bytes)).unwrap();
    assert_eq!(bytes, [108, 4, 0, 0, 0, 0]);
}
