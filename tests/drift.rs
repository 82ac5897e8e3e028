//! What an operator, or chance, takes away comes back; what is theirs stays.
#![allow(clippy::unwrap_used)] // in a test a panic is the report

mod common;

use std::time::{Duration, Instant};

use common::{Daemon, Guest, Host, wait_until};

const CLOUD: &str = common::ROUTED;

struct Cloud {
    daemon: Daemon,
    blue: Guest,
    world: Guest,
    dhcp: String,
    router: String,
    host: Host,
}

fn cloud(name: &str) -> Option<Cloud> {
    let host = Host::new(name)?;
    let daemon = host.warren_run(CLOUD);
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    let world = host.world("br-outside", "203.0.113.1/24");
    blue.udhcpc();
    let namespace = |kind, name| {
        daemon.json(&["show", kind, name])["namespace"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (dhcp, router) = (namespace("network", "blue"), namespace("router", "r1"));
    Some(Cloud {
        daemon,
        blue,
        world,
        dhcp,
        router,
        host,
    })
}

impl Cloud {
    /// A shell in a namespace, with `$qr`, `$qg` and `$ns` as its devices.
    fn sh(&self, namespace: &str, script: &str) {
        let device = |prefix: &str| {
            let links = self.host.run_in(namespace, &["ip", "-o", "link"]).ok();
            let name = links
                .split([' ', '@', ':'])
                .find(|word| word.starts_with(prefix))
                .unwrap_or_default();
            name.to_owned()
        };
        let script = format!(
            "qr={} qg={} ns={}\n{script}",
            device("qr-"),
            device("qg-"),
            device("ns-")
        );
        self.host.run_in(namespace, &["sh", "-ec", &script]).ok();
    }

    /// Everything works, and `plan` finds nothing to do, within two seconds.
    #[track_caller]
    fn is_repaired(&self, name: &str) {
        let broken = Instant::now();
        let repaired = wait_until(Duration::from_secs(2), || {
            self.daemon.plan().trim() == "nothing to do"
        });
        assert!(
            repaired,
            "{name}: after {:?} there is still to do:\n{}\n{}",
            broken.elapsed(),
            self.daemon.plan(),
            self.daemon.log()
        );
        assert!(self.blue.ping("203.0.113.1"), "{name}: out");
        assert!(self.world.ping("203.0.113.20"), "{name}: in");
        assert_eq!(
            self.blue.resolve("blue1"),
            ["10.0.1.11".parse::<std::net::Ipv4Addr>().unwrap()],
            "{name}: DNS"
        );
    }
}

#[test]
fn drift_in_a_namespace_is_repaired() {
    let Some(cloud) = cloud("drift") else { return };
    let (router, dhcp) = (cloud.router.clone(), cloud.dhcp.clone());
    for (name, namespace, script) in [
        ("an address", &router, "ip addr del 10.0.1.1/24 dev $qr"),
        (
            "a floating address",
            &router,
            "ip addr del 203.0.113.20/32 dev $qg",
        ),
        ("a route", &router, "ip route del default"),
        (
            "a sysctl with an event",
            &router,
            "sysctl -qw net.ipv4.ip_forward=0",
        ),
        (
            "a sysctl without one",
            &router,
            "sysctl -qw net.ipv4.conf.all.arp_ignore=0",
        ),
        ("a link down", &router, "ip link set $qg down"),
        ("a device", &router, "ip link del $qr"),
        ("a table flushed", &router, "nft flush table inet warren"),
        ("a table deleted", &router, "nft delete table inet warren"),
        ("the whole ruleset", &router, "nft flush ruleset"),
        (
            "a map's element",
            &router,
            "nft delete element inet warren floating_to_fixed '{ 203.0.113.20 }'",
        ),
        ("a rule", &router, "nft flush chain inet warren postrouting"),
        (
            "the DHCP address",
            &dhcp,
            "ip addr flush dev $ns scope global",
        ),
        ("the DHCP device", &dhcp, "ip link del $ns"),
        ("an MTU", &dhcp, "ip link set $ns mtu 1200"),
    ] {
        cloud.sh(namespace, script);
        cloud.is_repaired(name);
    }
}

#[test]
fn a_lost_namespace_comes_back() {
    let Some(cloud) = cloud("lost") else { return };
    for name in [cloud.router.clone(), cloud.dhcp.clone()] {
        cloud.host.run(&["ip", "netns", "del", &name]).ok();
        cloud.is_repaired(&format!("{name} deleted"));
        // Half-deleted: the file stays, with nothing mounted on it.
        cloud
            .host
            .run(&["umount", "-l", &format!("/run/netns/{name}")])
            .ok();
        cloud.is_repaired(&format!("{name} half-deleted"));
    }
}

#[test]
fn drift_on_the_host_is_repaired() {
    let Some(cloud) = cloud("host") else { return };
    for (name, script) in [
        ("a bridge down", "ip link set br-blue down"),
        (
            "a far end unplugged",
            "ip link set $(ls /sys/class/net/br-blue/brif | grep ^tap | head -n 1) nomaster",
        ),
        (
            "a far end down",
            "ip link set $(ls /sys/class/net/br-blue/brif | grep ^tap | head -n 1) down",
        ),
        (
            "a far end deleted",
            "ip link del $(ls /sys/class/net/br-blue/brif | grep ^tap | head -n 1)",
        ),
    ] {
        cloud.host.run(&["sh", "-ec", script]).ok();
        cloud.is_repaired(name);
    }
    // The bridge comes back with what is warren's; the instance's tap was plugged by somebody else, who plugs it again.
    cloud.host.ip("link del br-blue");
    let plug = format!("ip link set {} master br-blue", cloud.blue.tap());
    let back = wait_until(Duration::from_secs(2), || {
        cloud.host.run(&["sh", "-c", &plug]).succeeded()
    });
    assert!(back, "no br-blue after 2 s");
    cloud.is_repaired("a bridge deleted");
}

#[test]
fn what_is_others_stays() {
    let Some(cloud) = cloud("others") else { return };
    let theirs = "ip link add theirs type veth peer name theirs2\nip addr add 192.0.2.1/24 dev theirs\nip link set theirs up\n\
        ip route add 198.51.100.0/24 dev $qr\nnft add table inet theirs\nnft add chain inet theirs c";
    cloud.sh(&cloud.router, theirs);
    cloud
        .host
        .ip("link add br-theirs type bridge\nlink add theirs type veth peer name theirs2");
    // Something of ours moves, so that everything is looked at. (A device's last address would take every route along.)
    cloud.sh(
        &cloud.router,
        "ip route del default; nft flush table inet warren",
    );
    cloud.host.ip("link set br-blue down");
    cloud.is_repaired("ours");
    let still = "ip link show theirs && ip route show 198.51.100.0/24 | grep -q . && nft list chain inet theirs c";
    cloud.sh(&cloud.router, still);
    cloud.host.run(&["ip", "link", "show", "br-theirs"]).ok();
    cloud.host.run(&["ip", "link", "show", "theirs"]).ok();
}
