//! Who is answered: every row of RFC 8415 sections 16, 18.3 and 18.4, and what is kept of it.

use super::*;
use crate::dhcp::LeaseState;

#[test]
fn every_message_gets_its_answer() {
    let ann = "na1[2001:db8:1::a]";
    let to_ann = "to a fe80::f816:3eff:fe00:a";
    let to_stranger = "to e fe80::f816:3eff:fe00:e";
    let bobs = "na1[2001:db8:1::b 2001:db8:1::bb 2001:db8:2::b]";
    for (name, says, want) in [
        ("solicit", says(ANN, SOLICIT).na(&[]), format!("advertise {ann} {to_ann}")),
        (
            "solicit, another address wished",
            says(ANN, SOLICIT).na(&["2001:db8:1::77"]),
            format!("advertise {ann} {to_ann}"),
        ),
        (
            "solicit, rapid commit",
            says(ANN, SOLICIT).na(&[]).raw(14, b""),
            format!("reply {ann} success rapid {to_ann}"),
        ),
        (
            "solicit, several addresses of several subnets",
            says(BOB, SOLICIT).na(&[]),
            format!("advertise {bobs} to b fe80::f816:3eff:fe00:b"),
        ),
        (
            "solicit, two associations: the first has all",
            says(ANN, SOLICIT).na(&[]).na_wishing(2, &[], [0, 0]),
            format!("advertise {ann} na2[noaddrsavail] {to_ann}"),
        ),
        (
            "solicit, two associations that name addresses",
            says(BOB, SOLICIT).na(&["2001:db8:2::b"]).na_wishing(2, &["2001:db8:1::bb"], [0, 0]),
            "advertise na1[2001:db8:2::b 2001:db8:1::b] na2[2001:db8:1::bb] to b fe80::f816:3eff:fe00:b".into(),
        ),
        (
            "solicit, temporary addresses and prefixes",
            says(ANN, SOLICIT).na(&[]).ta().pd(),
            format!("advertise {ann} ta8[noaddrsavail] pd9[noprefixavail] {to_ann}"),
        ),
        (
            "solicit, only a prefix",
            says(ANN, SOLICIT).pd(),
            format!("advertise noprefixavail pd9[noprefixavail] {to_ann}"),
        ),
        ("solicit, for nothing", says(ANN, SOLICIT), format!("advertise noaddrsavail {to_ann}")),
        (
            "solicit, unknown",
            says(STRANGER, SOLICIT).na(&[]),
            format!("advertise na1[noaddrsavail] noaddrsavail {to_stranger}"),
        ),
        (
            "solicit, unknown, rapid commit",
            says(STRANGER, SOLICIT).na(&[]).raw(14, b""),
            format!("advertise na1[noaddrsavail] noaddrsavail {to_stranger}"),
        ),
        (
            "solicit, address elsewhere only",
            says(FAR, SOLICIT).na(&[]),
            "advertise na1[noaddrsavail] noaddrsavail to c fe80::f816:3eff:fe00:c".into(),
        ),
        (
            "solicit, address of its own making",
            says(LES, SOLICIT).na(&[]),
            "advertise na1[noaddrsavail] noaddrsavail to f fe80::f816:3eff:fe00:f".into(),
        ),
        (
            "request",
            says(ANN, REQUEST).to(US).na(&["2001:db8:1::a"]),
            format!("reply {ann} success {to_ann}"),
        ),
        (
            "request, no address named",
            says(ANN, REQUEST).to(US).na(&[]),
            format!("reply {ann} success {to_ann}"),
        ),
        (
            "request, one of several named",
            says(BOB, REQUEST).to(US).na(&["2001:db8:1::bb"]),
            "reply na1[2001:db8:1::bb 2001:db8:1::b 2001:db8:2::b] success to b fe80::f816:3eff:fe00:b".into(),
        ),
        (
            "request, another's address",
            says(ANN, REQUEST).to(US).na(&["2001:db8:1::b"]),
            format!("reply na1[noaddrsavail] noaddrsavail {to_ann}"),
        ),
        (
            "request, off link",
            says(ANN, REQUEST).to(US).na(&["2001:db8:77::a"]),
            format!("reply na1[notonlink] notonlink {to_ann}"),
        ),
        (
            "request, of the other link",
            says(FAR, REQUEST).to(US).na(&["2001:db8:9::c"]),
            "reply na1[notonlink] notonlink to c fe80::f816:3eff:fe00:c".into(),
        ),
        (
            "request, unknown",
            says(STRANGER, REQUEST).to(US).na(&["2001:db8:1::a"]),
            format!("reply na1[noaddrsavail] noaddrsavail {to_stranger}"),
        ),
        (
            "request, another server's",
            says(ANN, REQUEST).to(THEM).na(&["2001:db8:1::a"]),
            "silence".into(),
        ),
        (
            "renew",
            says(ANN, RENEW).to(US).na(&["2001:db8:1::a"]),
            format!("reply {ann} {to_ann}"),
        ),
        ("renew, nothing named", says(ANN, RENEW).to(US).na(&[]), format!("reply {ann} {to_ann}")),
        (
            "renew, an address that it had before",
            says(ANN, RENEW).to(US).na(&["2001:db8:1::77"]),
            format!("reply na1[2001:db8:1::a -2001:db8:1::77] {to_ann}"),
        ),
        (
            "renew, of no subnet any more",
            says(LES, RENEW).to(US).na(&["2001:db8:77::f"]),
            "reply na1[-2001:db8:77::f] to f fe80::f816:3eff:fe00:f".into(),
        ),
        (
            "renew, unknown",
            says(STRANGER, RENEW).to(US).na(&["2001:db8:1::a"]),
            format!("reply na1[nobinding] {to_stranger}"),
        ),
        (
            "renew, prefix and temporary",
            says(ANN, RENEW).to(US).ta().pd(),
            format!("reply ta8[nobinding] pd9[nobinding] {to_ann}"),
        ),
        ("rebind", says(ANN, REBIND).na(&["2001:db8:1::a"]), format!("reply {ann} {to_ann}")),
        (
            "rebind, off link",
            says(ANN, REBIND).na(&["2001:db8:77::a"]),
            format!("reply na1[2001:db8:1::a -2001:db8:77::a] {to_ann}"),
        ),
        (
            "rebind, unknown, on link",
            says(STRANGER, REBIND).na(&["2001:db8:1::a"]),
            format!("reply na1[noaddrsavail] {to_stranger}"),
        ),
        (
            "rebind, unknown, off link",
            says(STRANGER, REBIND).na(&["2001:db8:77::a"]),
            format!("reply na1[-2001:db8:77::a] {to_stranger}"),
        ),
        ("confirm", says(ANN, CONFIRM).na(&["2001:db8:1::a"]), format!("reply success {to_ann}")),
        (
            "confirm, any address of the link",
            says(STRANGER, CONFIRM).na(&["2001:db8:2::77", "2001:db8:5::1"]),
            format!("reply success {to_stranger}"),
        ),
        (
            "confirm, one of two off link",
            says(ANN, CONFIRM).na(&["2001:db8:1::a", "2001:db8:9::a"]),
            format!("reply notonlink {to_ann}"),
        ),
        ("confirm, nothing named", says(ANN, CONFIRM).na(&[]), "silence".into()),
        (
            "release",
            says(ANN, RELEASE).to(US).na(&["2001:db8:1::a"]),
            format!("reply success {to_ann}"),
        ),
        (
            "release, not its own",
            says(ANN, RELEASE).to(US).na(&["2001:db8:1::b"]).pd(),
            format!("reply na1[nobinding] success pd9[nobinding] {to_ann}"),
        ),
        (
            "release, unknown",
            says(STRANGER, RELEASE).to(US).na(&["2001:db8:1::a"]),
            format!("reply na1[nobinding] success {to_stranger}"),
        ),
        (
            "release, another server's",
            says(ANN, RELEASE).to(THEM).na(&["2001:db8:1::a"]),
            "silence".into(),
        ),
        (
            "decline, unknown",
            says(STRANGER, DECLINE).to(US).na(&["2001:db8:1::a"]),
            format!("reply na1[nobinding] success {to_stranger}"),
        ),
        (
            "decline, another server's",
            says(ANN, DECLINE).to(THEM).na(&["2001:db8:1::a"]),
            "silence".into(),
        ),
        ("information", says(LES, INFORMATION), "reply to f fe80::f816:3eff:fe00:f".into()),
        ("information, unknown", says(STRANGER, INFORMATION), format!("reply {to_stranger}")),
        ("information, nameless", says(ANN, INFORMATION).nameless(), format!("reply {to_ann}")),
        ("information, to us", says(ANN, INFORMATION).to(US), format!("reply {to_ann}")),
        ("information, to another", says(ANN, INFORMATION).to(THEM), "silence".into()),
    ] {
        assert_eq!(World::new().said(&says), want, "{name}");
    }
}

/// Section 16, and what a client may send to one server (18.4).
#[test]
fn what_no_client_may_say_is_dropped() {
    let multicast = "usemulticast to [fe80::f816:3eff:fe00:a]:546";
    for (name, says, want) in [
        (
            "solicit, nameless",
            says(ANN, SOLICIT).nameless().na(&[]),
            "dropped: ClientId",
        ),
        (
            "solicit, with a server",
            says(ANN, SOLICIT).to(US).na(&[]),
            "dropped: ServerId",
        ),
        (
            "request, nameless",
            says(ANN, REQUEST).nameless().to(US),
            "dropped: ClientId",
        ),
        (
            "request, to nobody",
            says(ANN, REQUEST).na(&[]),
            "dropped: ServerId",
        ),
        (
            "confirm, nameless",
            says(ANN, CONFIRM).nameless(),
            "dropped: ClientId",
        ),
        (
            "confirm, with a server",
            says(ANN, CONFIRM).to(US),
            "dropped: ServerId",
        ),
        (
            "renew, nameless",
            says(ANN, RENEW).nameless().to(US),
            "dropped: ClientId",
        ),
        ("renew, to nobody", says(ANN, RENEW), "dropped: ServerId"),
        (
            "rebind, nameless",
            says(ANN, REBIND).nameless(),
            "dropped: ClientId",
        ),
        (
            "rebind, with a server",
            says(ANN, REBIND).to(US),
            "dropped: ServerId",
        ),
        (
            "decline, nameless",
            says(ANN, DECLINE).nameless().to(US),
            "dropped: ClientId",
        ),
        (
            "decline, to nobody",
            says(ANN, DECLINE),
            "dropped: ServerId",
        ),
        (
            "release, nameless",
            says(ANN, RELEASE).nameless().to(US),
            "dropped: ClientId",
        ),
        (
            "release, to nobody",
            says(ANN, RELEASE),
            "dropped: ServerId",
        ),
        (
            "information, for addresses",
            says(ANN, INFORMATION).na(&[]),
            "dropped: Association",
        ),
        (
            "information, for a prefix",
            says(ANN, INFORMATION).pd(),
            "dropped: Association",
        ),
        ("an advertise", says(ANN, 2), "dropped: MessageType(2)"),
        ("a reply", says(ANN, 7), "dropped: MessageType(7)"),
        ("a reconfigure", says(ANN, 10), "dropped: MessageType(10)"),
        ("a relay's reply", says(ANN, 13), "dropped: MessageType(13)"),
        ("of no type", says(ANN, 0), "dropped: MessageType(0)"),
        (
            "of a type that comes later",
            says(ANN, 36),
            "dropped: MessageType(36)",
        ),
        (
            "a DUID too short",
            says(ANN, SOLICIT).duid(b"\0\x01"),
            "dropped: ClientId",
        ),
        (
            "a DUID too long",
            says(ANN, SOLICIT).duid(&[7; 131]),
            "dropped: ClientId",
        ),
        (
            "an association too short",
            says(ANN, SOLICIT).raw(3, &[0; 11]),
            "dropped: Options",
        ),
        (
            "an option in it too long",
            says(ANN, SOLICIT).raw(3, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 24, 1]),
            "dropped: Options",
        ),
        (
            "solicit, unicast",
            says(ANN, SOLICIT).na(&[]).unicast(),
            "dropped: Unicast",
        ),
        (
            "confirm, unicast",
            says(ANN, CONFIRM).unicast(),
            "dropped: Unicast",
        ),
        (
            "rebind, unicast",
            says(ANN, REBIND).unicast(),
            "dropped: Unicast",
        ),
        (
            "information, unicast",
            says(ANN, INFORMATION).unicast(),
            "dropped: Unicast",
        ),
        (
            "request, unicast",
            says(ANN, REQUEST).to(US).unicast(),
            &format!("reply {multicast}"),
        ),
        (
            "renew, unicast",
            says(ANN, RENEW).to(US).unicast(),
            &format!("reply {multicast}"),
        ),
        (
            "release, unicast",
            says(ANN, RELEASE).to(US).unicast(),
            &format!("reply {multicast}"),
        ),
        (
            "decline, unicast",
            says(ANN, DECLINE).to(US).unicast(),
            &format!("reply {multicast}"),
        ),
        (
            "renew, unicast, another's",
            says(ANN, RENEW).to(THEM).unicast(),
            "silence",
        ),
        (
            "renew, unicast, from afar",
            says(FAR, RENEW).to(US).unicast().from("2001:db8:9::c"),
            "reply usemulticast to [2001:db8:9::c]:546",
        ),
        (
            "renew, unicast, from nowhere",
            says(ANN, RENEW).to(US).unicast().from("2001:db8:77::1"),
            "elsewhere",
        ),
        (
            "from an address of no link",
            says(ANN, SOLICIT).na(&[]).from("2001:db8:1::a"),
            "dropped: Source",
        ),
        (
            "from none",
            says(ANN, SOLICIT).na(&[]).from("::"),
            "dropped: Source",
        ),
    ] {
        assert_eq!(World::new().said(&says), want, "{name}");
    }
    for (name, says, stranger) in [
        ("to us alone", says(ANN, RELEASE).to(US).unicast(), false),
        ("to everybody", says(ANN, RELEASE).to(US), false),
        ("no port", says(STRANGER, RELEASE).to(US), true),
    ] {
        assert_eq!(World::new().reply(&says).stranger, stranger, "{name}");
    }
    for (name, packet) in [
        ("nothing", &[][..]),
        ("a type alone", &[1]),
        ("no options", &[1, 2, 3, 4]),
        ("an option without a value", &[1, 2, 3, 4, 0, 1, 0, 9]),
        ("half an option", &[1, 2, 3, 4, 0, 1]),
        ("a relay's header only", &[12; 34]),
        ("half of it", &[12; 20]),
    ] {
        let source = SocketAddrV6::new(mac(ANN).link_local(), 546, 0, 7);
        assert!(
            Request::decode(packet, Arrived::Multicast, source).is_err(),
            "{name}"
        );
    }
}

#[test]
fn leases_are_shown_and_a_declined_address_is_held_back() {
    let mut world = World::new();
    let states = |world: &World| -> Vec<(String, LeaseState)> {
        let rows = world.leases.list(&world.scope, world.now);
        rows.iter()
            .map(|row| (row.address.to_string(), row.state))
            .collect()
    };
    world.reply(&says(BOB, SOLICIT).na(&[]));
    let bobs = ["2001:db8:1::b", "2001:db8:1::bb", "2001:db8:2::b"].map(str::to_owned);
    assert_eq!(
        states(&world),
        bobs.clone().map(|of| (of, LeaseState::Offered))
    );
    // Another server was chosen.
    world.tell(&says(BOB, REQUEST).to(THEM).na(&[]));
    assert_eq!(states(&world), []);
    world.reply(&says(BOB, REQUEST).to(US).na(&[]));
    assert_eq!(states(&world), bobs.map(|of| (of, LeaseState::Bound)));

    world.reply(&says(ANN, REQUEST).to(US).na(&[]));
    world.reply(&says(ANN, DECLINE).to(US).na(&["2001:db8:1::a"]));
    let ann = "2001:db8:1::a".to_owned();
    assert_eq!(states(&world)[0], (ann.clone(), LeaseState::Declined));
    let solicit = says(ANN, SOLICIT).na(&[]);
    let none = "advertise na1[noaddrsavail] noaddrsavail to a fe80::f816:3eff:fe00:a";
    assert_eq!(world.said(&solicit), none);
    world.wait(599);
    assert_eq!(world.said(&solicit), none, "not offered for ten minutes");
    // Who has it in use is not sent away because somebody, in its name, declined it.
    let renew = says(ANN, RENEW).to(US).na(&["2001:db8:1::a"]);
    assert_eq!(
        world.said(&renew),
        "reply na1[2001:db8:1::a] to a fe80::f816:3eff:fe00:a"
    );
    assert_eq!(
        world.said(&solicit),
        "advertise na1[2001:db8:1::a] to a fe80::f816:3eff:fe00:a",
        "in use, so it is nobody else's"
    );
    world.reply(&says(ANN, RELEASE).to(US).na(&["2001:db8:1::a"]));
    assert_eq!(states(&world)[0], (ann, LeaseState::Released));
    // A port that is gone is not shown, and forgotten some time.
    let gone = world.scope.clients.get(&mac(ANN)).unwrap().port;
    world.scope.clients.remove(&mac(ANN), gone);
    assert_eq!(states(&world).len(), 3);
}

#[test]
fn a_declined_address_is_new_to_another_port() {
    let mut world = World::new();
    world.reply(&says(ANN, DECLINE).to(US).na(&["2001:db8:1::a"]));
    let [ann, heir] = [(ANN, "2001:db8:1::e"), (STRANGER, "2001:db8:1::a")]
        .map(|(last, address)| Arc::new(client(last, &[(0, address)])));
    let clients = &mut world.scope.clients;
    clients.remove(&ann.mac, ann.port);
    for client in [ann, heir] {
        clients.insert(client.mac, client.port, client);
    }
    for (last, want) in [
        (ANN, "advertise na1[2001:db8:1::e]"),
        (STRANGER, "advertise na1[2001:db8:1::a]"),
    ] {
        let said = world.said(&says(last, SOLICIT).na(&[]));
        assert!(said.starts_with(want), "{said}");
    }
}
