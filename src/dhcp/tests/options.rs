//! What a reply carries: lease times, the network's options, the port's own, and where they go when room is short.

use super::*;

const MASK: &[u8] = &[255, 255, 255, 0];

/// A world where ANN's port has these options.
fn with_options(options: &[(&str, &str)]) -> World {
    let mut scope = scope();
    let mut ann = DhcpClient::clone(scope.clients.get(&mac(ANN)).unwrap());
    ann.options = options
        .iter()
        .map(|(name, value)| crate::model::DhcpOption::parse_v4(name, value).unwrap())
        .collect();
    scope.clients.insert(ann.mac, ann.port, Arc::new(ann));
    World::of(scope)
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_network_gives_its_options() {
    let mut world = World::new();
    let routes =
        hex::decode("180a0100 00000000 20a9fea9fe 0a000002 00 0a000001".replace(' ', "")).unwrap();
    let search = b"\x07example\x03org\0\x04corp\x07example\0".to_vec();
    for (name, code, want) in [
        ("netmask", 1, Some(MASK.to_vec())),
        ("router", 3, Some(vec![10, 0, 0, 1])),
        ("DNS", 6, Some(vec![10, 0, 0, 2])),
        ("host name", 12, Some(b"ann".to_vec())),
        ("domain", 15, Some(b"example.org".to_vec())),
        ("MTU", 26, Some(vec![5, 0xaa])),
        ("broadcast", 28, Some(vec![10, 0, 0, 255])),
        ("NTP", 42, Some(vec![10, 0, 0, 3])),
        ("lease", 51, Some(86400u32.to_be_bytes().to_vec())),
        ("server id", 54, Some(vec![10, 0, 0, 2])),
        ("T1", 58, Some(43200u32.to_be_bytes().to_vec())),
        ("T2", 59, Some(75600u32.to_be_bytes().to_vec())),
        ("search list", 119, Some(search)),
        ("routes", 121, Some(routes.clone())),
        ("routes for Windows", 249, Some(routes)),
        ("nothing is made up", 4, None),
    ] {
        for (ask, list) in [
            (discover(ANN), &[code][..]),
            (select(ANN, "10.0.0.2", "10.0.0.10"), &[code]),
        ] {
            let message = decode(&world.reply(&ask.clone().list(list)).message);
            assert_eq!(value(&message, code), want, "{name}, asked for");
            let message = decode(&world.reply(&ask).message);
            assert_eq!(value(&message, code), want, "{name}, without a list");
        }
    }
}

#[test]
fn only_what_is_asked_for_comes_and_in_that_order() {
    let mut world = World::new();
    for (name, ask, want) in [
        (
            "the least",
            discover(ANN).list(&[]),
            vec![53, 54, 51, 58, 59, 26],
        ),
        (
            "in order",
            discover(ANN).list(&[121, 6, 1, 3]),
            vec![53, 54, 51, 58, 59, 26, 121, 6, 1, 3],
        ),
        (
            "each once",
            discover(ANN).list(&[1, 26, 1, 1]),
            vec![53, 54, 51, 58, 59, 26, 1],
        ),
        (
            "the protocol's own are not doubled",
            discover(ANN).list(&[51, 53, 54, 58, 59, 61, 82, 255, 0, 1]),
            vec![53, 54, 51, 58, 59, 26, 1],
        ),
        (
            "no list: all, ascending",
            discover(ANN),
            vec![
                53, 54, 51, 58, 59, 26, 1, 3, 6, 12, 15, 28, 42, 119, 121, 249,
            ],
        ),
        (
            "a poor subnet",
            discover(BOB),
            vec![53, 54, 51, 58, 59, 26, 1, 15, 28, 119],
        ),
        (
            "inform: no lease",
            inform(ANN, "10.0.0.10").list(&[1, 51]),
            vec![53, 54, 26, 1],
        ),
        (
            "stranger's inform: no name",
            inform(STRANGER, "10.0.0.50").list(&[1, 12, 15]),
            vec![53, 54, 26, 1, 15],
        ),
        (
            "bootp: no DHCP",
            bootp(ANN).raw(61, b"x"),
            vec![26, 1, 3, 6, 12, 15, 28, 42],
        ),
    ] {
        assert_eq!(order(&world.reply(&ask).message), want, "{name}");
    }
    let mut plain = World::of(DhcpScope {
        mtu: None,
        domain: None,
        search: Vec::new(),
        ..scope()
    });
    assert_eq!(
        order(&plain.reply(&discover(BOB)).message),
        [53, 54, 51, 58, 59, 1, 28],
        "no MTU, no domain"
    );
}

#[test]
fn lease_times() {
    const DAY: u32 = 86400;
    const EVER: u32 = u32::MAX;
    for (name, lease, renewal, rebinding, wish, want) in [
        ("a day", DAY, None, None, None, (DAY, Some((43200, 75600)))),
        (
            "a shorter wish",
            DAY,
            None,
            None,
            Some(1000),
            (1000, Some((500, 875))),
        ),
        (
            "too short a wish",
            DAY,
            None,
            None,
            Some(5),
            (120, Some((60, 105))),
        ),
        (
            "a longer wish",
            DAY,
            None,
            None,
            Some(EVER),
            (DAY, Some((43200, 75600))),
        ),
        ("for ever", EVER, None, None, None, (EVER, None)),
        (
            "for ever, a shorter wish",
            EVER,
            None,
            None,
            Some(1000),
            (1000, Some((500, 875))),
        ),
        (
            "set times",
            DAY,
            Some(100),
            Some(200),
            None,
            (DAY, Some((100, 200))),
        ),
        (
            "T1 past T2",
            DAY,
            Some(300),
            Some(200),
            None,
            (DAY, Some((199, 200))),
        ),
        (
            "times past the lease",
            DAY,
            Some(DAY),
            Some(DAY + 1),
            None,
            (DAY, Some((43200, 75600))),
        ),
        (
            "times of nothing",
            DAY,
            Some(2),
            Some(0),
            None,
            (DAY, Some((43200, 75600))),
        ),
        (
            "a lease of one second",
            1,
            None,
            None,
            None,
            (1, Some((0, 0))),
        ),
    ] {
        let mut world = World::of(DhcpScope {
            lease,
            renewal,
            rebinding,
            ..scope()
        });
        let ask = discover(ANN);
        let ask = wish.map_or(ask.clone(), |wish| ask.wish(wish));
        let message = decode(&world.reply(&ask).message);
        let number =
            |code| value(&message, code).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        assert_eq!(
            (number(51).unwrap(), number(58).zip(number(59))),
            want,
            "{name}"
        );
        // The ACK keeps what was offered, also if the REQUEST does not say so again; the next one does not.
        let select = select(ANN, "10.0.0.2", "10.0.0.10");
        let acked = decode(&world.reply(&select).message);
        assert_eq!(value(&acked, 51), value(&message, 51), "{name}");
        let renewed = decode(&world.reply(&renew(ANN, "10.0.0.10")).message);
        assert_eq!(
            value(&renewed, 51),
            Some(lease.to_be_bytes().to_vec()),
            "{name}"
        );
    }
    let mut world = with_options(&[("T1", "10m"), ("59", "1h")]);
    let message = decode(&world.reply(&discover(ANN)).message);
    assert_eq!(
        value(&message, 58),
        Some(600u32.to_be_bytes().to_vec()),
        "the port's T1"
    );
    assert_eq!(
        value(&message, 59),
        Some(3600u32.to_be_bytes().to_vec()),
        "the port's T2"
    );
}

#[test]
fn as_neutrons_agent_no_search_list_is_made_of_the_domain() {
    let mut world = World::of(DhcpScope {
        search: Vec::new(),
        ..scope()
    });
    let listed = discover(ANN).list(&[15, 119]);
    assert_eq!(
        order(&world.reply(&listed).message),
        [53, 54, 51, 58, 59, 26, 15]
    );
    let mut world = with_options(&[("domain-search", "port.org")]);
    let message = decode(&world.reply(&listed).message);
    assert_eq!(value(&message, 119).unwrap(), b"\x04port\x03org\0");
}

#[test]
fn what_holds_for_all_comes_after_the_ports_and_the_subnets_own() {
    let common = |name: &str, text: &str, forced| crate::plan::CommonOption {
        option: crate::model::DhcpOption::parse_v4(name, text).unwrap(),
        forced,
    };
    let options = [
        common("mtu", "1400", true),
        common("224", "1", true),
        common("225", "2", false),
        common("router", "10.0.0.99", false),
        common("tag:ipxe,67", "script", false),
        common("tag:!ipxe,67", "undi", false),
        common("server-ip-address", "192.0.2.9", false),
        common("domain-name", "all.org", false),
        common("T1", "10m", false),
        common("226", "1", false),
        common("226", "2", false),
    ];
    let with = |world: World, options: &[crate::plan::CommonOption]| {
        let scope = DhcpScope {
            options: options.into(),
            ..world.scope
        };
        World::of(scope)
    };
    let mut world = with(with_options(&[("225", "7")]), &options);
    for (name, ask, code, want) in [
        (
            "MTU, unasked",
            discover(ANN).list(&[]),
            26,
            Some(&[5, 120][..]),
        ),
        ("forced, unasked", discover(ANN).list(&[]), 224, Some(&[1])),
        ("not forced, unasked", discover(ANN).list(&[]), 226, None),
        ("asked", discover(ANN).list(&[226]), 226, Some(&[2])),
        ("without a list", discover(ANN), 226, Some(&[2])),
        ("the port's", discover(ANN), 225, Some(&[7])),
        ("another port", discover(BOB), 225, Some(&[2])),
        (
            "the subnet's router",
            discover(ANN),
            3,
            Some(&[10, 0, 0, 1]),
        ),
        ("a subnet without router", discover(BOB), 3, None),
        ("the domain", discover(BOB), 15, Some(b"all.org")),
        ("T1", discover(BOB), 58, Some(&[0, 0, 2, 88])),
    ] {
        let message = decode(&world.reply(&ask).message);
        assert_eq!(value(&message, code).as_deref(), want, "{name}");
    }
    let boot = world.reply(&discover(ANN)).message;
    assert_eq!(boot[20..24], [192, 0, 2, 9], "siaddr");
    assert_eq!(&boot[108..113], b"undi\0");
    let boot = world.reply(&discover(ANN).raw(175, b"x")).message;
    assert_eq!(&boot[108..115], b"script\0");
}

#[test]
fn a_ports_own_options_come_first() {
    for (name, options, ask, code, want) in [
        (
            "NTP instead of the subnet's",
            &[("ntp-server", "192.0.2.9")][..],
            discover(ANN),
            42,
            Some(vec![192, 0, 2, 9]),
        ),
        (
            "the last of a number",
            &[("42", "192.0.2.9"), ("ntp-server", "192.0.2.8")],
            discover(ANN),
            42,
            Some(vec![192, 0, 2, 8]),
        ),
        (
            "MTU, though not asked for",
            &[("mtu", "1400")],
            discover(ANN).list(&[]),
            26,
            Some(vec![5, 0x78]),
        ),
        (
            "host name by number",
            &[("12", "other")],
            discover(ANN),
            12,
            Some(b"other".to_vec()),
        ),
        (
            "unknown number, asked for",
            &[("224", "7")],
            discover(ANN).list(&[224]),
            224,
            Some(vec![7]),
        ),
        (
            "unknown number, not asked for",
            &[("224", "7")],
            discover(ANN).list(&[1]),
            224,
            None,
        ),
        (
            "unknown number, no list",
            &[("224", "7")],
            discover(ANN),
            224,
            Some(vec![7]),
        ),
        (
            "blank router: none",
            &[("router", "")],
            discover(ANN),
            3,
            None,
        ),
        (
            "blank routes: sent",
            &[("classless-static-route", "")],
            discover(ANN),
            121,
            Some(vec![]),
        ),
        (
            "tag holds",
            &[("tag:ipxe,224", "7")],
            discover(ANN).raw(175, &[1]),
            224,
            Some(vec![7]),
        ),
        (
            "tag does not hold",
            &[("tag:ipxe,224", "7")],
            discover(ANN),
            224,
            None,
        ),
        (
            "negated tag holds",
            &[("tag:!ipxe,224", "7")],
            discover(ANN),
            224,
            Some(vec![7]),
        ),
        (
            "negated tag does not hold",
            &[("tag:!ipxe,224", "7")],
            discover(ANN).raw(175, &[1]),
            224,
            None,
        ),
        (
            "unknown tag",
            &[("tag:what,224", "7")],
            discover(ANN),
            224,
            None,
        ),
        (
            "a tag does not beat a later plain one",
            &[("tag:ipxe,224", "7"), ("224", "8")],
            discover(ANN).raw(175, &[1]),
            224,
            Some(vec![8]),
        ),
        (
            "on inform too",
            &[("42", "192.0.2.9")],
            inform(ANN, "10.0.0.10"),
            42,
            Some(vec![192, 0, 2, 9]),
        ),
    ] {
        let message = decode(&with_options(options).reply(&ask).message);
        assert_eq!(value(&message, code), want, "{name}");
    }
}

#[test]
fn boot_file_and_server_have_fields_of_their_own() {
    let long = "f".repeat(200);
    for (name, options, ask, file, sname, of67, of66, siaddr) in [
        (
            "fields",
            &[("67", "pxelinux.0"), ("66", "tftp"), ("255", "192.0.2.9")][..],
            discover(ANN).list(&[1]),
            "pxelinux.0",
            "tftp",
            None,
            None,
            "192.0.2.9",
        ),
        (
            "listed: options",
            &[("67", "pxelinux.0"), ("66", "tftp")],
            discover(ANN).list(&[66, 67]),
            "",
            "",
            Some("pxelinux.0\0"),
            Some("tftp\0"),
            "10.0.0.2",
        ),
        (
            "no list: fields",
            &[("67", "pxelinux.0")],
            discover(ANN),
            "pxelinux.0",
            "",
            None,
            None,
            "10.0.0.2",
        ),
        (
            "too long for the field",
            &[("67", &long)],
            discover(ANN).list(&[1]),
            "",
            "",
            Some(&format!("{long}\0")),
            None,
            "10.0.0.2",
        ),
        (
            "iPXE gets its own",
            &[("tag:ipxe,67", "script"), ("tag:!ipxe,67", "undi")],
            discover(ANN).raw(175, &[1]),
            "script",
            "",
            None,
            None,
            "10.0.0.2",
        ),
        (
            "BOOTP",
            &[("67", "pxelinux.0"), ("66", "tftp")],
            bootp(ANN),
            "pxelinux.0",
            "tftp",
            None,
            None,
            "10.0.0.2",
        ),
    ] {
        let message = decode(&with_options(options).reply(&ask).message);
        assert_eq!(
            words(message.fname().unwrap_or_default()).trim_end_matches('\0'),
            file,
            "{name}: file"
        );
        assert_eq!(
            words(message.sname().unwrap_or_default()).trim_end_matches('\0'),
            sname,
            "{name}: sname"
        );
        assert_eq!(
            value(&message, 67).map(|bytes| words(&bytes)).as_deref(),
            of67,
            "{name}: 67"
        );
        assert_eq!(
            value(&message, 66).map(|bytes| words(&bytes)).as_deref(),
            of66,
            "{name}: 66"
        );
        assert_eq!(message.siaddr(), ip(siaddr), "{name}: siaddr");
    }
}

#[test]
fn echoes() {
    let duid = [255, 0, 0, 0, 7, 0, 3, 0, 1, 0xfa, 0x16, 0x3e, 0, 0, 0xa]; // RFC 4361: IAID and DUID
    for (name, ask) in [
        ("offer", discover(ANN)),
        ("ack", renew(ANN, "10.0.0.10")),
        ("nak", reboot(ANN, "10.0.0.99")),
        ("inform", inform(ANN, "10.0.0.10")),
    ] {
        let message = decode(&World::new().reply(&ask.raw(61, &duid)).message);
        assert_eq!(value(&message, 61), Some(duid.to_vec()), "{name}");
    }
    let selected = decode(
        &World::new()
            .reply(&discover(BOB).raw(118, &[10, 0, 0, 0]))
            .message,
    );
    assert_eq!(value(&selected, 118), Some(vec![10, 0, 0, 0]), "RFC 3011");
}

#[test]
fn the_relays_option_comes_back_last_and_unchanged() {
    // Out of order, twice the same suboption, one that nobody knows: byte for byte all the same.
    let agent = [9, 3, 1, 2, 3, 1, 4, b'p', b'o', b'r', b't', 1, 1, 7, 200, 0];
    for (name, ask) in [
        ("offer", discover(FAR).relay("10.9.0.1")),
        (
            "ack",
            select(FAR, "10.0.0.2", "10.9.0.12").relay("10.9.0.1"),
        ),
        ("nak", reboot(FAR, "10.9.0.99").relay("10.9.0.1")),
        ("inform", inform(FAR, "10.9.0.12").relay("10.9.0.1")),
        ("bootp", bootp(FAR).relay("10.9.0.1")),
        ("without a relay's address", discover(ANN)),
    ] {
        let reply = World::new().reply(&ask.raw(82, &agent)).message;
        let wanted = [&[82, 16][..], &agent, &[255]].concat();
        let at = reply
            .windows(wanted.len())
            .position(|window| window == wanted);
        let at = at.unwrap_or_else(|| panic!("{name}: not echoed"));
        assert!(
            reply[at + wanted.len()..].iter().all(|byte| *byte == 0),
            "{name}: last"
        );
        assert_eq!(order(&reply).last(), Some(&82), "{name}");
    }
    // RFC 5107: the relay stands in for us, and what names it as the server means us.
    let overriding = [11, 4, 10, 9, 0, 1];
    let mut world = World::new();
    let message = decode(
        &world
            .reply(&discover(FAR).relay("10.9.0.1").raw(82, &overriding))
            .message,
    );
    assert_eq!(value(&message, 54), Some(vec![10, 9, 0, 1]));
    let select = select(FAR, "10.9.0.1", "10.9.0.12").relay("10.9.0.1");
    assert!(
        world
            .said(&select.clone().raw(82, &overriding))
            .starts_with("ack")
    );
    assert_eq!(world.said(&select), "silence");
}

#[test]
fn a_clients_full_name_is_answered_with_ours() {
    let wire = b"\x03ann\x07example\x03org\0";
    for (name, ask, want) in [
        (
            "server updates, wire form",
            discover(ANN).raw(81, &[5, 0, 0, 3, b'b', b'o', b'x']),
            Some([&[5, 255, 255][..], wire].concat()),
        ),
        (
            "client would update: overridden",
            discover(ANN).raw(81, &[4, 0, 0]),
            Some([&[7, 255, 255][..], wire].concat()),
        ),
        (
            "no updates: overridden",
            discover(ANN).raw(81, &[8, 0, 0]),
            Some(b"\x03\xff\xffann.example.org".to_vec()),
        ),
        (
            "text",
            discover(ANN).raw(81, b"\x01\0\0box"),
            Some(b"\x01\xff\xffann.example.org".to_vec()),
        ),
        (
            "on an ACK",
            renew(ANN, "10.0.0.10").raw(81, b"\x01\0\0box"),
            Some(b"\x01\xff\xffann.example.org".to_vec()),
        ),
        ("not sent, not answered", discover(ANN).list(&[81]), None),
        (
            "a port without a name",
            discover(BOB).raw(81, b"\x01\0\0box"),
            None,
        ),
        ("too short", discover(ANN).raw(81, &[1]), None),
    ] {
        let reply = World::new().reply(&ask).message;
        let at = order(&reply).iter().position(|code| *code == 81);
        assert_eq!(at.is_some(), want.is_some(), "{name}");
        if let Some(want) = want {
            let wanted = [&[81, u8::try_from(want.len()).unwrap()], &want[..]].concat();
            assert!(
                reply.windows(wanted.len()).any(|window| window == wanted),
                "{name}"
            );
        }
    }
}

#[test]
fn room_is_used_and_kept_to() {
    let (a, b, c) = ("a".repeat(200), "b".repeat(100), "c".repeat(50));
    let options = [("224", a.as_str()), ("225", &b), ("226", &c), ("227", &c)];
    let list = [224, 225, 226, 227];
    let size = |size: u16| discover(ANN).list(&list).max_size(size);
    for (name, ask, main, file, sname, overload) in [
        // 53 54 51 58 59 26 take 3+6+6+6+6+4 = 31 of 308 bytes; 1 is the end's and 3 are option 52's.
        (
            "no size named",
            discover(ANN).list(&list),
            vec![224, 226],
            vec![225],
            vec![227],
            Some(3),
        ),
        (
            "smaller than anything is allowed to be",
            size(100),
            vec![224, 226],
            vec![225],
            vec![227],
            Some(3),
        ),
        (
            "the least",
            size(576),
            vec![224, 226],
            vec![225],
            vec![227],
            Some(3),
        ),
        (
            "a little more",
            size(690),
            vec![224, 225, 226],
            vec![227],
            vec![],
            Some(1),
        ),
        (
            "plenty",
            size(1400),
            vec![224, 225, 226, 227],
            vec![],
            vec![],
            None,
        ),
        (
            "more than the link has",
            size(9000),
            vec![224, 225, 226, 227],
            vec![],
            vec![],
            None,
        ),
    ] {
        let reply = with_options(&options).reply(&ask).message;
        let ours = |codes: Vec<u8>| -> Vec<u8> {
            codes
                .into_iter()
                .filter(|code| list.contains(code))
                .collect()
        };
        assert_eq!(ours(order(&reply)), main, "{name}: options");
        let field = |range: std::ops::Range<usize>| {
            ours(order(&[&[0; 240][..], &reply[range], &[255]].concat()))
        };
        assert_eq!(field(108..236), file, "{name}: file");
        assert_eq!(field(44..108), sname, "{name}: sname");
        let message = decode(&reply);
        assert_eq!(
            value(&message, 52),
            overload.map(|bits| vec![bits]),
            "{name}: option 52"
        );
        assert!(reply.len() <= 1450 - 28, "{name}");
    }
    // A boot file's name is in the field: nothing may lie over it. What has no room then is left out.
    let mut world = with_options(&[&options[..], &[("67", "pxelinux.0")]].concat());
    let reply = world.reply(&discover(ANN).list(&list)).message;
    assert_eq!(&reply[108..119], b"pxelinux.0\0");
    assert_eq!(value(&decode(&reply), 52), Some(vec![2]));
    assert!(reply.len() <= 576 - 28);
    // Whatever comes back for the relay is kept room for.
    let reply = world
        .reply(&discover(ANN).list(&list).raw(82, &[7; 200]))
        .message;
    assert!(reply.len() <= 576 - 28, "{}", reply.len());
    assert_eq!(order(&reply).last(), Some(&82));
    // BOOTP clients know no overloading, and take no more than they send.
    let reply = world.reply(&bootp(ANN)).message;
    assert_eq!((reply.len(), value(&decode(&reply), 52)), (300, None));
}

#[test]
fn an_option_of_more_than_255_bytes_is_split() {
    // So many routes of 7 bytes each, and a size: how often option 121 is where, and option 52.
    for (routes, size, options, file, sname, overload) in [
        (40, 1400, 2, 0, 0, None),
        (40, 576, 2, 1, 0, Some(1)),
        (60, 576, 2, 1, 1, Some(3)),
        (110, 1400, 4, 0, 0, None),
        (70, 576, 0, 0, 0, None),
        (250, 1400, 0, 0, 0, None),
    ] {
        let mut scope = scope();
        scope.subnets[0].classless_routes = (0..routes)
            .map(|n| (format!("10.{n}.0.0/16").parse().unwrap(), ip("10.0.0.1")))
            .collect();
        let ask = discover(ANN).list(&[121]).max_size(size);
        let reply = World::of(scope).reply(&ask).message;
        let count = |bytes: &[u8]| order(bytes).iter().filter(|code| **code == 121).count();
        let field =
            |range: std::ops::Range<usize>| count(&[&[0; 240][..], &reply[range], &[255]].concat());
        assert_eq!(
            (count(&reply), field(108..236), field(44..108)),
            (options, file, sname),
            "{routes} in {size}"
        );
        assert!(reply.len() <= usize::from(size) - 28);
        // What a client that knows RFC 3396 makes of it.
        let mut read = reply.clone();
        read[0] = 1;
        let whole = super::super::options_in::OptionsIn::of(&read);
        let bits = whole.get(52).map(|value| value[0]);
        assert_eq!(bits, overload, "{routes} in {size}");
        let whole = whole.get(121).map(|routes| routes.len() / 7);
        assert_eq!(whole, (options > 0).then_some(routes), "{routes} in {size}");
    }
}

#[test]
fn options_of_a_request_may_be_in_file_and_sname() {
    let mut packet = bootp(ANN).raw(52, &[3]).packet();
    packet[108..112].copy_from_slice(&[53, 1, 1, 255]);
    packet[44..52].copy_from_slice(&[51, 4, 0, 0, 3, 0xe8, 255, 0]);
    let request = Request::decode(&packet, Arrived::Broadcast, Ipv4Addr::UNSPECIFIED).unwrap();
    let Answer::Reply(reply) = answer(&scope(), &request, &mut Leases::default(), Instant::now())
    else {
        panic!("no reply");
    };
    assert_eq!(
        value(&decode(&reply.message), 51),
        Some(1000u32.to_be_bytes().to_vec())
    );
}

#[test]
fn one_malformed_option_hides_only_what_follows() {
    // Neither a host name that is no UTF-8 nor a strange length of option 150 is any reason to be silent.
    let ask = discover(ANN)
        .raw(12, &[0xff, 0xfe])
        .raw(150, &[1, 2, 3])
        .raw(50, &[1]);
    assert!(World::new().said(&ask).starts_with("offer"));
}
