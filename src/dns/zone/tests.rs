#![allow(clippy::unwrap_used)] // a test may panic

use std::sync::Arc;

use hickory_proto::op::{Edns, Message, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::model::{DevName, NetworkId, PortId};
use crate::plan::scope::{TextRecord, Zone};

fn zone(domain: &str, authoritative: bool, hosts: &[(&str, &[&str])]) -> Arc<Zone> {
    let mut zone = Zone {
        domain: domain.to_owned(),
        authoritative,
        ..Zone::default()
    };
    for (number, (host, addresses)) in (0..).zip(hosts) {
        let port = PortId(uuid::Uuid::from_u128(number));
        let fqdn: Arc<str> = if domain.is_empty() {
            (*host).into()
        } else {
            format!("{host}.{domain}").into()
        };
        for address in *addresses {
            let address = address.parse().unwrap();
            zone.pointers.insert(address, port, fqdn.clone());
            zone.names.insert(fqdn.clone(), port, address);
            if !domain.is_empty() {
                zone.names.insert((*host).into(), port, address);
            }
        }
    }
    Arc::new(zone)
}

fn scope(zones: Vec<Arc<Zone>>) -> DnsScope {
    let clients = [
        "10.0.0.0/24",
        "10.8.0.0/20",
        "192.0.2.64/26",
        "2001:db8::/62",
        "fd00::/64",
    ];
    DnsScope {
        network: NetworkId(uuid::Uuid::nil()),
        device: DevName::new("tap0").unwrap(),
        listen: vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
        zones,
        forwarders: Vec::new(),
        domain_forwarders: Vec::new(),
        text: None,
        cache: 150,
        no_rebind: None,
        clients: clients.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

/// Own network `demo`, joined by a router to `other.example`, which has a `web` as well.
fn demo(authoritative: bool) -> DnsScope {
    let many: Vec<String> = (1..=100).map(|n| format!("10.9.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    scope(vec![
        zone(
            "demo",
            authoritative,
            &[
                ("many", &many),
                ("web", &["10.0.0.5", "fd00::5"]),
                ("db", &["10.0.0.6", "10.8.3.6"]),
                ("bare", &["fd00::6"]),
            ],
        ),
        zone(
            "other.example",
            authoritative,
            &[("web", &["192.0.2.70"]), ("far", &["192.0.2.71"])],
        ),
    ])
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn with_edns(mut message: Message, size: u16, version: u8, dnssec_ok: bool) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(size)
        .set_version(version)
        .set_dnssec_ok(dnssec_ok);
    message.set_edns(edns);
    message
}

/// The reply to `bytes`, as another codec reads it.
fn reply(scope: &DnsScope, bytes: &[u8], carrier: Carrier) -> Option<Message> {
    let mut reply = b"left over from the last one".to_vec();
    match answer(scope, bytes, carrier, &mut reply) {
        Verdict::Reply(_) => Some(Message::from_vec(&reply).unwrap()),
        Verdict::Forward(_) | Verdict::Silent => None,
    }
}

/// The reply to a question in a line: code unless NOERROR, answers, and after a slash the authority section. The
/// owner `=` is the name that was asked for, in its case. `forward` if it is not ours.
fn ask(scope: &DnsScope, name: &str, kind: RecordType) -> String {
    let asked = query(name, kind);
    let Some(reply) = reply(scope, &asked.to_vec().unwrap(), Carrier::Udp) else {
        return "forward".to_owned();
    };
    let meta = &reply.metadata;
    let code = meta.response_code;
    assert_eq!(meta.id, asked.metadata.id, "{name}: id");
    assert_eq!(reply.queries, asked.queries, "{name}: question");
    assert!(meta.recursion_available, "{name}: RA");
    assert!(meta.recursion_desired, "{name}: RD");
    assert_eq!(
        meta.authoritative,
        code != ResponseCode::Refused,
        "{name}: AA"
    );
    let mut words = Vec::new();
    if code != ResponseCode::NoError {
        words.push(format!("{code:?}"));
    }
    words.extend(reply.answers.iter().map(|record| line(record, name)));
    if !reply.authorities.is_empty() {
        words.push("/".to_owned());
    }
    words.extend(reply.authorities.iter().map(|record| line(record, name)));
    words.join(" ")
}

fn line(record: &Record, asked: &str) -> String {
    assert_eq!(record.ttl, 0, "{asked}: TTL");
    let name = record.name.to_ascii();
    let owner = if name == asked { "=" } else { &name };
    let data = record.data.to_string();
    if record.record_type() == RecordType::SOA {
        assert_eq!(data, format!("{name} hostmaster.{name} 1 3600 600 86400 0"));
        return format!("{owner} SOA");
    }
    format!("{owner} {} {data}", record.record_type())
}

/// Rows of `case: name type -> reply`.
fn check(scope: &DnsScope, table: &str) {
    for row in table.trim().lines().map(str::trim) {
        let (case, rest) = row.split_once(": ").unwrap();
        let (question, want) = rest.split_once(" ->").unwrap();
        let (name, kind) = question.split_once(' ').unwrap();
        let got = ask(scope, name, kind.trim().parse().unwrap());
        assert_eq!(got, want.trim(), "{case}: {question}");
    }
}

#[test]
fn names_of_the_network() {
    check(
        &demo(true),
        r"
        address: web.demo. A -> = A 10.0.0.5
        v6 address: web.demo. AAAA -> = AAAA fd00::5
        all: web.demo. ANY -> = A 10.0.0.5 = AAAA fd00::5
        bare name: web. A -> = A 10.0.0.5
        two: db.demo. A -> = A 10.0.0.6 = A 10.8.3.6
        any case, echoed: wEb.DEMO. A -> = A 10.0.0.5
        own network first: web. AAAA -> = AAAA fd00::5
        joined network: web.other.example. A -> = A 192.0.2.70
        joined network's bare name: far. A -> = A 192.0.2.71
        no such type: db.demo. AAAA -> / demo. SOA
        no such type, joined: far.other.example. MX -> / other.example. SOA
        no such type, bare name: db. AAAA ->
        of the other family only: bare.demo. A -> / demo. SOA
        SVCB and its like: web.demo. HTTPS -> / demo. SOA
        unknown: nobody.demo. A -> NXDomain / demo. SOA
        unknown, any type: nobody.demo. TXT -> NXDomain / demo. SOA
        unknown, case: NoBody.DeMo. A -> NXDomain / DeMo. SOA
        below a host: a.web.demo. A -> NXDomain / demo. SOA
        unknown, joined: nobody.other.example. A -> NXDomain / other.example. SOA
        a dot inside a label: web\.demo. A -> forward
        the same in our domain: a\.web.demo. A -> NXDomain / demo. SOA
        not a domain's end: xdemo. A -> forward
        above a domain: example. A -> forward
        elsewhere: www.example.org. A -> forward
        unknown bare name: nobody. A -> forward
        root: . NS -> forward
        apex SOA: demo. SOA -> = SOA
        apex NS: demo. NS -> = NS demo.
        apex A, its name server's: demo. A -> = A 10.0.0.2
        apex AAAA: demo. AAAA -> = AAAA fd00::2
        apex MX: demo. MX -> / = SOA
        zone transfer: demo. AXFR -> Refused
        zone transfer elsewhere: example.org. AXFR -> Refused
        ",
    );
}

#[test]
fn names_of_addresses() {
    check(
        &demo(true),
        "
        v4: 5.0.0.10.in-addr.arpa. PTR -> = PTR web.demo.
        v4, any case: 5.0.0.10.IN-ADDR.ARPA. PTR -> = PTR web.demo.
        v4, all: 5.0.0.10.in-addr.arpa. ANY -> = PTR web.demo.
        v4, no such type: 5.0.0.10.in-addr.arpa. A -> / 0.0.10.in-addr.arpa. SOA
        joined: 70.2.0.192.in-addr.arpa. PTR -> = PTR web.other.example.
        unknown: 77.0.0.10.in-addr.arpa. PTR -> NXDomain / 0.0.10.in-addr.arpa. SOA
        unknown in a /20: 7.15.8.10.in-addr.arpa. PTR -> NXDomain / 15.8.10.in-addr.arpa. SOA
        outside the /20: 7.16.8.10.in-addr.arpa. PTR -> forward
        unknown in a /26: 90.2.0.192.in-addr.arpa. PTR -> NXDomain / 2.0.192.in-addr.arpa. SOA
        outside the /26: 200.2.0.192.in-addr.arpa. PTR -> forward
        zone of a /26: 2.0.192.in-addr.arpa. SOA -> forward
        apex SOA: 0.0.10.in-addr.arpa. SOA -> = SOA
        apex NS: 0.0.10.in-addr.arpa. NS -> = NS 0.0.10.in-addr.arpa.
        apex PTR: 0.0.10.in-addr.arpa. PTR -> / = SOA
        above it: 0.10.in-addr.arpa. PTR -> forward
        elsewhere: 1.2.3.4.in-addr.arpa. PTR -> forward
        not canonical: 05.0.0.10.in-addr.arpa. PTR -> forward
        five octets: 1.5.0.0.10.in-addr.arpa. PTR -> forward
        service discovery: lb._dns-sd._udp.0.0.0.10.in-addr.arpa. PTR -> forward
        only the end: in-addr.arpa. PTR -> forward
        ",
    );
    // Host part of web's address in fd00::/64, the zone of that subnet, and that of 2001:db8::/62.
    let web = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0";
    let zone = "0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.";
    let cut = "3.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
    let nobody = web.replacen('5', "f", 1);
    check(
        &demo(true),
        &format!(
            "
            v6: {web}.{zone} PTR -> = PTR web.demo.
            v6, unknown: {nobody}.{zone} PTR -> NXDomain / {zone} SOA
            between zone and address: 0.0.{zone} NS -> / {zone} SOA
            zone of a /62: {cut} NS -> = NS {cut}
            below it: 1.0.{cut} PTR -> / {cut} SOA
            above it: {} PTR -> forward
            33 nibbles: 1.{web}.{zone} PTR -> forward
            two digits: 5{web}.{zone} PTR -> forward
            ",
            &cut[2..]
        ),
    );
}

#[test]
fn without_authority_the_unknown_is_forwarded() {
    check(
        &demo(false),
        "
        known: web.demo. A -> = A 10.0.0.5
        known, no such type: db.demo. AAAA ->
        known address: 5.0.0.10.in-addr.arpa. PTR -> = PTR web.demo.
        unknown name: nobody.demo. A -> forward
        unknown address: 77.0.0.10.in-addr.arpa. PTR -> forward
        apex: demo. SOA -> forward
        ",
    );
    check(
        &scope(vec![zone("", true, &[("web", &["10.0.0.5"])])]),
        "
        no domain, bare names only: web. A -> = A 10.0.0.5
        no domain, unknown: nobody. A -> forward
        no domain, root: . NS -> forward
        ",
    );
}

#[test]
fn the_nearest_domain_decides() {
    let scope = scope(vec![
        zone("example", true, &[]),
        zone("sub.example", false, &[]),
        zone("shared", false, &[]),
        zone("shared", true, &[]),
    ]);
    check(
        &scope,
        "
        authoritative: nobody.example. A -> NXDomain / example. SOA
        nearer, and not: nobody.sub.example. A -> forward
        two of one name: nobody.shared. A -> NXDomain / shared. SOA
        ",
    );
}

#[test]
fn the_operators_text_record() {
    let mut scope = demo(true);
    scope.text = TextRecord::new("alive.test", ["yes", "no"].into_iter()).map(Arc::new);
    check(
        &scope,
        "
        text: Alive.test. TXT -> = TXT yesno
        all: alive.test. ANY -> = TXT yesno
        no such type: alive.test. A ->
        below it: a.alive.test. TXT -> forward
        ",
    );
}

#[test]
fn what_cannot_be_looked_up() {
    use ResponseCode::*;
    let scope = demo(true);
    let plain = || query("web.demo.", RecordType::A).to_vec().unwrap();
    let edit = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = plain();
        edit(&mut bytes);
        bytes
    };
    let message = |change: &dyn Fn(&mut Message)| {
        let mut message = query("web.demo.", RecordType::A);
        change(&mut message);
        message.to_vec().unwrap()
    };
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    // The additional section (or that whose count is at `section`) holds `count` records: `bytes`.
    let add = |section: usize, count: u8, bytes: &[&[u8]]| {
        edit(&|b| {
            b[section] = count;
            b.extend(bytes.concat());
        })
    };
    let asked = |class| {
        message(&|m| {
            m.queries[0].set_query_class(class);
        })
    };
    let opcode = |opcode| message(&|m| m.metadata.op_code = opcode);
    let missing = [&opt[..10], &[9]].concat();
    for (case, bytes, want) in [
        ("all is well", plain(), Some(NoError)),
        ("nothing", vec![], None),
        ("cut in the header", plain()[..11].to_vec(), None),
        ("a response", edit(&|b| b[2] |= 0x80), None),
        ("a header alone", plain()[..12].to_vec(), Some(FormErr)),
        ("cut in the name", plain()[..16].to_vec(), Some(FormErr)),
        ("cut in the type", plain()[..23].to_vec(), Some(FormErr)),
        ("no question", edit(&|b| b[5] = 0), Some(FormErr)),
        ("two questions", edit(&|b| b[5] = 2), Some(FormErr)),
        ("bytes after the end", add(11, 0, &[&[0]]), Some(FormErr)),
        ("compression", edit(&|b| b[12] = 0xc0), Some(FormErr)),
        ("unknown label", edit(&|b| b[12] = 0x41), Some(FormErr)),
        ("OPT asked for", edit(&|b| b[23] = 41), Some(FormErr)),
        ("notify", opcode(OpCode::Notify), Some(NotImp)),
        ("update", opcode(OpCode::Update), Some(NotImp)),
        ("class CHAOS", asked(DNSClass::CH), Some(Refused)),
        ("any class", asked(DNSClass::ANY), Some(Refused)),
        ("a missing record", add(11, 1, &[]), Some(FormErr)),
        ("one OPT", add(11, 1, &[&opt]), Some(NoError)),
        ("two OPTs", add(11, 2, &[&opt, &opt]), Some(FormErr)),
        ("OPT as an answer", add(7, 1, &[&opt]), Some(FormErr)),
        (
            "OPT with a name",
            add(11, 1, &[b"\x01a", &opt]),
            Some(FormErr),
        ),
        ("OPT cut short", add(11, 1, &[&opt[..8]]), Some(FormErr)),
        ("its data missing", add(11, 1, &[&missing]), Some(FormErr)),
    ] {
        let reply = reply(&scope, &bytes, Carrier::Udp);
        let got = reply.as_ref().map(|reply| reply.metadata.response_code);
        assert_eq!(got, want, "{case}");
        if let Some(reply) = reply {
            assert_eq!(
                u8::from(reply.metadata.op_code),
                (bytes[2] >> 3) & 15,
                "{case}"
            );
            assert_eq!(reply.answers.is_empty(), want != Some(NoError), "{case}");
        }
    }
}

#[test]
fn edns_and_size() {
    use Carrier::{Tcp, Udp};
    let scope = demo(true);
    // 100 addresses: 1,627 bytes. `bare` has none of IPv4, and its reply 72 bytes.
    let (many, bare) = ("many.demo.", "bare.demo.");
    for (case, name, edns, carrier, most, want) in [
        ("no OPT, no OPT back", bare, None, Udp, 80, ""),
        ("OPT back", bare, Some((4096, 0)), Udp, 90, "opt"),
        ("OPT by TCP", bare, Some((4096, 0)), Tcp, 90, "opt"),
        ("version 1", bare, Some((4096, 1)), Udp, 40, "opt badvers"),
        ("long for plain", many, None, Udp, 40, "tc"),
        ("long for 512", many, Some((512, 0)), Udp, 50, "opt tc"),
        (
            "an OPT of 0 is one of 512",
            bare,
            Some((0, 0)),
            Udp,
            90,
            "opt",
        ),
        ("long for us", many, Some((4096, 0)), Udp, 50, "opt tc"),
        ("TCP takes all", many, None, Tcp, 1700, "100"),
    ] {
        let mut query = query(name, RecordType::A);
        if let Some((size, version)) = edns {
            query = with_edns(query, size, version, false);
        }
        let mut out = Vec::new();
        let bytes = query.to_vec().unwrap();
        answer(&scope, &bytes, carrier, &mut out);
        let reply = Message::from_vec(&out).unwrap();
        let mut got = Vec::new();
        if let Some(edns) = &reply.edns {
            assert_eq!((edns.max_payload(), edns.version()), (1232, 0), "{case}");
            got.push("opt".to_owned());
        }
        if reply.metadata.truncation {
            got.push("tc".to_owned());
        }
        // Number 16 is BADVERS as well.
        if reply.metadata.response_code == ResponseCode::BADSIG {
            got.push("badvers".to_owned());
        }
        if !reply.answers.is_empty() {
            got.push(reply.answers.len().to_string());
        }
        assert_eq!(got.join(" "), want, "{case}");
        assert!(out.len() <= most, "{case}: {} bytes", out.len());
        assert_eq!(reply.queries, query.queries, "{case}");
    }
    let mut asked = with_edns(query("web.demo.", RecordType::A), 4096, 0, true);
    asked.metadata.checking_disabled = true;
    let reply = reply(&scope, &asked.to_vec().unwrap(), Carrier::Udp).unwrap();
    assert!(reply.edns.unwrap().flags().dnssec_ok, "DO is echoed");
    assert!(reply.metadata.checking_disabled, "CD is echoed");
    assert!(!reply.metadata.authentic_data, "AD is not ours to claim");
}

#[test]
fn a_pointer_to_what_is_no_host_name_is_left_out() {
    let label = "x".repeat(64);
    let long = "x.".repeat(200) + "demo";
    for name in [label.as_str(), long.as_str(), "a..b", ""] {
        let mut zone = Zone::default();
        let address: IpAddr = "10.0.0.9".parse().unwrap();
        let port = PortId(uuid::Uuid::nil());
        zone.pointers.insert(address, port, name.into());
        let scope = scope(vec![Arc::new(zone)]);
        assert_eq!(
            ask(&scope, "9.0.0.10.in-addr.arpa.", RecordType::PTR),
            "",
            "{name:?}"
        );
    }
}

/// Whatever comes: no panic, nothing longer than asked for, and every reply is one that another codec can read.
#[test]
fn mutated_queries_do_no_harm() {
    let scope = demo(true);
    let mut seeds = Vec::new();
    for name in [
        "web.demo.",
        "nobody.demo.",
        "demo.",
        "5.0.0.10.in-addr.arpa.",
        "www.example.org.",
    ] {
        for kind in [RecordType::A, RecordType::ANY, RecordType::PTR] {
            seeds.push(query(name, kind).to_vec().unwrap());
            seeds.push(
                with_edns(query(name, kind), 1400, 0, true)
                    .to_vec()
                    .unwrap(),
            );
        }
    }
    let longest = [b"\x3f".to_vec(), vec![b'a'; 63]].concat();
    let mut of_254 = seeds[0][..12].to_vec();
    of_254.extend(
        [
            longest.repeat(3),
            b"\x3d".to_vec(),
            vec![b'b'; 61],
            vec![0, 0, 1, 0, 1],
        ]
        .concat(),
    );
    seeds.push(of_254);
    let mut random = StdRng::seed_from_u64(53);
    let mut out = Vec::new();
    let mut replies = 0;
    for round in 0..200_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..random.random_range(0..6) {
            let at = random.random_range(0..bytes.len());
            match random.random_range(0..6) {
                0 => bytes[at] = random.random(),
                1 => bytes[at] ^= 1 << random.random_range(0..8),
                2 => bytes.truncate(at.max(1)),
                3 => bytes.insert(at, random.random()),
                4 => bytes.extend_from_within(at..),
                _ => bytes[at] = [0, 1, 63, 64, 0xc0, 0xff][random.random_range(0..6)],
            }
        }
        let carrier = [Carrier::Udp, Carrier::Tcp][round % 2];
        if let Verdict::Reply(_) = answer(&scope, &bytes, carrier, &mut out) {
            replies += 1;
            let limit = if carrier == Carrier::Udp { 1232 } else { 65535 };
            assert!(out.len() <= limit, "{} bytes for {bytes:02x?}", out.len());
            assert_eq!(out[..2], bytes[..2], "id for {bytes:02x?}");
            let read = Message::from_vec(&out);
            assert!(read.is_ok(), "{read:?}: {out:02x?} for {bytes:02x?}");
        }
    }
    assert!(replies > 50_000, "{replies} replies: the seeds went stale");
}
