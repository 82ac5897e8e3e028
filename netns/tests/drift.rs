//! Whatever somebody changes of ours is noticed at once, and repaired; nothing else is touched by that.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use std::time::{Duration, Instant};

use common::{converge, converge_twice, dev, ip, mac, namespace, net, ns, run, sandbox, specs};
use netns::spec::{Link, Neighbour, Rule};
use netns::{Namespace, Place, Spec, Watcher};
use tokio::sync::mpsc::Receiver;

/// From the change until it is repaired.
const PROMISED: Duration = Duration::from_secs(2);

/// Longer than that nothing takes, even on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// A router with everything that can drift.
fn router() -> Spec {
    let mut spec = specs::pair("tap-0");
    spec.routes = specs::routes();
    spec.links.insert(dev("tbr"), Link::bridge());
    spec.links.insert(
        dev("t1"),
        Link::veth(dev("tap-1"), Place::Home).master(dev("tbr")),
    );
    spec.links.insert(dev("tvx"), Link::vxlan(specs::tunnel(5)));
    spec.rules.insert(Rule {
        priority: 100,
        from: Some(net("10.0.0.0/24")),
        to: None,
        table: 77,
    });
    let (address, mac) = (ip("10.0.0.9"), mac("fa:16:3e:00:00:09"));
    spec.neighbours.insert(Neighbour {
        dev: dev("t0"),
        address,
        mac,
    });
    spec.sysctls.extend(specs::settings());
    spec.ruleset = Some(specs::router(5));
    spec
}

/// What an operator's slip does, and what shows it.
const SLIPS: [(&str, &str); 30] = [
    (
        "an address is gone",
        "ip -n own addr del 10.0.0.1/24 dev t0",
    ),
    (
        "an IPv6 address is gone",
        "ip -n own addr del fd00::1/64 dev t0",
    ),
    ("all addresses are gone", "ip -n own addr flush dev t0"),
    (
        "an address too many",
        "ip -n own addr add 10.7.0.1/24 dev t0",
    ),
    (
        "another prefix length",
        "ip -n own addr add 10.0.0.1/16 dev t0",
    ),
    (
        "a point-to-point address",
        "ip -n own addr add 10.7.0.1 peer 10.7.0.2/32 dev t0",
    ),
    (
        "an address that ends",
        "ip -n own addr change 10.0.0.1/24 dev t0 valid_lft 500 preferred_lft 500",
    ),
    (
        "an IPv6 address that ends",
        "ip -n own addr change fd00::1/64 dev t0 valid_lft 500 preferred_lft 500",
    ),
    (
        "a rule of ours that says more",
        "ip -n own rule add priority 201 not from 10.1.0.0/16 fwmark 7 table 5 protocol static",
    ),
    ("the default route is gone", "ip -n own route del default"),
    (
        "a route goes elsewhere",
        "ip -n own route replace default via 10.0.0.77 proto static",
    ),
    (
        "a route of ours too many",
        "ip -n own route add 10.66.0.0/16 via 10.0.0.77 proto static",
    ),
    (
        "a route lost a next hop",
        "ip -n own route replace 172.16.0.0/16 via 10.0.0.253 proto static",
    ),
    ("an IPv6 route is gone", "ip -n own -6 route del fd01::/64"),
    ("a rule is gone", "ip -n own rule del priority 100"),
    (
        "a rule of ours too many",
        "ip -n own rule add priority 200 from 10.1.0.0/16 table 5 protocol static",
    ),
    ("the device is down", "ip -n own link set t0 down"),
    ("another MTU", "ip -n own link set t0 mtu 1400"),
    (
        "another hardware address",
        "ip -n own link set t0 address fa:16:3e:00:00:77",
    ),
    ("out of its bridge", "ip -n own link set t1 nomaster"),
    (
        "the bridge does STP",
        "ip -n own link set tbr type bridge stp_state 1 forward_delay 1500",
    ),
    ("the device is gone", "ip -n own link del t0"),
    ("its far end is gone", "ip link del tap-0"),
    ("the bridge is gone", "ip -n own link del tbr"),
    (
        "the tunnel is another",
        "sh -c ip\t-n\town\tlink\tdel\ttvx;ip\t-n\town\tlink\tadd\ttvx\ttype\tvxlan\tid\t9\tdstport\t4789",
    ),
    (
        "a device of ours too many",
        "ip -n own link add tstray type bridge",
    ),
    (
        "forwarding is off",
        "ip netns exec own sysctl -qw net.ipv4.ip_forward=0",
    ),
    (
        "a silent setting is another",
        "ip netns exec own sysctl -qw net.ipv4.conf.all.arp_ignore=0",
    ),
    (
        "a device's setting is another",
        "ip netns exec own sysctl -qw net.ipv6.conf.t0.accept_ra=2",
    ),
    (
        "the table is gone",
        "ip netns exec own nft delete table inet netns",
    ),
];

/// More of these: nft's own language has blanks, which `run` splits at.
const NFT_SLIPS: [(&str, &str); 12] = [
    ("the table is flushed", "flush table inet netns"),
    ("a chain is flushed", "flush chain inet netns own"),
    ("a rule is added", "add rule inet netns own drop"),
    ("a rule is put first", "insert rule inet netns forward drop"),
    (
        "a rule for another",
        "flush chain inet netns own; add rule inet netns own drop",
    ),
    ("a policy", "add chain inet netns forward { policy drop; }"),
    (
        "a chain is added",
        "add chain inet netns evil { type filter hook input priority 0; policy drop; }",
    ),
    (
        "the table sleeps",
        "add table inet netns { flags dormant; }",
    ),
    (
        "an element is gone",
        "delete element inet netns to_inside { 203.0.113.1 }",
    ),
    (
        "an element too many",
        "add element inet netns to_inside { 203.0.113.99 : 10.0.0.99 }",
    ),
    (
        "a range too many",
        "add element inet netns nets { 10.99.0.0/16 : 0x1 }",
    ),
    ("a map is flushed", "flush map inet netns to_outside"),
];

struct Watched {
    inside: Namespace,
    spec: Spec,
    watcher: Watcher,
    told: Receiver<Place>,
}

impl Watched {
    async fn start(spec: Spec) -> Self {
        let inside = namespace("own");
        let (watcher, told) = Watcher::new();
        watcher.watch(&inside).await.unwrap();
        let mut watched = Self {
            inside,
            spec,
            watcher,
            told,
        };
        watched.settle().await;
        watched
    }

    /// Converges until it hears nothing more.
    async fn settle(&mut self) {
        converge_twice(&self.inside, &self.spec).await;
        self.watcher
            .watch_settings(&self.inside, &self.spec)
            .await
            .unwrap();
        while tokio::time::timeout(Duration::from_millis(200), self.told.recv())
            .await
            .is_ok()
        {}
        converge_twice(&self.inside, &self.spec).await;
    }

    /// Like a daemon: waits for news, then converges. On a machine that has other things to do, the best of three
    /// times counts.
    async fn repair(&mut self, what: &str, slip: impl Fn()) {
        let mut took = Vec::new();
        while took.len() < 3 {
            let start = Instant::now();
            slip();
            let mut repaired = 0;
            while repaired == 0 {
                let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
                assert_eq!(
                    told.ok().flatten().as_ref(),
                    Some(self.inside.place()),
                    "{what}: nobody told"
                );
                repaired += converge(&self.inside, &self.spec).await.steps.len();
            }
            took.push(start.elapsed());
            eprintln!(
                "{what}: repaired by {repaired} steps, {:?} after it began",
                start.elapsed()
            );
            self.settle().await;
            if took.iter().any(|took| *took < PROMISED) {
                return;
            }
        }
        panic!("{what}: never in time: {took:?}");
    }
}

#[test]
fn every_slip_is_told_of_and_repaired() {
    sandbox("every_slip_is_told_of_and_repaired", || async {
        let mut watched = Watched::start(router()).await;
        let before = state();
        for (what, line) in SLIPS {
            watched.repair(what, || run_slip(line)).await;
            assert_same(what, &before, &state());
        }
        for (what, rules) in NFT_SLIPS {
            watched.repair(what, || common::nft("own", rules)).await;
            assert_same(what, &before, &state());
        }
    });
}

/// Tabs stand for the blanks inside of a word.
fn run_slip(line: &str) {
    match line.strip_prefix("sh -c ") {
        None => drop(run(line)),
        Some(script) => {
            let status = std::process::Command::new("sh")
                .args(["-c", script])
                .status()
                .unwrap();
            assert!(status.success(), "{script}");
        }
    }
}

fn assert_same(what: &str, before: &[String], after: &[String]) {
    let less: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let more: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(
        less.is_empty() && more.is_empty(),
        "{what}: less {less:#?}, more {more:#?}"
    );
}

/// As an operator sees it; without what changes with each new device (index, random address).
fn state() -> Vec<String> {
    let mut state = Vec::new();
    for line in [
        "ip -n own -o addr show dev t0 scope global",
        "ip -n own route show table all proto static",
        "ip -n own -6 route show table all proto static",
        "ip -n own rule",
        "ip -n own -6 rule",
        "ip -n own neigh show nud permanent",
        "ip netns exec own bridge fdb show dev tvx",
        "ip netns exec own sysctl net.ipv4.ip_forward net.ipv4.conf.all.arp_ignore net.ipv6.conf.t0.accept_ra",
        "ip netns exec own nft -s list ruleset",
    ] {
        let shown = run(line);
        // Of a tunnel's forwarding table only what it floods to is ours.
        let ours = shown
            .lines()
            .filter(|found| !line.contains("fdb") || found.starts_with("00:00"));
        state.extend(ours.map(sorted));
    }
    for device in ["t0", "t1", "tbr", "tvx", "tap-0"] {
        let place = if device.starts_with("tap") {
            ""
        } else {
            "-n own "
        };
        let shown = run(&format!("ip {place}-o -d link show {device}"));
        let keep = |word: &&str| {
            [
                "mtu", "UP", "1450", "1500", "veth", "bridge", "vxlan", "netns",
            ]
            .contains(word)
        };
        let words: Vec<&str> = shown
            .split([' ', '<', '>', ',', '\n'])
            .filter(keep)
            .collect();
        state.push(format!("{device}: {}", words.join(" ")));
    }
    state
}

/// The kernel lists hashed elements in any order; and indexes of devices are not ours.
fn sorted(line: &str) -> String {
    let line = line.split_once(": t0").map_or(line, |(_, rest)| rest);
    let mut words: Vec<&str> = line
        .split([' ', ',', '\t'])
        .filter(|word| !word.is_empty())
        .collect();
    words.sort_unstable();
    words.join(" ")
}

#[test]
fn a_deleted_namespace_is_told_of_and_made_again() {
    sandbox("a_deleted_namespace_is_told_of_and_made_again", || async {
        for half in [false, true] {
            let mut watched = Watched::start(router()).await;
            let (old, start) = (watched.inside.inode(), Instant::now());
            run(if half {
                "umount -l /run/netns/own"
            } else {
                "ip netns del own"
            });
            let told = tokio::time::timeout(PATIENCE, watched.told.recv()).await;
            assert_eq!(
                told.ok().flatten().as_ref(),
                Some(watched.inside.place()),
                "half: {half}"
            );
            assert!(Namespace::open(&ns("own")).unwrap().is_none());
            // The old handle still keeps the old namespace, and with it the far ends' names; and so does a socket in it.
            let keeps = netns::socket::udp(&watched.inside, "0.0.0.0:67".parse().unwrap(), None)
                .await
                .unwrap();
            let (new, created) = Namespace::ensure(&ns("own")).await.unwrap();
            assert!(created && new.inode() != old);
            converge_twice(&new, &watched.spec).await;
            eprintln!("made again {:?} after it began to go", start.elapsed());
            assert_eq!(run("ip link show tap-0").matches("tap-0").count(), 1);
            drop(keeps);
            watched.watcher.watch(&new).await.unwrap();
            watched.inside = new;
            watched.settle().await;
            watched
                .repair("in the new one", || {
                    drop(run("ip -n own addr flush dev t0"));
                })
                .await;
            watched.watcher.unwatch(watched.inside.place());
            assert!(Namespace::delete(&ns("own")).unwrap());
        }
    });
}

#[test]
fn a_watcher_tells_nothing_of_what_it_does_not_watch() {
    sandbox(
        "a_watcher_tells_nothing_of_what_it_does_not_watch",
        || async {
            let mut watched = Watched::start(router()).await;
            let place = watched.inside.place().clone();
            // The kernel's own afterthoughts (carriers, link-local addresses) take their time on a busy machine.
            while tokio::time::timeout(Duration::from_secs(1), watched.told.recv())
                .await
                .is_ok()
            {}
            namespace("other");
            run("ip -n other link set lo up");
            run("ip netns exec other sysctl -qw net.ipv4.conf.all.arp_ignore=1");
            let quiet = tokio::time::timeout(Duration::from_millis(300), watched.told.recv()).await;
            assert!(quiet.is_err(), "{quiet:?}");
            watched.watcher.unwatch(&place);
            run("ip -n own addr flush dev t0");
            run("ip netns exec own sysctl -qw net.ipv4.conf.all.arp_ignore=0");
            run("ip netns del own");
            let quiet = tokio::time::timeout(Duration::from_millis(300), watched.told.recv()).await;
            assert!(quiet.is_err(), "{quiet:?}");
            drop(watched.watcher);
            assert_eq!(
                watched.told.recv().await,
                None,
                "its tasks are gone with it"
            );
        },
    );
}
