//! Errors name the object, the operation, the reason, and what to do.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use common::{chain, converge_twice, dev, ip, mac, namespace, net, run, sandbox, specs};
use netns::ruleset::{Element, ElementType};
use netns::spec::{Link, Route, Rule, Spec, Vxlan};
use netns::{Error, converge};

/// A Spec made wrong, and what is said about it.
fn mistakes() -> Vec<(Spec, &'static str)> {
    let wrong = |change: &dyn Fn(&mut Spec)| {
        let mut spec = specs::pair("far");
        spec.ruleset = Some(specs::router(1));
        change(&mut spec);
        spec
    };
    let tunnel = |change: &dyn Fn(&mut Vxlan)| {
        wrong(&|spec| {
            let mut tunnel = specs::tunnel(5);
            change(&mut tunnel);
            spec.links.insert(dev("tvx"), Link::vxlan(tunnel));
        })
    };
    let route = |route: Route| {
        wrong(&|spec| {
            spec.routes.insert(route.clone());
        })
    };
    let element = |map: &str, key: Vec<Element>, data: Option<Element>| {
        wrong(&|spec| {
            let maps = &mut spec.ruleset.as_mut().unwrap().maps;
            maps.get_mut(map)
                .unwrap()
                .elements
                .insert(key.clone(), data.clone());
        })
    };
    let object = |object: serde_json::Value| {
        wrong(&|spec| {
            let objects = &mut spec.ruleset.as_mut().unwrap().objects;
            objects.push(serde_json::from_value(object.clone()).unwrap());
        })
    };
    let v4 = |text: &str| Element::Ipv4(text.parse().unwrap());
    vec![
        (
            wrong(&|spec| spec.ownership.protocol = 2),
            "ownership: has a protocol that is the kernel's or everybody's; use 4",
        ),
        (
            wrong(&|spec| {
                spec.ownership.prefixes.insert(String::new());
            }),
            "ownership: has an empty prefix, which all devices begin with",
        ),
        (
            wrong(&|spec| spec.ownership.alias.clear()),
            "ownership: has no alias",
        ),
        (
            wrong(&|spec| spec.ownership.table = "a b".into()),
            "ownership: has a table name",
        ),
        (
            wrong(&|spec| {
                spec.links
                    .insert(dev("t1"), Link::veth(dev("far"), netns::Place::Home));
            }),
            "t1: has the same far end as another pair",
        ),
        (
            wrong(&|spec| {
                spec.links.get_mut(&dev("t0")).unwrap().mac = Some(mac("01:00:5e:00:00:01"));
            }),
            "t0: has a multicast or zero hardware address; use one like fa:16:3e:00:00:01",
        ),
        (
            wrong(&|spec| spec.links.get_mut(&dev("t0")).unwrap().mtu = Some(20)),
            "t0: has an impossible MTU; use 68 to 65536",
        ),
        (
            wrong(&|spec| spec.links.get_mut(&dev("t0")).unwrap().master = Some(dev("t0"))),
            "t0: is to be a port of itself",
        ),
        (
            wrong(&|spec| {
                spec.absent.insert(dev("t0"));
            }),
            "t0: is both among the links and the absent ones",
        ),
        (
            wrong(&|spec| {
                spec.links.insert(dev("tv"), Link::vlan(dev("t0"), 4095));
            }),
            "tv: has an impossible VLAN id; use 1 to 4094",
        ),
        (
            wrong(&|spec| {
                spec.links.insert(dev("ta"), Link::vlan(dev("tb"), 1));
                spec.links.insert(dev("tb"), Link::vlan(dev("ta"), 2));
            }),
            "ta: stands, by way of others, on itself",
        ),
        (
            tunnel(&|tunnel| tunnel.vni = 1 << 24),
            "tvx: has an impossible VXLAN id",
        ),
        (
            tunnel(&|tunnel| tunnel.port = 0),
            "tvx: has no UDP port; use 4789",
        ),
        (
            tunnel(&|tunnel| tunnel.group = Some(ip("10.0.0.1"))),
            "tvx: has a group that is no multicast address",
        ),
        (
            tunnel(&|tunnel| tunnel.group = Some(ip("239.0.0.1"))),
            "tvx: has a multicast group but no underlay",
        ),
        (
            tunnel(&|tunnel| {
                tunnel.remotes.insert(ip("fd00::1"));
            }),
            "tvx: mixes IPv4 and IPv6 ends",
        ),
        (
            tunnel(&|tunnel| {
                tunnel.remotes.insert(ip("0.0.0.0"));
            }),
            "tvx: has a remote end that is no host",
        ),
        (
            route(Route::to(net("10.1.0.0/16"))),
            "route 10.1.0.0/16: has neither gateway nor device; name one",
        ),
        (
            route(Route::to(net("10.1.0.0/16")).via(ip("fd00::1"))),
            "route 10.1.0.0/16 via fd00::1: mixes IPv4 and IPv6",
        ),
        (
            route(Route::to(net("10.1.0.0/16")).via(ip("0.0.0.0"))),
            "has a gateway of zero",
        ),
        (
            route(Route {
                onlink: true,
                ..Route::default_v4().via(ip("10.0.0.9"))
            }),
            "is onlink but names no device",
        ),
        (
            wrong(&|spec| {
                let (from, to) = (Some(net("10.0.0.0/8")), Some(net("fd00::/8")));
                spec.rules.insert(Rule {
                    priority: 1,
                    from,
                    to,
                    table: 5,
                });
            }),
            "rule 1: from 10.0.0.0/8 to fd00::/8 lookup 5: mixes IPv4 and IPv6",
        ),
        (
            wrong(&|spec| {
                spec.sysctls.insert("vm/swappiness".into(), "1".into());
            }),
            "\"vm/swappiness\": is no setting of a network namespace",
        ),
        (
            wrong(&|spec| {
                spec.sysctls
                    .insert("net/../vm/swappiness".into(), "1".into());
            }),
            "is no setting of a network",
        ),
        (
            element("to_inside", vec![Element::Port(1)], Some(v4("10.0.0.1"))),
            "map to_inside: has an element whose key is not",
        ),
        (
            element(
                "to_inside",
                vec![v4("10.0.0.1"), v4("10.0.0.1")],
                Some(v4("10.0.0.1")),
            ),
            "map to_inside: has an element whose key",
        ),
        (
            element("to_inside", vec![v4("10.0.0.1")], None),
            "map to_inside: has an element whose value is not",
        ),
        (
            element(
                "pairs",
                vec![Element::Device("x".into()), v4("10.0.0.1")],
                Some(v4("10.0.0.1")),
            ),
            "a set has none",
        ),
        (
            element(
                "to_inside",
                vec![Element::Net("10.0.0.0".parse().unwrap(), 8)],
                Some(v4("10.0.0.1")),
            ),
            "whose key is not",
        ),
        (
            element(
                "marks",
                vec![Element::Device("eth*".into())],
                Some(Element::Mark(1)),
            ),
            "map marks: has an element whose key",
        ),
        (
            wrong(&|spec| {
                let marks = specs::map(&[ElementType::Mark]);
                spec.ruleset
                    .as_mut()
                    .unwrap()
                    .maps
                    .insert("a map".into(), marks);
            }),
            "map a map: has a name that nft cannot read",
        ),
        (
            object(
                serde_json::json!({ "chain": { "family": "ip", "table": "netns", "name": "x" } }),
            ),
            "chain x: belongs to another table",
        ),
        (
            object(
                serde_json::json!({ "chain": { "family": "inet", "table": "other", "name": "x" } }),
            ),
            "chain x: belongs to another",
        ),
        (
            object(
                serde_json::json!({ "chain": { "family": "inet", "table": "netns", "name": "digest" } }),
            ),
            "call it otherwise",
        ),
        (
            object(serde_json::json!({ "table": { "family": "inet", "name": "netns" } })),
            "neither chain nor rule nor helper",
        ),
    ]
}

#[test]
fn mistakes_are_told_before_anything_is_touched() {
    sandbox("mistakes_are_told_before_anything_is_touched", || async {
        let inside = namespace("own");
        for (spec, said) in mistakes() {
            let error = converge(&inside, &spec).await.unwrap_err();
            let text = chain(&error);
            assert!(
                text.starts_with("use the specification for namespace own: "),
                "{text}"
            );
            assert!(text.contains(said), "{said:?} is not in {text:?}");
            assert!(
                matches!(error, Error::Mistake { .. }) && !error.is_transient(),
                "{text}"
            );
        }
        assert!(!run("ip -n own link").contains("t0"));
    });
}

#[test]
fn what_the_kernel_refuses() {
    sandbox("what_the_kernel_refuses", || async {
        let inside = namespace("own");
        let refused = |change: &dyn Fn(&mut Spec)| {
            let mut spec = specs::pair("far");
            change(&mut spec);
            spec
        };
        for (spec, said) in [
            (
                refused(&|spec| {
                    spec.routes.insert(Route::default_v4().via(ip("192.0.2.1")));
                }),
                "add route 0.0.0.0/0 via 192.0.2.1 in namespace own (the gateway is in no connected network: add an \
                 address or a route to it first, or say onlink): Network is unreachable (os error 101) (Nexthop has \
                 invalid gateway)",
            ),
            (
                refused(&|spec| {
                    spec.routes
                        .insert(Route::to(net("10.1.0.0/16")).dev(dev("eth9")));
                }),
                "add route 10.1.0.0/16 dev eth9 in namespace own (a device that it names is not there: whatever \
                 provides it must come first): No such device",
            ),
            (
                refused(&|spec| spec.links.get_mut(&dev("t0")).unwrap().master = Some(dev("br9"))),
                "put t0 into bridge br9 in namespace own (a device that it names is not there",
            ),
            (
                refused(&|spec| {
                    spec.sysctls.insert("net/ipv4/nonsense".into(), "1".into());
                }),
                "set net/ipv4/nonsense = 1 in namespace own (there is no such setting: its device or kernel module is \
                 missing): No such file",
            ),
            (
                refused(&|spec| {
                    spec.sysctls
                        .insert("net/ipv4/ip_forward".into(), "maybe".into());
                }),
                "set net/ipv4/ip_forward = maybe in namespace own (the setting does not take this value): Invalid arg",
            ),
            (
                refused(&|spec| {
                    spec.sysctls
                        .insert("net/ipv6/conf/default/disable_ipv6".into(), "1".into());
                    spec.sysctls
                        .insert("net/ipv6/conf/all/disable_ipv6".into(), "1".into());
                }),
                "add address fd00::1/64 to t0 in namespace own (IPv6 is switched off there: see the sysctl disable_ipv6)",
            ),
            (
                refused(&|spec| {
                    spec.links.insert(dev("t1"), Link::vxlan(specs::tunnel(5)));
                    spec.links.insert(dev("t2"), Link::vxlan(specs::tunnel(5)));
                }),
                "create vxlan 5 (UDP port 4789) t2 in namespace own (another device has the name, or the same tunnel id \
                 and port): File exists",
            ),
        ] {
            let error = converge(&inside, &spec).await.unwrap_err();
            let text = chain(&error);
            assert!(text.contains(said), "{said:?}\nis not in\n{text:?}");
            assert!(
                run("ip -n own addr show t0").contains("10.0.0.1/24"),
                "what could be done is done: {text}"
            );
        }
        // Somebody else's route where ours should be.
        let mut spec = specs::pair("far");
        let calm = [
            ("net/ipv6/conf/default/disable_ipv6", "0"),
            ("net/ipv6/conf/all/disable_ipv6", "0"),
        ];
        spec.sysctls
            .extend(calm.map(|(key, value)| (key.to_owned(), value.to_owned())));
        converge_twice(&inside, &spec).await;
        run("ip -n own route add default via 10.0.0.99 proto bird");
        spec.routes.insert(Route::default_v4().via(ip("10.0.0.1")));
        let error = converge(&inside, &spec).await.unwrap_err();
        assert!(
            chain(&error).contains("(a route of someone else has the same destination and metric)"),
            "{}",
            chain(&error)
        );
        assert!(
            run("ip -n own route").contains("default via 10.0.0.99"),
            "untouched"
        );
    });
}
