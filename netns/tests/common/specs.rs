//! Specs of every kind, each small enough to be seen at a glance.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use netns::Spec;
use netns::ruleset::{Element, ElementType, Map, Ruleset};
use netns::spec::{Link, Neighbour, Ownership, Route, Rule, Vxlan};

use super::{dev, home, ip, mac, net};

/// A Spec for a namespace of our own, whose devices begin with `t`.
pub(crate) fn own() -> Spec {
    let ownership = Ownership {
        prefixes: ["t".to_owned()].into(),
        ..Ownership::default()
    };
    let mut spec = Spec {
        ownership,
        ..Spec::default()
    };
    // Duplicate detection ends a second after a device came up, and monitors hear of it.
    spec.sysctls
        .insert("net/ipv6/conf/default/accept_dad".into(), "0".into());
    spec.links.insert(dev("lo"), Link::existing());
    spec
}

/// One pair: `t0`, with `far` in the home namespace.
pub(crate) fn pair(far: &str) -> Spec {
    let mut spec = own();
    let link = Link::veth(dev(far), home())
        .mac(mac("fa:16:3e:00:00:01"))
        .mtu(1450);
    spec.links.insert(
        dev("t0"),
        link.addrs([net("10.0.0.1/24"), net("10.0.0.2/24"), net("fd00::1/64")]),
    );
    spec
}

pub(crate) fn tunnel(vni: u32) -> Vxlan {
    let (local, remotes) = (
        Some(ip("127.0.0.1")),
        [ip("127.0.0.2"), ip("127.0.0.3")].into(),
    );
    Vxlan {
        vni,
        local,
        underlay: None,
        group: None,
        remotes,
        port: 4789,
    }
}

/// All kinds of things, by name. `far` begins the names of far ends.
pub(crate) fn all_kinds(far: &str) -> Vec<(&'static str, Spec)> {
    let with = |change: &dyn Fn(&mut Spec)| {
        let mut spec = pair(&format!("{far}0"));
        change(&mut spec);
        spec
    };
    let mut kinds = vec![
        (
            "nothing",
            Spec {
                ownership: own().ownership,
                ..Spec::default()
            },
        ),
        ("a pair with addresses", with(&|_| {})),
        (
            "a device that is down",
            with(&|spec| spec.links.get_mut(&dev("t0")).unwrap().up = false),
        ),
        (
            "a bridge with a port",
            with(&|spec| {
                spec.links
                    .insert(dev("tbr"), Link::bridge().addrs([net("10.9.0.1/24")]));
                spec.links.get_mut(&dev("t0")).unwrap().master = Some(dev("tbr"));
            }),
        ),
        (
            "a tunnel with remote ends",
            with(&|spec| {
                spec.links.insert(dev("tvx"), Link::vxlan(tunnel(5)));
            }),
        ),
        (
            "a tunnel with a group",
            with(&|spec| {
                let (underlay, group) = (Some(dev("t0")), Some(ip("239.1.1.1")));
                let tunnel = Vxlan {
                    local: None,
                    remotes: [].into(),
                    underlay,
                    group,
                    ..tunnel(6)
                };
                spec.links.insert(dev("tvx"), Link::vxlan(tunnel));
            }),
        ),
        (
            "a tunnel over IPv6",
            with(&|spec| {
                let (local, remotes) = (Some(ip("::1")), [ip("fd00::2")].into());
                spec.links.insert(
                    dev("tvx"),
                    Link::vxlan(Vxlan {
                        local,
                        remotes,
                        ..tunnel(7)
                    }),
                );
            }),
        ),
        ("routes", with(&|spec| spec.routes = routes())),
        (
            "rules",
            with(&|spec| {
                for (priority, from, to) in [
                    (100, Some("10.0.0.0/24"), None),
                    (101, None, Some("10.2.0.0/16")),
                    (102, Some("fd00::/64"), Some("fd01::/64")),
                    (103, None, None),
                ] {
                    let (from, to) = (from.map(net), to.map(net));
                    spec.rules.insert(Rule {
                        priority,
                        from,
                        to,
                        table: 1000 + priority,
                    });
                }
            }),
        ),
        (
            "neighbours",
            with(&|spec| {
                for address in ["10.0.0.9", "fd00::9"] {
                    let (address, mac) = (ip(address), mac("fa:16:3e:00:00:09"));
                    spec.neighbours.insert(Neighbour {
                        dev: dev("t0"),
                        address,
                        mac,
                    });
                }
            }),
        ),
        ("settings", with(&|spec| spec.sysctls.extend(settings()))),
        ("a table", with(&|spec| spec.ruleset = Some(router(3)))),
        (
            "an empty table",
            with(&|spec| spec.ruleset = Some(Ruleset::default())),
        ),
    ];
    if super::kernel_has("vlan") {
        kinds.push((
            "a VLAN",
            with(&|spec| {
                spec.links.insert(
                    dev("tv"),
                    Link::vlan(dev("t0"), 10).addrs([net("10.8.0.1/24")]),
                );
            }),
        ));
    }
    kinds
}

pub(crate) fn routes() -> std::collections::BTreeSet<Route> {
    let through = |destination, gateway| Route::to(net(destination)).via(ip(gateway));
    [
        Route::default_v4().via(ip("10.0.0.254")),
        Route::to(net("192.168.0.0/16")).dev(dev("t0")),
        through("172.16.0.0/16", "10.0.0.253").via(ip("10.0.0.252")),
        Route {
            source: Some(ip("10.0.0.2")),
            ..through("172.17.0.0/16", "10.0.0.253")
        },
        Route {
            onlink: true,
            ..through("172.18.0.0/16", "203.0.113.1").dev(dev("t0"))
        },
        Route {
            table: 77,
            metric: 5,
            ..through("172.19.0.0/16", "10.0.0.253")
        },
        Route {
            table: 70_000,
            ..through("172.19.0.0/16", "10.0.0.253")
        },
        through("fd01::/64", "fd00::2"),
        through("fd02::/64", "fd00::2").via(ip("fd00::3")),
        Route {
            metric: 50,
            ..through("fd03::/64", "fd00::2")
        },
        through("::/0", "fd00::2"),
    ]
    .into()
}

pub(crate) fn settings() -> BTreeMap<String, String> {
    let settings = [
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv4/conf/all/arp_ignore", "1"),
        ("net/ipv4/conf/all/accept_redirects", "0"),
        ("net/ipv4/conf/t0/rp_filter", "2"),
        ("net/ipv6/conf/t0/accept_ra", "0"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv4/ip_local_port_range", "20000 30000"), // the kernel puts a tab between
    ];
    settings
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A router's table: translation by maps, one element in each for every floating IP, and maps of other kinds.
pub(crate) fn router(floating_ips: u32) -> Ruleset {
    let in_table = |object: serde_json::Value| {
        let (kind, mut object) = object
            .as_object()
            .unwrap()
            .iter()
            .next()
            .map(|(k, v)| (k.clone(), v.clone()))
            .unwrap();
        object["family"] = "inet".into();
        object["table"] = "netns".into();
        serde_json::from_value(serde_json::json!({ kind: object })).unwrap()
    };
    let translate = |what: &str, key: &str, map: &str| {
        serde_json::json!([{ what: { "family": "ip", "addr": { "map": {
            "key": { "payload": { "protocol": "ip", "field": key } }, "data": map } } } }])
    };
    let objects = [
        serde_json::json!({ "chain": { "name": "pre", "type": "nat", "hook": "prerouting", "prio": -100,
                                       "policy": "accept" } }),
        serde_json::json!({ "chain": { "name": "post", "type": "nat", "hook": "postrouting", "prio": 100,
                                       "policy": "accept" } }),
        serde_json::json!({ "chain": { "name": "forward", "type": "filter", "hook": "forward", "prio": 0,
                                       "policy": "accept" } }),
        serde_json::json!({ "chain": { "name": "own" } }),
        serde_json::json!({ "rule": { "chain": "pre", "expr": translate("dnat", "daddr", "@to_inside") } }),
        serde_json::json!({ "rule": { "chain": "post", "expr": translate("snat", "saddr", "@to_outside") } }),
        serde_json::json!({ "rule": { "chain": "forward", "expr": [{ "jump": { "target": "own" } }] } }),
        serde_json::json!({ "rule": { "chain": "own", "expr": [{ "accept": null }] } }),
    ];
    let mut ruleset = Ruleset {
        objects: objects.into_iter().map(in_table).collect(),
        ..Ruleset::default()
    };
    let (mut to_inside, mut to_outside) = (map(&[ElementType::Ipv4]), map(&[ElementType::Ipv4]));
    for number in 0..floating_ips {
        let (outside, inside) = (floating_ip(number), Ipv4Addr::from(0x0a00_0000 + number));
        to_inside
            .elements
            .insert(vec![Element::Ipv4(outside)], Some(Element::Ipv4(inside)));
        to_outside
            .elements
            .insert(vec![Element::Ipv4(inside)], Some(Element::Ipv4(outside)));
    }
    let mut ports = map(&[ElementType::Ipv4, ElementType::Protocol, ElementType::Port]);
    let key = vec![
        Element::Ipv4(floating_ip(0)),
        Element::Protocol(6),
        Element::Port(8080),
    ];
    ports
        .elements
        .insert(key, Some(Element::Ipv4(ip4("10.0.0.7"))));
    let mut marks = Map {
        data: Some(ElementType::Mark),
        ..map(&[ElementType::Device])
    };
    marks.elements.insert(
        vec![Element::Device("qr-12345678-90".into())],
        Some(Element::Mark(0x0401_0001)),
    );
    let mut nets = Map {
        data: Some(ElementType::Mark),
        interval: true,
        ..map(&[ElementType::Ipv4])
    };
    for (address, length, mark) in [
        ("10.0.0.0", 24, 1),
        ("10.0.1.0", 24, 2), // directly behind the one before
        ("10.0.4.7", 32, 3),
        ("255.255.255.0", 24, 4), // up to the end of all addresses
    ] {
        nets.elements.insert(
            vec![Element::Net(ip4(address), length)],
            Some(Element::Mark(mark)),
        );
    }
    let mut pairs = Map {
        data: None,
        interval: true,
        ..map(&[ElementType::Device, ElementType::Ipv4])
    };
    let device = Element::Device("qr-1".into());
    pairs
        .elements
        .insert(vec![device.clone(), Element::Net(ip4("10.0.0.0"), 8)], None);
    pairs
        .elements
        .insert(vec![device, Element::Ipv4(ip4("11.0.0.1"))], None);
    let mut all = Map {
        data: None,
        interval: true,
        ..map(&[ElementType::Ipv4])
    };
    all.elements
        .insert(vec![Element::Net(Ipv4Addr::UNSPECIFIED, 0)], None);
    let mut service = Map {
        data: Some(ElementType::Port),
        ..map(&[ElementType::Protocol, ElementType::Port])
    };
    service.elements.insert(
        vec![Element::Protocol(17), Element::Port(53)],
        Some(Element::Port(5353)),
    );
    let empty = map(&[ElementType::Mark]);
    for (name, map) in [
        ("to_inside", to_inside),
        ("to_outside", to_outside),
        ("ports", ports),
        ("marks", marks),
        ("nets", nets),
        ("pairs", pairs),
        ("all", all),
        ("service", service),
        ("empty", empty),
    ] {
        ruleset.maps.insert(name.to_owned(), map);
    }
    ruleset
}

pub(crate) fn floating_ip(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0xcb00_7100 + number)
}

pub(crate) fn map(key: &[ElementType]) -> Map {
    Map {
        key: key.to_vec(),
        data: Some(ElementType::Ipv4),
        interval: false,
        elements: BTreeMap::new(),
    }
}

fn ip4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}
