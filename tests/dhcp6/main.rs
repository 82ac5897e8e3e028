//! DHCPv6 from outside: real clients, crafted messages for every row of RFC 8415's tables, relays, and many messages that
//! are broken; and beside dnsmasq and Kea, which are told the same.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod lan;
mod message;
mod ports;

use std::time::Duration;

use lan::{ANN, LES, Lan, OPA, PROBE, SELF, STRANGER, mac};
use message::{
    CONFIRM, DECLINE, INFORMATION, REBIND, RELEASE, RENEW, REQUEST, SOLICIT, Says, option, server,
    value,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Broken messages in all; after each batch the daemon must answer a whole one, and nobody may ask for more than 500 at once.
const BATCHES: u64 = 200;
const BATCH: u64 = 100;

/// No MAC can be read from it; the tester has it.
const PRIVATE: &str = "fe80::1234:5678:9abc:def0";

#[test]
fn every_message_gets_its_answer() {
    let Some(mut lan) = Lan::new("states6") else {
        return;
    };
    let first = lan.link.hear(&Says::solicit(ANN)).unwrap();
    let us = server(&first);
    let (server_mac, server_ip) = (first.from_mac, *first.from.ip());
    assert_eq!(
        us,
        [&[0, 3, 0, 1][..], &server_mac].concat(),
        "a DUID-LL, the same after a restart"
    );
    let ask = |last, kind| Says::new(last, kind).to(&us);
    let to_ann = "to a [fe80::f816:3eff:fe00:a]:546";
    let to_stranger = "to e [fe80::f816:3eff:fe00:e]:546";
    let ann = "na[2001:db8:1::a]";
    let anns = "2001:db8:1::a";
    for (name, says, want) in [
        (
            "solicit",
            Says::solicit(ANN),
            format!("advertise {ann} {to_ann}"),
        ),
        (
            "solicit, rapid commit",
            Says::solicit(ANN).raw(14, b""),
            format!("reply {ann} Success rapid {to_ann}"),
        ),
        (
            "solicit, of several subnets",
            Says::solicit(OPA),
            "advertise na[2001:db8:1::b 2001:db8:2::b] to b [fe80::f816:3eff:fe00:b]:546".into(),
        ),
        (
            "solicit, with a prefix",
            Says::solicit(ANN).raw(25, &[0; 12]),
            format!("advertise {ann} pd[NoPrefixAvail] {to_ann}"),
        ),
        (
            "solicit, unknown",
            Says::solicit(STRANGER),
            format!("advertise na[NoAddrsAvail] NoAddrsAvail {to_stranger}"),
        ),
        (
            "solicit, a stranger with another's DUID",
            Says::solicit(STRANGER).duid(&[&[0, 3, 0, 1][..], &mac(ANN)].concat()),
            format!("advertise na[NoAddrsAvail] NoAddrsAvail {to_stranger}"),
        ),
        (
            "solicit, in another's name: the answer goes to that one",
            Says::solicit(ANN).framed_by(STRANGER),
            format!("advertise {ann} {to_ann}"),
        ),
        (
            "solicit, whose MAC only a neighbour's answer tells",
            Says::solicit(SELF).from(PRIVATE).waiting(),
            format!("advertise na[2001:db8:1::99] to 99 [{PRIVATE}]:546"),
        ),
        (
            "request",
            ask(ANN, REQUEST).na(&[anns]),
            format!("reply {ann} Success {to_ann}"),
        ),
        (
            "request, another's address",
            ask(ANN, REQUEST).na(&["2001:db8:1::b"]),
            format!("reply na[NoAddrsAvail] NoAddrsAvail {to_ann}"),
        ),
        (
            "request, off link",
            ask(ANN, REQUEST).na(&["2001:db8:77::1"]),
            format!("reply na[NotOnLink] NotOnLink {to_ann}"),
        ),
        (
            "request, unknown",
            ask(STRANGER, REQUEST).na(&[]),
            format!("reply na[NoAddrsAvail] NoAddrsAvail {to_stranger}"),
        ),
        (
            "request, another server",
            Says::new(ANN, REQUEST).to(b"\0\x03\0\x01another").na(&[]),
            "silence".into(),
        ),
        (
            "request, unicast",
            ask(ANN, REQUEST)
                .na(&[])
                .from("fe80::f816:3eff:fe00:99")
                .unicast(server_mac, server_ip)
                .waiting(),
            "reply UseMulticast to 99 [fe80::f816:3eff:fe00:99]:546".into(),
        ),
        (
            "renew",
            ask(ANN, RENEW).na(&[anns]),
            format!("reply {ann} {to_ann}"),
        ),
        (
            "renew, an address of before",
            ask(ANN, RENEW).na(&["2001:db8:1::88"]),
            format!("reply na[2001:db8:1::a -2001:db8:1::88] {to_ann}"),
        ),
        (
            "renew, unknown",
            ask(STRANGER, RENEW).na(&[anns]),
            format!("reply na[NoBinding] {to_stranger}"),
        ),
        (
            "rebind",
            Says::new(ANN, REBIND).na(&[anns]),
            format!("reply {ann} {to_ann}"),
        ),
        (
            "rebind, unknown",
            Says::new(STRANGER, REBIND).na(&[anns]),
            format!("reply na[NoAddrsAvail] {to_stranger}"),
        ),
        (
            "confirm",
            Says::new(ANN, CONFIRM).na(&[anns]),
            format!("reply Success {to_ann}"),
        ),
        (
            "confirm, off link",
            Says::new(ANN, CONFIRM).na(&["2001:db8:77::1"]),
            format!("reply NotOnLink {to_ann}"),
        ),
        (
            "confirm, nothing",
            Says::new(ANN, CONFIRM).na(&[]),
            "silence".into(),
        ),
        (
            "confirm, unicast",
            Says::new(ANN, CONFIRM)
                .na(&[anns])
                .unicast(server_mac, server_ip),
            "silence".into(),
        ),
        (
            "decline, not its own",
            ask(ANN, DECLINE).na(&["2001:db8:1::b"]),
            format!("reply na[NoBinding] Success {to_ann}"),
        ),
        (
            "release",
            ask(ANN, RELEASE).na(&[anns]),
            format!("reply Success {to_ann}"),
        ),
        (
            "information",
            Says::new(LES, INFORMATION).wanting(&[23]),
            "reply to c [fe80::f816:3eff:fe00:c]:546".into(),
        ),
        (
            "information, unknown",
            Says::new(STRANGER, INFORMATION),
            format!("reply {to_stranger}"),
        ),
        ("a server's message", Says::new(ANN, 7), "silence".into()),
        (
            "a reconfigure",
            Says::new(ANN, 10).to(&us),
            "silence".into(),
        ),
        (
            "solicit, with a server",
            ask(ANN, SOLICIT),
            "silence".into(),
        ),
    ] {
        assert_eq!(lan.link.said(&says), want, "{name}\n{}", lan.daemon.log());
    }
    assert_eq!(lan.lease(anns).as_deref(), Some("released"));
    lan.link.hear(&ask(ANN, REQUEST).na(&[]));
    assert_eq!(lan.lease(anns).as_deref(), Some("bound"));
    lan.link.hear(&ask(ANN, DECLINE).na(&[anns]));
    assert_eq!(lan.lease(anns).as_deref(), Some("declined"));
    let table = lan.daemon.warren(&["show", "network", "lan"]).ok();
    assert!(table.contains("2001:db8:1::a"), "{table}");
    assert_eq!(lan.lease("2001:db8:2::b").as_deref(), Some("offered"));
    assert!(lan.counter("strangers") >= 6);
    let counted = |lan: &Lan| ["replies", "strangers"].map(|name| lan.counter(name));
    let [replies, strangers] = counted(&lan);
    let release = ask(SELF, RELEASE).na(&["2001:db8:1::99"]);
    let release = release
        .from("fe80::f816:3eff:fe00:99")
        .unicast(server_mac, server_ip)
        .waiting();
    assert!(lan.link.said(&release).starts_with("reply UseMulticast"));
    assert_eq!(counted(&lan), [replies + 1, strangers]);
}

#[test]
fn options_are_those_of_network_and_port() {
    let Some(mut lan) = Lan::new("options6") else {
        return;
    };
    let search = b"\x07example\x03org\0";
    let ip = |text: &str| {
        text.parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets()
            .to_vec()
    };
    let ann = lan.link.hear(&Says::solicit(ANN)).unwrap();
    let us = server(&ann);
    for (name, code, want) in [
        ("preference", 7, Some(vec![255])),
        ("DNS", 23, Some(ip("2001:db8:1::2"))),
        ("search", 24, Some(search.to_vec())),
        ("SNTP", 31, Some(ip("2001:db8:1::123"))),
        (
            "NTP",
            56,
            Some([&[0, 1, 0, 16][..], &ip("2001:db8:1::123")].concat()),
        ),
        ("refresh time, which is for others", 32, None),
    ] {
        assert_eq!(value(&ann, code), want, "{name}");
    }
    let opa = lan.link.hear(&Says::solicit(OPA)).unwrap();
    for (name, code, want) in [
        ("DNS", 23, ip("2001:db8:1::2")),
        ("NTP", 56, [&[0, 1, 0, 16][..], &ip("2001:db8::9")].concat()),
        ("by number", 224, vec![1, 2, 3]),
        ("boot", 59, b"tftp://[2001:db8::1]/undionly".to_vec()),
    ] {
        assert_eq!(value(&opa, code), Some(want), "{name}");
    }
    let ipxe = lan
        .link
        .hear(&Says::solicit(OPA).raw(15, b"\0\x04iPXE").wanting(&[59]))
        .unwrap();
    assert_eq!(value(&ipxe, 59).unwrap(), b"http://[2001:db8::1]/script");
    assert_eq!(value(&ipxe, 224), None, "not asked for");
    let named = lan
        .link
        .hear(
            &Says::new(ANN, REQUEST)
                .to(&us)
                .na(&[])
                .raw(39, b"\x01\x03box"),
        )
        .unwrap();
    assert_eq!(
        value(&named, 39).unwrap(),
        b"\x01\x03ann\x07example\x03org\0"
    );
    let informed = lan
        .link
        .hear(&Says::new(LES, INFORMATION).wanting(&[24, 32]))
        .unwrap();
    assert_eq!(value(&informed, 24).unwrap(), search);
    assert_eq!(value(&informed, 32).unwrap(), 86400u32.to_be_bytes());
    assert_eq!(value(&informed, 23), None, "not asked for");
}

#[test]
fn relays_are_answered_and_machines_are_none() {
    let Some(mut lan) = Lan::new("relays6") else {
        return;
    };
    let port = (18, b"port 7".to_vec());
    let relayed = Says::solicit(ANN).relay("2001:db8:1::1", std::slice::from_ref(&port));
    let heard = lan.link.hear(&relayed).unwrap();
    assert_eq!(
        message::said(&heard),
        "advertise na[2001:db8:1::a] to 99 [2001:db8:1::9]:547"
    );
    assert!(
        heard
            .payload
            .windows(10)
            .any(|part| part == option(18, b"port 7"))
    );
    // Two relays, and one that says whose it is (RFC 6939).
    let mac_of_ann = (79, [&[0, 1][..], &mac(ANN)].concat());
    let twice = Says::solicit(STRANGER)
        .from("fe80::77")
        .relay("2001:db8:2::1", &[mac_of_ann])
        .relay("2001:db8:9::1", &[port]);
    let heard = lan.link.hear(&twice).unwrap();
    assert_eq!(heard.payload[..2], [13, 1]);
    assert_eq!(
        message::said(&heard),
        "advertise na[2001:db8:1::a] to 99 [2001:db8:1::9]:547"
    );
    // A machine of the network that wants to hear what others are told.
    for source in ["2001:db8:1::99", "fe80::f816:3eff:fe00:99"] {
        let forged = Says::solicit(ANN).relay("2001:db8:1::1", &[]).from(source);
        assert_eq!(lan.link.said(&forged), "silence", "{source}");
    }
    assert_eq!(lan.counter("forged"), 2);
    let elsewhere = Says::solicit(ANN).relay("2001:db8:77::1", &[]);
    assert_eq!(lan.link.said(&elsewhere), "silence");
    assert_eq!(lan.counter("elsewhere"), 1);
}

/// Whose MAC only a neighbour could tell, and nobody does: that one waits, and no one else.
#[test]
fn nobody_waits_for_a_neighbour() {
    let Some(lan) = Lan::new("unseen6") else {
        return;
    };
    let nobody = |n: u32| {
        Says::solicit(STRANGER)
            .duid(b"\0\x04unknown-uuid")
            .from(&format!("fe80::dead:{n:x}"))
    };
    for n in 1..=40 {
        let says = nobody(n);
        lan.link.send(&says, &says.packet(n));
    }
    let mut longest = Duration::ZERO;
    for number in 1000..1100 {
        let (_, took) = lan.link.exchange(&Says::solicit(ANN), number).unwrap();
        longest = longest.max(took);
    }
    println!("beside 40 that nobody is: at most {longest:?}");
    assert!(longest < Duration::from_millis(100), "{longest:?}");
    // Sixteen wait, the others were dropped at once; those that waited are given up.
    common::wait_for("them to be given up", common::PATIENCE, || {
        (lan.counter("unresolved") == 40).then_some(())
    });
    // One that somebody is.
    let says = Says::solicit(SELF).from(PRIVATE);
    let (heard, took) = lan.link.exchange(&says, 2000).unwrap();
    assert_eq!(
        message::said(&heard),
        format!("advertise na[2001:db8:1::99] to 99 [{PRIVATE}]:546")
    );
    println!("a neighbour that the kernel had never seen: {took:?}");
}

#[test]
fn broken_messages_do_no_harm() {
    let Some(mut lan) = Lan::new("broken6") else {
        return;
    };
    let us = server(&lan.link.hear(&Says::solicit(ANN)).unwrap());
    let mut random = StdRng::seed_from_u64(8415);
    let all = ["2001:db8:1::a", "2001:db8:1::88", "2001:db8:77::1"];
    let seeds: Vec<Says> = [ANN, OPA, LES, STRANGER]
        .into_iter()
        .flat_map(|last| {
            [
                Says::new(last, SOLICIT)
                    .na(&all)
                    .wanting(&[23, 24, 31, 32, 39, 56, 59]),
                Says::solicit(last).raw(14, b"").raw(39, b"\x01\x03box"),
                Says::solicit(last).raw(25, &[0; 12]).raw(4, &[0; 4]),
                Says::new(last, REQUEST).to(&us).na(&all),
                Says::new(last, RENEW).to(&us).na(&all),
                Says::new(last, REBIND).na(&all),
                Says::new(last, CONFIRM).na(&all),
                Says::new(last, RELEASE).to(&us).na(&all),
                Says::new(last, INFORMATION).wanting(&[23]),
                Says::solicit(last).from(PRIVATE),
                Says::solicit(last).relay("2001:db8:1::1", &[(18, b"p".to_vec())]),
            ]
        })
        .collect();
    let before = lan.counter("received");
    for batch in 0..BATCHES {
        for _ in 0..BATCH {
            let seed = &seeds[random.random_range(0..seeds.len())];
            lan.link.send(seed, &mutate(seed.packet(7), &mut random));
        }
        let alive = lan
            .link
            .said(&Says::new(PROBE, RENEW).to(&us).na(&["2001:db8:1::77"]));
        assert!(
            alive.starts_with("reply na[2001:db8:1::77]"),
            "batch {batch}: {alive}"
        );
    }
    let received = lan.counter("received") - before;
    println!(
        "{received} of {} came in, {} malformed",
        BATCHES * (BATCH + 2),
        lan.counter("malformed")
    );
    assert!(received > BATCHES * BATCH / 2, "only {received} came in");
    assert!(lan.daemon.is_alive());
    assert!(lan.daemon.log().len() < 100_000, "the log stays short");
}

/// A few bytes changed, taken out, doubled or cut off.
fn mutate(mut packet: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    for _ in 0..random.random_range(1..5) {
        if packet.is_empty() {
            break;
        }
        let at = random.random_range(0..packet.len());
        match random.random_range(0..7) {
            0 => packet[at] = random.random(),
            1 => packet[at] ^= 1 << random.random_range(0..8),
            2 => drop(packet.remove(at)),
            3 => packet.insert(at, random.random()),
            4 => packet.extend_from_within(at..(at + 8).min(packet.len())),
            5 if random.random_bool(0.1) => packet.truncate(at),
            _ => {
                packet[at] = [0, 1, 2, 3, 4, 5, 6, 9, 12, 13, 14, 25, 39, 79, 255]
                    [random.random_range(0..15)];
            }
        }
    }
    packet
}
