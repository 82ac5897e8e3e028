//! What a reply carries: the network's options, and the port's own.

use super::*;

const MASK: &[u8] = &[255, 255, 255, 0];

/// A world where ANN's port has these options.
pub(super) fn with_options(options: &[(&str, &str)]) -> World {
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
            vec![53, 54, 51, 58, 59, 1, 28, 26],
        ),
        (
            "in order",
            discover(ANN).list(&[121, 6, 1, 3]),
            vec![53, 54, 51, 58, 59, 1, 28, 26, 121, 6, 3],
        ),
        (
            "each once",
            discover(ANN).list(&[3, 26, 3, 3]),
            vec![53, 54, 51, 58, 59, 1, 28, 26, 3],
        ),
        (
            "the protocol's own are not doubled",
            discover(ANN).list(&[51, 53, 54, 58, 59, 61, 82, 255, 0, 3]),
            vec![53, 54, 51, 58, 59, 1, 28, 26, 3],
        ),
        (
            "no list: all, ascending",
            discover(ANN),
            vec![
                53, 54, 51, 58, 59, 1, 28, 26, 3, 6, 12, 15, 42, 119, 121, 249,
            ],
        ),
        (
            "a poor subnet",
            discover(BOB),
            vec![53, 54, 51, 58, 59, 1, 28, 26, 15, 119],
        ),
        (
            "inform: no lease",
            inform(ANN, "10.0.0.10").list(&[3, 51]),
            vec![53, 54, 1, 28, 26, 3],
        ),
        (
            "stranger's inform: no name",
            inform(STRANGER, "10.0.0.50").list(&[1, 12, 15]),
            vec![53, 54, 1, 28, 26, 15],
        ),
        (
            "bootp: no DHCP",
            bootp(ANN).raw(61, b"x"),
            vec![1, 28, 26, 3, 6, 12, 15, 42],
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
fn as_neutrons_agent_no_search_list_is_made_of_the_domain() {
    let mut world = World::of(DhcpScope {
        search: Vec::new(),
        ..scope()
    });
    let listed = discover(ANN).list(&[15, 119]);
    assert_eq!(
        order(&world.reply(&listed).message),
        [53, 54, 51, 58, 59, 1, 28, 26, 15]
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
            "netmask, though not asked for",
            &[("netmask", "255.255.0.0")],
            discover(ANN).list(&[]),
            1,
            Some(vec![255, 255, 0, 0]),
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
