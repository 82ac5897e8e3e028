//! Maps of a router's table; what the rules do with packets is seen from outside, in `tests/`.

use netns::ruleset::Element;

use super::*;

/// "key -> value" of one map.
fn lines(router: &Router, map: &str) -> Vec<String> {
    let ruleset = super::super::nat::ruleset(router, &Settings::default());
    let text = |element: &Element| match element {
        Element::Ipv4(address) => address.to_string(),
        Element::Port(number) => number.to_string(),
        Element::Protocol(number) => format!("protocol {number}"),
        other => format!("{other:?}"),
    };
    let join = |key: &Vec<Element>| key.iter().map(text).collect::<Vec<_>>().join(" ");
    let elements = &ruleset.maps[map].elements;
    elements
        .iter()
        .map(|(key, value)| {
            format!(
                "{} -> {}",
                join(key),
                value.as_ref().map(text).unwrap_or_default()
            )
        })
        .collect()
}

#[test]
fn floating_ips_go_both_ways() {
    let mut router = router();
    let floating = |n, floating: &str, fixed: Option<&str>| FloatingIp {
        id: FloatingIpId(Uuid::from_u128(n)),
        floating_ip: floating.parse().unwrap(),
        fixed_ip: fixed.map(|fixed| fixed.parse().unwrap()),
        fixed_scope: None,
        status: None,
    };
    router.floating_ips = vec![
        floating(1, "203.0.113.9", Some("10.0.0.7")),
        floating(2, "203.0.113.10", None),
    ];
    assert_eq!(
        lines(&router, "floating_to_fixed"),
        ["203.0.113.9 -> 10.0.0.7"]
    );
    assert_eq!(
        lines(&router, "fixed_to_floating"),
        ["10.0.0.7 -> 203.0.113.9"]
    );
}

#[test]
fn forwarded_ports() {
    let forwarding = |external, internal| PortForwarding {
        floating_ip: "203.0.113.9".parse().unwrap(),
        protocol: Protocol::Tcp,
        internal_ip: "10.0.0.7".parse().unwrap(),
        ports: Forwarding { external, internal },
        id: None,
        floating: None,
    };
    for (name, external, internal, want) in [
        ("one port", (2222, 2222), (22, 22), vec!["2222 -> 22"]),
        (
            "k-th to k-th",
            (80, 82),
            (8080, 8082),
            vec!["80 -> 8080", "81 -> 8081", "82 -> 8082"],
        ),
        (
            "a smaller range wraps",
            (80, 82),
            (8080, 8081),
            vec!["80 -> 8080", "81 -> 8081", "82 -> 8080"],
        ),
        (
            "the last port there is",
            (65535, 65535),
            (65535, 65535),
            vec!["65535 -> 65535"],
        ),
    ] {
        let router = Router {
            port_forwardings: vec![forwarding(external, internal)],
            ..router()
        };
        let want: Vec<_> = want
            .into_iter()
            .map(|line| format!("protocol 6 203.0.113.9 {line}"))
            .collect();
        assert_eq!(lines(&router, "forward_to_port"), want, "{name}");
        assert_eq!(
            lines(&router, "forward_to_address").len(),
            want.len(),
            "{name}"
        );
    }
}

#[test]
fn the_rules_do_not_grow_with_floating_ips() {
    let mut many = router();
    many.floating_ips = (0..1000u32)
        .map(|n| FloatingIp {
            id: FloatingIpId(Uuid::from_u128(n.into())),
            floating_ip: std::net::Ipv4Addr::from(0xc000_0200 + n),
            fixed_ip: Some(std::net::Ipv4Addr::from(0x0a00_0000 + n)),
            fixed_scope: None,
            status: None,
        })
        .collect();
    let rules = |router: &Router| super::super::nat::ruleset(router, &Settings::default()).objects;
    assert_eq!(rules(&many), rules(&router()));
}

const SCOPE: AddressScopeId = AddressScopeId(Uuid::from_u128(0xa1));

/// The gateway is of a scope, the leg is not.
fn scoped() -> Router {
    let mut scoped = router();
    scoped.gateway.as_mut().unwrap().port.scopes.v4 = Some(SCOPE);
    scoped
}

fn ruleset(router: &Router) -> netns::ruleset::Ruleset {
    super::super::nat::ruleset(router, &Settings::default())
}

#[test]
fn scopes_cost_nothing_where_there_are_none() {
    let plain = ruleset(&router());
    let mut null = router();
    null.floating_ips = vec![FloatingIp {
        id: FloatingIpId(Uuid::from_u128(1)),
        floating_ip: "203.0.113.9".parse().unwrap(),
        fixed_ip: Some("10.0.0.7".parse().unwrap()),
        fixed_scope: None,
        status: None,
    }];
    assert_eq!(ruleset(&null).objects, plain.objects);
    assert!(!plain.maps.keys().any(|map| map.contains("scope")));
    assert!(ruleset(&scoped()).objects.len() > plain.objects.len());
}

#[test]
fn legs_and_floating_ips_of_a_scoped_router_are_elements() {
    let mut many = scoped();
    many.interfaces.extend((2..6).map(|n| {
        let mut leg = leg(n, BLUE, &format!("10.{n}.0.1/24"), None);
        leg.scopes.v4 = (n % 2 == 0).then_some(SCOPE);
        leg
    }));
    many.floating_ips = (0..100u32)
        .map(|n| FloatingIp {
            id: FloatingIpId(Uuid::from_u128(n.into())),
            floating_ip: std::net::Ipv4Addr::from(0xc000_0200 + n),
            fixed_ip: Some(std::net::Ipv4Addr::from(0x0a00_0000 + n)),
            fixed_scope: (n % 2 == 0).then_some(SCOPE),
            status: None,
        })
        .collect();
    assert_eq!(ruleset(&many).objects, ruleset(&scoped()).objects);
    let size = |map: &str| ruleset(&many).maps[map].elements.len();
    assert_eq!(size("scope_of_device_v4"), 6);
    assert_eq!(
        size("guarded_v4"),
        5,
        "not the gateway, by which SNAT leads"
    );
    assert_eq!(size("scope_of_floating"), 50, "those of another scope");
}

#[test]
fn scopes_are_numbered_as_the_reference_numbers_them() {
    let mut router = scoped();
    let mut other = leg(2, BLUE, "10.2.0.1/24", None);
    other.scopes.v4 = Some(AddressScopeId(Uuid::from_u128(1)));
    router.interfaces.push(other);
    assert_eq!(
        lines(&router, "scope_of_device_v4"),
        [
            "Device(\"qg-00000009-00\") -> Mark(67174400)",
            "Device(\"qr-00000001-00\") -> Mark(67108864)",
            "Device(\"qr-00000002-00\") -> Mark(67239936)",
        ],
        "null is 1024, the gateway's scope the next"
    );
}

#[test]
fn helpers_are_assigned_where_the_kernel_has_them() {
    let helper = |name: &str, port| ConntrackHelper {
        helper: name.into(),
        protocol: Protocol::Tcp,
        port,
    };
    let router = Router {
        conntrack_helpers: vec![helper("ftp", 21), helper("ftp", 2121), helper("irc", 6667)],
        ..router()
    };
    let settings = Settings {
        conntrack_helpers: [("ftp".to_owned(), Protocol::Tcp)].into(),
        ..Settings::default()
    };
    let objects = super::super::nat::ruleset(&router, &settings).objects;
    let text = serde_json::to_string(&objects).unwrap();
    assert_eq!(text.matches(r#""ct helper":{"#).count(), 1, "{text}");
    assert_eq!(
        text.matches(r#""ct helper":"ftp_tcp""#).count(),
        2,
        "{text}"
    );
    assert!(!text.contains("irc"));
    let remarks: Vec<_> = super::super::remarks(&router, &settings)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].contains("helper irc"), "{remarks:?}");
}
