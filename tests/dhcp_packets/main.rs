//! DHCP from outside: crafted packets to the running daemon, one for every row of RFC 2131's tables, and many that are
//! broken. What real clients make of it is in `clients.rs`.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../common/mod.rs"]
mod common;

mod ask;

use ask::{
    ANN, Ask, FAR, IDA, Lan, OPA, STRANGER, ask, bootp, discover, inform, rebind, reboot, renew,
    select,
};
use dhcproto::v4::MessageType;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Broken packets in all; after each batch the daemon must answer a whole one.
/// Fewer than the whole ones that a client may ask for at once: 500.
const BATCHES: u64 = 300;
const BATCH: u64 = 100;

#[test]
fn every_state_gets_its_answer() {
    let Some(mut lan) = Lan::new("states") else {
        return;
    };
    let ann = "10.0.0.10 from 10.0.0.2 to client at 10.0.0.10:68";
    let [offer, ack, to_bootp] = ["offer", "ack", "bootp"].map(|kind| format!("{kind} {ann}"));
    let nak = "nak 0.0.0.0 from 10.0.0.2 to all at 255.255.255.255:68";
    for (name, ask, want) in [
        ("discover, known", discover(ANN), offer.as_str()),
        (
            "discover, other address wished",
            discover(ANN).address(50, "10.0.0.77"),
            &offer,
        ),
        ("discover, unknown", discover(STRANGER), "silence"),
        (
            "discover, other subnet of the link",
            discover(FAR),
            "offer 10.2.0.12 from 10.2.0.2 to client at 10.2.0.12:68",
        ),
        (
            "discover, broadcast flag",
            discover(ANN).broadcast_flag(),
            "offer 10.0.0.10 from 10.0.0.2 to all at 255.255.255.255:68",
        ),
        (
            "discover, by client id",
            discover(STRANGER).option(61, b"ib-7"),
            "offer 10.0.0.13 from 10.0.0.2 to client at 10.0.0.13:68",
        ),
        (
            "discover, by client id after a zero",
            discover(STRANGER).option(61, b"\0ib-7"),
            "offer 10.0.0.13 from 10.0.0.2 to client at 10.0.0.13:68",
        ),
        (
            "discover, MAC of one known by id",
            discover(IDA),
            "offer 10.0.0.13 from 10.0.0.2 to client at 10.0.0.13:68",
        ),
        (
            "discover, with the id of another's port",
            discover(ANN).option(61, b"ib-7"),
            &offer,
        ),
        (
            "select ours, fits",
            select(ANN, "10.0.0.2", "10.0.0.10"),
            &ack,
        ),
        (
            "select ours, other address",
            select(ANN, "10.0.0.2", "10.0.0.77"),
            nak,
        ),
        (
            "select ours, unknown",
            select(STRANGER, "10.0.0.2", "10.0.0.77"),
            nak,
        ),
        (
            "select another, fits",
            select(ANN, "10.0.0.200", "10.0.0.10"),
            "silence",
        ),
        (
            "select another, unknown",
            select(STRANGER, "10.0.0.200", "10.0.0.77"),
            "silence",
        ),
        ("reboot, fits", reboot(ANN, "10.0.0.10"), &ack),
        ("reboot, other address", reboot(ANN, "10.0.0.77"), nak),
        ("reboot, wrong network", reboot(ANN, "192.168.7.7"), nak),
        ("reboot, unknown", reboot(STRANGER, "10.0.0.77"), "silence"),
        ("renew, fits", renew(ANN, "10.0.0.10"), &ack),
        ("renew, other address", renew(ANN, "10.0.0.77"), nak),
        ("renew, unknown", renew(STRANGER, "10.0.0.77"), nak),
        ("rebind, fits", rebind(ANN, "10.0.0.10"), &ack),
        (
            "rebind, flag does not matter",
            rebind(ANN, "10.0.0.10").broadcast_flag(),
            &ack,
        ),
        ("rebind, other address", rebind(ANN, "10.0.0.77"), nak),
        ("rebind, unknown", rebind(STRANGER, "10.0.0.77"), "silence"),
        (
            "inform, known",
            inform(ANN, "10.0.0.10"),
            "ack 0.0.0.0 from 10.0.0.2 to client at 10.0.0.10:68",
        ),
        (
            "inform, unknown",
            inform(STRANGER, "10.0.0.77"),
            "ack 0.0.0.0 from 10.0.0.2 to client at 10.0.0.77:68",
        ),
        (
            "inform, no subnet of ours",
            inform(STRANGER, "192.168.7.7"),
            "silence",
        ),
        (
            "release",
            ask(ANN, MessageType::Release)
                .address(54, "10.0.0.2")
                .ciaddr("10.0.0.10"),
            "silence",
        ),
        ("bootp, known", bootp(ANN), &to_bootp),
        ("bootp, unknown", bootp(STRANGER), "silence"),
        ("a server's message", ask(ANN, MessageType::Ack), "silence"),
        (
            "request for nothing",
            ask(ANN, MessageType::Request),
            "silence",
        ),
    ] {
        assert_eq!(lan.said(&ask), want, "{name}\n{}", lan.daemon.log());
    }
}

#[test]
fn relays_are_answered_and_get_their_option_back() {
    let Some(mut lan) = Lan::new("relays") else {
        return;
    };
    let nears = |kind: &str| format!("{kind} 10.0.0.10 from 10.0.0.2 to relay at 10.0.0.9:67");
    let fars = |kind: &str| format!("{kind} 10.2.0.12 from 10.2.0.2 to relay at 10.2.0.9:67");
    // Suboptions in no order, one of them twice, one unknown: it comes back byte for byte.
    let agent = [9, 2, 1, 2, 1, 4, b'p', b'o', b'r', b't', 1, 1, 7, 200, 0];
    for (name, ask, want) in [
        ("discover", discover(ANN).relay("10.0.0.9"), nears("offer")),
        (
            "discover, flag",
            discover(ANN).relay("10.0.0.9").broadcast_flag(),
            nears("offer"),
        ),
        (
            "discover from the other subnet",
            discover(FAR).relay("10.2.0.9"),
            fars("offer"),
        ),
        (
            "select",
            select(FAR, "10.2.0.2", "10.2.0.12").relay("10.2.0.9"),
            fars("ack"),
        ),
        (
            "reboot",
            reboot(FAR, "10.2.0.12").relay("10.2.0.9"),
            fars("ack"),
        ),
        (
            "rebind",
            rebind(FAR, "10.2.0.12").relay("10.2.0.9"),
            fars("ack"),
        ),
        (
            "rebind, unknown",
            rebind(STRANGER, "10.2.0.77").relay("10.2.0.9"),
            "silence".into(),
        ),
        (
            "nak",
            reboot(FAR, "10.2.0.77").relay("10.2.0.9"),
            "nak 0.0.0.0 from 10.2.0.2 to relay at 10.2.0.9:67".into(),
        ),
        ("bootp", bootp(FAR).relay("10.2.0.9"), fars("bootp")),
        (
            "client of another subnet",
            discover(ANN).relay("10.2.0.9"),
            "silence".into(),
        ),
        (
            "relay of no subnet of ours",
            discover(ANN).relay("192.168.7.1"),
            "silence".into(),
        ),
    ] {
        let ask = ask.option(82, &agent);
        let heard = lan.hear(&ask);
        let said = heard
            .as_ref()
            .map_or("silence".into(), |heard| heard.words());
        assert_eq!(said, want, "{name}\n{}", lan.daemon.log());
        if let Some(heard) = heard {
            let echo = [
                &[82, u8::try_from(agent.len()).unwrap()][..],
                &agent,
                &[255],
            ]
            .concat();
            assert!(
                heard
                    .0
                    .udp
                    .payload
                    .windows(echo.len())
                    .any(|window| window == echo),
                "{name}: {heard:?}"
            );
            assert_eq!(heard.order().last(), Some(&82), "{name}: last");
            // RFC 2131 section 4.3.2: a relay has to broadcast a NAK, whatever the client said.
            let broadcast = ask.message(0)[10] != 0 || said.starts_with("nak");
            assert_eq!(heard.0.message.flags().broadcast(), broadcast, "{name}");
        }
    }
    // RFC 3527 and RFC 5107.
    let selecting = discover(FAR)
        .relay("10.0.0.9")
        .option(82, &[5, 4, 10, 2, 0, 0]);
    assert_eq!(
        lan.said(&selecting),
        "offer 10.2.0.12 from 10.2.0.2 to relay at 10.0.0.9:67"
    );
    let overriding = [11, 4, 10, 2, 0, 9];
    let heard = lan
        .hear(&discover(FAR).relay("10.2.0.9").option(82, &overriding))
        .unwrap();
    assert_eq!(heard.option(54), Some(vec![10, 2, 0, 9]));
    let select = select(FAR, "10.2.0.9", "10.2.0.12").relay("10.2.0.9");
    assert_eq!(
        lan.said(&select.clone().option(82, &overriding)),
        fars("ack")
    );
    assert_eq!(
        lan.said(&select),
        "silence",
        "without the override this is another server"
    );
}

#[test]
fn options_are_those_of_network_and_port() {
    let Some(mut lan) = Lan::new("options") else {
        return;
    };
    let heard = lan.hear(&discover(ANN)).unwrap();
    let always = [53, 54, 51, 58, 59, 1, 28, 26];
    let all = [&always[..], &[3, 6, 12, 15, 42, 119, 121, 249]].concat();
    assert_eq!(heard.order(), all, "no list: everything");
    let routes =
        "180a0200 00000000 10c0a8 0a000007 20a9fea9fe 0a000002 00 0a000001".replace(' ', "");
    for (name, code, want) in [
        ("netmask", 1, "ffffff00"),
        ("router", 3, "0a000001"),
        ("DNS", 6, "0a000002"),
        ("host name", 12, "616e6e"),
        ("domain", 15, "6578616d706c652e6f7267"),
        ("MTU", 26, "0578"),
        ("broadcast", 28, "0a0000ff"),
        ("NTP", 42, "0a000003"),
        ("lease", 51, "00015180"),
        ("T1", 58, "0000a8c0"),
        ("T2", 59, "00012750"),
        ("server id", 54, "0a000002"),
        ("search list", 119, "076578616d706c65036f726700"),
        ("routes", 121, &routes),
        ("routes for Windows", 249, &routes),
    ] {
        assert_eq!(
            heard.option(code).map(hex::encode).as_deref(),
            Some(want),
            "{name}"
        );
    }
    let listed = lan.hear(&discover(ANN).list(&[121, 3, 1])).unwrap();
    assert_eq!(
        listed.order(),
        [&always[..], &[121, 3]].concat(),
        "in the client's order"
    );
    let informed = lan.hear(&inform(ANN, "10.0.0.10").list(&[6])).unwrap();
    assert_eq!(informed.order(), [53, 54, 1, 28, 26, 6], "no lease");
    let wished = lan
        .hear(&discover(ANN).option(51, &[0, 0, 2, 0x58]))
        .unwrap();
    assert_eq!(
        wished.option(51),
        Some(vec![0, 0, 2, 0x58]),
        "a shorter lease"
    );
    let identified = lan
        .hear(&discover(ANN).option(61, b"\xff\0\0\0\x07duid"))
        .unwrap();
    assert_eq!(
        identified.option(61),
        Some(b"\xff\0\0\0\x07duid".to_vec()),
        "RFC 6842"
    );
    let named = lan
        .hear(&discover(ANN).option(81, b"\x05\0\0\x03box"))
        .unwrap();
    let fqdn = [&[81, 20, 5, 255, 255][..], b"\x03ann\x07example\x03org\0"].concat();
    assert!(
        named
            .0
            .udp
            .payload
            .windows(fqdn.len())
            .any(|window| window == fqdn),
        "RFC 4702: {named:?}"
    );

    let heard = lan.hear(&discover(OPA).list(&[42, 224])).unwrap();
    assert_eq!(
        heard.option(42),
        Some(vec![192, 0, 2, 9]),
        "the port's own NTP server"
    );
    assert_eq!(heard.option(224), Some(vec![1, 2, 3]));
    assert_eq!(heard.0.message.siaddr().octets(), [10, 0, 0, 5]);
    assert_eq!(
        &heard.0.udp.payload[108..122],
        b"undionly.kpxe\0",
        "the boot file's field"
    );
    assert_eq!(
        &heard.0.udp.payload[44..53],
        b"10.0.0.5\0",
        "the boot server's field"
    );
    let ipxe = lan
        .hear(&discover(OPA).list(&[67]).option(175, &[1]))
        .unwrap();
    assert_eq!(
        ipxe.option(67),
        Some(b"http://boot/script\0".to_vec()),
        "iPXE's own, as an option"
    );
    assert_eq!(ipxe.option(224), None, "not asked for");
    // Too much for the least size: `file` is taken, so the rest goes to `sname` or is left out, and nothing is cut.
    let small = lan
        .hear(&discover(ANN).option(57, &[2, 0x40]).option(82, &[7; 200]))
        .unwrap();
    assert!(
        small.0.udp.payload.len() <= 576 - 28,
        "{}",
        small.0.udp.payload.len()
    );
    assert!(small.option(52).is_some(), "{:?}", small.order());
}

#[test]
fn what_was_said_is_shown_and_a_declined_address_held_back() {
    let Some(mut lan) = Lan::new("leases") else {
        return;
    };
    let decline = |server: &str| {
        ask(ANN, MessageType::Decline)
            .address(54, server)
            .address(50, "10.0.0.10")
    };
    let release = |server: &str| {
        ask(ANN, MessageType::Release)
            .address(54, server)
            .ciaddr("10.0.0.10")
    };
    for (name, ask, said, state) in [
        ("offered", discover(ANN), "offer", Some("offered")),
        (
            "another server was chosen",
            select(ANN, "10.0.0.200", "10.0.0.10"),
            "silence",
            None,
        ),
        (
            "bound",
            select(ANN, "10.0.0.2", "10.0.0.10"),
            "ack",
            Some("bound"),
        ),
        (
            "released to another",
            release("10.0.0.200"),
            "silence",
            Some("bound"),
        ),
        ("released", release("10.0.0.2"), "silence", Some("released")),
        (
            "declined to another",
            decline("10.0.0.200"),
            "silence",
            Some("released"),
        ),
        ("declined", decline("10.0.0.2"), "silence", Some("declined")),
        ("not offered", discover(ANN), "silence", Some("declined")),
        (
            "not granted",
            select(ANN, "10.0.0.2", "10.0.0.10"),
            "nak",
            Some("declined"),
        ),
        (
            "kept by who uses it",
            renew(ANN, "10.0.0.10"),
            "ack",
            Some("bound"),
        ),
        ("so offered again", discover(ANN), "offer", Some("offered")),
    ] {
        assert!(
            lan.said(&ask).starts_with(said),
            "{name}\n{}",
            lan.daemon.log()
        );
        assert_eq!(lan.lease("10.0.0.10").as_deref(), state, "{name}");
    }
}

#[test]
fn broken_packets_harm_nobody() {
    let Some(mut lan) = Lan::new("broken") else {
        return;
    };
    let pid = lan.daemon.pid();
    let list = [1, 3, 6, 12, 15, 26, 28, 42, 67, 119, 121, 249];
    let seeds: Vec<Ask> = [ANN, OPA, FAR, IDA, STRANGER]
        .into_iter()
        .flat_map(|mac| {
            [
                discover(mac).list(&list).option(61, b"ib-7"),
                select(mac, "10.0.0.2", "10.0.0.10").option(81, b"\x05\0\0\x03box\0"),
                renew(mac, "10.0.0.11").option(175, &[1]),
                reboot(mac, "10.2.0.12").option(57, &[2, 0x58]),
                discover(mac)
                    .relay("10.2.0.9")
                    .option(82, &[1, 2, 7, 7, 5, 4, 10, 2, 0, 0, 11, 4, 10, 2, 0, 9]),
                inform(mac, "10.0.0.10").option(52, &[3]),
                ask(mac, MessageType::Decline)
                    .address(54, "10.0.0.2")
                    .address(50, "10.0.0.10"),
                bootp(mac),
            ]
        })
        .collect();
    let mut random = StdRng::seed_from_u64(951);
    for batch in 0..BATCHES {
        for _ in 0..BATCH {
            let seed = &seeds[random.random_range(0..seeds.len())];
            lan.send(seed, broken(seed.message(random.random()), &mut random));
        }
        // Whoever asks rightly is answered, in the middle of it.
        assert_eq!(lan.said(&discover(STRANGER)), "silence", "batch {batch}");
    }
    let [received, malformed, acks] =
        ["received", "malformed", "acks"].map(|name| lan.counter(name));
    assert!(
        received >= BATCHES * BATCH,
        "only {received} of them arrived"
    );
    assert!(
        malformed > 1000 && acks > 300,
        "{malformed} malformed, {acks} ACKs: not what this test is for"
    );
    assert_eq!(lan.daemon.pid(), pid, "it is the same process");
    assert!(!lan.daemon.log().contains("panic"), "{}", lan.daemon.log());
}

/// A few bytes changed, taken out, doubled or cut off; mostly among the options, where it matters.
fn broken(mut message: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    for _ in 0..random.random_range(1..5) {
        if message.is_empty() {
            break;
        }
        let from = if random.random_bool(0.2) {
            0
        } else {
            240.min(message.len() - 1)
        };
        let at = random.random_range(from..message.len());
        match random.random_range(0..20) {
            0..6 => message[at] = random.random(),
            6..10 => message[at] ^= 1 << random.random_range(0..8),
            10..13 => drop(message.remove(at)),
            13..16 => message.insert(at, random.random()),
            16 => message.extend_from_within(at..(at + 8).min(message.len())),
            17 => message.truncate(at),
            18 => message.resize(random.random_range(0..1400), random.random()),
            _ => {
                message[at] = [0, 1, 4, 50, 51, 52, 53, 54, 55, 57, 61, 81, 82, 118, 255]
                    [random.random_range(0..15)];
            }
        }
    }
    message
}
