//! IPv6 as instances see it: addresses, routes and name servers by router advertisements, the way between subnets and to
//! metadata, and all of it while the daemon comes and goes. Real radvd says the same on the same subnets.
#![allow(clippy::unwrap_used)] // in a test a panic is the report
#![allow(clippy::print_stdout, reason = "the figures are for people")]

mod beside;
#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod malformed;
mod modes;
mod moves;
mod networkd;
mod rogue;
mod told;
mod without_router;

use common::{Guest, Host, PATIENCE, Sender, wait_for, wait_until};

/// One subnet of each mode behind r1; red is on its own.
const CLOUD: &str = r#"
dns_domain = "test"

[[network]]
name = "blue"
bridge = "br-blue"
mtu = 1400
[[network.subnet]]
cidr = "fd00:1::/64"
dns_servers = ["fd00::53", "fd00::54"]

[[network]]
name = "green"
bridge = "br-green"
[[network.subnet]]
cidr = "fd00:2::/64"
ipv6_ra_mode = "dhcpv6-stateful"
ipv6_address_mode = "dhcpv6-stateful"

[[network]]
name = "teal"
bridge = "br-teal"
[[network.subnet]]
cidr = "fd00:3::/64"
ipv6_ra_mode = "dhcpv6-stateless"
ipv6_address_mode = "dhcpv6-stateless"

[[network]]
name = "grey"
bridge = "br-grey"
[[network.subnet]]
cidr = "fd00:4::/64"
ipv6_ra_mode = "none"
ipv6_address_mode = "slaac"

[[network]]
name = "red"
bridge = "br-red"
[[network.subnet]]
cidr = "fd00:5::/64"

[[network]]
name = "outside"
bridge = "br-outside"
external = true
[[network.subnet]]
cidr = "2001:db8::/64"
gateway = "fe80::99"

[[instance]]
name = "blue1"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:01:01"

[[instance]]
name = "green1"
[[instance.port]]
network = "green"
mac = "fa:16:3e:00:02:01"
addresses = ["fd00:2::11"]

[[instance]]
name = "red1"
[[instance.port]]
network = "red"
mac = "fa:16:3e:00:05:01"
"#;

const ROUTER: &str = r#"
[[router]]
name = "r1"
interfaces = ["blue", "green", "teal", "grey"]
gateway = { network = "outside", address = "2001:db8::5" }
routes = [{ to = "fd77::/16", via = "fd00:1::f816:3eff:fe00:101" }]
"#;

const BLUE1: &str = "fd00:1::f816:3eff:fe00:101";

/// What the kernel made of what it heard.
fn learned(guest: &Guest, address: &str) {
    wait_for(&format!("{address} on eth0"), PATIENCE, || {
        let addresses = guest.run(&["ip", "-6", "addr", "show", "dev", "eth0"]).ok();
        let mut lines = addresses.lines();
        lines
            .any(|line| line.contains(&format!("{address}/64")) && !line.contains("tentative"))
            .then_some(())
    });
}

fn default_route(guest: &Guest) -> String {
    guest.run(&["ip", "-6", "route", "show", "default"]).ok()
}

/// An answer to a solicitation, in the words of rdisc6.
fn asked(guest: &Guest) -> String {
    wait_for("a router to answer", PATIENCE, || {
        let output = guest.run(&["rdisc6", "-1", "-r3", "-w1000", "eth0"]);
        output.succeeded().then_some(output.stdout)
    })
}

/// What rdisc6 says of a flag.
fn says(text: &str, words: &str) -> bool {
    let joined = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().any(|line| joined(line) == words)
}

#[test]
fn the_kernel_configures_itself() {
    let Some(host) = Host::new("slaac") else {
        return;
    };
    let daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    learned(&blue, BLUE1);
    let route = default_route(&blue);
    assert!(
        route.contains("via fe80::f816:3eff") && route.contains("proto ra"),
        "{route}"
    );
    let mtu = blue.run(&["cat", "/proc/sys/net/ipv6/conf/eth0/mtu"]).ok();
    assert_eq!(mtu.trim(), "1400");
    let shown = daemon.json(&["show", "instance", "blue1"]);
    assert_eq!(
        shown["ports"][0]["addresses"][0], BLUE1,
        "known before it came"
    );
    route_to_metadata(&host);

    let green = host.guest("green1", "br-green", "fa:16:3e:00:02:01");
    wait_for("a way out of green", PATIENCE, || {
        default_route(&green).contains("proto ra").then_some(())
    });
    let made = green
        .run(&["ip", "-6", "addr", "show", "dev", "eth0", "scope", "global"])
        .ok();
    assert_eq!(made.trim(), "", "its address is by DHCPv6");
    green.ip("addr add fd00:2::11/64 dev eth0 nodad");
    assert!(blue.ping("fd00:2::11"), "from subnet to subnet");

    blue.ip("addr add fd77::1/128 dev lo");
    assert!(green.ping("fd77::1"), "an extra route");

    let world = host.guest("world", "br-outside", "02:00:00:00:ff:01");
    world.ip(
        "addr add fe80::99/64 dev eth0 nodad\naddr add 2001:db8:1::1/128 dev lo\n\
              addr add 2001:db8::99/64 dev eth0 nodad\nroute add fd00::/16 via 2001:db8::5",
    );
    assert!(
        blue.ping("2001:db8:1::1"),
        "out, by a gateway that is link-local"
    );

    let body = blue.get("http://[fe80::a9fe:a9fe%25eth0]/openstack/latest/meta_data.json");
    assert!(body.contains("\"blue1\""), "{body}");
    let refused = green.curl(&format!("http://[{}]:9697/", router_of(&green)), &[]);
    assert!(
        refused.is_err(),
        "the proxy behind it answers nobody directly"
    );

    let red = host.guest("red1", "br-red", "fa:16:3e:00:05:01");
    let body = wait_for("metadata without a router", PATIENCE, || {
        let url = "http://[fe80::a9fe:a9fe%25eth0]/openstack/latest/meta_data.json";
        red.curl(url, &[])
            .ok()
            .filter(|answer| answer.status == 200)
    });
    assert!(body.body.contains("\"red1\""), "{}", body.body);
    assert_eq!(default_route(&red), "");
}

/// A kernel that was told to take routes of any length takes that of the route information option (RFC 4191).
fn route_to_metadata(host: &Host) {
    let teal = host.unplugged("teal9");
    teal.sh("sysctl -qw net.ipv6.conf.default.accept_ra_rt_info_max_plen=128")
        .ok();
    host.plug(&teal, "eth0", "br-teal", "02:00:00:00:09:03");
    let route = wait_for("the route that is told", PATIENCE, || {
        let seen = teal.run(&["ip", "-6", "route", "show", "fe80::a9fe:a9fe"]);
        Some(seen.ok()).filter(|route| route.contains("proto ra"))
    });
    let router = default_route(&teal);
    let hop = router.split_whitespace().nth(2).unwrap();
    assert!(route.contains(&format!("via {hop} ")), "{route}\n{router}");
}

/// The link-local address of the guest's default router, with its zone.
fn router_of(guest: &Guest) -> String {
    let route = default_route(guest);
    let hop = route.split_whitespace().nth(2).unwrap();
    format!("{hop}%25eth0")
}

#[test]
fn instances_keep_what_they_have_while_the_daemon_comes_and_goes() {
    let Some(host) = Host::new("ra-restart") else {
        return;
    };
    let mut daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    let green = host.guest("green1", "br-green", "fa:16:3e:00:02:01");
    learned(&blue, BLUE1);
    green.ip("addr add fd00:2::11/64 dev eth0 nodad");
    wait_for("a way out of green", PATIENCE, || {
        default_route(&green).contains("proto ra").then_some(())
    });
    assert!(blue.ping("fd00:2::11"));
    let pinging = blue.pinging("fd00:2::11");
    for killed in [false, true] {
        if killed {
            daemon.kill9();
        } else {
            assert!(daemon.stop().success());
        }
        assert!(blue.ping("fd00:2::11"), "the data plane stays");
        assert!(
            default_route(&blue).contains("proto ra"),
            "nobody took it back"
        );
        daemon.start();
        let text = asked(&blue);
        assert!(text.contains("fd00:1::/64"), "{text}");
        learned(&blue, BLUE1);
    }
    let report = pinging.stop();
    assert_eq!(report.lost(), 0, "{report:?}");
}

#[test]
fn who_ceases_to_be_a_router_says_so() {
    let Some(host) = Host::new("ra-end") else {
        return;
    };
    let daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    let green = host.guest("green9", "br-green", "02:00:00:00:09:09");
    learned(&blue, BLUE1);
    wait_for("a way out of green", PATIENCE, || {
        default_route(&green).contains("proto ra").then_some(())
    });
    // Another mode: other flags, at once, and the prefix is not for addresses any more.
    let cloud = CLOUD.replacen(
        "dns_servers = [\"fd00::53\", \"fd00::54\"]",
        "ipv6_ra_mode = \"dhcpv6-stateful\"",
        1,
    );
    daemon.rewrite(&format!("{cloud}{ROUTER}"));
    wait_for("the other mode", PATIENCE, || {
        let text = asked(&blue);
        says(&text, "Stateful address conf. : Yes").then_some(())
    });
    // The interface goes, then the router.
    daemon.rewrite(&format!(
        "{cloud}{}",
        ROUTER.replace("\"blue\", ", "").replace("routes =", "# ")
    ));
    wait_for("the way out of blue to end", PATIENCE, || {
        default_route(&blue).is_empty().then_some(())
    });
    assert!(default_route(&green).contains("proto ra"));
    daemon.rewrite(&cloud);
    wait_for("the way out of green to end", PATIENCE, || {
        default_route(&green).is_empty().then_some(())
    });
}

#[test]
fn a_flood_of_solicitations_is_nobody_elses() {
    let Some(host) = Host::new("ra-flood") else {
        return;
    };
    let daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let attacker = host.guest("attacker", "br-blue", "02:00:00:00:09:09");
    let green = host.guest("green9", "br-green", "02:00:00:00:09:08");
    asked(&attacker);
    asked(&green);
    let wire = attacker.wire();
    let asking = Sender {
        mac: wire.mac(),
        ip: "fe80::9".parse().unwrap(),
    };
    let frame = asking.solicits();
    for _ in 0..20_000 {
        wire.send(&frame);
    }
    let text = asked(&green);
    assert!(text.contains("fd00:2::/64"), "{text}");
    let counted = |word: &str| {
        let counters = &daemon.json(&["show", "router", "r1"])["counters"];
        let links = counters.as_object().unwrap().iter();
        let links = links.filter(|(name, _)| name.starts_with("ra qr-"));
        links
            .map(|(_, link)| link[word].as_u64().unwrap())
            .sum::<u64>()
    };
    assert!(
        wait_until(PATIENCE, || counted("floods") > 0),
        "the flood was noticed"
    );
    assert!(counted("answered") < 100, "{} answers", counted("answered"));
}

/// Behind one router a MAC may be there twice, in two networks: each is told who it is.
#[test]
fn metadata_knows_twins_by_their_links() {
    let Some(host) = Host::new("twins") else {
        return;
    };
    let twin = |name: &str, network: &str, cidr: &str| {
        format!(
            "[[network]]\nname = \"{network}\"\nbridge = \"br-{network}\"\n[[network.subnet]]\ncidr = \"{cidr}\"\n\
             [[instance]]\nname = \"{name}\"\n[[instance.port]]\nnetwork = \"{network}\"\nmac = \"fa:16:3e:00:01:01\"\n"
        )
    };
    let cloud = twin("ann", "one", "fd00:1::/64") + &twin("bob", "two", "fd00:2::/64");
    let router = "[[router]]\nname = \"r1\"\ninterfaces = [\"one\", \"two\"]\n";
    let _daemon = host.warren_run(&format!("{cloud}{router}"));
    for (name, network) in [("ann", "one"), ("bob", "two")] {
        let guest = host.guest(name, &format!("br-{network}"), "fa:16:3e:00:01:01");
        wait_for("a way out", PATIENCE, || {
            default_route(&guest).contains("proto ra").then_some(())
        });
        let body = guest.get("http://[fe80::a9fe:a9fe%25eth0]/openstack/latest/meta_data.json");
        assert!(body.contains(&format!("\"{name}\"")), "{body}");
    }
}
