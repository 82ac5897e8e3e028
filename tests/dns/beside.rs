//! The same questions to warren, to warren as it serves beside Neutron, and to dnsmasq as Neutron starts it: what differs.

use std::fmt::Write;

use super::common::{Dnsmasq, Guest, Host, PATIENCE, Running, blessed, wait_for};
use super::elsewhere::{knot, topology};
use super::{dig, instance};

/// What each said, as a file; a change of it is seen in review. Why they differ: docs/dns.md.
const BESIDE: &str = "tests/dns/beside.txt";

/// As dig takes them. All three have `green1` at 10.2.0.11 and `both` at 10.2.0.12 and fd00:2::12, and ask the same name
/// server for the rest.
const QUESTIONS: &[&str] = &[
    // Own names.
    "green1.demo.test",
    "green1.demo.test +tcp",
    "green1",
    "GREEN1.Demo.Test",
    "both.demo.test AAAA",
    "both.demo.test ANY",
    "green1.demo.test AAAA",
    "green1.demo.test MX",
    "green1.demo.test TXT",
    "green1.demo.test HTTPS",
    "green1.demo.test TYPE4711",
    "green1.demo.test +norecurse",
    "green1.demo.test +dnssec",
    "green1.demo.test +cd +ad",
    "green1.demo.test +bufsize=512",
    "nobody.demo.test",
    "a.green1.demo.test",
    "nobody",
    "demo.test SOA",
    "demo.test NS",
    "demo.test",
    "-x 10.2.0.11",
    "-x fd00:2::12",
    "-x 10.2.0.99",
    "-x fd00:2::99",
    "-x 10.9.9.9",
    "0.2.10.in-addr.arpa SOA",
    // Of elsewhere.
    "www.example.org",
    "www.example.org AAAA",
    "www.example.org MX",
    "alias.example.org",
    "nobody.example.org",
    "www.example.org +dnssec",
    "nobody.example.org +dnssec",
    "www.example.org +cd +ad",
    "www.example.org +norecurse",
    "www.example.org ANY",
    "www.example.org +cookie",
    "inside.example.org",
    "long.example.org TXT +ignore",
    "long.example.org TXT",
    "www.elsewhere.test",
    // Odd ones.
    ". NS",
    r"green1\.demo.test",
    r"gr\000en1.demo.test",
    "version.bind CH TXT",
    "green1.demo.test CH",
    "green1.demo.test +edns=1 +noednsnegotiation",
    "green1.demo.test +ednsflags=0xffff",
    "green1.demo.test +opcode=NOTIFY",
    "green1.demo.test +opcode=UPDATE",
    "green1.demo.test +opcode=9",
    "green1.demo.test +header-only",
];

#[test]
fn beside_dnsmasq() {
    let Some(host) = Host::new("dns-beside") else {
        return;
    };
    let resolver = knot(&host.place(), "::1@5399");
    let mut tables = Vec::new();
    for (whose, more) in [("warren", ""), ("Neutron", "dns_authoritative = false")] {
        let daemon = host.warren_run(&ours(more));
        daemon.converged();
        let vm = instance(&host, &daemon, "vm", "green", "10.2.0.9");
        tables.push((whose, table(&vm)));
    }
    drop((resolver, host));
    let host = Host::new("dns-beside-dnsmasq").unwrap();
    let _resolver = knot(&host.place(), "::1@5399");
    host.bridge("br0");
    host.ip("addr add 10.2.0.2/24 dev br0");
    let _dnsmasq = start_dnsmasq(&host);
    let vm = host.guest("vm", "br0", "fa:16:3e:00:00:09");
    vm.ip("addr add 10.2.0.9/24 dev eth0");
    tables.push(("dnsmasq", table(&vm)));

    let text = shown(&tables);
    blessed(BESIDE, &text);
}

fn ours(more: &str) -> String {
    topology(more)
        .replace(
            "dhcp_address = \"10.2.0.2\"\n",
            "dhcp_address = \"10.2.0.2\"\n[[network.subnet]]\ncidr = \"fd00:2::/64\"\nipv6_address_mode = \"dhcpv6-stateful\"\ndhcp_address = \"fd00:2::2\"\n",
        )
        + "[[instance]]\nname = \"both\"\n[[instance.port]]\nnetwork = \"green\"\naddresses = [\"10.2.0.12\", \"fd00:2::12\"]\n"
}

/// With `dnsmasq_dns_servers`.
fn start_dnsmasq(host: &Host) -> Running {
    let served = Dnsmasq {
        names: "10.2.0.11 green1.demo.test green1\n\
                10.2.0.12 both.demo.test both\n\
                fd00:2::12 both.demo.test both\n",
        ..Dnsmasq::default()
    };
    served.start(
        &host.place(),
        &[
            "--dhcp-range=set:subnet-1,10.2.0.0,static,255.255.255.0,86400s",
            "--dhcp-option-force=option:mtu,1450",
            "--dhcp-lease-max=256",
            "--server=::1#5399",
            "--domain=demo.test",
            "--interface=br0",
        ],
    )
}

fn table(guest: &Guest) -> Vec<String> {
    wait_for("the name server", PATIENCE, || {
        (dig(guest, "10.2.0.2", "green1.demo.test").answers == ["10.2.0.11"]).then_some(())
    });
    let all = QUESTIONS.iter().map(|question| said(guest, question));
    all.collect()
}

/// Code, flags, answers, and what the authority section holds.
fn said(guest: &Guest, question: &str) -> String {
    let answer = dig(guest, "10.2.0.2", &format!("{question} +tries=1"));
    if answer.status.is_empty() {
        return "silence".to_owned();
    }
    let flags = answer.flags.iter().skip(1).map(String::as_str);
    let mut words = vec![answer.status.as_str()];
    words.extend(flags);
    let mut text = words.join(" ");
    if answer.answers.len() > 9 {
        write!(text, " | {} answers", answer.answers.len()).unwrap();
    } else {
        for data in &answer.answers {
            // Signatures are others each time; what matters is that they are there.
            let data = data.split_whitespace().take(2).collect::<Vec<_>>();
            let signature = data.get(1).is_some_and(|word| *word == "13");
            let shown = if signature {
                "RRSIG".to_owned()
            } else {
                data.join(" ")
            };
            write!(text, " | {shown}").unwrap();
        }
    }
    let authority = answer
        .text
        .lines()
        .skip_while(|line| *line != ";; AUTHORITY SECTION:");
    let authority = authority.skip(1).take_while(|line| !line.is_empty());
    let mut kinds: Vec<&str> = authority
        .filter_map(|line| line.split_whitespace().nth(3))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    if !kinds.is_empty() {
        write!(text, " / {}", kinds.join(" ")).unwrap();
    }
    for (word, shown) in [("COOKIE:", " +cookie"), ("flags: do", " +do")] {
        if answer.text.contains(word) {
            text.push_str(shown);
        }
    }
    text
}

/// Every question, and below it who says what; `=`: the same as warren.
fn shown(tables: &[(&str, Vec<String>)]) -> String {
    let (_, ours) = &tables[0];
    let mut text = String::new();
    for (at, question) in QUESTIONS.iter().enumerate() {
        writeln!(text, "{question}").unwrap();
        for (whose, table) in tables {
            let said = &table[at];
            let same = *whose != "warren" && *said == ours[at];
            writeln!(text, "  {whose:8}{}", if same { "=" } else { said }).unwrap();
        }
    }
    text
}
