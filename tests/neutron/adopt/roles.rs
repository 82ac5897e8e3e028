//! A node is given back role by role, while warren goes on in the others.

use super::life::Life;
use super::traffic::Traffic;
use super::{agent_serves_dhcp, dropped, give_back_roles, kept_state};
use crate::cloud::{Cloud, LONG, Node, Service};
use crate::common::wait_for;
use crate::drop_in::{self, FILES};

/// The same daemon, started again with fewer roles; as soon as it serves.
fn in_roles(node: &Node, roles: &str) -> Service {
    let mut warren = node.warren_start(&[&["run", "--roles", roles], &FILES[..]].concat());
    wait_for(&format!("warren to serve as {roles}"), LONG, || {
        assert!(warren.is_alive(), "{}", warren.tail());
        node.warren(&["status"]).succeeded().then_some(())
    });
    warren
}

/// Devices that say that they are ours: in the namespace, and on the host the far ends of those that are inside.
fn marked(life: &Life<'_>, namespace: &str) -> [Vec<String>; 2] {
    let inside = life.net1.run_in(namespace, &["ip", "-o", "link"]).ok();
    let host = life.net1.run(&["ip", "-o", "link"]).ok();
    let name = |line: &str| Some(line.split([':', '@']).nth(1)?.trim().to_owned());
    let is_ours = |line: &&str| line.contains("alias warren");
    let end_of = |device: String| Some(format!("tap{}", device.split_once('-')?.1));
    let devices = inside.lines().filter_map(name);
    let ends: Vec<String> = devices.filter_map(end_of).collect();
    let on_host = host.lines().filter(is_ours).filter_map(name);
    [
        inside.lines().filter(is_ours).filter_map(name).collect(),
        on_host.filter(|device| ends.contains(device)).collect(),
    ]
}

#[track_caller]
fn assert_marked(life: &Life<'_>, namespace: &str, is_ours: bool) {
    let [inside, on_host] = marked(life, namespace);
    assert_eq!(
        [!inside.is_empty(), !on_host.is_empty()],
        [is_ours; 2],
        "{namespace}: {inside:?} {on_host:?}"
    );
}

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn roles_are_given_back_one_by_one_while_warren_goes_on_in_the_others() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let net1 = cloud.node("net1");
    net1.linuxbridge_agent();
    let mut warren = drop_in::warren(&cloud, &net1);
    let life = Life::begin(&cloud, &net1);
    life.works();
    assert_marked(&life, &life.dhcp, true);
    assert_marked(&life, &life.router, true);

    // Not while it has that role itself.
    let refused = net1.warren(&["adopt", "--undo", "--roles", "l3"]);
    assert!(!refused.succeeded(), "{refused}");
    assert!(refused.stderr.contains("the role l3"), "{refused}");

    let traffic = Traffic::begin(&life, 7001);
    warren.stop();
    let mut warren = in_roles(&net1, "dhcp,metadata");
    assert!(!kept_state(&net1).contains("routers/"), "it is the agent's");
    net1.reference_l3_agent();
    let told = give_back_roles(&life, &["--roles", "l3"]);
    assert!(told.contains(&life.router), "{told}");
    assert!(!told.contains(&life.dhcp), "{told}");
    assert_marked(&life, &life.router, false);
    assert_marked(&life, &life.dhcp, true);
    let [iptables, nft] = life.rules(&life.router);
    assert!(iptables.contains("neutron-l3-agent-"), "{iptables}");
    assert_eq!(nft, "");
    assert!(kept_state(&net1).contains("networks/"), "it is still ours");
    life.works();
    assert_eq!(life.programs_in(&life.dhcp), [""; 0]);
    traffic.end(|| format!("{}{}", warren.tail(), dropped(&life)));

    let traffic = Traffic::begin(&life, 7011);
    warren.stop();
    let mut warren = in_roles(&net1, "dhcp");
    let early = net1.warren(&["adopt", "--undo", "--roles", "metadata", "--wait", "1"]);
    assert!(!early.succeeded(), "{early}");
    let why = "W1213]: failed to give back the metadata role: nobody listens at /var/lib/neutron/metadata_proxy";
    assert!(early.stderr.contains(why), "{early}");
    net1.reference_metadata_agent();
    let told = give_back_roles(&life, &["--roles", "metadata"]);
    assert!(told.contains("gave back metadata"), "{told}");
    assert_marked(&life, &life.dhcp, true);
    life.works();

    warren.stop();
    net1.reference_dhcp_agent();
    let told = give_back_roles(&life, &["--roles", "dhcp"]);
    assert!(told.contains(&life.dhcp), "{told}");
    assert_marked(&life, &life.dhcp, false);
    assert_eq!(kept_state(&net1), "");
    agent_serves_dhcp(&life);
    life.works();
    traffic.end(|| dropped(&life));
    let nothing = net1.warren(&["cleanup", "--all", "--dry-run"]).ok();
    assert!(nothing.contains("nothing of warren's"), "{nothing}");
}
