//! How a network leaves its host: VXLAN to another host, flat on a device, and what happens where a kernel part is missing.
#![allow(clippy::unwrap_used)] // in a test a panic is the report

mod common;

use common::{Daemon, Host, PATIENCE, wait_for, wait_until};

/// One VXLAN network with an instance on each of two hosts; DHCP and DNS on both, as with several DHCP agents.
fn vxlan(local: &str, how: &str, dhcp: &str) -> String {
    format!(
        r#"
dns_domain = "test"

[[network]]
name = "wide"
type = "vxlan"
vni = 77
local = "{local}"
{how}
bridge = "br-wide"
[[network.subnet]]
cidr = "10.7.0.0/24"
gateway = false
dhcp_address = "{dhcp}"

[[instance]]
name = "one"
[[instance.port]]
network = "wide"
mac = "fa:16:3e:07:00:01"
addresses = ["10.7.0.11"]

[[instance]]
name = "two"
[[instance.port]]
network = "wide"
mac = "fa:16:3e:07:00:02"
addresses = ["10.7.0.12"]
"#
    )
}

/// Two hosts with a cable between them, each with its daemon and one of the instances.
fn two_hosts(name: &str, how: [&str; 2]) {
    let (Some(here), Some(there)) = (
        Host::new(&format!("{name}1")),
        Host::new(&format!("{name}2")),
    ) else {
        return;
    };
    here.link(&there, "cable", "192.0.2.1/24", "192.0.2.2/24");
    let _here = here.warren_run(&vxlan("192.0.2.1", how[0], "10.7.0.2"));
    let _there = there.warren_run(&vxlan("192.0.2.2", how[1], "10.7.0.3"));
    let one = here.guest("one", "br-wide", "fa:16:3e:07:00:01");
    let two = there.guest("two", "br-wide", "fa:16:3e:07:00:02");
    let lease = one.udhcpc();
    assert_eq!(lease.mtu, Some(1450), "room for the tunnel's headers");
    two.dhclient();
    assert!(one.ping("10.7.0.12"), "through the tunnel");
    assert_eq!(
        one.resolve("two.test"),
        ["10.7.0.12".parse::<std::net::Ipv4Addr>().unwrap()]
    );
    // A full frame goes through without fragments.
    let full = [
        "ping",
        "-c",
        "1",
        "-W",
        "2",
        "-M",
        "do",
        "-s",
        "1422",
        "10.7.0.12",
    ];
    two.run(&["ping", "-c", "1", "-W", "2", "10.7.0.11"]).ok();
    one.run(&full).ok();
}

#[test]
fn vxlan_joins_two_hosts_by_remotes() {
    two_hosts(
        "remote",
        ["remotes = [\"192.0.2.2\"]", "remotes = [\"192.0.2.1\"]"],
    );
}

#[test]
fn vxlan_joins_two_hosts_by_a_group() {
    two_hosts(
        "group",
        [
            "device = \"cable\"\ngroup = \"239.1.1.1\"",
            "device = \"cable\"\ngroup = \"239.1.1.1\"",
        ],
    );
}

const FLAT: &str = r#"
[[network]]
name = "flat"
type = "flat"
device = "cable"
bridge = "br-flat"
[[network.subnet]]
cidr = "10.8.0.0/24"
gateway = false

[[instance]]
name = "far"
[[instance.port]]
network = "flat"
mac = "fa:16:3e:08:00:01"
addresses = ["10.8.0.11"]
"#;

#[test]
fn a_flat_network_is_served_on_its_device() {
    let (Some(here), Some(there)) = (Host::new("flat1"), Host::new("flat2")) else {
        return;
    };
    here.link(&there, "cable", "192.0.2.1/24", "192.0.2.2/24");
    let daemon = here.warren_run(FLAT);
    // With the cable's address the host itself may hang on it: that is not cut off.
    let view = daemon.json(&["show", "network", "flat"]);
    assert_eq!(view["state"], "failed");
    let error = view["error"].as_str().unwrap();
    assert!(
        error.contains("192.0.2.1/24") && error.contains("br-flat"),
        "what, and where to: {error}"
    );
    assert!(
        here.run(&["ping", "-c", "1", "-W", "2", "192.0.2.2"])
            .succeeded()
    );
    here.ip("addr del 192.0.2.1/24 dev cable");
    // The other host is only a switch.
    there.bridge("br-far");
    there.ip("link set cable master br-far");
    let far = there.guest("far", "br-far", "fa:16:3e:08:00:01");
    assert_eq!(
        far.dhcpcd().address,
        "10.8.0.11".parse::<std::net::Ipv4Addr>().unwrap()
    );
}

/// A host with two cables that lead nowhere.
fn cabled(name: &str) -> Option<Host> {
    let host = Host::new(name)?;
    for cable in ["cable", "other"] {
        host.ip(&format!(
            "link add {cable} type veth peer name far-{cable}\nlink set {cable} up"
        ));
    }
    Some(host)
}

/// The ports of a network's bridge that lead away from this host.
fn uplinks(host: &Host, bridge: &str) -> Vec<String> {
    let ports = host.ports(bridge).into_iter();
    ports.filter(|port| !port.starts_with("tap")).collect()
}

fn wait_for_uplinks(host: &Host, bridge: &str, wanted: &[&str]) {
    let mut found = Vec::new();
    let right = wait_until(PATIENCE, || {
        found = uplinks(host, bridge);
        found == wanted
    });
    assert!(right, "in {bridge}: {found:?}, where {wanted:?} is wanted");
}

#[test]
fn another_device_takes_the_place_of_the_one_before() {
    let Some(host) = cabled("swap") else {
        return;
    };
    let mut daemon = host.warren_run(FLAT);
    assert_eq!(uplinks(&host, "br-flat"), ["cable"]);
    let other = FLAT.replace("\"cable\"", "\"other\"");
    daemon.rewrite(&other);
    wait_for_uplinks(&host, "br-flat", &["other"]);
    // Also where nobody was there to see the change.
    daemon.stop();
    daemon.rewrite(FLAT);
    daemon.start();
    wait_for_uplinks(&host, "br-flat", &["cable"]);
    daemon.converged();
    // And where the new one is not there (yet): layer 2 is cut, not joined.
    daemon.rewrite(&FLAT.replace("\"cable\"", "\"missing\""));
    wait_for_uplinks(&host, "br-flat", &[]);
    daemon.rewrite(&other);
    wait_for_uplinks(&host, "br-flat", &["other"]);
    daemon.converged();
    assert_eq!(daemon.plan().trim(), "nothing to do");
}

#[test]
fn another_segment_takes_the_place_of_the_one_before() {
    let Some(host) = cabled("segment") else {
        return;
    };
    host.ip("addr add 192.0.2.1/24 dev cable");
    let one = vxlan("192.0.2.1", "remotes = [\"192.0.2.2\"]", "10.7.0.2");
    let daemon = host.warren_run(&one);
    assert_eq!(uplinks(&host, "br-wide"), ["vxlan-77"]);
    daemon.rewrite(&one.replace("vni = 77", "vni = 78"));
    wait_for_uplinks(&host, "br-wide", &["vxlan-78"]);
    daemon.converged();
    assert!(!host.run(&["ip", "link", "show", "vxlan-77"]).succeeded());
}

/// A router's gateway is there, too, and would have the old bridge made again.
#[test]
fn a_bridge_that_is_named_anew_takes_all_along() {
    let Some(host) = cabled("bridge") else {
        return;
    };
    let routed = format!("{FLAT}\n[[router]]\nname = \"r1\"\ngateway = {{ network = \"flat\", address = \"10.8.0.5\" }}\n")
        .replace("name = \"flat\"", "name = \"flat\"\nexternal = true");
    let daemon = host.warren_run(&routed);
    let before = host.ports("br-flat");
    assert_eq!(before.len(), 2, "{before:?}");
    daemon.rewrite(&routed.replace("br-flat", "br-new"));
    let moved = wait_until(PATIENCE, || host.ports("br-new") == before);
    assert!(moved, "{before:?} and {:?}", host.ports("br-new"));
    daemon.converged();
    // The host's part is looked at once more.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(host.ports("br-new"), before);
    assert!(!host.run(&["ip", "link", "show", "br-flat"]).succeeded());
}

#[test]
fn a_device_that_is_missing_costs_its_network_only() {
    let Some(host) = Host::new("missing") else {
        return;
    };
    let both = format!(
        "{FLAT}\n[[network]]\nname = \"fine\"\nbridge = \"br-fine\"\n[[network.subnet]]\ncidr = \"10.9.0.0/24\"\n"
    );
    let daemon = host.warren_run(&both);
    let state = |name: &str| {
        daemon.json(&["show", "network", name])["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    wait_for("the failure", PATIENCE, || {
        (state("flat") == "failed").then_some(())
    });
    let error = daemon.json(&["show", "network", "flat"])["error"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(error.contains("cable"), "which device: {error}");
    assert_eq!(state("fine"), "converged");
    // Who is on this host's side of the bridge is served meanwhile.
    let near = host.guest("near", "br-flat", "fa:16:3e:08:00:01");
    near.udhcpc();
    // It comes when the device does.
    host.ip("link add cable type veth peer name other\nlink set other up");
    wait_for("the cure", PATIENCE, || {
        (state("flat") == "converged").then_some(())
    });
}

#[test]
fn a_missing_kernel_part_is_named_and_costs_its_networks_only() {
    let Some(host) = Host::new("part") else {
        return;
    };
    let probe = [
        "ip", "link", "add", "probe", "link", "lo", "type", "vlan", "id", "1",
    ];
    let has_vlan = host.run(&probe).succeeded();
    let topology = "[[network]]\nname = \"tagged\"\ntype = \"vlan\"\ndevice = \"lo\"\ntag = 7\n[[network.subnet]]\ncidr = \"10.9.1.0/24\"\n\
        [[network]]\nname = \"fine\"\n[[network.subnet]]\ncidr = \"10.9.0.0/24\"\n";
    let daemon: Daemon = host.warren_run(topology);
    assert_eq!(
        daemon.json(&["show", "network", "fine"])["state"],
        "converged"
    );
    let tagged = daemon.json(&["show", "network", "tagged"])["state"].clone();
    if has_vlan {
        assert_eq!(tagged, "converged");
    } else {
        wait_for("the part's name", PATIENCE, || {
            daemon.log().contains("8021q").then_some(())
        });
        assert_eq!(tagged, "failed");
    }
}
