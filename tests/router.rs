//! A router as its users see it: between subnets, to the outside by SNAT, and back by floating IPs and forwarded ports.
#![allow(clippy::unwrap_used)] // in a test a panic is the report

mod common;

use std::net::Ipv4Addr;

use common::{Daemon, Guest, Host, PATIENCE, tcp_stream, wait_for, wait_until};

/// Networks blue and green, joined by r1 to outside; red has a router of its own.
const CLOUD: &str = r#"
dns_domain = "test"

[[network]]
name = "blue"
bridge = "br-blue"
mtu = 1400
[[network.subnet]]
cidr = "10.0.1.0/24"

[[network]]
name = "green"
bridge = "br-green"
[[network.subnet]]
cidr = "10.0.2.0/24"

[[network]]
name = "red"
bridge = "br-red"
[[network.subnet]]
cidr = "10.0.3.0/24"

[[network]]
name = "outside"
bridge = "br-outside"
external = true
[[network.subnet]]
cidr = "203.0.113.0/24"
gateway = "203.0.113.1"
dhcp = false

[[instance]]
name = "blue1"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:01:01"
addresses = ["10.0.1.11"]

[[instance]]
name = "green1"
[[instance.port]]
network = "green"
mac = "fa:16:3e:00:02:01"
addresses = ["10.0.2.11"]

[[instance]]
name = "red1"
[[instance.port]]
network = "red"
mac = "fa:16:3e:00:03:01"
addresses = ["10.0.3.11"]

[[router]]
name = "r2"
interfaces = ["red"]

[[router]]
name = "r1"
interfaces = ["blue", "green"]
gateway = { network = "outside", address = "203.0.113.5" }
"#;

const FLOATING: &str = r#"
[[router.floating_ip]]
address = "203.0.113.20"
instance = "green1"
"#;

const FORWARDED: &str = r#"
[[router.port_forwarding]]
address = "203.0.113.21"
protocol = "tcp"
external_port = 2222
instance = "blue1"
internal_port = 22
"#;

struct Cloud {
    daemon: Daemon,
    blue: Guest,
    green: Guest,
    world: Guest,
    host: Host,
}

/// The cloud with its instances booted. The world has no route to the tenants' networks, as worlds do.
fn cloud(name: &str, more: &str) -> Option<Cloud> {
    let host = Host::new(name)?;
    let daemon = host.warren_run(&format!("{CLOUD}{more}"));
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    let green = host.guest("green1", "br-green", "fa:16:3e:00:02:01");
    let world = host.world("br-outside", "203.0.113.1/24");
    blue.udhcpc();
    green.udhcpc();
    Some(Cloud {
        daemon,
        blue,
        green,
        world,
        host,
    })
}

impl Cloud {
    fn router(&self) -> String {
        self.daemon.json(&["show", "router", "r1"])["namespace"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// What the router's table holds.
    fn table(&self) -> String {
        self.host
            .run_in(&self.router(), &["nft", "list", "table", "inet", "warren"])
            .ok()
    }
}

/// The source address that `to` sees of a connection from `from` to `address`.
fn seen_source(from: &Guest, to: &Guest, address: &str, port: u16) -> Ipv4Addr {
    let listener =
        to.inside(move || std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap());
    let target = std::net::SocketAddr::new(
        address.parse().unwrap(),
        if port == 22 { 2222 } else { port },
    );
    let connection =
        from.inside(move || std::net::TcpStream::connect_timeout(&target, PATIENCE).unwrap());
    let (_, peer) = listener.accept().unwrap();
    drop(connection);
    match peer.ip() {
        std::net::IpAddr::V4(ip) => ip,
        std::net::IpAddr::V6(ip) => panic!("{ip}"),
    }
}

#[test]
fn subnets_of_one_router_reach_each_other_and_nobody_else() {
    let Some(cloud) = cloud("subnets", "") else {
        return;
    };
    assert!(cloud.blue.ping("10.0.2.11"), "blue to green");
    assert!(cloud.green.ping("10.0.1.11"), "green to blue");
    assert_eq!(
        seen_source(&cloud.blue, &cloud.green, "10.0.2.11", 8080),
        Ipv4Addr::new(10, 0, 1, 11),
        "no NAT inside"
    );
    let red = cloud.host.guest("red1", "br-red", "fa:16:3e:00:03:01");
    red.udhcpc();
    assert!(red.ping("10.0.3.1"), "its own router");
    assert!(
        !red.ping("10.0.1.11") && !red.ping("10.0.1.1"),
        "no route joins red to blue"
    );
    assert!(!cloud.blue.ping("10.0.3.11"), "nor blue to red");
}

#[test]
fn the_outside_sees_the_gateway_address() {
    let Some(cloud) = cloud("snat", "") else {
        return;
    };
    assert!(cloud.blue.ping("203.0.113.1"));
    assert_eq!(
        seen_source(&cloud.blue, &cloud.world, "203.0.113.1", 8080),
        Ipv4Addr::new(203, 0, 113, 5)
    );
    let route = cloud
        .world
        .run(&["ip", "route", "add", "10.0.1.0/24", "via", "203.0.113.5"]);
    route.ok();
    assert!(
        cloud.world.ping("10.0.1.11"),
        "who has a route is routed, as Neutron does"
    );
}

#[test]
fn without_snat_the_outside_sees_the_true_address() {
    let Some(cloud) = cloud("no-snat", "") else {
        return;
    };
    let route = ["ip", "route", "add", "10.0.1.0/24", "via", "203.0.113.5"];
    cloud.world.run(&route).ok();
    let before = cloud.table();
    let with = "address = \"203.0.113.5\" }";
    let without = "address = \"203.0.113.5\", snat = false }";
    cloud.daemon.rewrite(&CLOUD.replace(with, without));
    wait_for("another table", PATIENCE, || {
        (cloud.table() != before).then_some(())
    });
    assert_eq!(
        seen_source(&cloud.blue, &cloud.world, "203.0.113.1", 8080),
        Ipv4Addr::new(10, 0, 1, 11)
    );
}

#[test]
fn an_extra_route_leads_through_an_instance() {
    let Some(cloud) = cloud(
        "extra",
        "routes = [{ to = \"192.168.77.0/24\", via = \"10.0.2.11\" }]\n",
    ) else {
        return;
    };
    cloud.green.ip("addr add 192.168.77.1/32 dev lo");
    assert!(cloud.blue.ping("192.168.77.1"), "by way of green1");
    cloud.daemon.rewrite(CLOUD);
    wait_for("the route to go", PATIENCE, || {
        let routes = cloud.host.run_in(&cloud.router(), &["ip", "route"]).ok();
        (!routes.contains("192.168.77.0")).then_some(())
    });
    assert!(!cloud.blue.ping("192.168.77.1"), "no longer");
    assert!(cloud.blue.ping("10.0.2.11"), "but to green1 itself");
}

#[test]
fn a_floating_ip_leads_in_and_out_and_round() {
    let Some(cloud) = cloud("floating", FLOATING) else {
        return;
    };
    let floating = Ipv4Addr::new(203, 0, 113, 20);
    assert!(cloud.world.ping(floating), "in");
    assert_eq!(
        seen_source(&cloud.world, &cloud.green, "203.0.113.20", 8080),
        Ipv4Addr::new(203, 0, 113, 1),
        "the true source"
    );
    assert_eq!(
        seen_source(&cloud.green, &cloud.world, "203.0.113.1", 8081),
        floating,
        "out"
    );
    assert!(
        cloud.blue.ping(floating),
        "round: from inside through the floating IP"
    );
    assert_eq!(
        seen_source(&cloud.blue, &cloud.green, "203.0.113.20", 8082),
        Ipv4Addr::new(203, 0, 113, 5),
        "who comes round is answered through the router"
    );
}

#[test]
fn a_port_is_forwarded() {
    let Some(cloud) = cloud("forward", FORWARDED) else {
        return;
    };
    assert_eq!(
        seen_source(&cloud.world, &cloud.blue, "203.0.113.21", 22),
        Ipv4Addr::new(203, 0, 113, 1)
    );
}

#[test]
fn a_removed_floating_ip_ends_its_connections_and_no_others() {
    let Some(cloud) = cloud("removed", FLOATING) else {
        return;
    };
    let (floating, inner) = (Ipv4Addr::new(203, 0, 113, 20), Ipv4Addr::new(10, 0, 2, 11));
    let through = tcp_stream(&cloud.world, &cloud.green, floating, 7000);
    let beside = tcp_stream(&cloud.blue, &cloud.green, inner, 7001);
    let before = cloud.table();
    assert!(before.contains("203.0.113.20 : 10.0.2.11"), "{before}");
    cloud.daemon.rewrite(CLOUD);
    wait_for("the map to lose it", PATIENCE, || {
        (!cloud.table().contains("203.0.113.20")).then_some(())
    });
    let gone = wait_until(PATIENCE, || {
        let entries = cloud
            .host
            .run_in(&cloud.router(), &["conntrack", "-L"])
            .stdout;
        // The world goes on trying; what it sends now is translated for nobody.
        !entries
            .lines()
            .any(|entry| entry.contains("203.0.113.20") && entry.contains("10.0.2.11"))
    });
    assert!(gone, "its connections are forgotten");
    assert!(!cloud.world.ping(floating));
    assert_eq!(beside.stop().broken, None, "a connection beside it goes on");
    drop(through);
}

#[test]
fn a_flow_leaves_by_the_new_gateway() {
    let Some(cloud) = cloud("regate", "") else {
        return;
    };
    let gateways = || {
        let argv = ["ip", "-o", "-4", "addr", "show", "scope", "global"];
        let all = cloud.host.run_in(&cloud.router(), &argv).ok();
        let outer = all.lines().filter(|line| line.contains("qg-"));
        outer.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let heard = cloud
        .world
        .inside(|| std::net::UdpSocket::bind("0.0.0.0:9000").unwrap());
    heard.set_read_timeout(Some(PATIENCE)).unwrap();
    let flow = cloud
        .blue
        .inside(|| std::net::UdpSocket::bind("0.0.0.0:5000").unwrap());
    let source = || {
        flow.send_to(b"word", "203.0.113.1:9000").unwrap();
        let (_, from) = heard.recv_from(&mut [0; 16]).unwrap();
        from.ip().to_string()
    };
    assert_eq!(source(), "203.0.113.5");
    let gateway = "gateway = { network = \"outside\", address = \"203.0.113.5\" }\n";
    cloud.daemon.rewrite(&CLOUD.replace(gateway, ""));
    wait_for("the gateway to go", PATIENCE, || {
        gateways().is_empty().then_some(())
    });
    cloud.daemon.converged();
    cloud
        .daemon
        .rewrite(&CLOUD.replace("203.0.113.5", "203.0.113.6"));
    wait_for("the new gateway", PATIENCE, || {
        (!gateways().is_empty()).then_some(())
    });
    cloud.daemon.converged();
    assert_eq!(source(), "203.0.113.6");
}

#[test]
fn neighbours_hear_of_a_new_floating_ip() {
    let Some(cloud) = cloud("announce", "") else {
        return;
    };
    let wire = cloud.world.wire();
    wire.drain();
    cloud.daemon.rewrite(&format!("{CLOUD}{FLOATING}"));
    let mut kinds = std::collections::BTreeSet::new();
    // EtherType ARP, sender and target protocol address both the floating IP; operation 1 or 2 (RFC 5227 section 3).
    let heard = wire.recv(PATIENCE, |frame| {
        let arp = frame.get(12..14) == Some(&[8, 6]);
        let about = frame.get(28..32) == Some(&[203, 0, 113, 20])
            && frame.get(38..42) == Some(&[203, 0, 113, 20]);
        if arp && about {
            kinds.insert(frame[21]);
        }
        (kinds.len() == 2).then_some(())
    });
    assert!(heard.is_some(), "both forms of gratuitous ARP: {kinds:?}");
}

#[test]
fn what_the_namespace_holds_is_what_an_operator_expects() {
    let Some(cloud) = cloud("observe", FLOATING) else {
        return;
    };
    let router = cloud.router();
    let ip = |args: &[&str]| cloud.host.run_in(&router, &[&["ip"], args].concat()).ok();
    let routes = ip(&["route"]);
    assert!(
        routes.contains("default via 203.0.113.1 dev qg-"),
        "{routes}"
    );
    let addresses = ip(&["-o", "-4", "addr"]);
    for address in [
        "10.0.1.1/24",
        "10.0.2.1/24",
        "203.0.113.5/24",
        "203.0.113.20/32",
    ] {
        assert!(addresses.contains(address), "{address} in {addresses}");
    }
    let links = ip(&["-o", "link"]);
    assert!(
        links
            .lines()
            .any(|line| line.contains("qr-") && line.contains("mtu 1400")),
        "blue's MTU: {links}"
    );
    for (key, value) in [
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.conf.all.arp_ignore", "1"),
        ("net.ipv4.conf.all.arp_announce", "2"),
    ] {
        assert_eq!(
            cloud
                .host
                .run_in(&router, &["sysctl", "-n", key])
                .ok()
                .trim(),
            value,
            "{key}"
        );
    }
    let again = cloud.daemon.plan();
    assert_eq!(again.trim(), "nothing to do");
}

#[test]
fn metadata_is_never_routed_onwards() {
    let Some(cloud) = cloud("onwards", "") else {
        return;
    };
    cloud.world.ip("addr add 169.254.169.254/32 dev eth0");
    let answer = cloud
        .blue
        .get("http://169.254.169.254/latest/meta-data/hostname");
    assert!(
        answer.starts_with("blue1"),
        "the router answers, not the world: {answer}"
    );
    // The proxy's own port is for redirected requests only.
    assert!(cloud.blue.curl("http://10.0.1.1:9697/", &[]).is_err());
}
