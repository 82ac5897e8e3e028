//! The second time nothing is done: by our own count, and by what the kernel's monitors hear.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use common::{
    Monitor, assert_settled, converge, converge_twice, dev, namespace, run, sandbox, specs, try_run,
};
use netns::Namespace;
use netns::spec::{Link, Neighbour, Ownership, Route, Spec};

#[test]
fn every_kind_of_spec_in_a_namespace_of_ours() {
    sandbox("every_kind_of_spec_in_a_namespace_of_ours", || async {
        for (number, (name, spec)) in specs::all_kinds("far").into_iter().enumerate() {
            let own = format!("own-{number}");
            let inside = namespace(&own);
            let first = converge(&inside, &spec).await;
            assert_eq!(first.steps.is_empty(), first.writes == 0, "{name}");
            assert_eq!(
                first.steps.is_empty(),
                name == "nothing",
                "{name}: {:?}",
                first.steps
            );
            assert!(
                spec.links.keys().all(|dev| first.links.contains_key(dev)),
                "{name}"
            );
            let monitor = Monitor::start(&own);
            assert_settled(&inside, &spec).await;
            assert_eq!(monitor.stop(), "", "{name}");
            // Each begins with nothing of the one before, whose pair had the same name.
            converge(
                &inside,
                &Spec {
                    ownership: spec.ownership,
                    ..Spec::default()
                },
            )
            .await;
        }
    });
}

/// The kernel does without IPv6 there, and without its settings.
#[test]
fn an_mtu_too_small_for_ipv6() {
    sandbox("an_mtu_too_small_for_ipv6", || async {
        let inside = namespace("own");
        let with = |mtu| {
            let mut spec = specs::own();
            let pair = Link::veth(dev("tap-0"), common::home());
            spec.links
                .insert(dev("t0"), pair.mtu(mtu).master(dev("tbr")));
            spec.links.insert(dev("tbr"), Link::bridge().mtu(mtu));
            for device in ["t0", "tbr"] {
                let key = format!("net/ipv6/conf/{device}/disable_ipv6");
                spec.sysctls.insert(key, "1".into());
            }
            spec
        };
        for mtu in [1200, 1500, 1200, 1280, 1279] {
            converge_twice(&inside, &with(mtu)).await;
            for device in ["t0", "tbr"] {
                let key = format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6");
                let (_, found) = try_run(&format!("ip netns exec own cat {key}"));
                let want = if mtu < 1280 { "No such file" } else { "1\n" };
                assert!(found.contains(want), "{mtu}, {device}: {found}");
            }
        }
    });
}

#[test]
fn a_part_of_a_shared_namespace() {
    sandbox("a_part_of_a_shared_namespace", || async {
        let inside = namespace("router");
        converge(&inside, &specs::pair("tap-a")).await;
        let host = Namespace::home().unwrap();
        let mut spec = Spec {
            ownership: Ownership::default(),
            ..Spec::default()
        };
        spec.links.insert(
            dev("brq-1"),
            Link::bridge().addrs([common::net("10.5.0.1/24")]),
        );
        spec.links
            .insert(dev("tap-a"), Link::existing().master(dev("brq-1")));
        spec.links.insert(
            dev("vxlan-5"),
            Link::vxlan(specs::tunnel(5)).master(dev("brq-1")),
        );
        spec.absent.insert(dev("vxlan-6"));
        spec.routes
            .insert(Route::to(common::net("10.6.0.0/16")).dev(dev("brq-1")));
        let (address, mac) = (common::ip("10.5.0.9"), common::mac("fa:16:3e:00:00:09"));
        spec.neighbours.insert(Neighbour {
            dev: dev("brq-1"),
            address,
            mac,
        });
        spec.sysctls
            .insert("net/ipv6/conf/brq-1/disable_ipv6".into(), "1".into());
        spec.ruleset = Some(specs::router(2));
        let first = converge(&host, &spec).await;
        assert!(first.writes > 0);
        assert_settled(&host, &spec).await;
        assert_eq!(
            first.links[&dev("brq-1")].mac,
            mac_of("brq-1"),
            "a bridge's address follows its ports"
        );
    });
}

#[test]
fn both_ends_of_a_pair_in_one_namespace() {
    sandbox("both_ends_of_a_pair_in_one_namespace", || async {
        let inside = namespace("own");
        let mut spec = specs::own();
        let here = inside.place().clone();
        spec.links.insert(
            dev("ta"),
            Link::veth(dev("tb"), here).addrs([common::net("10.0.0.1/24")]),
        );
        spec.links
            .insert(dev("tb"), Link::existing().master(dev("tbr")));
        spec.links.insert(dev("tbr"), Link::bridge());
        common::converge_twice(&inside, &spec).await;
        // The far end need not be named, and is not taken for a stray device of ours.
        spec.links.remove(&dev("tb"));
        common::converge_twice(&inside, &spec).await;
        spec.links.clear();
        common::converge_twice(&inside, &spec).await;
        assert!(!run("ip -n own link").contains("tb"), "all of ours is gone");
    });
}

fn mac_of(name: &str) -> Option<netns::MacAddr> {
    let path = format!("/sys/class/net/{name}/address");
    run("mount -t sysfs sysfs /sys");
    std::fs::read_to_string(path).unwrap().trim().parse().ok()
}
