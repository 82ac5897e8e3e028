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
