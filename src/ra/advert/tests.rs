use std::collections::BTreeMap;

use super::*;
use crate::model::MacAddr;

fn link() -> RaLink {
    RaLink {
        mac: MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]),
        default_router: true,
        managed: false,
        other: false,
        mtu: None,
        prefixes: Vec::new(),
        dns: Vec::new(),
        domains: Vec::new(),
        ending: Vec::new(),
        routes: Vec::new(),
        interval: (30, 100),
    }
}

fn prefix(net: &str, autonomous: bool) -> RaPrefix {
    let net = net.parse().expect("a net of the table");
    RaPrefix { net, autonomous }
}

fn only(link: &RaLink, fading: &[RaPrefix], ending: Ending) -> String {
    let messages = messages(link, fading, ending);
    assert_eq!(messages.len(), 1);
    hex::encode(&messages[0])
}

#[test]
fn what_is_said() {
    // Type, code, checksum, hop limit; flags, lifetime 1800; timers; source.
    let head = "8600000040";
    let tail = "0708000000000000000001 01fa163e000001".replace(' ', "");
    for (name, link, want) in [
        ("a default router", link(), format!("{head}00{tail}")),
        (
            "addresses by DHCPv6",
            RaLink {
                managed: true,
                ..link()
            },
            format!("{head}80{tail}"),
        ),
        (
            "the rest by DHCPv6",
            RaLink {
                other: true,
                ..link()
            },
            format!("{head}40{tail}"),
        ),
        (
            "no way out",
            RaLink {
                default_router: false,
                ..link()
            },
            format!("{head}00{}", tail.replacen("0708", "0000", 1)),
        ),
        (
            "seldom",
            RaLink {
                interval: (600, 1800),
                ..link()
            },
            format!("{head}00{}", tail.replacen("0708", "1518", 1)),
        ),
        (
            "MTU",
            RaLink {
                mtu: Some(1450),
                ..link()
            },
            format!("{head}00{tail}05010000000005aa"),
        ),
        (
            "prefixes",
            RaLink {
                prefixes: vec![prefix("fd00:1::/64", true), prefix("fd00:2::/80", false)],
                ..link()
            },
            format!(
                "{head}00{tail}030440c0000151800000384000000000fd000001000000000000000000000000\
                 03045080000151800000384000000000fd000002000000000000000000000000"
            ),
        ),
        (
            "the way to metadata",
            RaLink {
                routes: vec!["fe80::a9fe:a9fe/128".parse().expect("a net")],
                ..link()
            },
            format!("{head}00{tail}1803800000000708fe80000000000000000000 00a9fea9fe")
                .replace(' ', ""),
        ),
        (
            "shorter ways take less room",
            RaLink {
                routes: vec![
                    "fd00::/48".parse().expect("a net"),
                    "::/0".parse().expect("a net"),
                ],
                ..link()
            },
            format!("{head}00{tail}1802300000000708fd000000000000001801000000000708"),
        ),
        (
            "name servers",
            RaLink {
                dns: vec!["fd00::53".parse().expect("an address")],
                ..link()
            },
            format!("{head}00{tail}1903000000000708fd000000000000000000000000000053"),
        ),
        (
            "domains, filled up; one that is none is left out",
            RaLink {
                domains: vec!["a.example".into(), "..".into()],
                ..link()
            },
            format!("{head}00{tail}1f03000000000708016107 6578616d706c65000000000000")
                .replace(' ', ""),
        ),
    ] {
        assert_eq!(only(&link, &[], Ending::No), want, "{name}");
    }
}

#[test]
fn the_end_is_said_of_what_was_said() {
    let full = RaLink {
        mtu: Some(1500),
        prefixes: vec![prefix("fd00:1::/64", true)],
        dns: vec!["fd00::53".parse().expect("an address")],
        ending: vec!["fd00::53".parse().expect("an address")],
        routes: vec!["fe80::a9fe:a9fe/128".parse().expect("a net")],
        ..link()
    };
    let end = only(&full, &[], Ending::Yes);
    assert_eq!(
        end,
        "86000000400000000000000000000000\
         0101fa163e00000105010000000005dc\
         1803800000000000fe8000000000000000000000a9fea9fe\
         1903000000000000fd000000000000000000000000000053"
    );
    let beside_another = RaLink {
        default_router: false,
        dns: vec!["fd00::53".parse().expect("an address")],
        domains: vec!["test".to_owned()],
        ..link()
    };
    assert_eq!(
        only(&beside_another, &[], Ending::Yes),
        "860000004000000000000000000000000101fa163e000001",
        "what the other says as well stays"
    );
    let gone = only(&link(), &[prefix("fd00:9::/64", true)], Ending::No);
    assert!(
        gone.ends_with("030440c0000000000000000000000000fd000009000000000000000000000000"),
        "{gone}"
    );
}

#[test]
fn much_is_said_in_several_messages() {
    let prefixes: Vec<_> = (0..100)
        .map(|n| prefix(&format!("fd00:{n:x}::/64"), true))
        .collect();
    let link = RaLink {
        prefixes: prefixes.clone(),
        ..link()
    };
    let messages = messages(&link, &[], Ending::No);
    assert!(messages.len() > 2);
    let mut said = BTreeMap::new();
    for message in &messages {
        assert!(message.len() <= LONGEST && message.len() % 8 == 0);
        assert_eq!(message[..24], messages[0][..24], "each says who we are");
        for option in message[24..].chunks(32) {
            *said.entry(option[16..].to_vec()).or_insert(0) += 1;
        }
    }
    assert_eq!(said.len(), 100, "each prefix once");
}

#[test]
fn who_may_ask() {
    let own = "fe80::2".parse().expect("an address");
    for (name, hex, source, want) in [
        ("bare", "8500000000000000", own, true),
        (
            "with its address",
            "85000000000000000101fa163e000002",
            own,
            true,
        ),
        (
            "without an address yet",
            "8500000000000000",
            Ipv6Addr::UNSPECIFIED,
            true,
        ),
        (
            "who has none and tells one",
            "85000000000000000101fa163e000002",
            Ipv6Addr::UNSPECIFIED,
            false,
        ),
        (
            "an option that we don't know",
            "8500000000000000 0e01000102030405",
            own,
            true,
        ),
        ("another code", "8501000000000000", own, false),
        ("an advertisement", "8600000000000000", own, false),
        ("too short", "85000000000000", own, false),
        ("nothing", "", own, false),
        (
            "an option of no length",
            "85000000000000000100fa163e000002",
            own,
            false,
        ),
        (
            "an option that ends too late",
            "85000000000000000102fa163e000002",
            own,
            false,
        ),
        ("half an option", "850000000000000001", own, false),
    ] {
        let message = hex::decode(hex.replace(' ', "")).expect("hex of the table");
        assert_eq!(is_solicitation(&message, source), want, "{name}");
    }
}
