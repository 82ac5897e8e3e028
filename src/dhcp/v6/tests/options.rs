//! What a reply carries beside addresses, and the times of these.

use super::*;
use crate::model::DhcpOption as Extra;
use crate::plan::CommonOption;

/// Codes in the order in which they stand, without the ids of both.
fn codes(reply: &Reply) -> Vec<u16> {
    let all = wire_options(&reply.message[4..]);
    all.iter()
        .map(|(code, _)| *code)
        .filter(|code| *code > 2)
        .collect()
}

fn value(reply: &Reply, code: u16) -> Option<Vec<u8>> {
    let all = wire_options(&reply.message[4..]);
    let found = all.into_iter().find(|(of, _)| *of == code)?;
    Some(found.1.to_vec())
}

fn extras(options: &[(&str, &str)]) -> World {
    let mut scope = scope();
    let ann = Dhcp6Client {
        options: options
            .iter()
            .map(|(name, value)| Extra::parse_v6(name, value).unwrap())
            .collect(),
        ..client(ANN, &[(0, "2001:db8:1::a")])
    };
    scope.clients.remove(&mac(ANN), ann.port);
    scope.clients.insert(mac(ANN), ann.port, Arc::new(ann));
    World::of(scope)
}

#[test]
fn a_client_gets_what_it_asks_for() {
    let mut world = World::new();
    let all = world.reply(&says(ANN, SOLICIT).na(&[]));
    assert_eq!(
        codes(&all),
        [3, 7, 23, 24, 31, 56],
        "without a list: everything"
    );
    assert_eq!(
        value(&all, 1).unwrap(),
        [&[0, 1, 0, 1, 9, 9, 9, 9][..], &mac(ANN).0].concat()
    );
    assert_eq!(value(&all, 2).unwrap(), US);
    assert_eq!(value(&all, 7).unwrap(), [255]);
    assert_eq!(value(&all, 23).unwrap(), ip("2001:db8:1::53").octets());
    assert_eq!(value(&all, 24).unwrap(), b"\x07example\x03org\0");
    assert_eq!(value(&all, 31).unwrap(), ip("2001:db8:1::123").octets());
    let ntp = [&[0, 1, 0, 16][..], &ip("2001:db8:1::123").octets()].concat();
    assert_eq!(value(&all, 56).unwrap(), ntp);

    let listed = says(ANN, REQUEST)
        .to(US)
        .na(&[])
        .wanting(&[56, 24, 24, 1, 3, 77, 23]);
    let listed = world.reply(&listed);
    assert_eq!(
        codes(&listed),
        [3, 13, 56, 24, 23],
        "in its order, each once"
    );
    let none = world.reply(&says(ANN, REQUEST).to(US).na(&[]).wanting(&[]));
    assert_eq!(codes(&none), [3, 13]);
    let refused = world.reply(&says(STRANGER, SOLICIT).na(&[]));
    assert_eq!(codes(&refused), [3, 13], "nothing to who gets no address");

    // Who wants no address hears of its own subnet; a stranger of the link's first.
    let informed = world.reply(&says(LES, INFORMATION).wanting(&[23, 32]));
    assert_eq!(codes(&informed), [32, 23]);
    assert_eq!(value(&informed, 23).unwrap(), ip("2001:db8:5::53").octets());
    assert_eq!(value(&informed, 32).unwrap(), 86400u32.to_be_bytes());
    let stranger = world.reply(&says(STRANGER, INFORMATION));
    assert_eq!(codes(&stranger), [32, 23, 24, 31, 56]);
    assert_eq!(value(&stranger, 23).unwrap(), ip("2001:db8:1::53").octets());
    let mut short = World::of(Dhcp6Scope {
        lease: 120,
        ..scope()
    });
    let short = short.reply(&says(LES, INFORMATION));
    assert_eq!(value(&short, 32).unwrap(), 600u32.to_be_bytes());
}

#[test]
fn a_port_has_options_of_its_own() {
    let mut world = extras(&[
        ("dns-server", "2001:db8::99"),
        ("domain-search", "a.example,b.example"),
        ("ntp-server", "2001:db8::123"),
        ("32", "900"),
        ("tag:!ipxe6,59", "tftp://[2001:db8::1]/undionly"),
        ("tag:ipxe6,bootfile-url", "http://[2001:db8::1]/script"),
        ("bootfile-param", "one,two"),
        ("224", "01:02:03"),
    ]);
    let plain = world.reply(&says(ANN, SOLICIT).na(&[]));
    assert_eq!(codes(&plain), [3, 7, 23, 24, 31, 56, 59, 60, 224]);
    assert_eq!(value(&plain, 23).unwrap(), ip("2001:db8::99").octets());
    assert_eq!(
        value(&plain, 24).unwrap(),
        b"\x01a\x07example\0\x01b\x07example\0"
    );
    assert_eq!(value(&plain, 59).unwrap(), b"tftp://[2001:db8::1]/undionly");
    assert_eq!(value(&plain, 60).unwrap(), b"\0\x03one\0\x03two");
    assert_eq!(value(&plain, 224).unwrap(), [1, 2, 3]);
    let booting = says(ANN, SOLICIT)
        .na(&[])
        .raw(15, b"\0\x04iPXE")
        .wanting(&[59]);
    let booting = world.reply(&booting);
    assert_eq!(value(&booting, 59).unwrap(), b"http://[2001:db8::1]/script");
    let informed = world.reply(&says(ANN, INFORMATION).wanting(&[32, 56]));
    assert_eq!(value(&informed, 32).unwrap(), 900u32.to_be_bytes());
    // The protocol's own are never a port's; by other ways than the API they could still come.
    let mut odd = extras(&[]);
    let mut ann = Dhcp6Client::clone(odd.scope.clients.get(&mac(ANN)).unwrap());
    for code in [1, 3, 13, 25, 39, 79, 135] {
        ann.options.push(Extra {
            ip_version: 6,
            code,
            tags: vec![],
            value: vec![9],
            within: None,
        });
    }
    odd.scope.clients.remove(&mac(ANN), ann.port);
    odd.scope.clients.insert(mac(ANN), ann.port, Arc::new(ann));
    assert_eq!(
        codes(&odd.reply(&says(ANN, SOLICIT).na(&[]))),
        [3, 7, 23, 24, 31, 56]
    );
}

#[test]
fn a_client_that_has_a_name_hears_ours() {
    let mut world = World::new();
    let ours = b"\x03ann\x07example\x03org\0";
    for (name, flags, want) in [("we update, as it wants", 1, 1), ("it would", 0, 3)] {
        let named = says(ANN, SOLICIT)
            .na(&[])
            .raw(39, &[flags, 3, b'b', b'o', b'x']);
        let named = world.reply(&named);
        assert_eq!(
            value(&named, 39).unwrap(),
            [&[want][..], ours].concat(),
            "{name}"
        );
    }
    let nameless = world.reply(&says(BOB, SOLICIT).na(&[]).raw(39, b"\0\x03bob"));
    assert_eq!(value(&nameless, 39), None);
}

#[test]
fn lifetimes_are_the_lease_or_what_the_client_would_rather_have() {
    const EVER: u32 = u32::MAX;
    for (name, lease, named, wish, want) in [
        (
            "no wish",
            86400,
            "2001:db8:1::a",
            [0, 0],
            [43200, 75600, 86400, 86400],
        ),
        (
            "shorter",
            86400,
            "2001:db8:1::a",
            [1000, 2000],
            [500, 875, 1000, 2000],
        ),
        (
            "by a wish for any",
            86400,
            "::",
            [1000, 2000],
            [500, 875, 1000, 2000],
        ),
        (
            "for an address that it does not get",
            86400,
            "2001:db8:1::77",
            [1000, 2000],
            [43200, 75600, 86400, 86400],
        ),
        (
            "longer",
            86400,
            "2001:db8:1::a",
            [90000, EVER],
            [43200, 75600, 86400, 86400],
        ),
        (
            "too short",
            86400,
            "2001:db8:1::a",
            [1, 2],
            [60, 105, 120, 120],
        ),
        (
            "preferred longer than valid",
            86400,
            "2001:db8:1::a",
            [5000, 1000],
            [500, 875, 1000, 1000],
        ),
        ("for ever", EVER, "2001:db8:1::a", [0, 0], [EVER; 4]),
        (
            "for ever, but it would rather not",
            EVER,
            "2001:db8:1::a",
            [1000, EVER],
            [500, 875, 1000, EVER],
        ),
    ] {
        let mut world = World::of(Dhcp6Scope { lease, ..scope() });
        let reply = world.reply(&says(ANN, SOLICIT).na_wishing(1, &[named], wish));
        let message = decode(&reply.message);
        let Some(DhcpOption::IANA(ia)) = message.opts().get(dhcproto::v6::OptionCode::IANA) else {
            panic!("{name}: {message:?}")
        };
        let Some(DhcpOption::IAAddr(address)) = ia.opts.get(dhcproto::v6::OptionCode::IAAddr)
        else {
            panic!("{name}: {ia:?}")
        };
        assert_eq!(
            [ia.t1, ia.t2, address.preferred_life, address.valid_life],
            want,
            "{name}"
        );
    }
}

#[test]
fn what_has_no_room_is_left_out() {
    let many = ["2001:db8::1"; 62].join(",");
    let mut world = extras(&[("22", &many), ("27", &many)]);
    let reply = world.reply(&says(ANN, SOLICIT).na(&[]));
    assert_eq!(
        codes(&reply),
        [3, 7, 23, 24, 31, 56, 22],
        "the second is too much"
    );
    assert!(reply.message.len() <= 1450 - 48);
}

#[test]
fn what_holds_for_all_comes_after_the_ports_and_the_subnets_own() {
    let common = |name: &str, text: &str, forced| CommonOption {
        option: Extra::parse_v6(name, text).unwrap(),
        forced,
    };
    let options = [
        common("dns-server", "[2001:db8::99]", false),
        common("sntp-server", "[2001:db8::98]", true),
        common("tag:ipxe6,59", "script", false),
        common("tag:!ipxe6,59", "loader", false),
        common("domain-search", "lab.org", false),
        common("information-refresh-time", "20m", false),
        common("200", "7", true),
        common("tag:ipxe6,201", "1", false),
        common("201", "2", false),
        common("tag:known,202", "3", false),
    ];
    let with = |world: World| {
        World::of(Dhcp6Scope {
            options: options.clone().into(),
            ..world.scope
        })
    };
    let mut world = with(extras(&[("200", "5")]));
    let solicit = |last| says(last, SOLICIT).na(&[]);
    let subnets = ip("2001:db8:1::123").octets();
    for (name, ask, code, want) in [
        (
            "forced, unasked",
            solicit(BOB).wanting(&[23]),
            200,
            Some(&[7][..]),
        ),
        (
            "the port's own",
            solicit(ANN).wanting(&[23]),
            200,
            Some(&[5]),
        ),
        ("not forced, unasked", solicit(BOB).wanting(&[23]), 59, None),
        ("asked", solicit(BOB).wanting(&[59]), 59, Some(b"loader")),
        ("without a list", solicit(BOB), 59, Some(b"loader")),
        (
            "of a tag",
            solicit(BOB).raw(15, b"\0\x04iPXE"),
            59,
            Some(b"script"),
        ),
        (
            "of a tag, before what is for everybody",
            solicit(BOB).raw(15, b"\0\x04iPXE"),
            201,
            Some(&[1]),
        ),
        ("for everybody", solicit(BOB), 201, Some(&[2])),
        ("for whose port is known", solicit(BOB), 202, Some(&[3])),
        ("and nobody else", solicit(STRANGER), 202, None),
        ("the subnet's own", solicit(BOB), 31, Some(&subnets)),
        (
            "a search list before the domain",
            solicit(BOB),
            24,
            Some(b"\x03lab\x03org\0"),
        ),
        (
            "when to ask again",
            says(BOB, INFORMATION),
            32,
            Some(&1200u32.to_be_bytes()),
        ),
    ] {
        let reply = world.reply(&ask);
        assert_eq!(value(&reply, code).as_deref(), want, "{name}");
    }
}
