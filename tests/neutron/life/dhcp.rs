//! A network's life: what its instances get from DHCP, while its owner changes everything about it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode, UnknownOption};
use dhcproto::{Encodable, Encoder};
use serde_json::{Value, json};

use super::{Ground, fixed, ip, qdhcp, with};
use crate::cloud::{Cloud, id};
use crate::common::{
    Client, Dhcp, Guest, Host, HttpAnswer, HttpStub, Lease, Udp, Wire, udp_frame, wait_until,
};

const METADATA: &str = "169.254.169.254";

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn a_networks_life() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let nova = HttpStub::start(&cloud.place(), "10.254.0.1:8781", |request| {
        HttpAnswer::new(200, request.header("x-instance-id").unwrap_or("nobody"))
    });
    let mut ground = Ground::prepared(cloud, "life1", |node| {
        node.configure("metadata_agent.ini", "[DEFAULT]\nnova_metadata_port = 8781");
        node.configure("dhcp_agent.ini", "[DEFAULT]\ndns_domain = tenants.example");
    });
    let blue = ground.network("blue", json!({}));
    let subnet = ground.subnet(
        &blue,
        "10.1.0.0/24",
        json!({"dns_nameservers": ["10.1.0.53"], "allocation_pools": [{"start": "10.1.0.100", "end": "10.1.0.200"}]}),
    );
    let slaac = json!({"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"});
    ground.subnet(&blue, "fd00:1::/64", slaac);
    ground.until("the network to be served", || ground.has(&qdhcp(&blue)));

    quick(&ground, &blue);
    let port = cloud.instance_port(id(&blue), "life1", json!({}));
    let vm1 = ground.guest("vm1", &port);
    subnet_updates(&ground, &blue, &subnet, &vm1, &port);
    isolated_metadata(&ground, &vm1, &port);
    port_updates(&ground, &blue);
    port_down_and_up(&ground, &blue);
    tagged_options(&ground, &blue);
    own_domain(&ground, &blue, &vm1);
    second_subnet(&ground, &blue);
    dhcp_off_and_on(&ground, &blue, &subnet);
    network_updates(&ground, &blue);
    port_deleted(&ground, &blue);
    forced_metadata(&mut ground, &blue, &vm1, &port);

    // The end: nobody is left on it.
    let ports = cloud.get(&format!("/v2.0/ports?network_id={}", id(&blue)));
    for port in ports["ports"].as_array().unwrap() {
        if port["device_owner"] == "compute:nova" {
            cloud.remove("port", id(port));
        }
    }
    cloud.remove("network", id(&blue));
    ground.until("the namespace of a deleted network to go", || {
        !ground.has(&qdhcp(&blue))
    });
    drop(nova);
}

/// From the call `port create` to the OFFER, and to the server's word that the port is active.
fn quick(ground: &Ground<'_>, network: &Value) {
    let early = ground.node.unplugged("early");
    let mac = "fa:16:3e:00:ee:01";
    ground.node.plug_tap(&early, "eth0", "early", mac);
    let bridge = format!("brq{}", &id(network)[..11]);
    ground.until("the network's bridge", || {
        let on_bridge = ["ip", "link", "set", "early", "master", &bridge];
        ground.node.run(&on_bridge).succeeded()
    });
    let wire = early.wire();
    assert!(
        !offers(&wire, Duration::from_millis(300)),
        "a MAC that nobody knows was offered something"
    );
    let begin = Instant::now();
    let made = std::thread::scope(|scope| {
        let make = json!({"mac_address": mac});
        let call = scope.spawn(|| ground.cloud.instance_port(id(network), "life1", make));
        assert!(offers(&wire, super::SOON), "no OFFER\n{}", ground.tails());
        let offered = begin.elapsed();
        let port = call.join().unwrap();
        println!(
            "port create call to OFFER {offered:?}, to its answer {:?}",
            begin.elapsed()
        );
        port
    });
    drop(early);
    ground.cloud.remove("port", id(&made));

    let port = ground.cloud.instance_port(id(network), "life1", json!({}));
    let begin = Instant::now();
    let guest = ground.guest("quick", &port);
    println!("plugged to ACTIVE {:?}", begin.elapsed());
    drop(guest);
    ground.cloud.remove("port", id(&port));
}

/// Whether the machine on this wire is offered an address within `patience`.
fn offers(wire: &Wire, patience: Duration) -> bool {
    wait_until(patience, || {
        wire.send(&discover(wire));
        let offer = Dhcp::of(MessageType::Offer);
        wire.recv(Duration::from_millis(4), offer).is_some()
    })
}

pub(super) fn discover(wire: &Wire) -> Vec<u8> {
    discover_with(wire, None)
}

/// With one more option.
fn discover_with(wire: &Wire, more: Option<u8>) -> Vec<u8> {
    let mac = wire.mac();
    let mut message = Message::default();
    message
        .set_opcode(Opcode::BootRequest)
        .set_xid(7)
        .set_flags(Flags::default().set_broadcast())
        .set_chaddr(&mac);
    let kind = DhcpOption::MessageType(MessageType::Discover);
    message.opts_mut().insert(kind);
    if let Some(code) = more {
        let option = UnknownOption::new(code.into(), vec![1]);
        message.opts_mut().insert(DhcpOption::Unknown(option));
    }
    let mut payload = Vec::new();
    message.encode(&mut Encoder::new(&mut payload)).unwrap();
    udp_frame(&Udp {
        to_mac: [0xff; 6],
        from_mac: mac,
        from: "0.0.0.0:68".parse().unwrap(),
        to: "255.255.255.255:67".parse().unwrap(),
        payload,
    })
}

pub(super) fn subnet_updates(
    ground: &Ground<'_>,
    network: &Value,
    subnet: &Value,
    vm1: &Guest,
    port: &Value,
) {
    let cloud = ground.cloud;
    let change = |attributes: Value| cloud.update("subnet", id(subnet), &attributes);
    let mut client = vm1.dhcp(Client::Udhcpc);
    let lease = client.bound();
    let own: Vec<&str> = port["fixed_ips"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|fixed| fixed["ip_address"].as_str())
        .collect();
    assert!(
        own.contains(&lease.address.to_string().as_str()),
        "{lease:#?} is none of {own:?}"
    );
    assert_eq!(lease.dns, [ip("10.1.0.53")], "{lease:#?}");
    assert_eq!(lease.routers, [ip("10.1.0.1")], "{lease:#?}");
    assert_eq!(lease.mtu, Some(1450), "vxlan's headers take 50: {lease:#?}");
    // The agent's own; in names that the server gives is the server's.
    assert_eq!(lease.domain.as_deref(), Some("tenants.example"));

    change(json!({"dns_nameservers": ["10.1.0.54", "10.1.0.53"]}));
    ground.renewed(&mut client, "new name servers", |lease| {
        lease.dns.len() == 2 && lease.dns.contains(&ip("10.1.0.54"))
    });
    change(json!({"dns_nameservers": []}));
    let server = lease.server_id.unwrap();
    ground.renewed(&mut client, "ourselves as name server", |lease| {
        lease.dns == [server]
    });
    let route = json!({"destination": "192.0.2.0/24", "nexthop": "10.1.0.9"});
    change(json!({"host_routes": [route]}));
    let there = ("192.0.2.0/24".parse().unwrap(), ip("10.1.0.9"));
    ground.renewed(&mut client, "a host route", |lease| {
        lease.routes.contains(&there)
    });
    change(json!({"host_routes": [], "gateway_ip": null}));
    ground.renewed(&mut client, "no gateway", |lease| {
        lease.routers.is_empty() && !lease.routes.contains(&there)
    });
    let routes = |args: &[&str]| ground.ip_in(&qdhcp(network), args);
    let default = ["route", "show", "default"];
    ground.until("the namespace to lose its default route", || {
        routes(&default).is_empty()
    });
    change(json!({"gateway_ip": "10.1.0.254"}));
    ground.renewed(&mut client, "another gateway", |lease| {
        lease.routers == [ip("10.1.0.254")]
    });
    ground.until("the namespace's default route", || {
        routes(&default).contains("via 10.1.0.254")
    });
    change(json!({"gateway_ip": "10.1.0.1"}));
    ground.renewed(&mut client, "the old gateway", |lease| {
        lease.routers == [ip("10.1.0.1")]
    });
    let addresses = routes(&["-o", "addr", "show", "scope", "global"]);
    assert!(
        addresses.contains(&format!("{server}/24")) && addresses.contains("fd00:1::"),
        "own addresses of both versions: {addresses}"
    );
}

pub(super) fn isolated_metadata(ground: &Ground<'_>, vm1: &Guest, port: &Value) {
    let url = format!("http://{METADATA}/latest/meta-data/instance-id");
    let answer = vm1
        .curl(&url, &[])
        .unwrap_or_else(|e| panic!("{e}\n{}", ground.tails()));
    assert_eq!(
        Some(answer.body.as_str()),
        port["device_id"].as_str(),
        "an isolated network's metadata"
    );
}

fn port_updates(ground: &Ground<'_>, network: &Value) {
    let cloud = ground.cloud;
    // Not bound to a host: only then may its MAC change.
    let port = cloud.create(
        "port",
        with(
            fixed("10.1.0.20"),
            json!({"network_id": id(network), "dns_name": "first"}),
        ),
    );
    let change = |attributes: Value| cloud.update("port", id(&port), &attributes);
    let vm2 = ground.node.unplugged("vm2");
    let mac = port["mac_address"].as_str().unwrap();
    let bridge = format!("brq{}", &id(network)[..11]);
    // Nobody's tap: the L2 agent would take a port that is not bound here off the bridge.
    let host: &Host = &ground.node;
    host.plug(&vm2, "eth0", &bridge, mac);
    let mut client = vm2.dhcp(Client::Udhcpc);
    let lease = client.bound();
    assert_eq!(lease.address, ip("10.1.0.20"), "{lease:#?}");
    let server = lease.server_id.unwrap();
    let resolves = |name: &str, to: &str| {
        let asked = [format!("@{server}"), name.to_owned()];
        let answer = vm2.dig(&[&asked[0], &asked[1]]);
        answer.answers == [to]
    };
    ground.until("its name", || resolves("first.example.org", "10.1.0.20"));
    change(json!({"dns_name": "second"}));
    ground.until("its new name", || {
        resolves("second.example.org", "10.1.0.20")
    });
    ground.renewed(&mut client, "its new name", |lease| {
        lease.hostname.as_deref() == Some("second")
    });

    change(json!({"fixed_ips": [{"ip_address": "10.1.0.21"}]}));
    ground.renewed(&mut client, "another address", |lease| {
        lease.address == ip("10.1.0.21")
    });
    ground.until("the name to follow", || {
        resolves("second.example.org", "10.1.0.21")
    });
    let option = |name, value: Option<&str>| json!({"opt_name": name, "opt_value": value});
    let boot = [("67", "pxe.0"), ("server-ip-address", "10.1.0.99")];
    let [file, next] = boot.map(|(name, value)| option(name, Some(value)));
    let ntp = option("ntp-server", Some("10.1.0.77"));
    change(json!({"extra_dhcp_opts": [ntp, file, next]}));
    let said = |lease: &Lease, key: &str| lease.raw.get(key).cloned().unwrap_or_default();
    ground.renewed(&mut client, "extra options", |lease| {
        lease.ntp == [ip("10.1.0.77")]
            && said(lease, "boot_file") == "pxe.0"
            && said(lease, "siaddr") == "10.1.0.99"
    });
    change(json!({"extra_dhcp_opts": [option("ntp-server", None)]}));
    ground.renewed(&mut client, "one extra option less", |lease| {
        lease.ntp.is_empty() && said(lease, "boot_file") == "pxe.0"
    });

    client.crash();
    change(json!({"mac_address": "fa:16:3e:00:ee:02"}));
    ground.until("the old MAC to be unknown", || {
        !offers(&vm2.wire(), Duration::from_millis(100))
    });
    vm2.ip("link set eth0 address fa:16:3e:00:ee:02");
    assert!(
        offers(&vm2.wire(), super::SOON),
        "nothing for the new MAC\n{}",
        ground.tails()
    );
    cloud.remove("port", id(&port));
}

fn port_down_and_up(ground: &Ground<'_>, network: &Value) {
    let cloud = ground.cloud;
    let port = cloud.instance_port(id(network), "life1", json!({}));
    let vm = ground.guest("down", &port);
    let wire = vm.wire();
    assert!(offers(&wire, super::SOON), "no OFFER\n{}", ground.tails());
    let up = |up: bool| cloud.update("port", id(&port), &json!({"admin_state_up": up}));
    up(false);
    ground.until("a port that is down to be silent", || {
        !offers(&wire, Duration::from_millis(100))
    });
    up(true);
    assert!(
        offers(&wire, super::SOON),
        "no OFFER for a port that is up again\n{}",
        ground.tails()
    );
    ground.active(&port);
    cloud.remove("port", id(&port));
}

/// As Ironic boots a machine: the first time it gets iPXE, and iPXE, which says that it is that, a script.
fn tagged_options(ground: &Ground<'_>, network: &Value) {
    let cloud = ground.cloud;
    let option = |name: &str, value: &str| json!({"opt_name": name, "opt_value": value});
    let loader = option("tag:!ipxe,67", "undionly.kpxe");
    let script = option("tag:ipxe,67", "http://10.1.0.99/boot.ipxe");
    let port = json!({"extra_dhcp_opts": [loader, script]});
    let port = cloud.instance_port(id(network), "life1", port);
    let vm = ground.guest("metal", &port);
    let wire = vm.wire();
    for (more, file) in [
        (None, "undionly.kpxe"),
        (Some(175), "http://10.1.0.99/boot.ipxe"),
    ] {
        let mut offered = None;
        ground.until(&format!("{file} to be offered"), || {
            wire.drain();
            wire.send(&discover_with(&wire, more));
            let offer = wire.recv(Duration::from_millis(100), Dhcp::of(MessageType::Offer));
            offered = offer.and_then(|offer| boot_file(&offer.message));
            offered.as_deref() == Some(file)
        });
    }
    cloud.remove("port", id(&port));
}

fn boot_file(offer: &Message) -> Option<String> {
    let text = match offer.opts().get(OptionCode::BootfileName) {
        Some(DhcpOption::BootfileName(name)) => name.as_slice(),
        _ => offer.fname()?,
    };
    Some(
        String::from_utf8_lossy(text)
            .trim_end_matches('\0')
            .to_owned(),
    )
}

/// A port has the name that the server assigns, whatever that makes of the port's own domain. (Zed makes something of it only
/// with an external DNS service.)
fn own_domain(ground: &Ground<'_>, network: &Value, guest: &Guest) {
    let cloud = ground.cloud;
    let named =
        json!({"network_id": id(network), "dns_name": "third", "dns_domain": "ports.example."});
    let port = cloud.create("port", with(fixed("10.1.0.22"), named));
    let server = guest.udhcpc().server_id.unwrap();
    let resolves = || {
        let shown = cloud.show("port", id(&port));
        let assigned = shown["dns_assignment"][0]["fqdn"].as_str().unwrap();
        assert!(assigned.starts_with("third."), "{shown:#}");
        guest.dig(&[&format!("@{server}"), assigned]).answers == ["10.1.0.22"]
    };
    ground.until("the assigned name", resolves);
    cloud.update("port", id(&port), &json!({"dns_domain": "moved.example."}));
    ground.until("the name that is assigned now", resolves);
    cloud.remove("port", id(&port));
}

pub(super) fn second_subnet(ground: &Ground<'_>, network: &Value) {
    let cloud = ground.cloud;
    let more = ground.subnet(network, "10.11.0.0/24", json!({}));
    let two = json!({"fixed_ips": [{"ip_address": "10.1.0.30"}, {"ip_address": "10.11.0.30"}]});
    let port = cloud.instance_port(id(network), ground.node.name(), two);
    let vm3 = ground.guest("vm3", &port);
    let mut client = vm3.dhcp(Client::Udhcpc);
    let lease = client.bound();
    let other = if lease.address == ip("10.11.0.30") {
        "10.1.0.0/24"
    } else {
        "10.11.0.0/24"
    };
    let on_link = (other.parse().unwrap(), Ipv4Addr::UNSPECIFIED);
    assert!(
        lease.routes.contains(&on_link),
        "the other subnet is on the same wire: {lease:#?}"
    );
    cloud.remove("port", id(&port));
    cloud.remove("subnet", id(&more));
    ground.until("the second subnet's address to go", || {
        let addresses = ground.ip_in(&qdhcp(network), &["-o", "addr"]);
        !addresses.is_empty() && !addresses.contains("10.11.0.")
    });
}

pub(super) fn dhcp_off_and_on(ground: &Ground<'_>, network: &Value, subnet: &Value) {
    let cloud = ground.cloud;
    let port = cloud.instance_port(id(network), ground.node.name(), json!({}));
    let vm4 = ground.guest("vm4", &port);
    let wire = vm4.wire();
    assert!(offers(&wire, super::SOON), "no OFFER\n{}", ground.tails());
    cloud.update("subnet", id(subnet), &json!({"enable_dhcp": false}));
    ground.until("DHCP to be off", || {
        !offers(&wire, Duration::from_millis(100))
    });
    cloud.update("subnet", id(subnet), &json!({"enable_dhcp": true}));
    assert!(
        offers(&wire, super::SOON),
        "no OFFER again\n{}",
        ground.tails()
    );
    cloud.remove("port", id(&port));
}

fn network_updates(ground: &Ground<'_>, network: &Value) {
    let cloud = ground.cloud;
    let port = cloud.instance_port(id(network), ground.node.name(), json!({}));
    let vm5 = ground.guest("vm5", &port);
    let mut client = vm5.dhcp(Client::Udhcpc);
    client.bound();
    cloud.update("network", id(network), &json!({"mtu": 1400}));
    ground.renewed(&mut client, "another MTU", |lease| lease.mtu == Some(1400));
    ground.until("the device's MTU", || {
        ground
            .ip_in(&qdhcp(network), &["link"])
            .lines()
            .any(|line| line.contains("ns-") && line.contains("mtu 1400"))
    });
    cloud.update("network", id(network), &json!({"admin_state_up": false}));
    ground.until("the namespace of a network that is down to go", || {
        !ground.has(&qdhcp(network))
    });
    cloud.update("network", id(network), &json!({"admin_state_up": true}));
    ground.until("the namespace of a network that is up again", || {
        ground.has(&qdhcp(network))
    });
    client.crash();
    let mut client = vm5.dhcp(Client::Udhcpc);
    client.bound();
    cloud.remove("port", id(&port));
}

pub(super) fn port_deleted(ground: &Ground<'_>, network: &Value) {
    let cloud = ground.cloud;
    let port = cloud.instance_port(id(network), ground.node.name(), json!({}));
    let vm6 = ground.guest("vm6", &port);
    let mut client = vm6.dhcp(Client::Udhcpc);
    client.bound();
    cloud.remove("port", id(&port));
    let refused = wait_until(super::SOON, || {
        client.signal(nix::sys::signal::Signal::SIGUSR1);
        std::thread::sleep(Duration::from_millis(100)); // the client asks once a signal
        client
            .records()
            .iter()
            .any(|record| record.event() == "nak")
    });
    assert!(
        refused,
        "a deleted port's lease was not refused: {:#?}\n{}\n{}",
        client.records(),
        client.log(),
        ground.tails()
    );
}

/// With a router on it the network is not isolated; forced, it is served all the same.
fn forced_metadata(ground: &mut Ground<'_>, network: &Value, vm1: &Guest, port: &Value) {
    let cloud = ground.cloud;
    let interface = json!({"network_id": id(network), "device_owner": "network:router_interface", "fixed_ips": [{"ip_address": "10.1.0.1"}]});
    let interface = cloud.create("port", interface);
    let to_metadata = |via: Ipv4Addr| (format!("{METADATA}/32").parse().unwrap(), via);
    let mut client = vm1.dhcp(Client::Udhcpc);
    let server = client.bound().server_id.unwrap();
    ground.renewed(
        &mut client,
        "the way to metadata through a router",
        |lease| lease.routes.contains(&to_metadata(ip("10.1.0.1"))),
    );
    ground
        .node
        .configure("dhcp_agent.ini", "[DEFAULT]\nforce_metadata = True");
    ground.restart();
    ground.renewed(&mut client, "the way to metadata by force", |lease| {
        lease.routes.contains(&to_metadata(server))
    });
    isolated_metadata(ground, vm1, port);
    cloud.remove("port", id(&interface));
}
