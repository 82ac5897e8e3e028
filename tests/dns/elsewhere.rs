//! What is forwarded, with a name server that signs its zone (knotd) as the resolver, and kdig, dig and delv as clients.

use super::common::{Daemon, Guest, Host, PATIENCE, Place, Running, wait_for};
use super::instance;

/// Addresses of elsewhere, as the Internet has them: those of documentation are nobody's there.
const ZONE: &str = "\
$ORIGIN example.org.
$TTL 300
@       SOA     ns hostmaster 1 3600 600 86400 60
@       NS      ns
ns      A       9.9.9.1
www     A       9.9.9.10
www     AAAA    2620:fe::10
short   2 A     9.9.9.2
zero    0 A     9.9.9.3
alias   CNAME   www
inside  A       10.2.0.11
inside  AAAA    fd00:2::11
meta    A       169.254.169.254
home    A       127.0.0.1
";

/// Where warren asks: by IPv6.
pub(super) const RESOLVER: &str = "[::1]:5399";

/// A name server with that zone, and `long`, `large`: too long for UDP, and for one packet. It signs.
pub(super) fn knot(place: &Place, listen: &str) -> Running {
    let mut zone = ZONE.to_owned();
    for (name, count) in [("long", 20), ("large", 150)] {
        for number in 0..count {
            zone.push_str(&format!("{name} TXT \"{number}{}\"\n", "x".repeat(200)));
        }
    }
    place.write("/run/knot/example.org.zone", &zone);
    place.write("/run/knot/db/empty", "");
    let config = format!(
        "server:\n  listen: [ {listen} ]\n  rundir: /run/knot\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         database:\n  storage: /run/knot/db\n\
         log:\n  - target: stderr\n    any: info\n\
         template:\n  - id: default\n    storage: /run/knot\n    global-module: mod-cookies\n\
         zone:\n  - domain: example.org\n    dnssec-signing: on\n"
    );
    place.write("/run/knot/knot.conf", &config);
    let mut running = place.spawn(&["knotd", "-c", "/run/knot/knot.conf"]);
    running.says("zone file updated");
    running
}

pub(super) fn topology(more: &str) -> String {
    format!(
        r#"
dns_domain = "demo.test"
dns_resolvers = ["{RESOLVER}"]
{more}

[[network]]
name = "green"
[[network.subnet]]
cidr = "10.2.0.0/24"
dhcp_address = "10.2.0.2"

[[instance]]
name = "green1"
[[instance.port]]
network = "green"
addresses = ["10.2.0.11"]
"#
    )
}

/// A host with warren and that name server, and an instance that asks.
pub(super) fn start(name: &str, more: &str) -> Option<(Host, Daemon, Running, Guest)> {
    let host = Host::new(name)?;
    let resolver = knot(&host.place(), "::1@5399");
    let daemon = host.warren_run(&topology(more));
    daemon.converged();
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    Some((host, daemon, resolver, vm))
}

/// What kdig prints.
fn kdig(guest: &Guest, question: &str) -> String {
    let fixed = ["kdig", "@10.2.0.2", "+timeout=4", "+retry=0"];
    let argv: Vec<&str> = fixed
        .into_iter()
        .chain(question.split_whitespace())
        .collect();
    guest.run(&argv).stdout
}

/// Twice: the first time the name server answers, the second time the cache.
#[test]
fn options_and_sizes() {
    let Some((_host, daemon, _resolver, vm)) = start("dns-edns", "") else {
        return;
    };
    for time in ["asked", "kept"] {
        for (question, with, without) in [
            (
                "www.example.org",
                &["9.9.9.10", "Flags: qr rd ra;"][..],
                &["EDNS"][..],
            ),
            (
                "www.example.org AAAA +edns",
                &["2620:fe::10", "EDNS PSEUDOSECTION", "1232 B"],
                &[],
            ),
            (
                "alias.example.org",
                &["CNAME\twww.example.org.", "9.9.9.10"],
                &[],
            ),
            (
                "www.example.org +cookie",
                &["9.9.9.10", "EDNS PSEUDOSECTION"],
                &["COOKIE"],
            ),
            ("www.example.org +nsid", &["9.9.9.10"], &["NSID"]),
            (
                "www.example.org +subnet=192.0.2.0/24",
                &["9.9.9.10"],
                &["CLIENT-SUBNET"],
            ),
            ("www.example.org +padding=64", &["9.9.9.10"], &["PADDING"]),
            (
                "www.example.org +cdflag +adflag",
                &["Flags: qr rd ra cd;"],
                &[],
            ),
            ("www.example.org +dnssec", &["RRSIG\tA 13", "do;"], &[]),
            ("www.example.org +dnssec +noedns", &["9.9.9.10"], &["RRSIG"]),
            (
                "www.example.org +norec",
                &["9.9.9.10", "Flags: qr ra;"],
                &[],
            ),
            ("www.example.org +tcp", &["9.9.9.10", "(TCP)"], &[]),
            (
                "www.example.org +tcp +keepopen +bufsize=4096",
                &["9.9.9.10"],
                &[],
            ),
            ("nobody.example.org", &["status: NXDOMAIN", "SOA"], &[]),
            (
                "nobody.example.org +dnssec",
                &["status: NXDOMAIN", "NSEC"],
                &[],
            ),
            (
                "www.example.org MX",
                &["status: NOERROR", "SOA"],
                &["ANSWER SECTION"],
            ),
            ("www.example.org TYPE4711", &["status: NOERROR", "SOA"], &[]),
            (
                "long.example.org TXT +ignore",
                &["Flags: qr tc rd ra;"],
                &["ANSWER SECTION"],
            ),
            ("long.example.org TXT", &["(TCP)", "ANSWER: 20;"], &[]),
            (
                "large.example.org TXT +bufsize=65000",
                &["(TCP)", "ANSWER: 150;"],
                &[],
            ),
            (
                "example.org DNSKEY +dnssec +bufsize=512",
                &["DNSKEY\t257 3 13"],
                &[],
            ),
        ] {
            let said = kdig(&vm, question);
            for word in with {
                assert!(said.contains(word), "{time}: {question}: {word}\n{said}");
            }
            for word in without {
                assert!(!said.contains(word), "{time}: {question}: {word}\n{said}");
            }
        }
    }
    // kdig asks in lower case. The client's is kept, also where the answer was heard in another.
    let said = super::dig(&vm, "10.2.0.2", "WwW.eXample.org").text;
    assert_eq!(said.matches("WwW.eXample.org.").count(), 2, "{said}");
    let view = daemon.json(&["show", "network", "green"]);
    let counters = &view["counters"]["dns"];
    assert!(counters["cached"].as_u64() > Some(20), "{view:#}");
    assert_eq!(counters["forward_failed"], 0, "{view:#}");
}

/// An instance that trusts nobody checks every signature itself, and finds them whole: also from the cache.
#[test]
fn signatures_are_whole() {
    let Some((host, _daemon, _resolver, vm)) = start("dns-signed", "") else {
        return;
    };
    let asked = [
        "kdig",
        "@::1",
        "-p",
        "5399",
        "+short",
        "example.org",
        "DNSKEY",
    ];
    let keys = host.run(&asked).ok();
    let anchors: String = keys
        .lines()
        .filter(|key| key.starts_with("257 "))
        .map(|key| {
            let mut words = key.split_whitespace();
            let numbers: Vec<&str> = words.by_ref().take(3).collect();
            let key: String = words.collect();
            format!("example.org. static-key {} \"{key}\";\n", numbers.join(" "))
        })
        .collect();
    vm.write("/run/anchors", &format!("trust-anchors {{\n{anchors}}};\n"));
    for time in ["asked", "kept"] {
        for (name, kind, want) in [
            ("www.example.org", "A", "; fully validated"),
            ("alias.example.org", "AAAA", "; fully validated"),
            ("long.example.org", "TXT", "; fully validated"),
            (
                "nobody.example.org",
                "A",
                "; negative response, fully validated",
            ),
            (
                "www.example.org",
                "MX",
                "; negative response, fully validated",
            ),
        ] {
            let argv = [
                "delv",
                "@10.2.0.2",
                "-a",
                "/run/anchors",
                "+root=example.org",
                name,
                kind,
            ];
            let output = vm.run(&argv);
            assert!(
                output.stdout.contains(want),
                "{time}: {name} {kind}\n{output}"
            );
        }
    }
}

/// Each forwarder's trouble, and the next one's answer; with real servers that stop, hang and refuse.
#[test]
fn the_next_resolver_answers() {
    let Some(host) = Host::new("dns-next") else {
        return;
    };
    let place = host.place();
    let mut first = knot(&place, "127.0.0.1@5398");
    let _refuses = super::resolver(&place, "127.0.0.1", 5397, "9.9.9.99");
    let topology = topology("").replace(
        RESOLVER,
        "127.0.0.1:5398\", \"[::1]:5396\", \"127.0.0.1:5397",
    );
    let daemon = host.warren_run(&topology);
    daemon.converged();
    let vm = instance(&host, &daemon, "vm", "green", "10.2.0.11");
    let answer = |name: &str| super::dig(&vm, "10.2.0.2", &format!("{name} +time=8"));
    assert_eq!(answer("ns.example.org").answers, ["9.9.9.1"]);
    // It hangs: the second is not there, the third is asked beside it.
    first.signal(nix::sys::signal::Signal::SIGSTOP);
    let start = std::time::Instant::now();
    assert_eq!(answer("www.example.org").answers, ["9.9.9.99"]);
    assert!(
        start.elapsed() < std::time::Duration::from_millis(1500),
        "{:?}",
        start.elapsed()
    );
    first.signal(nix::sys::signal::Signal::SIGCONT);
    // It is back, but rests; whoever answers is asked first.
    wait_for("the first to be asked again", PATIENCE, || {
        let said = answer("alias.example.org").answers;
        (said == ["www.example.org.", "9.9.9.10"]).then_some(())
    });
    let view = daemon.json(&["show", "network", "green"]);
    assert_eq!(view["counters"]["dns"]["forward_failed"], 0, "{view:#}");
}
