//! NAT and routes of a router without scopes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use warren::model::*;

use crate::cloud::{Cloud, floating, forwarding, leg, subnet};
use crate::common::PATIENCE;
use crate::{ip, source_seen, try_source_seen};

/// Network 1 inside, network 2 outside.
fn routed(name: &str) -> Option<Cloud> {
    let mut cloud = Cloud::new(name, 2)?;
    cloud.router.interfaces = vec![leg(1, 1, &[("10.1.0.1/24", Some("10.1.0.1"))])];
    cloud.router.gateway = Some(Gateway {
        port: leg(9, 2, &[("203.0.113.5/24", Some("203.0.113.1"))]),
        enable_snat: true,
    });
    Some(cloud)
}

#[test]
fn snat_can_be_off() {
    let Some(mut cloud) = routed("nosnat") else {
        return;
    };
    cloud.router.gateway.as_mut().unwrap().enable_snat = false;
    cloud.router.floating_ips = vec![floating("203.0.113.20", "10.1.0.12", None)];
    cloud.apply();
    let vm = cloud.guest("vm", 1, "10.1.0.11/24", "10.1.0.1");
    let known = cloud.guest("known", 1, "10.1.0.12/24", "10.1.0.1");
    let world = cloud.host.world("br2", "203.0.113.1/24");
    assert!(!vm.ping("203.0.113.1"), "the world has no way back");
    world.ip("route add 10.1.0.0/24 via 203.0.113.5");
    assert_eq!(source_seen(&vm, "203.0.113.1", &world, 80), ip("10.1.0.11"));
    assert_eq!(
        source_seen(&known, "203.0.113.1", &world, 80),
        ip("203.0.113.20")
    );
    assert_eq!(
        source_seen(&world, "203.0.113.20", &known, 80),
        ip("203.0.113.1")
    );
    assert_eq!(
        source_seen(&vm, "203.0.113.20", &known, 81),
        ip("203.0.113.5"),
        "round"
    );
}

#[test]
fn forwarded_ports_beside_floating_ips() {
    let Some(mut cloud) = routed("forwarded") else {
        return;
    };
    cloud.router.floating_ips = vec![floating("203.0.113.20", "10.1.0.12", None)];
    cloud.router.port_forwardings = vec![
        forwarding("203.0.113.21", (2222, 2222), "10.1.0.11", (22, 22)),
        forwarding("203.0.113.21", (8000, 8003), "10.1.0.12", (9000, 9003)),
        forwarding("203.0.113.21", (7000, 7003), "10.1.0.12", (6000, 6001)),
    ];
    cloud.apply();
    let vm = cloud.guest("vm", 1, "10.1.0.11/24", "10.1.0.1");
    let known = cloud.guest("known", 1, "10.1.0.12/24", "10.1.0.1");
    let world = cloud.host.world("br2", "203.0.113.1/24");
    for (external, to, internal) in [
        (2222, &vm, 22),
        (8000, &known, 9000),
        (8003, &known, 9003),
        (7001, &known, 6001),
        (7002, &known, 6000),
    ] {
        let called = SocketAddr::new(ip("203.0.113.21"), external);
        let seen = try_source_seen(&world, called, to, internal).unwrap();
        assert_eq!(seen, ip("203.0.113.1"), "{external}");
        let seen = try_source_seen(&vm, called, to, internal).unwrap();
        assert_eq!(seen, ip("203.0.113.5"), "round, {external}");
    }
    let called = SocketAddr::new(ip("203.0.113.21"), 8004);
    let refused = try_source_seen(&world, called, &known, 8004);
    assert!(refused.is_err(), "no port beyond the range");
    assert!(world.ping("203.0.113.20"), "a floating IP beside them");
    // One goes, the others stay.
    cloud.router.port_forwardings.remove(0);
    cloud.apply();
    let called = SocketAddr::new(ip("203.0.113.21"), 2222);
    assert!(try_source_seen(&world, called, &vm, 22).is_err());
    let called = SocketAddr::new(ip("203.0.113.21"), 8001);
    assert!(try_source_seen(&world, called, &known, 9001).is_ok());
}

#[test]
fn without_a_gateway_nothing_is_translated() {
    let Some(mut cloud) = routed("nogateway") else {
        return;
    };
    cloud.router.floating_ips = vec![floating("203.0.113.20", "10.1.0.11", None)];
    cloud.router.port_forwardings =
        vec![forwarding("203.0.113.21", (80, 80), "10.1.0.11", (80, 80))];
    cloud.apply();
    cloud.router.gateway = None;
    cloud.apply();
    assert!(
        !cloud
            .in_router(&["nft", "list", "table", "inet", "warren"])
            .contains("203.0.113.")
    );
    assert!(!cloud.in_router(&["ip", "addr"]).contains("qg-"));
    assert!(!cloud.in_router(&["ip", "route"]).contains("default"));
}

#[test]
fn a_gateway_of_several_subnets_and_elsewhere() {
    let Some(mut cloud) = routed("several") else {
        return;
    };
    let gateway = &mut cloud.router.gateway.as_mut().unwrap().port;
    *gateway = leg(
        9,
        2,
        &[
            ("203.0.113.5/24", Some("192.0.2.1")),
            ("198.51.100.5/24", Some("198.51.100.1")),
        ],
    );
    gateway.extra_subnets = vec![subnet("192.0.3.0/24", Some("192.0.3.1"))];
    cloud.apply();
    let vm = cloud.guest("vm", 1, "10.1.0.11/24", "10.1.0.1");
    let world = cloud.host.world("br2", "192.0.2.1/32");
    world.ip(
        "route add 203.0.113.0/24 dev eth0 src 192.0.2.1\naddr add 192.0.3.7/24 dev eth0\naddr add 8.8.8.8/32 dev lo",
    );
    assert_eq!(
        source_seen(&vm, "192.0.2.1", &world, 80),
        ip("203.0.113.5"),
        "by a gateway outside of its subnet"
    );
    assert_eq!(
        source_seen(&vm, "8.8.8.8", &world, 81),
        ip("203.0.113.5"),
        "by the default route"
    );
    assert_eq!(
        source_seen(&vm, "192.0.3.7", &world, 82),
        ip("203.0.113.5"),
        "on-link"
    );
}

#[test]
fn the_owners_default_route_comes_and_goes() {
    let Some(mut cloud) = routed("default") else {
        return;
    };
    let default = |cloud: &Cloud| cloud.in_router(&["ip", "-4", "route", "show", "default"]);
    cloud.apply();
    assert!(default(&cloud).contains("via 203.0.113.1 dev qg-"));
    let route = |to: &str, via: &str| HostRoute {
        destination: to.parse().unwrap(),
        nexthop: ip(via),
    };
    cloud.router.routes = vec![
        route("0.0.0.0/0", "10.1.0.9"),
        route("192.0.2.0/24", "10.1.0.8"),
        route("192.0.2.0/24", "10.1.0.9"),
        // These lead nowhere.
        route("198.51.100.0/24", "10.99.0.1"),
        route("10.1.0.0/24", "10.1.0.9"),
    ];
    cloud.apply();
    assert!(
        default(&cloud).contains("via 10.1.0.9 dev qr-"),
        "{}",
        default(&cloud)
    );
    let all = cloud.in_router(&["ip", "-4", "route"]);
    assert!(
        all.contains("nexthop via 10.1.0.8") && all.contains("nexthop via 10.1.0.9"),
        "{all}"
    );
    assert!(!all.contains("198.51.100.0"), "{all}");
    cloud.router.routes.clear();
    cloud.apply();
    assert!(
        default(&cloud).contains("via 203.0.113.1 dev qg-"),
        "it comes back"
    );
}

#[test]
fn two_legs_in_one_network() {
    let Some(mut cloud) = routed("legs") else {
        return;
    };
    cloud
        .router
        .interfaces
        .push(leg(2, 1, &[("10.2.0.1/24", Some("10.2.0.1"))]));
    cloud.apply();
    let one = cloud.guest("one", 1, "10.1.0.11/24", "10.1.0.1");
    let two = cloud.guest("other", 1, "10.2.0.11/24", "10.2.0.1");
    let world = cloud.host.world("br2", "203.0.113.1/24");
    assert_eq!(source_seen(&one, "10.2.0.11", &two, 80), ip("10.1.0.11"));
    assert_eq!(
        source_seen(&two, "203.0.113.1", &world, 80),
        ip("203.0.113.5")
    );
    // Each address is answered for by the device that has it.
    let asked = one.run(&["arping", "-c2", "-I", "eth0", "10.2.0.1"]).stdout;
    assert!(
        !asked.to_lowercase().contains("fa:16:3e:ff:00:01"),
        "{asked}"
    );

    cloud.router.interfaces[1].admin_state_up = false;
    cloud.router.interfaces[0].mtu = 1400;
    cloud.apply();
    assert!(!two.ping("10.2.0.1"), "a leg that is admin down is none");
    let links = cloud.in_router(&["ip", "-o", "link"]);
    assert!(
        links
            .lines()
            .any(|line| line.contains("qr-") && line.contains("mtu 1400")),
        "{links}"
    );
    assert!(one.ping("10.1.0.1"));
}

/// What an FTP client says of where it waits for data is right behind SNAT only with the helper.
#[test]
fn a_helper_follows_ftp() {
    let wanted = vec![("ftp".to_owned(), "tcp")];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Some(mut cloud) = routed("ftp") else {
        return;
    };
    let there = runtime
        .unwrap()
        .block_on(netns::conntrack_helpers(wanted))
        .unwrap();
    if there.is_empty() {
        eprintln!("skipped: the kernel has no nf_conntrack_ftp");
        return;
    }
    cloud.router.conntrack_helpers = vec![ConntrackHelper {
        helper: "ftp".to_owned(),
        protocol: Protocol::Tcp,
        port: 2121,
    }];
    for (has, want) in [(true, "PORT 203,0,113,5,"), (false, "PORT 10,1,0,11,78,32")] {
        let helper = has.then(|| ("ftp".to_owned(), Protocol::Tcp));
        cloud.settings.conntrack_helpers = helper.into_iter().collect();
        cloud.apply();
        let vm = cloud.guest("vm", 1, "10.1.0.11/24", "10.1.0.1");
        let world = cloud.host.world("br2", "203.0.113.1/24");
        let server = world.inside(|| TcpListener::bind("203.0.113.1:2121").unwrap());
        let data = vm.inside(|| TcpListener::bind("10.1.0.11:20000").unwrap());
        let mut control = vm.inside(|| {
            let server = "203.0.113.1:2121".parse().unwrap();
            TcpStream::connect_timeout(&server, PATIENCE).unwrap()
        });
        let (heard, _) = server.accept().unwrap();
        let mut heard = BufReader::new(heard);
        // The kernel looks at what follows a line that it has seen.
        control.write_all(b"USER me\r\n").unwrap();
        heard.read_line(&mut String::new()).unwrap();
        control.write_all(b"PORT 10,1,0,11,78,32\r\n").unwrap();
        let mut line = String::new();
        heard.read_line(&mut line).unwrap();
        assert!(line.starts_with(want), "{line}");
        if !has {
            return;
        }
        let numbers: Vec<u16> = line["PORT ".len()..]
            .trim()
            .split(',')
            .map(|number| number.parse().unwrap())
            .collect();
        let called = SocketAddr::new(ip("203.0.113.5"), numbers[4] << 8 | numbers[5]);
        world.inside(move || TcpStream::connect_timeout(&called, PATIENCE).unwrap());
        let (_, from) = data.accept().unwrap();
        assert_eq!(from.ip(), ip("203.0.113.1"), "the server's call arrives");
    }
}

#[test]
fn connection_tracking_is_liberal() {
    let Some(cloud) = routed("liberal") else {
        return;
    };
    cloud.apply();
    let value = cloud.in_router(&["sysctl", "-n", "net.netfilter.nf_conntrack_tcp_be_liberal"]);
    assert_eq!(value.trim(), "1");
}
