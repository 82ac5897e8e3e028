//! What is to be done, and in which order: pure, so without a kernel.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use common::{dev, home, ip, mac, net, specs};
use netns::spec::{Link, Neighbour, Route, Rule, Spec};
use netns::{Actual, Conflict, PeerSeen, Step, diff};

fn lines(spec: &Spec, actual: &Actual) -> Vec<String> {
    diff(spec, actual).iter().map(ToString::to_string).collect()
}

fn new_namespace() -> Actual {
    Actual::empty(netns::Place::Named(common::ns("own")))
}

#[test]
fn a_new_router_from_nothing() {
    let mut spec = specs::pair("tap-0");
    spec.sysctls
        .insert("net/ipv4/ip_forward".into(), "1".into());
    spec.sysctls
        .insert("net/ipv6/conf/t0/accept_ra".into(), "0".into());
    spec.links.insert(dev("tbr"), Link::bridge());
    // Stands on others, and comes behind them though its name comes first.
    spec.links.insert(dev("ta"), Link::vlan(dev("tb"), 7));
    spec.links
        .insert(dev("tb"), Link::vlan(dev("t0"), 8).master(dev("tbr")));
    spec.links.insert(dev("tvx"), Link::vxlan(specs::tunnel(5)));
    spec.routes
        .insert(Route::default_v4().via(ip("192.168.7.1")));
    spec.routes
        .insert(Route::to(net("192.168.7.0/24")).dev(dev("t0")));
    spec.rules.insert(Rule {
        priority: 9,
        from: Some(net("10.0.0.0/24")),
        to: None,
        table: 9,
    });
    let (address, mac) = (ip("10.0.0.9"), mac("fa:16:3e:00:00:09"));
    spec.neighbours.insert(Neighbour {
        dev: dev("t0"),
        address,
        mac,
    });
    spec.ruleset = Some(specs::router(1));
    assert_eq!(
        lines(&spec, &new_namespace()),
        [
            "load nftables table inet netns (it is not there)",
            "create veth (far end tap-0 in the home namespace) t0",
            "create vlan 8 (on t0) tb",
            "create vlan 7 (on tb) ta",
            "create bridge tbr",
            "create vxlan 5 (UDP port 4789) tvx",
            // Nothing is known of what is not looked at: a setting that is not there yet comes late.
            "set net/ipv4/ip_forward = 1",
            "set net/ipv6/conf/default/accept_dad = 0",
            "set net/ipv6/conf/t0/accept_ra = 0",
            "put tb into bridge tbr",
            "set lo up",
            "set t0 up",
            "set tb up",
            "set ta up",
            "set tbr up",
            "set tvx up",
            "add address 10.0.0.1/24 to t0",
            "add address 10.0.0.2/24 to t0",
            "add address fd00::1/64 to t0",
            "flood from tvx to 127.0.0.2",
            "flood from tvx to 127.0.0.3",
            "set neighbour 10.0.0.9 at fa:16:3e:00:00:09 on t0",
            "add route 192.168.7.0/24 dev t0",
            "add route 0.0.0.0/0 via 192.168.7.1",
            "add rule 9: from 10.0.0.0/24 lookup 9",
        ]
    );
}

#[test]
fn nothing_of_ours_needs_nothing() {
    let nothing = Spec {
        ownership: specs::own().ownership,
        ..Spec::default()
    };
    assert_eq!(lines(&nothing, &new_namespace()), Vec::<String>::new());
}

#[test]
fn left_overs_and_strangers_at_the_far_end() {
    let spec = specs::pair("tap-0");
    let there = |alias: Option<&str>| {
        let mut actual = new_namespace();
        let kind = netns::KindSeen::Bridge { plain: true };
        let peer = PeerSeen {
            index: 5,
            kind,
            alias: alias.map(str::to_owned),
        };
        actual.peers.insert((home(), dev("tap-0")), peer);
        actual
    };
    let steps = diff(&spec, &there(Some("netns")));
    assert_eq!(
        steps[0],
        Step::DeletePeer {
            dev: dev("tap-0"),
            place: home()
        }
    );
    assert!(
        matches!(steps[1], Step::CreateLink { .. }),
        "{:?}",
        steps[1]
    );
    for alias in [None, Some("somebody")] {
        let steps = diff(&spec, &there(alias));
        assert!(
            matches!(steps[0], Step::Blocked(Conflict::PeerTaken { .. })),
            "{:?}",
            steps[0]
        );
        let text: Vec<String> = steps[1..].iter().map(ToString::to_string).collect();
        assert!(
            text.iter().all(|text| !text.contains("t0")),
            "nothing is done about it: {text:?}"
        );
    }
    let mut nowhere = new_namespace();
    nowhere.nowhere.insert(home());
    assert!(matches!(
        diff(&spec, &nowhere)[0],
        Step::Blocked(Conflict::NoPlace { .. })
    ));
}

/// The same wish always gives the same steps, and does not depend on how it was written.
#[test]
fn the_same_wish_written_otherwise() {
    let mut plain = specs::pair("tap-0");
    let mut odd = plain.clone();
    plain
        .routes
        .insert(Route::to(net("10.1.0.0/16")).via(ip("10.0.0.9")));
    odd.routes.insert(Route {
        table: 254,
        ..Route::to(net("10.1.2.3/16")).via(ip("10.0.0.9"))
    });
    assert_eq!(
        lines(&plain, &new_namespace()),
        lines(&odd, &new_namespace())
    );
}
