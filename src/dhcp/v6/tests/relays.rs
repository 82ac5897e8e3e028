//! Relays, and who only says that it is one.

use super::*;

fn client_mac(last: u8) -> Vec<u8> {
    option(79, &[&[0, 1][..], &mac(last).0].concat())
}

#[test]
fn relayed_messages_are_answered_through_the_same_relays() {
    let far = "advertise na1[2001:db8:9::c]";
    let fars = mac(FAR).link_local().to_string();
    let private = "fe80::1234:5678:9abc:def0";
    let relay = "to [2001:db8:1::99]:547";
    let nothing = "advertise na1[noaddrsavail] noaddrsavail";
    let solicit = |last| says(last, SOLICIT).na(&[]);
    for (name, says, want) in [
        (
            "by the client's address",
            solicit(FAR).relay("2001:db8:9::1", &fars, &[]),
            format!("{far} {relay}"),
        ),
        (
            "by what the relay says (RFC 6939)",
            solicit(STRANGER).relay("2001:db8:9::1", private, &client_mac(FAR)),
            format!("{far} {relay}"),
        ),
        (
            "the relay's word counts, not the address",
            solicit(FAR).relay("2001:db8:9::1", &fars, &client_mac(STRANGER)),
            format!("{nothing} {relay}"),
        ),
        (
            "the nearest relay's word counts",
            solicit(STRANGER)
                .relay("2001:db8:9::1", private, &client_mac(FAR))
                .relay("2001:db8:7::1", "2001:db8:9::1", &client_mac(ANN)),
            format!("{far} {relay}"),
        ),
        (
            "all else failing by the DUID",
            solicit(FAR).relay("2001:db8:9::1", private, &[]),
            format!("{far} {relay}"),
        ),
        (
            "by several relays, whose nearest has the link",
            solicit(FAR).relay("2001:db8:9::1", &fars, &[]).relay(
                "2001:db8:77::1",
                "2001:db8:9::1",
                &[],
            ),
            format!("{far} {relay}"),
        ),
        (
            "a relay on layer 2 has no address (RFC 6221)",
            solicit(FAR).relay("::", &fars, &option(18, b"eth7")).relay(
                "2001:db8:9::1",
                "fe80::1",
                &[],
            ),
            format!("{far} {relay}"),
        ),
        (
            "on our own link",
            solicit(ANN).relay("::", "fe80::f816:3eff:fe00:a", &option(18, b"p1")),
            format!("advertise na1[2001:db8:1::a] {relay}"),
        ),
        (
            "a client of another link",
            solicit(ANN).relay("2001:db8:9::1", "fe80::f816:3eff:fe00:a", &[]),
            format!("{nothing} {relay}"),
        ),
        (
            "confirm, of that link",
            says(FAR, CONFIRM)
                .na(&["2001:db8:9::77"])
                .relay("2001:db8:9::1", &fars, &[]),
            format!("reply success {relay}"),
        ),
        (
            "confirm, of ours",
            says(FAR, CONFIRM)
                .na(&["2001:db8:1::77"])
                .relay("2001:db8:9::1", &fars, &[]),
            format!("reply notonlink {relay}"),
        ),
        (
            "renew",
            says(FAR, RENEW)
                .to(US)
                .na(&["2001:db8:9::c"])
                .relay("2001:db8:9::1", &fars, &[]),
            format!("reply na1[2001:db8:9::c] {relay}"),
        ),
        (
            "a link that is not served",
            solicit(FAR).relay("2001:db8:77::1", &fars, &[]),
            "elsewhere".into(),
        ),
        (
            "what no client may say",
            says(FAR, REBIND).to(US).relay("2001:db8:9::1", &fars, &[]),
            "dropped: ServerId".into(),
        ),
        (
            "from another port (RFC 8357)",
            {
                let mut says = solicit(FAR).relay("2001:db8:9::1", &fars, &option(135, &[0, 0]));
                says.source.set_port(6547);
                says
            },
            format!("{far} to [2001:db8:1::99]:6547"),
        ),
        (
            "a machine of the network that says it is a relay",
            solicit(FAR)
                .relay("2001:db8:9::1", &fars, &client_mac(FAR))
                .from("2001:db8:1::a"),
            "forged".into(),
        ),
        (
            "by its link-local address",
            solicit(BOB)
                .relay("::", "fe80::f816:3eff:fe00:b", &client_mac(BOB))
                .from("fe80::f816:3eff:fe00:a"),
            "forged".into(),
        ),
    ] {
        assert_eq!(World::new().said(&says), want, "{name}");
    }
}

#[test]
fn each_relay_gets_its_own_header_and_options_back() {
    let fars = mac(FAR).link_local().to_string();
    let says = says(FAR, SOLICIT)
        .na(&[])
        .relay("2001:db8:9::1", &fars, &option(18, b"port 7"))
        .relay(
            "2001:db8:7::1",
            "2001:db8:9::1",
            &[option(37, b"remote"), option(18, b"up")].concat(),
        );
    let reply = World::new().reply(&says);
    let outer = &reply.message;
    assert_eq!(outer[..2], [13, 1]);
    assert_eq!(outer[2..18], ip("2001:db8:7::1").octets());
    assert_eq!(outer[18..34], ip("2001:db8:9::1").octets());
    let codes = |message: &[u8]| -> Vec<u16> {
        wire_options(&message[34..])
            .iter()
            .map(|(code, _)| *code)
            .collect()
    };
    assert_eq!(codes(outer), [18, 9]);
    assert_eq!(wire_options(&outer[34..])[0].1, b"up");
    let inner = relayed(outer);
    assert_eq!(inner[..2], [13, 0]);
    assert_eq!(inner[2..18], ip("2001:db8:9::1").octets());
    assert_eq!(inner[18..34], ip(&fars).octets());
    assert_eq!(wire_options(&inner[34..])[0].1, b"port 7");
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize| {
        let start = says(FAR, SOLICIT).na(&[]);
        let fars = mac(FAR).link_local().to_string();
        let says = (0..depth).fold(start, |says, _| says.relay("2001:db8:9::1", &fars, &[]));
        World::new().said(&says)
    };
    assert_eq!(
        nested(32),
        "advertise na1[2001:db8:9::c] to [2001:db8:1::99]:547"
    );
    assert_eq!(nested(33), "dropped: Relays");
}
