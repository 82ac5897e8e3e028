//! Names, as instances ask for them: the network's own from warren, everything else through it.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../common/mod.rs"]
mod common;

mod beside;
mod elsewhere;
mod guarded;
mod six;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use common::{Client, Daemon, DigAnswer, Guest, Host, PATIENCE, Running, wait_for, wait_until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// `red` and `blue` have the same addresses, and resolvers of their own at the same place in them. A router joins
/// `green` to `shop`; both forward to the host's resolver.
const TOPOLOGY: &str = r#"
dns_domain = "demo.test"
dns_resolvers = ["127.0.0.1:5399"]

[[network]]
name = "red"
[[network.subnet]]
cidr = "10.1.0.0/24"
dhcp_address = "10.1.0.2"
dns_forwarders = ["10.1.0.52", "10.1.0.53"]

[[network]]
name = "blue"
[[network.subnet]]
cidr = "10.1.0.0/24"
dhcp_address = "10.1.0.2"
dns_forwarders = ["10.1.0.53"]

[[network]]
name = "green"
dns_search = ["shop.test", "example.org"]
[[network.subnet]]
cidr = "10.2.0.0/24"
dhcp_address = "10.2.0.2"
[[network.subnet]]
cidr = "fd00:2::/64"
ipv6_address_mode = "dhcpv6-stateful"
dhcp_address = "fd00:2::2"

[[network]]
name = "shop"
dns_domain = "shop.test"
[[network.subnet]]
cidr = "10.3.0.0/24"
dhcp_address = "10.3.0.2"

[[router]]
name = "r"
interfaces = ["10.2.0.0/24", "shop"]

[[instance]]
name = "red1"
[[instance.port]]
network = "red"
addresses = ["10.1.0.11"]

[[instance]]
name = "blue1"
[[instance.port]]
network = "blue"
addresses = ["10.1.0.11"]

[[instance]]
name = "green1"
[[instance.port]]
network = "green"
addresses = ["10.2.0.11", "fd00:2::11"]
mac = "fa:16:3e:00:00:21"

[[instance]]
name = "shop1"
[[instance.port]]
network = "shop"
addresses = ["10.3.0.11"]
"#;

/// A host, warren on it, and the host's resolver.
fn start(name: &str) -> Option<(Host, Daemon, Running)> {
    let host = Host::new(name)?;
    let resolver = resolver(&host.place(), "127.0.0.1", 5399, "192.0.2.1");
    let daemon = host.warren_run(TOPOLOGY);
    daemon.converged();
    Some((host, daemon, resolver))
}

/// An instance with its address set by hand, so that these tests are of DNS alone.
fn instance(host: &Host, daemon: &Daemon, name: &str, network: &str, address: &str) -> Guest {
    let last: u8 = address.rsplit('.').next().unwrap().parse().unwrap();
    let mac = format!("fa:16:3e:00:{:02x}:{last:02x}", network.len());
    let guest = host.guest(name, &daemon.bridge(network), &mac);
    guest.ip(&format!("addr add {address}/24 dev eth0"));
    guest
}

/// Real upstreams: `www.example.org` is `answer` there, and `long.example.org` too long for UDP.
fn resolver(place: &common::Place, listen: &str, port: u16, answer: &str) -> Running {
    let address = format!("--address=/www.example.org/{answer}");
    let text = "x".repeat(200);
    let long = (0..20).map(|number| format!("--txt-record=long.example.org,{number}{text}"));
    let long: Vec<String> = long.collect();
    let mut known = vec!["--log-queries", "--local=/example.org/", &address];
    known.extend(long.iter().map(String::as_str));
    let at = SocketAddr::new(listen.parse().unwrap(), port);
    common::resolver(place, at, &known)
}

/// Where every test asks.
fn dig(guest: &Guest, server: &str, question: &str) -> DigAnswer {
    let server = format!("@{server}");
    let args: Vec<&str> = std::iter::once(server.as_str())
        .chain(question.split_whitespace())
        .collect();
    guest.dig(&args)
}

#[test]
fn names_of_the_network() {
    let Some((host, daemon, _resolver)) = start("dns-names") else {
        return;
    };
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    for (question, status, answers) in [
        ("green1.demo.test", "NOERROR", &["10.2.0.11"] as &[&str]),
        ("green1", "NOERROR", &["10.2.0.11"]),
        ("GREEN1.demo.TEST", "NOERROR", &["10.2.0.11"]),
        (
            "green1.demo.test ANY",
            "NOERROR",
            &["10.2.0.11", "fd00:2::11"],
        ),
        ("green1.demo.test AAAA", "NOERROR", &["fd00:2::11"]),
        ("-x fd00:2::11", "NOERROR", &["green1.demo.test."]),
        ("-x fd00:2::99", "NXDOMAIN", &[]),
        ("-x 10.2.0.0", "NXDOMAIN", &[]),
        (
            "0.2.10.in-addr.arpa NS",
            "NOERROR",
            &["0.2.10.in-addr.arpa."],
        ),
        ("demo.test NS", "NOERROR", &["demo.test."]),
        (
            "demo.test SOA",
            "NOERROR",
            &["demo.test. hostmaster.demo.test. 1 3600 600 86400 0"],
        ),
        ("green1.demo.test TYPE4711", "NOERROR", &[]),
        ("green1.demo.test HTTPS", "NOERROR", &[]),
        ("green1.demo.test TXT", "NOERROR", &[]),
        ("a.green1.demo.test", "NXDOMAIN", &[]),
        (r"green1\.demo.test", "REFUSED", &[]),
        (r"gr\000en1.demo.test", "NXDOMAIN", &[]),
        (r"gr\195\188n.demo.test", "NXDOMAIN", &[]),
        ("_dns-sd._udp.demo.test", "NXDOMAIN", &[]),
        ("green1.demo.test +tcp", "NOERROR", &["10.2.0.11"]),
        ("green1.demo.test +noedns", "NOERROR", &["10.2.0.11"]),
        ("green1.demo.test MX", "NOERROR", &[]),
        ("-x 10.2.0.11", "NOERROR", &["green1.demo.test."]),
        ("-x 10.2.0.11 +tcp", "NOERROR", &["green1.demo.test."]),
        ("nobody.demo.test", "NXDOMAIN", &[]),
        ("nobody.demo.test +tcp", "NXDOMAIN", &[]),
        ("-x 10.2.0.99", "NXDOMAIN", &[]),
        // Joined by the router.
        ("shop1.shop.test", "NOERROR", &["10.3.0.11"]),
        ("-x 10.3.0.11", "NOERROR", &["shop1.shop.test."]),
        ("nobody.shop.test", "NXDOMAIN", &[]),
        // In networks that no router joins to this one.
        ("red1.demo.test", "NXDOMAIN", &[]),
        (
            "green1.demo.test +edns=1 +noednsnegotiation",
            "BADVERS",
            &[],
        ),
        ("green1.demo.test +opcode=UPDATE", "NOTIMP", &[]),
        ("version.bind CH TXT", "REFUSED", &[]),
    ] {
        let answer = dig(&vm, "10.2.0.2", question);
        assert_eq!(answer.status, status, "{question}: {}", answer.text);
        assert_eq!(answer.answers, answers, "{question}: {}", answer.text);
        let error = matches!(status, "" | "BADVERS" | "NOTIMP" | "REFUSED");
        let aa = answer.flags.contains(&"aa".to_owned());
        assert_eq!(aa, !error, "{question}: {}", answer.text);
    }
    let denied = dig(&vm, "10.2.0.2", "nobody.demo.test").text;
    assert!(denied.contains("IN\tSOA\tdemo.test."), "{denied}");
    let with_opt = dig(&vm, "10.2.0.2", "green1.demo.test +dnssec").text;
    assert!(
        with_opt.contains("EDNS: version: 0, flags: do; udp: 1232"),
        "{with_opt}"
    );
}

#[test]
fn an_instance_finds_names_by_itself() {
    let Some((host, daemon, _resolver)) = start("dns-self") else {
        return;
    };
    for client in Client::ALL {
        let vm = host.guest("vm", &daemon.bridge("green"), "fa:16:3e:00:00:21");
        vm.lease(client);
        let resolv_conf = vm.read("/etc/resolv.conf").unwrap();
        let search = resolv_conf.lines().find(|line| line.starts_with("search"));
        let search = search.unwrap_or_default().replace(". ", " ");
        let search = search.trim_end_matches('.');
        assert_eq!(
            search, "search demo.test shop.test example.org",
            "{client:?}"
        );
        for (name, address) in [
            ("green1", "10.2.0.11"),
            ("green1.demo.test", "10.2.0.11"),
            ("shop1.shop.test", "10.3.0.11"),
            // In its own network's domain, then in the others.
            ("shop1", "10.3.0.11"),
            ("www", "192.0.2.1"),
            ("www.example.org", "192.0.2.1"),
        ] {
            let found = vm.resolve(name);
            assert_eq!(
                found,
                [address.parse::<Ipv4Addr>().unwrap()],
                "{name}, {client:?}"
            );
        }
    }
}

/// Names and search lists follow the file, and the server goes on.
#[test]
fn another_domain_needs_no_restart() {
    let Some((host, mut daemon, _resolver)) = start("dns-domain") else {
        return;
    };
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    let pid = daemon.pid();
    for domain in ["other.example", "demo.test"] {
        daemon.rewrite(&TOPOLOGY.replace("demo.test", domain));
        wait_for("the new domain", Duration::from_secs(5), || {
            let answer = dig(&vm, "10.2.0.2", &format!("green1.{domain}"));
            (answer.answers == ["10.2.0.11"]).then_some(())
        });
        let pointer = dig(&vm, "10.2.0.2", "-x fd00:2::11");
        assert_eq!(pointer.answers, [format!("green1.{domain}.")]);
        let soa = dig(&vm, "10.2.0.2", &format!("{domain} SOA"));
        assert_eq!(soa.answers.len(), 1, "{}", soa.text);
    }
    // What was the domain is everyone else's business now.
    assert_eq!(
        dig(&vm, "10.2.0.2", "green1.other.example").status,
        "REFUSED"
    );
    assert_eq!(daemon.pid(), pid);
}

#[test]
fn a_new_instance_has_its_name_at_once() {
    let Some((host, daemon, _resolver)) = start("dns-new") else {
        return;
    };
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    assert_eq!(dig(&vm, "10.2.0.2", "late.demo.test").status, "NXDOMAIN");
    daemon.rewrite(&format!(
        "{TOPOLOGY}\n[[instance]]\nname = \"late\"\n[[instance.port]]\nnetwork = \"green\"\naddresses = [\"10.2.0.77\"]\n"
    ));
    wait_for("the new name", Duration::from_secs(5), || {
        let answer = dig(&vm, "10.2.0.2", "late.demo.test");
        (answer.answers == ["10.2.0.77"]).then_some(())
    });
}

/// Its servers then listen on other addresses, for which they are started anew.
#[test]
fn a_subnet_more_or_less_costs_no_answer() {
    let Some((host, daemon, _resolver)) = start("dns-more") else {
        return;
    };
    let vm = instance(&host, &daemon, "vm", "blue", "10.1.0.11");
    vm.ip("addr add 10.4.0.11/24 dev eth0");
    let ask = |server: &str| dig(&vm, server, "+tries=1 +timeout=1 blue1.demo.test").answers;
    let more = "\n[[network.subnet]]\ncidr = \"10.4.0.0/24\"\ndhcp_address = \"10.4.0.2\"";
    let last = r#"dns_forwarders = ["10.1.0.53"]"#;
    daemon.rewrite(&TOPOLOGY.replace(last, &format!("{last}{more}")));
    let answers = wait_until(PATIENCE, || ask("10.4.0.2") == ["10.1.0.11"]);
    assert!(answers, "{}", daemon.log());
    assert_eq!(ask("10.1.0.2"), ["10.1.0.11"]);
    daemon.rewrite(TOPOLOGY);
    let gone = wait_until(PATIENCE, || ask("10.4.0.2").is_empty());
    assert!(gone, "{}", daemon.log());
    daemon.converged();
    assert_eq!(ask("10.1.0.2"), ["10.1.0.11"]);
    assert!(!daemon.log().contains(" failed"), "{}", daemon.log());
}

#[test]
fn networks_with_the_same_addresses_ask_their_own_resolvers() {
    let Some((host, daemon, host_resolver)) = start("dns-leak") else {
        return;
    };
    let [red, blue] = ["red", "blue"].map(|network| {
        let asks = instance(&host, &daemon, &format!("{network}1"), network, "10.1.0.11");
        let serves = instance(&host, &daemon, &format!("{network}r"), network, "10.1.0.53");
        (asks, serves)
    });
    // red's first forwarder, 10.1.0.52, is not there: the second one answers.
    let red_resolver = resolver(&red.1, "10.1.0.53", 53, "198.51.100.1");
    let blue_resolver = resolver(&blue.1, "10.1.0.53", 53, "198.51.100.2");
    // From the cache as well: each network has its own.
    for _ in 0..5 {
        for (guest, want) in [(&red.0, "198.51.100.1"), (&blue.0, "198.51.100.2")] {
            let answer = dig(guest, "10.1.0.2", "www.example.org +time=8");
            assert_eq!(answer.answers, [want], "{}", answer.text);
        }
    }
    // Only who is asked hears of it, and it hears from the network's own server.
    for (resolver, asked) in [
        (&red_resolver, true),
        (&blue_resolver, true),
        (&host_resolver, false),
    ] {
        let log = resolver.log();
        assert_eq!(
            log.contains("query[A] www.example.org from"),
            asked,
            "{log}"
        );
        assert!(!asked || log.contains("from 10.1.0.2"), "{log}");
    }
    // Names of one are unknown in the other.
    assert_eq!(
        dig(&blue.0, "10.1.0.2", "red1.demo.test").status,
        "NXDOMAIN"
    );
}

#[test]
fn the_rest_is_forwarded_whole() {
    let Some((host, daemon, host_resolver)) = start("dns-forward") else {
        return;
    };
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    let answer = dig(&vm, "10.2.0.2", "www.example.org");
    assert_eq!(answer.answers, ["192.0.2.1"], "{}", answer.text);
    assert_eq!(
        dig(&vm, "10.2.0.2", "nobody.example.org").status,
        "NXDOMAIN"
    );
    assert_eq!(
        dig(&vm, "10.2.0.2", "www.elsewhere.test").status,
        "REFUSED",
        "the resolver's word"
    );
    let log = host_resolver.log();
    assert!(
        log.contains("query[A] www.example.org from 127.0.0.1"),
        "{log}"
    );

    let cut = dig(&vm, "10.2.0.2", "long.example.org TXT +ignore");
    assert!(cut.flags.contains(&"tc".to_owned()), "{}", cut.text);
    for how in ["", "+tcp"] {
        // dig asks again by TCP when it reads TC.
        let whole = dig(&vm, "10.2.0.2", &format!("long.example.org TXT {how}"));
        assert_eq!(whole.answers.len(), 20, "{how}: {}", whole.text);
    }

    // Without its resolver the client is told, and own names go on.
    drop(host_resolver);
    assert_eq!(
        dig(&vm, "10.2.0.2", "gone.example.org +time=8").status,
        "SERVFAIL"
    );
    assert_eq!(
        dig(&vm, "10.2.0.2", "green1.demo.test").answers,
        ["10.2.0.11"]
    );
}

/// Its DHCP client or VPN names others, or does so after we were started.
#[test]
fn the_hosts_resolvers_may_change() {
    let Some(host) = Host::new("dns-host") else {
        return;
    };
    let (machine, place) = (host.machine(), host.place());
    let _resolvers = [("127.0.0.1", "192.0.2.1"), ("127.0.0.2", "192.0.2.2")]
        .map(|(listen, answer)| resolver(&place, listen, 53, answer));
    machine.write("/etc/resolv.conf", "");
    let unnamed = TOPOLOGY.replace("dns_resolvers = [\"127.0.0.1:5399\"]", "");
    assert_ne!(unnamed, TOPOLOGY);
    let daemon = host.warren_run(&unnamed);
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    daemon.converged();
    let ask = || dig(&vm, "10.2.0.2", "www.example.org");
    assert_eq!(ask().status, "REFUSED", "there is none");
    for (resolver, answer) in [("127.0.0.1", "192.0.2.1"), ("127.0.0.2", "192.0.2.2")] {
        machine.write("/etc/resolv.conf", &format!("nameserver {resolver}\n"));
        let asked = wait_until(PATIENCE, || ask().answers == [answer]);
        assert!(asked, "{}", daemon.log());
    }
}

#[test]
fn strangers_are_not_answered() {
    let Some((host, daemon, _resolver)) = start("dns-strangers") else {
        return;
    };
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    vm.ip("addr add 10.77.0.1/32 dev lo");
    let question = "green1.demo.test +time=1 +tries=1";
    assert_eq!(dig(&vm, "10.2.0.2", question).status, "NOERROR");
    let answer = dig(&vm, "10.2.0.2", &format!("-b 10.77.0.1 {question}"));
    assert_eq!(answer.status, "", "{}", answer.text);
    // It is the server that is silent: the question did arrive.
    let view = daemon.json(&["show", "network", "green"]);
    assert_eq!(view["counters"]["dns"]["strangers"], 1, "{view:#}");
}

#[test]
fn mutated_queries_leave_it_answering() {
    let Some((host, daemon, _resolver)) = start("dns-mutated") else {
        return;
    };
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    for batch in 0..10u64 {
        vm.inside(move || {
            let socket = UdpSocket::bind("10.2.0.11:0").unwrap();
            socket.connect("10.2.0.2:53").unwrap();
            let mut random = StdRng::seed_from_u64(batch);
            for _ in 0..1000 {
                // Some of them are forwarded: the host's resolver gets its share.
                let _buffer_is_full = socket.send(&mutated(&mut random));
            }
        });
        let answer = dig(&vm, "10.2.0.2", "green1.demo.test");
        assert_eq!(
            answer.answers,
            ["10.2.0.11"],
            "batch {batch}: {}",
            answer.text
        );
    }
}

fn mutated(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x06green1\x04demo\x04test\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00".to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..4) {
            0 => bytes[at] = random.random(),
            1 => bytes.truncate(at.max(1)),
            2 => bytes.extend_from_within(at..),
            _ => bytes[at] ^= 1 << random.random_range(0..8),
        }
    }
    bytes
}
