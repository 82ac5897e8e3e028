//! What others made stays as it is, and where it is in the way, an error says so.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use common::{
    chain, converge, converge_twice, dev, eventually, home, ip, mac, namespace, net, run, sandbox,
    specs, try_run,
};
use netns::spec::{Link, Neighbour, Route, Rule, Spec};
use netns::{Conflict, Error, Namespace, Step};

/// What an operator may have put into a namespace of ours.
const FOREIGN: [&str; 11] = [
    "ip -n own link add foo0 type bridge",
    "ip -n own link set foo0 up",
    "ip -n own addr add 10.50.0.1/24 dev foo0",
    "ip -n own route add 10.51.0.0/16 via 10.50.0.2",
    "ip -n own route add 10.52.0.0/16 via 10.50.0.2 proto bird",
    "ip -n own route add blackhole 10.53.0.0/16 proto static",
    "ip -n own rule add priority 500 from 10.54.0.0/16 table 5",
    "ip -n own neigh add 10.50.0.9 lladdr 02:00:00:00:00:09 dev foo0",
    "ip netns exec own nft add table inet other",
    "ip netns exec own nft add table ip netns",
    "ip netns exec own sysctl -qw net.ipv4.conf.all.log_martians=1",
];

fn foreign_state() -> Vec<String> {
    [
        "ip -n own addr show foo0",
        "ip -n own route show dev foo0",
        "ip -n own route show type blackhole",
        "ip -n own rule show priority 500",
        "ip -n own neigh show dev foo0",
        "ip netns exec own nft list table inet other",
        "ip netns exec own nft list table ip netns",
        "ip netns exec own sysctl net.ipv4.conf.all.log_martians",
    ]
    .map(run)
    .into()
}

#[test]
fn foreign_things_in_a_namespace_of_ours() {
    sandbox("foreign_things_in_a_namespace_of_ours", || async {
        let inside = namespace("own");
        FOREIGN.iter().for_each(|line| drop(run(line)));
        // Its link-local address is the kernel's own doing, and takes a second.
        eventually("no address is tentative", || {
            !run("ip -n own addr").contains("tentative")
        })
        .await;
        let before = foreign_state();
        let mut spec = specs::pair("tap-0");
        spec.routes = specs::routes();
        spec.rules.insert(Rule {
            priority: 100,
            from: Some(net("10.0.0.0/24")),
            to: None,
            table: 9,
        });
        spec.ruleset = Some(specs::router(2));
        converge_twice(&inside, &spec).await;
        assert_eq!(foreign_state(), before);
        let nothing = Spec {
            ownership: spec.ownership,
            ..Spec::default()
        };
        converge_twice(&inside, &nothing).await;
        assert_eq!(foreign_state(), before);
        assert!(
            !try_run("ip netns exec own nft list table inet netns").0,
            "our own table is gone"
        );
        assert!(
            !try_run("ip -n own link show t0").0,
            "our own device is gone"
        );
    });
}

/// The host's namespace: a foreign bridge is used, but stays the operator's; others' parts are not even looked at.
#[test]
fn foreign_things_in_a_shared_namespace() {
    sandbox("foreign_things_in_a_shared_namespace", || async {
        let host = Namespace::home().unwrap();
        for line in [
            "ip link add br-op type bridge stp_state 1",
            "ip link add op0 type veth peer name op1",
            "ip link set br-op up",
            "ip link set op0 up",
            "ip addr add 10.50.0.1/24 dev op0",
            "ip route add 10.60.0.0/16 via 10.50.0.2 dev op0 proto static",
            "ip rule add priority 600 from 10.61.0.0/16 table 7 protocol static",
        ] {
            run(line);
        }
        let mut other = Spec::default();
        other
            .links
            .insert(dev("br-other"), Link::bridge().addrs([net("10.70.0.1/24")]));
        other
            .routes
            .insert(Route::to(net("10.71.0.0/16")).dev(dev("br-other")));
        converge_twice(&host, &other).await;

        let mut spec = Spec::default();
        spec.links.insert(dev("br-op"), Link::bridge());
        spec.links.insert(
            dev("vx-9"),
            Link::vxlan(specs::tunnel(9)).master(dev("br-op")),
        );
        spec.absent.insert(dev("op1"));
        converge_twice(&host, &spec).await;
        assert!(
            run("ip -d link show br-op").contains("stp_state 1"),
            "an operator's bridge keeps its settings"
        );
        assert!(
            !run("ip link show br-op").contains("alias"),
            "and is not marked as ours"
        );
        assert!(run("ip link show vx-9").contains("alias netns"));

        run("ip link set op1 master br-op");
        converge_twice(&host, &spec).await;
        assert!(
            !run("ip link show op1").contains("master"),
            "another's that shall be absent leaves a bridge that is named"
        );
        run("ip link set op1 master br-op");

        spec.absent.insert(dev("vx-9"));
        spec.absent.insert(dev("br-op"));
        spec.links.clear();
        converge_twice(&host, &spec).await;
        assert!(
            !try_run("ip link show vx-9").0,
            "ours goes when it shall be absent"
        );
        assert!(
            run("ip link show op1").contains("master br-op"),
            "and another's stays where no bridge is named"
        );
        for line in [
            "ip link show br-op",
            "ip link show op1",
            "ip link show br-other",
        ] {
            assert!(try_run(line).0, "{line}: not ours to delete");
        }
        assert!(run("ip route show 10.60.0.0/16").contains("op0"));
        assert!(
            run("ip route show 10.71.0.0/16").contains("br-other"),
            "another Spec's route"
        );
        assert!(run("ip rule show priority 600").contains("10.61.0.0/16"));
    });
}

#[test]
fn what_is_in_the_way() {
    sandbox("what_is_in_the_way", || async {
        let host = Namespace::home().unwrap();
        run("ip link add br-x type veth peer name br-y");
        let mut spec = Spec::default();
        spec.links.insert(dev("br-x"), Link::bridge());
        spec.links.insert(dev("br-ok"), Link::bridge());
        spec.links
            .insert(dev("nothing"), Link::existing().master(dev("br-ok")));
        let (applied, refused) = netns::attempt(&host, &spec).await.unwrap();
        let made: Vec<_> = applied.steps.iter().map(ToString::to_string).collect();
        assert_eq!(made, ["create bridge br-ok", "set br-ok up"]);
        assert!(applied.links.contains_key(&dev("br-ok")));
        assert_eq!(
            chain(&refused.unwrap()),
            chain(&netns::converge(&host, &spec).await.unwrap_err())
        );
        let error = netns::converge(&host, &spec).await.unwrap_err();
        let Error::Several(all) = &error else {
            panic!("{error}")
        };
        assert!(
            all.iter()
                .all(|error| matches!(error, Error::Conflict { .. }))
        );
        let text = chain(&error);
        for part in [
            "br-x is a veth that someone else made, not a bridge",
            "there is no device nothing",
            "home namespace",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text:?}");
        }
        assert!(
            !error.is_transient(),
            "the foreign device does not go by itself"
        );
        assert!(run("ip -d link show br-x").contains("veth"), "untouched");
        assert!(
            run("ip link show br-ok").contains("UP"),
            "what does not depend on it is done"
        );
        spec.links.remove(&dev("br-x"));
        let error = netns::converge(&host, &spec).await.unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Conflict {
                    conflict: Conflict::Missing { .. },
                    ..
                }
            ) && error.is_transient()
        );
    });
}

/// An operator's interface, on which the host may hang.
#[test]
fn a_device_with_addresses_is_not_taken_into_a_bridge() {
    sandbox(
        "a_device_with_addresses_is_not_taken_into_a_bridge",
        || async {
            let host = Namespace::home().unwrap();
            run("ip link add eth7 type veth peer name wire");
            run("ip addr add 192.0.2.7/24 dev eth7");
            let mut spec = Spec::default();
            spec.links.insert(dev("br-7"), Link::bridge());
            spec.links
                .insert(dev("eth7"), Link::existing().master(dev("br-7")));
            let error = netns::converge(&host, &spec).await.unwrap_err();
            assert!(
                chain(&error).contains("eth7 has the address 192.0.2.7/24"),
                "{}",
                chain(&error)
            );
            assert!(error.is_transient(), "somebody may move it");
            assert!(!run("ip link show eth7").contains("master"));
            assert!(run("ip addr show eth7").contains("192.0.2.7/24"));
            run("ip addr flush dev eth7");
            converge_twice(&host, &spec).await;
            assert!(run("ip link show eth7").contains("master br-7"));
        },
    );
}

#[test]
fn a_far_end_whose_name_is_taken() {
    sandbox("a_far_end_whose_name_is_taken", || async {
        let inside = namespace("own");
        run("ip link add tap-0 type bridge");
        let error = netns::converge(&inside, &specs::pair("tap-0"))
            .await
            .unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Conflict {
                    conflict: Conflict::PeerTaken { .. },
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            chain(&error)
                .contains("tap-0: in the home namespace that is a bridge that someone else made")
        );
        run("ip link del tap-0");
        // A left-over of ours, whose near end lives on in a namespace that has lost its name.
        converge_twice(&inside, &specs::pair("tap-0")).await;
        Namespace::delete(&common::ns("own")).unwrap();
        let again = namespace("own");
        let done = converge_twice(&again, &specs::pair("tap-0")).await;
        assert!(done.steps.contains(&Step::DeletePeer {
            dev: dev("tap-0"),
            place: home()
        }));
        drop(inside);
        // Into a namespace that is not there.
        let mut spec = specs::own();
        let nowhere = netns::Place::Named(common::ns("nowhere"));
        spec.links
            .insert(dev("t1"), Link::veth(dev("far"), nowhere));
        let error = netns::converge(&again, &spec).await.unwrap_err();
        assert!(
            chain(&error).contains("namespace nowhere, which does not exist"),
            "{error}"
        );
        assert!(error.is_transient());
        namespace("nowhere");
        converge_twice(&again, &spec).await;
        assert!(run("ip -n nowhere link show far").contains("alias netns"));
    });
}

/// A device of ours that is not what it should be is made anew, with all that stood on it.
#[test]
fn ours_of_the_wrong_kind_is_replaced() {
    sandbox("ours_of_the_wrong_kind_is_replaced", || async {
        let inside = namespace("own");
        let mut spec = specs::pair("tap-0");
        spec.links.insert(dev("t1"), Link::bridge());
        spec.links.get_mut(&dev("t0")).unwrap().master = Some(dev("t1"));
        spec.routes
            .insert(Route::default_v4().via(ip("10.0.0.254")));
        let (address, neighbour) = (ip("10.0.0.9"), mac("fa:16:3e:00:00:09"));
        spec.neighbours.insert(Neighbour {
            dev: dev("t0"),
            address,
            mac: neighbour,
        });
        converge_twice(&inside, &spec).await;
        for (what, change) in [
            ("another far end", Link::veth(dev("tap-1"), home())),
            ("a bridge", Link::bridge()),
            ("a tunnel", Link::vxlan(specs::tunnel(5))),
            ("another tunnel", Link::vxlan(specs::tunnel(6))),
            ("a pair again", Link::veth(dev("tap-0"), home())),
        ] {
            let link = spec.links.get_mut(&dev("t0")).unwrap();
            link.kind = change.kind;
            // A bridge cannot be a port of another.
            link.master = (what != "a bridge").then(|| dev("t1"));
            converge_twice(&inside, &spec).await;
            assert!(
                run("ip -n own route").contains("default via 10.0.0.254 dev t0"),
                "{what}"
            );
            assert!(
                run("ip -n own neigh show nud permanent").contains("10.0.0.9"),
                "{what}"
            );
        }
        // The bridge below becomes another: its port is put into the new one.
        run("ip -n own link del t1");
        let done = converge(&inside, &spec).await;
        assert!(done.steps.contains(&Step::SetMaster {
            dev: dev("t0"),
            master: Some(dev("t1"))
        }));
    });
}
