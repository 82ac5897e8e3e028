//! The same messages to warren, to dnsmasq as Neutron starts it, and to Kea: what differs, and why.

use std::fmt::Write;

use super::common::{Dnsmasq, Guest, Host, Running, blessed, settled};
use super::lan::{ANN, LES, Lan, Link, OPA, STRANGER, mac};
use super::message::{
    CONFIRM, DECLINE, INFORMATION, REBIND, RELEASE, RENEW, REQUEST, Says, server, value,
};

/// What each said, as a file; a change of it is seen in review. Why they differ: docs/dhcpv6.md.
const BESIDE: &str = "tests/dhcp6/beside.txt";

/// What the tester lists, and the word for it in an answer.
const TOLD: [(u16, &str); 5] = [
    (23, " +dns"),
    (24, " +search"),
    (31, " +sntp"),
    (56, " +ntp"),
    (59, " +boot"),
];
/// What is in answer to something else.
const UNASKED: [(u16, &str); 3] = [(20, " +reconfigure"), (32, " +refresh"), (39, " +name")];

/// One after the other: a lease is given before it is renewed. `us`: the server's DUID.
fn messages(us: &[u8]) -> Vec<(&'static str, Says)> {
    let ask = |last, kind| Says::new(last, kind).to(us);
    let [ann, other, off] = ["2001:db8:1::a", "2001:db8:1::88", "2001:db8:77::1"];
    vec![
        ("solicit", Says::solicit(ANN)),
        ("solicit, for an address", Says::new(ANN, 1).na(&[other])),
        ("solicit, several subnets", Says::solicit(OPA)),
        ("solicit, unknown", Says::solicit(STRANGER)),
        ("solicit, of a stateless subnet", Says::solicit(LES)),
        (
            "solicit, with a prefix",
            Says::solicit(ANN).raw(25, &[0; 12]),
        ),
        (
            "solicit, for a temporary address",
            Says::new(ANN, 1).raw(4, &[0; 4]),
        ),
        (
            "solicit, two associations",
            Says::solicit(OPA).raw(3, &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
        ),
        (
            "solicit, with a name of its own",
            Says::solicit(ANN).raw(39, b"\x01\x03box"),
        ),
        (
            "solicit, ready for reconfigure",
            Says::solicit(ANN).raw(20, b""),
        ),
        ("renew, before any lease", ask(ANN, RENEW).na(&[ann])),
        (
            "rebind, before any lease",
            Says::new(ANN, REBIND).na(&[ann]),
        ),
        ("request", ask(ANN, REQUEST).na(&[ann])),
        ("request, another address", ask(ANN, REQUEST).na(&[other])),
        ("request, several subnets", ask(OPA, REQUEST).na(&[])),
        ("request, off link", ask(ANN, REQUEST).na(&[off])),
        ("request, unknown", ask(STRANGER, REQUEST).na(&[])),
        (
            "request, another server",
            Says::new(ANN, REQUEST)
                .to(b"\0\x03\0\x01another")
                .na(&[ann]),
        ),
        ("renew", ask(ANN, RENEW).na(&[ann])),
        ("renew, another address", ask(ANN, RENEW).na(&[other])),
        ("renew, unknown", ask(STRANGER, RENEW).na(&[ann])),
        ("rebind", Says::new(ANN, REBIND).na(&[ann])),
        ("rebind, unknown", Says::new(STRANGER, REBIND).na(&[ann])),
        ("confirm", Says::new(ANN, CONFIRM).na(&[ann])),
        ("confirm, off link", Says::new(ANN, CONFIRM).na(&[off])),
        ("confirm, nothing", Says::new(ANN, CONFIRM).na(&[])),
        ("rapid commit", Says::solicit(ANN).raw(14, b"")),
        ("information", Says::new(LES, INFORMATION)),
        ("information, unknown", Says::new(STRANGER, INFORMATION)),
        ("solicit, to a server", ask(ANN, 1).na(&[])),
        (
            "information, for addresses",
            Says::new(ANN, INFORMATION).na(&[]),
        ),
        (
            "release, not its own",
            ask(ANN, RELEASE).na(&["2001:db8:1::b"]),
        ),
        ("release", ask(ANN, RELEASE).na(&[ann])),
        ("release, unknown", ask(STRANGER, RELEASE).na(&[ann])),
        (
            "decline",
            ask(OPA, DECLINE).na(&["2001:db8:1::b", "2001:db8:2::b"]),
        ),
        ("solicit, after that", Says::solicit(OPA)),
    ]
}

/// What is answered, with the options in it.
fn table(link: &mut Link) -> Vec<(&'static str, String)> {
    let us = server(&link.hear(&Says::solicit(ANN)).unwrap());
    let rows = messages(&us).into_iter().map(|(name, says)| {
        let wanted = TOLD.map(|(code, _)| code);
        let Some(udp) = link.hear(&says.wanting(&wanted)) else {
            return (name, "silence".to_owned());
        };
        let mut words = super::message::said(&udp);
        let end = words.find(" to ").unwrap_or(words.len());
        words.truncate(end);
        for (code, word) in TOLD.into_iter().chain(UNASKED) {
            if value(&udp, code).is_some() {
                words.push_str(word);
            }
        }
        if let Some(preference) = value(&udp, 7) {
            write!(words, " preference={}", preference[0]).unwrap();
        }
        (name, words)
    });
    rows.collect()
}

/// Every row, and below it who says what; `=`: the same as warren.
fn shown(tables: &[(&str, Vec<(&str, String)>)]) -> String {
    let (_, ours) = &tables[0];
    let mut text = String::new();
    for (at, (name, our)) in ours.iter().enumerate() {
        writeln!(text, "{name}").unwrap();
        for (whose, table) in tables {
            let said = &table[at].1;
            let same = *whose != "warren" && said == our;
            writeln!(text, "  {whose:8}{}", if same { "=" } else { said }).unwrap();
        }
    }
    text
}

#[test]
fn beside_dnsmasq_and_kea() {
    let Some(mut lan) = Lan::new("beside") else {
        return;
    };
    let mut tables = vec![("warren", table(&mut lan.link))];
    drop(lan);
    for (whose, start) in [("dnsmasq", start_dnsmasq as Start), ("Kea", start_kea)] {
        let (host, guest) = ground(whose);
        let running = start(&host);
        tables.push((whose, table(&mut Link::new(guest))));
        drop(running);
    }
    let text = shown(&tables);
    blessed(BESIDE, &text);
}

type Start = fn(&Host) -> Running;

/// A bridge with the addresses that warren has, and the same tester. Whose MAC is which the kernel is told: nobody answers
/// neighbour discovery for those that the tester plays.
fn ground(name: &str) -> (Host, Guest) {
    let host = Host::new(name).unwrap();
    host.bridge("lan");
    host.ip("link set lan address fa:16:3e:ff:00:02\n\
         addr add 2001:db8:1::2/64 dev lan nodad\n\
         addr add 2001:db8:2::2/64 dev lan nodad\n\
         addr add 2001:db8:5::2/64 dev lan nodad");
    for last in [ANN, OPA, LES, STRANGER, 0x77] {
        let mac = netns::MacAddr(mac(last));
        let ip = mac.link_local();
        host.ip(&format!(
            "neigh replace {ip} lladdr {mac} dev lan nud permanent"
        ));
    }
    let guest = host.guest("tester", "lan", "fa:16:3e:00:00:99");
    // Kea does not serve on an address that is not there yet.
    settled(&host.place(), "lan");
    (host, guest)
}

fn start_dnsmasq(host: &Host) -> Running {
    let served = Dnsmasq {
        hosts: "fa:16:3e:00:00:0a,tag:dhcpv6,ann.example.org.,[2001:db8:1::a]\n\
         fa:16:3e:00:00:0b,tag:dhcpv6,opa.example.org.,[2001:db8:1::b],set:port-opa\n\
         fa:16:3e:00:00:0b,tag:dhcpv6,opa.example.org.,[2001:db8:2::b],set:port-opa\n\
         fa:16:3e:00:00:0c,tag:dhcpv6,set:port-les\n\
         fa:16:3e:00:00:77,tag:dhcpv6,probe.example.org.,[2001:db8:1::77]\n",
        options: "tag:subnet-near,option6:domain-search,example.org.\n\
         tag:subnet-near,option6:sntp-server,[2001:db8:1::123]\n\
         tag:subnet-near,option6:ntp-server,[2001:db8:1::123]\n\
         tag:port-opa,option6:ntp-server,[2001:db8::9]\n\
         tag:port-opa,tag:!ipxe6,option6:bootfile-url,tftp://[2001:db8::1]/undionly\n\
         tag:subnet-far,option6:dns-server,[2001:db8::53]\n\
         tag:subnet-far,option6:domain-search,example.org.\n\
         tag:subnet-own,option6:domain-search,example.org.\n",
        ..Dnsmasq::default()
    };
    served.start(
        &host.place(),
        &[
            "--interface=lan",
            "--dhcp-range=set:subnet-near,2001:db8:1::,static,64,86400s",
            "--dhcp-range=set:subnet-far,2001:db8:2::,static,64,86400s",
            "--dhcp-range=set:subnet-own,2001:db8:5::,static,64,86400s",
            "--domain=example.org",
        ],
    )
}

/// Host reservations and no pool, all subnets on one link.
fn start_kea(host: &Host) -> Running {
    let reservation = |last: u8, name: &str, ip: &str| {
        serde_json::json!({
            "hw-address": netns::MacAddr(mac(last)).to_string(), "ip-addresses": [ip], "hostname": name
        })
    };
    let option = |name: &str, data: &str| serde_json::json!({ "name": name, "data": data });
    let booting = |mut reservation: serde_json::Value| {
        let boot = option("bootfile-url", "tftp://[2001:db8::1]/undionly");
        reservation["option-data"] = serde_json::json!([boot]);
        reservation
    };
    let subnet = |id: u8, cidr: &str, dns: &str, reservations: serde_json::Value| {
        let mut options = vec![
            option("dns-servers", dns),
            option("domain-search", "example.org"),
        ];
        if id == 1 {
            options.push(option("sntp-servers", "2001:db8:1::123"));
        }
        serde_json::json!({
            "id": id, "subnet": cidr, "interface": "lan", "rapid-commit": true,
            "option-data": options,
            "reservations": reservations,
        })
    };
    let config = serde_json::json!({ "Dhcp6": {
        "interfaces-config": { "interfaces": ["lan"] },
        "lease-database": { "type": "memfile", "persist": false },
        "server-id": { "type": "LL", "htype": 1, "identifier": "FA163EFF0002", "persist": false },
        "mac-sources": ["ipv6-link-local", "duid"],
        "host-reservation-identifiers": ["hw-address"],
        "reservations-in-subnet": true,
        "reservations-out-of-pool": true,
        "preferred-lifetime": 86400,
        "valid-lifetime": 86400,
        "loggers": [{ "name": "kea-dhcp6", "severity": "WARN", "output_options": [{ "output": "stderr" }] }],
        "shared-networks": [{ "name": "lan", "interface": "lan", "rapid-commit": true, "subnet6": [
            subnet(1, "2001:db8:1::/64", "2001:db8:1::2", serde_json::json!([
                reservation(ANN, "ann", "2001:db8:1::a"),
                booting(reservation(OPA, "opa", "2001:db8:1::b")),
                reservation(0x77, "probe", "2001:db8:1::77"),
            ])),
            subnet(2, "2001:db8:2::/64", "2001:db8::53", serde_json::json!([
                reservation(OPA, "opa", "2001:db8:2::b"),
            ])),
            subnet(3, "2001:db8:5::/64", "2001:db8:5::2", serde_json::json!([])),
        ]}],
    }});
    host.place()
        .write("/run/kea/dhcp6.conf", &config.to_string());
    host.spawn(&["kea-dhcp6", "-c", "/run/kea/dhcp6.conf"])
}
