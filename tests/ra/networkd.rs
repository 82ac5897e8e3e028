//! systemd-networkd in an instance, by advertisements and DHCPv6 alike.

use crate::common::{Guest, Host, PATIENCE, Running, wait_for};
use crate::{CLOUD, ROUTER, default_route, learned};

const NETWORK: &str = "[Match]\nName=eth0\n[Network]\nIPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\n\
                       [IPv6AcceptRA]\nDHCPv6Client=yes\nUseDomains=yes\n[DHCPv6]\nUseDomains=yes\n";

/// As a unit would start it; a read-only /sys tells it that there is no udev.
fn networkd(guest: &Guest) -> Running {
    guest.write("/etc/systemd/network/eth0.network", NETWORK);
    // Its DUID is made of that, and says nothing of the MAC.
    let id = format!("{:032x}", 0x7ea + guest.name().len());
    guest.write("/etc/machine-id", &format!("{id}\n"));
    guest
        .sh("mount -o remount,ro /sys; mkdir -p /run/systemd/netif/links /run/systemd/netif/leases; \
             chown -R systemd-network: /run/systemd/netif")
        .ok();
    guest.spawn(&["/lib/systemd/systemd-networkd"])
}

/// What it found out about its only interface.
fn state(guest: &Guest) -> String {
    guest
        .sh("cat /run/systemd/netif/links/* 2>/dev/null || true")
        .ok()
}

#[track_caller]
fn tells(guest: &Guest, networkd: &Running, words: &[&str]) {
    let found = crate::common::wait_until(PATIENCE, || {
        let state = state(guest);
        words.iter().all(|word| state.contains(word))
    });
    assert!(found, "{words:?} in {}\n{}", state(guest), networkd.log());
}

#[test]
fn networkd_configures_itself() {
    let Some(host) = Host::new("networkd") else {
        return;
    };
    let daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    let green = host.guest("green1", "br-green", "fa:16:3e:00:02:01");
    let (of_blue, of_green) = (networkd(&blue), networkd(&green));
    learned(&blue, crate::BLUE1);
    tells(&blue, &of_blue, &["fd00::53", "fd00::54", "test"]);
    wait_for("an address by DHCPv6", PATIENCE, || {
        let seen = green.run(&["ip", "-6", "addr", "show", "dev", "eth0"]).ok();
        seen.contains("fd00:2::11/128").then_some(())
    });
    let shown = daemon.json(&["show", "network", "green"]);
    let server = shown["subnets"][0]["dhcp_address"].as_str().unwrap();
    tells(&green, &of_green, &[server, "test"]);
    for guest in [&blue, &green] {
        let route = default_route(guest);
        assert!(route.contains("via fe80::f816:3eff"), "{route}");
        // The route information option (RFC 4191).
        wait_for("a route to metadata", PATIENCE, || {
            let seen = guest.run(&["ip", "-6", "route", "show", "fe80::a9fe:a9fe"]);
            let route = seen.ok();
            (route.contains("via fe80::f816:3eff") && route.contains("proto ra")).then_some(())
        });
    }
    let leases = shown_leases(&daemon.json(&["show", "network", "green"]));
    assert!(
        leases.contains(&("fd00:2::11".to_owned(), "bound".to_owned())),
        "{leases:?}"
    );
}

fn shown_leases(network: &serde_json::Value) -> Vec<(String, String)> {
    let leases = network["leases"].as_array().unwrap().iter();
    let word = |lease: &serde_json::Value, key: &str| lease[key].as_str().unwrap().to_owned();
    leases
        .map(|lease| (word(lease, "address"), word(lease, "state")))
        .collect()
}
