//! Who is answered: every row of RFC 2131 section 4.3 and table 4, relays, and the ways that replies take.

use super::*;

#[test]
fn every_state_gets_its_answer() {
    let wrong = "nak 0.0.0.0 from 10.0.0.2 to all 255.255.255.255";
    for (name, ask, want) in [
        (
            "discover, known",
            discover(ANN),
            "offer 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        (
            "discover, other address wished",
            discover(ANN).requested("10.0.0.99"),
            "offer 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        (
            "discover, of several the last",
            discover(BOB),
            "offer 10.1.0.11 from 10.1.0.2 to b 10.1.0.11",
        ),
        ("discover, unknown", discover(STRANGER), "stranger"),
        ("discover, address elsewhere only", discover(FAR), "silence"),
        (
            "select ours, fits",
            select(ANN, "10.0.0.2", "10.0.0.10"),
            "ack 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        (
            "select ours by our other address",
            select(ANN, "10.1.0.2", "10.0.0.10"),
            "ack 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        (
            "select ours, address in ciaddr",
            ask(ANN, MessageType::Request)
                .server("10.0.0.2")
                .ciaddr("10.0.0.10"),
            "ack 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        (
            "select ours, other address",
            select(ANN, "10.0.0.2", "10.0.0.99"),
            wrong,
        ),
        (
            "select ours, not the last of several",
            select(BOB, "10.0.0.2", "10.0.0.11"),
            wrong,
        ),
        (
            "select ours, unknown",
            select(STRANGER, "10.0.0.2", "10.0.0.10"),
            wrong,
        ),
        (
            "select another, fits",
            select(ANN, "10.0.0.7", "10.0.0.10"),
            "silence",
        ),
        (
            "select another, other address",
            select(ANN, "10.0.0.7", "10.0.0.99"),
            "silence",
        ),
        (
            "select another, unknown",
            select(STRANGER, "10.0.0.7", "10.0.0.10"),
            "stranger",
        ),
        (
            "reboot, fits",
            reboot(ANN, "10.0.0.10"),
            "ack 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        ("reboot, other address", reboot(ANN, "10.0.0.99"), wrong),
        ("reboot, wrong network", reboot(ANN, "192.168.7.7"), wrong),
        (
            "reboot, address elsewhere only",
            reboot(FAR, "10.9.0.12"),
            wrong,
        ),
        ("reboot, unknown", reboot(STRANGER, "10.0.0.10"), "stranger"),
        (
            "renew, fits",
            renew(ANN, "10.0.0.10"),
            "ack 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        ("renew, other address", renew(ANN, "10.0.0.99"), wrong),
        ("renew, unknown", renew(STRANGER, "10.0.0.10"), wrong),
        (
            "renew from behind a router",
            renew(FAR, "10.9.0.12"),
            "ack 10.9.0.12 from 10.0.0.2 to routed 10.9.0.12:68",
        ),
        (
            "renew from behind a router, other address",
            renew(FAR, "10.9.0.99"),
            "nak 0.0.0.0 from 10.0.0.2 to routed 10.9.0.99:68",
        ),
        ("renew, no subnet of ours", renew(ANN, "192.0.2.7"), wrong),
        (
            "rebind, fits",
            rebind(ANN, "10.0.0.10"),
            "ack 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        ("rebind, other address", rebind(ANN, "10.0.0.99"), wrong),
        ("rebind, unknown", rebind(STRANGER, "10.0.0.10"), "stranger"),
        (
            "decline",
            ask(ANN, MessageType::Decline)
                .server("10.0.0.2")
                .requested("10.0.0.10"),
            "silence",
        ),
        (
            "decline, unknown",
            ask(STRANGER, MessageType::Decline)
                .server("10.0.0.2")
                .requested("10.0.0.10"),
            "stranger",
        ),
        (
            "release",
            ask(ANN, MessageType::Release)
                .server("10.0.0.2")
                .ciaddr("10.0.0.10"),
            "silence",
        ),
        (
            "release, unknown",
            ask(STRANGER, MessageType::Release)
                .server("10.0.0.2")
                .ciaddr("10.0.0.10"),
            "stranger",
        ),
        (
            "inform, known",
            inform(ANN, "10.0.0.10"),
            "ack 0.0.0.0 from 10.0.0.2 to a 10.0.0.10",
        ),
        (
            "inform, unknown",
            inform(STRANGER, "10.0.0.50"),
            "ack 0.0.0.0 from 10.0.0.2 to e 10.0.0.50",
        ),
        (
            "inform, other subnet of the link",
            inform(STRANGER, "10.1.0.50"),
            "ack 0.0.0.0 from 10.1.0.2 to e 10.1.0.50",
        ),
        (
            "inform from behind a router",
            inform(STRANGER, "10.9.0.50"),
            "ack 0.0.0.0 from 10.0.0.2 to routed 10.9.0.50:68",
        ),
        (
            "inform, no subnet of ours",
            inform(ANN, "192.0.2.7"),
            "elsewhere",
        ),
        (
            "inform, no ciaddr",
            ask(ANN, MessageType::Inform).from("10.0.0.10"),
            "ack 0.0.0.0 from 10.0.0.2 to a 10.0.0.10",
        ),
        (
            "bootp, known",
            bootp(ANN),
            "bootp 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        ("bootp, unknown", bootp(STRANGER), "stranger"),
    ] {
        assert_eq!(World::new().said(&ask), want, "{name}");
    }
}

#[test]
fn replies_take_the_way_that_reaches_the_client() {
    let relayed = |ask: Ask| ask.relay("10.9.0.1");
    for (name, ask, want) in [
        (
            "flag",
            discover(ANN).broadcast_flag(),
            "offer 10.0.0.10 from 10.0.0.2 to all 255.255.255.255",
        ),
        (
            "flag, but an address is in use",
            rebind(ANN, "10.0.0.10").broadcast_flag(),
            "ack 10.0.0.10 from 10.0.0.2 to a 10.0.0.10",
        ),
        (
            "bootp, flag",
            bootp(ANN).broadcast_flag(),
            "bootp 10.0.0.10 from 10.0.0.2 to all 255.255.255.255",
        ),
        (
            "relay",
            relayed(discover(FAR)),
            "offer 10.9.0.12 from 10.0.0.2 to relay 10.9.0.1:67",
        ),
        (
            "relay, flag",
            relayed(discover(FAR)).broadcast_flag(),
            "offer 10.9.0.12 from 10.0.0.2 to relay 10.9.0.1:67",
        ),
        (
            "relay, select",
            relayed(select(FAR, "10.0.0.2", "10.9.0.12")),
            "ack 10.9.0.12 from 10.0.0.2 to relay 10.9.0.1:67",
        ),
        (
            "relay, rebind",
            relayed(rebind(FAR, "10.9.0.12")),
            "ack 10.9.0.12 from 10.0.0.2 to relay 10.9.0.1:67",
        ),
        (
            "relay, rebind, unknown",
            relayed(rebind(STRANGER, "10.9.0.12")),
            "stranger",
        ),
        (
            "relay, inform",
            relayed(inform(FAR, "10.9.0.12")),
            "ack 0.0.0.0 from 10.0.0.2 to relay 10.9.0.1:67",
        ),
        (
            "relay, nak",
            relayed(reboot(FAR, "10.9.0.99")),
            "nak 0.0.0.0 from 10.0.0.2 to relay 10.9.0.1:67",
        ),
        (
            "relay, client is of another subnet",
            relayed(discover(ANN)),
            "silence",
        ),
        (
            "relay on a subnet where we are",
            discover(ANN).relay("10.0.0.9"),
            "offer 10.0.0.10 from 10.0.0.2 to relay 10.0.0.9:67",
        ),
        (
            "relay narrows the choice",
            discover(BOB).relay("10.0.0.9"),
            "offer 10.0.0.11 from 10.0.0.2 to relay 10.0.0.9:67",
        ),
        (
            "relay of no subnet of ours",
            discover(FAR).relay("192.0.2.1"),
            "elsewhere",
        ),
        (
            "link selection",
            discover(FAR)
                .relay("192.0.2.1")
                .raw(82, &[5, 4, 10, 9, 0, 0]),
            "offer 10.9.0.12 from 10.0.0.2 to relay 192.0.2.1:67",
        ),
        (
            "link selection of no subnet of ours",
            discover(FAR)
                .relay("10.9.0.1")
                .raw(82, &[5, 4, 192, 0, 2, 0]),
            "elsewhere",
        ),
        (
            "link selection without a relay is nobody's word",
            discover(BOB).raw(82, &[5, 4, 10, 0, 0, 0]),
            "offer 10.1.0.11 from 10.1.0.2 to b 10.1.0.11",
        ),
        (
            "subnet selection",
            discover(BOB).raw(118, &[10, 0, 0, 0]),
            "offer 10.0.0.11 from 10.0.0.2 to b 10.0.0.11",
        ),
        (
            "subnet selection, nowhere",
            discover(BOB).raw(118, &[192, 0, 2, 0]),
            "elsewhere",
        ),
        (
            "subnet selection can't send us to others",
            inform(ANN, "192.0.2.7").raw(118, &[10, 0, 0, 0]),
            "ack 0.0.0.0 from 10.0.0.2 to a 192.0.2.7",
        ),
    ] {
        assert_eq!(World::new().said(&ask), want, "{name}");
    }
    let loud = || {
        World::of(DhcpScope {
            broadcast_reply: true,
            ..scope()
        })
    };
    assert_eq!(
        loud().said(&discover(ANN)),
        "offer 10.0.0.10 from 10.0.0.2 to all 255.255.255.255"
    );
    for (name, ask) in [
        ("offer", discover(FAR)),
        ("ack", select(FAR, "10.0.0.2", "10.9.0.12")),
        ("bootp", bootp(FAR)),
    ] {
        for (mut world, want) in [(World::new(), false), (loud(), true)] {
            let message = decode(&world.reply(&relayed(ask.clone())).message);
            assert_eq!(message.flags().broadcast(), want, "{name}: by the relay");
        }
    }
    let mut nowhere = scope();
    nowhere
        .subnets
        .iter_mut()
        .for_each(|subnet| subnet.server = None);
    assert_eq!(
        World::of(nowhere).said(&discover(ANN)),
        "elsewhere",
        "no address to answer from"
    );
}

#[test]
fn a_ports_mac_comes_before_an_id() {
    let by_id = "offer 10.0.0.13 from 10.0.0.2 to";
    for (name, ask, want) in [
        (
            "id",
            discover(STRANGER).raw(61, b"ib-7"),
            format!("{by_id} e 10.0.0.13"),
        ),
        (
            "id with dhcpcd's zero",
            discover(STRANGER).raw(61, b"\0ib-7"),
            format!("{by_id} e 10.0.0.13"),
        ),
        (
            "the id of another's port, which that may have for this very reason",
            discover(ANN).raw(61, b"ib-7"),
            "offer 10.0.0.10 from 10.0.0.2 to a 10.0.0.10".into(),
        ),
        (
            "its own MAC, and no id",
            discover(IDA),
            format!("{by_id} d 10.0.0.13"),
        ),
        (
            "its own MAC, and another id",
            discover(IDA).raw(61, b"what"),
            format!("{by_id} d 10.0.0.13"),
        ),
        (
            "other id, known MAC",
            discover(ANN).raw(61, b"what"),
            "offer 10.0.0.10 from 10.0.0.2 to a 10.0.0.10".into(),
        ),
    ] {
        assert_eq!(World::new().said(&ask), want, "{name}");
    }
}

/// By the server id that it knows a client tells our word from that of others.
#[test]
fn a_nak_comes_from_the_subnet_that_the_client_is_in() {
    let second = "nak 0.0.0.0 from 10.1.0.2 to all 255.255.255.255";
    for (name, ask) in [
        ("chosen", select(BOB, "10.1.0.2", "10.1.0.99")),
        ("chosen, unknown", select(STRANGER, "10.1.0.2", "10.1.0.99")),
        ("reboot", reboot(BOB, "10.1.0.99")),
        ("reboot, wrong network", reboot(BOB, "192.168.7.7")),
        ("renew", renew(BOB, "10.1.0.99")),
        ("renew, unknown", renew(STRANGER, "10.1.0.99")),
        ("rebind", rebind(ANN, "10.1.0.99")),
    ] {
        assert_eq!(World::new().said(&ask), second, "{name}");
    }
}

#[test]
fn a_nak_says_only_that() {
    let mut world = World::new();
    let reply = world.reply(&reboot(ANN, "10.0.0.99").broadcast_flag());
    let message = decode(&reply.message);
    assert_eq!(order(&reply.message), [53, 54, 56]);
    let none = Ipv4Addr::UNSPECIFIED;
    assert_eq!(
        (message.ciaddr(), message.yiaddr(), message.siaddr()),
        (none, none, none)
    );
    // RFC 2131 section 4.3.2: the relay is told to broadcast it.
    let relayed = decode(
        &world
            .reply(&reboot(FAR, "10.9.0.99").relay("10.9.0.1"))
            .message,
    );
    assert!(relayed.flags().broadcast());
    assert_eq!(relayed.giaddr(), ip("10.9.0.1"));
}

#[test]
fn header_fields_are_table_3s() {
    let mut world = World::new();
    for (name, ask, ciaddr, yiaddr) in [
        (
            "offer",
            discover(ANN).ciaddr("10.0.0.77"),
            "0.0.0.0",
            "10.0.0.10",
        ),
        (
            "ack, selecting",
            select(ANN, "10.0.0.2", "10.0.0.10").ciaddr("10.0.0.77"),
            "0.0.0.0",
            "10.0.0.10",
        ),
        (
            "ack, renewing",
            renew(ANN, "10.0.0.10"),
            "10.0.0.10",
            "10.0.0.10",
        ),
        (
            "ack, informed",
            inform(ANN, "10.0.0.10"),
            "10.0.0.10",
            "0.0.0.0",
        ),
    ] {
        let message = decode(&world.reply(&ask.broadcast_flag()).message);
        assert_eq!(
            (message.ciaddr(), message.yiaddr()),
            (ip(ciaddr), ip(yiaddr)),
            "{name}"
        );
        assert_eq!(message.siaddr(), ip("10.0.0.2"), "{name}");
        assert_eq!(message.chaddr(), mac(ANN).0, "{name}");
        assert!(message.flags().broadcast(), "{name}: given back");
    }
}

/// RFC 8925, and RFC 2563 for who would choose an address of its own.
#[test]
fn where_there_is_no_ipv4_who_can_do_without_is_told_so() {
    let mut world = World::of(DhcpScope {
        only_v6: true,
        subnets: Vec::new(),
        ..scope()
    });
    let told = world.reply(&discover(ANN).list(&[1, 108]).raw(116, &[1]));
    let message = decode(&told.message);
    assert_eq!(message.yiaddr(), Ipv4Addr::UNSPECIFIED);
    assert_eq!(value(&message, 108), Some(vec![0; 4]));
    assert_eq!(value(&message, 116), Some(vec![0]));
    assert_eq!(value(&message, 1), None);
    let told = world.reply(&discover(BOB).list(&[108]));
    assert_eq!(value(&decode(&told.message), 116), None, "it did not ask");
    for (name, ask) in [
        ("needs IPv4", discover(ANN).list(&[1, 3])),
        ("says nothing of it", discover(ANN)),
        ("asks no more", renew(ANN, "10.0.0.10").list(&[108])),
    ] {
        assert_eq!(world.tell(&ask), Answer::Elsewhere, "{name}");
    }
}
