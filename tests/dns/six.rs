//! Names by IPv6 alone: instances without any IPv4, warren asked at its IPv6 address, and a resolver inside of the network.

use super::common::{Daemon, Guest, Host, PATIENCE, settled, wait_for};
use super::{dig, resolver};

/// On `plain` instances hear of warren from the router, on `told` by DHCPv6. Only `plain` has a resolver, at fd00:6::53.
const TOPOLOGY: &str = r#"
dns_domain = "demo.test"

[[network]]
name = "plain"
bridge = "br-plain"
[[network.subnet]]
cidr = "fd00:6::/64"
dns_forwarders = ["fd00:6::53"]

[[network]]
name = "told"
bridge = "br-told"
[[network.subnet]]
cidr = "fd00:7::/64"
ipv6_ra_mode = "dhcpv6-stateful"
ipv6_address_mode = "dhcpv6-stateful"

[[router]]
name = "r"
interfaces = ["plain", "told"]

[[instance]]
name = "ann"
[[instance.port]]
network = "plain"
mac = "fa:16:3e:00:06:01"

[[instance]]
name = "bob"
[[instance.port]]
network = "told"
mac = "fa:16:3e:00:07:01"
addresses = ["fd00:7::11"]
"#;

const ANN: &str = "fd00:6::f816:3eff:fe00:601";
/// Of elsewhere, as the Internet has it: those of documentation are nobody's there.
const WWW: &str = "2620:fe::10";
/// Takes addresses, routes and name servers from the router; or asks for an address and name servers, and the kernel takes the
/// rest from the router.
const BY_ROUTER: &str = "dhcpcd -6 -B -d -f /dev/null -c /peers/v6.hook eth0";
const BY_DHCP: &str = "dhclient -6 -d -cf /peers/dhclient6.conf -lf /var/lib/dhcp/six -pf /run/dhclient6.pid -sf /peers/v6.hook eth0";

/// Where warren answers on this network.
fn server(daemon: &Daemon, network: &str) -> String {
    let shown = daemon.json(&["show", "network", network]);
    shown["subnets"][0]["dhcp_address"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A name's addresses of IPv6 as programs find them: through /etc/resolv.conf.
fn resolve(guest: &Guest, name: &str) -> Vec<String> {
    let found = guest.run(&["getent", "ahostsv6", name]).stdout;
    let words = found
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let mut found: Vec<_> = words.map(str::to_owned).collect();
    found.dedup();
    found
}

#[test]
fn instances_without_ipv4_find_names_by_themselves() {
    let Some(host) = Host::new("dns-six") else {
        return;
    };
    let daemon = host.warren_run(TOPOLOGY);
    daemon.converged();
    let inside = host.guest("inside", "br-plain", "02:00:00:00:06:53");
    inside.ip("addr add fd00:6::53/64 dev eth0 nodad");
    let upstream = resolver(&inside, "fd00:6::53", 53, WWW);
    for (name, network, mac, client) in [
        ("ann", "plain", "fa:16:3e:00:06:01", BY_ROUTER),
        ("bob", "told", "fa:16:3e:00:07:01", BY_DHCP),
    ] {
        let vm = host.guest(name, &format!("br-{network}"), mac);
        settled(&vm, "eth0");
        vm.sh("mkdir -p /var/lib/dhcpcd").ok();
        let running = vm.spawn(&client.split(' ').collect::<Vec<_>>());
        let server = server(&daemon, network);
        let told = crate::common::wait_until(PATIENCE, || {
            let said = vm.read("/etc/resolv.conf").unwrap_or_default();
            said.contains(&format!("nameserver {server}\n")) && said.contains("search demo.test")
        });
        assert!(told, "{name}: {server} in resolv.conf\n{}", running.log());
        wait_for("a way to other networks", PATIENCE, || {
            let ways = vm.run(&["ip", "-6", "route", "show", "default"]).ok();
            ways.contains("via fe80::").then_some(())
        });
        for (asked, address) in [
            ("ann", ANN),
            ("ann.demo.test", ANN),
            ("bob", "fd00:7::11"),
            ("bob.demo.test", "fd00:7::11"),
        ] {
            assert_eq!(resolve(&vm, asked), [address], "{name} asks for {asked}");
        }
        let ipv4 = vm.run(&["ip", "-4", "addr", "show", "dev", "eth0"]).ok();
        assert_eq!(ipv4, "", "{name}");
        let found = resolve(&vm, "www.example.org");
        let want = if network == "plain" {
            vec![WWW]
        } else {
            vec![]
        };
        assert_eq!(
            found,
            want,
            "{name}; the resolver said:\n{}",
            upstream.log()
        );
    }
}

#[test]
fn questions_come_and_go_by_ipv6() {
    let Some(host) = Host::new("dns-by-six") else {
        return;
    };
    let daemon = host.warren_run(TOPOLOGY);
    daemon.converged();
    let inside = host.guest("inside", "br-plain", "02:00:00:00:06:53");
    inside.ip("addr add fd00:6::53/64 dev eth0 nodad");
    let upstream = resolver(&inside, "fd00:6::53", 53, WWW);
    let vm = host.guest("ann", "br-plain", "fa:16:3e:00:06:01");
    vm.ip(&format!("addr replace {ANN}/64 dev eth0 nodad"));
    let server = server(&daemon, "plain");
    for how in ["", " +tcp"] {
        for (question, status, answers) in [
            ("ann.demo.test AAAA", "NOERROR", vec![ANN]),
            ("ann.demo.test A", "NOERROR", vec![]),
            ("bob.demo.test AAAA", "NOERROR", vec!["fd00:7::11"]),
            ("-x fd00:7::11", "NOERROR", vec!["bob.demo.test."]),
            ("nobody.demo.test AAAA", "NXDOMAIN", vec![]),
            // By the resolver inside.
            ("www.example.org AAAA", "NOERROR", vec![WWW]),
            ("nobody.example.org AAAA", "NXDOMAIN", vec![]),
        ] {
            let answer = dig(&vm, &server, &format!("{question}{how}"));
            assert_eq!(answer.status, status, "{question}{how}: {}", answer.text);
            assert_eq!(answer.answers, answers, "{question}{how}: {}", answer.text);
        }
        // Too long for the resolver to say by UDP.
        let long = dig(&vm, &server, &format!("long.example.org TXT{how}"));
        assert_eq!(long.answers.len(), 20, "{how}: {}", long.text);
    }
    let log = upstream.log();
    let asked = format!("query[AAAA] www.example.org from {server}");
    assert!(log.contains(&asked), "{asked} in\n{log}");
    let counters = daemon.json(&["show", "network", "plain"])["counters"]["dns"].clone();
    assert_eq!(counters["forward_failed"], 0, "{counters}");
}
