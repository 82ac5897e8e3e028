//! An address that is somewhere else now: the neighbours hear of it, and need not find out.

use crate::common::{Guest, Host, PATIENCE, wait_for};

const CLOUD: &str = r#"
[[network]]
name = "inside"
bridge = "br-in"
[[network.subnet]]
cidr = "10.1.0.0/24"
[[network.subnet]]
cidr = "fd00:1::/64"

[[network]]
name = "outside"
bridge = "br-out"
external = true
[[network.subnet]]
cidr = "203.0.113.0/24"
allocation = ["203.0.113.5-203.0.113.5"]
[[network.subnet]]
cidr = "2001:db8::/64"
allocation = ["2001:db8::5-2001:db8::5"]

[[instance]]
name = "vm"
[[instance.port]]
network = "inside"
mac = "fa:16:3e:00:00:01"
"#;

const ROUTER: &str = r#"
[[router]]
name = "r1"
interfaces = ["10.1.0.0/24", "fd00:1::/64"]
gateway = "outside"
[[router.floating_ip]]
address = "203.0.113.20"
instance = "vm"
"#;

const BEFORE: &str = "02:00:00:00:66:66";

/// Believes that these are elsewhere.
fn misled(guest: &Guest, own: &str, addresses: &[&str]) {
    guest.ip(own);
    for address in addresses {
        guest.ip(&format!(
            "neigh replace {address} lladdr {BEFORE} dev eth0 nud stale"
        ));
    }
}

#[test]
fn neighbours_hear_where_gateways_and_floating_ips_are() {
    let Some(host) = Host::new("moves") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    let world = host.guest("world", "br-out", "02:00:00:00:ff:01");
    let vm = host.guest("vm", "br-in", "fa:16:3e:00:00:01");
    let outside = ["203.0.113.5", "203.0.113.20", "2001:db8::5"];
    let inside = ["10.1.0.1", "fd00:1::1"];
    misled(
        &world,
        "addr add 203.0.113.1/24 dev eth0\naddr add 2001:db8::1/64 dev eth0 nodad",
        &outside,
    );
    misled(
        &vm,
        "addr add 10.1.0.11/24 dev eth0\naddr add fd00:1::11/64 dev eth0 nodad",
        &inside,
    );
    daemon.rewrite(&format!("{CLOUD}{ROUTER}"));
    for (guest, addresses) in [(&world, &outside[..]), (&vm, &inside[..])] {
        for address in addresses {
            wait_for(&format!("news of {address}"), PATIENCE, || {
                let known = guest.run(&["ip", "neigh", "show", address]).ok();
                (known.contains("lladdr fa:16:3e") && !known.contains(BEFORE)).then_some(())
            });
        }
    }
}
