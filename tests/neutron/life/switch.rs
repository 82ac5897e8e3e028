//! Beside the real openvswitch agent: our ports get their VLAN from it, instances get their lease through it.

use serde_json::json;

use super::outside::{Outside, see};
use super::{Ground, SOON, fixed, here, qdhcp, qrouter};
use crate::cloud::{Cloud, Node, id};
use crate::common::wait_until;

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn beside_the_openvswitch_agent() {
    internal_ports_or_pairs("life6", "");
}

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn beside_the_openvswitch_agent_with_veth_pairs() {
    internal_ports_or_pairs(
        "life7",
        "ovs_use_veth = True\n[OVS]\ndatapath_type = netdev",
    );
}

/// A node with Open vSwitch, a wire to the outside on it, and warren; `options` are more of both of its agents.
#[track_caller]
pub(super) fn ground<'a>(cloud: &'a Cloud, name: &str, wire: &str, options: &str) -> Ground<'a> {
    ground_with(cloud, name, wire, options, |_| ())
}

/// The same; `prepare` writes more into the node's files.
#[track_caller]
pub(super) fn ground_with<'a>(
    cloud: &'a Cloud,
    name: &str,
    wire: &str,
    options: &str,
    prepare: impl FnOnce(&Node),
) -> Ground<'a> {
    let ground = Ground::switched(cloud, name, |node| {
        prepare(node);
        super::outside::wires(cloud, node, &[wire]);
        let mapping = format!("[ovs]\nbridge_mappings = {wire}:br-external");
        node.configure("plugins/ml2/openvswitch_agent.ini", &mapping);
        for file in ["dhcp_agent.ini", "l3_agent.ini"] {
            let driver = format!("[DEFAULT]\ninterface_driver = openvswitch\n{options}");
            node.configure(file, &driver);
        }
    });
    let plugged = ["ovs-vsctl", "add-port", "br-external", wire];
    ground.node.run(&plugged).ok();
    ground
}

fn internal_ports_or_pairs(name: &str, options: &str) {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let wire = &name.replace("life", "out");
    let mut ground = ground(cloud, name, wire, options);
    let outside = Outside::new(cloud, wire);
    let blue = ground.network("blue", json!({}));
    let subnet = ground.subnet(&blue, "10.6.0.0/24", json!({}));
    let router = cloud.create(
        "router",
        here(
            &ground.node,
            "r6",
            json!({"external_gateway_info": outside.gateway("198.18.0.50")}),
        ),
    );
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    cloud.put(&add, &json!({"subnet_id": id(&subnet)}));
    let port = cloud.instance_port(id(&blue), name, fixed("10.6.0.11"));
    let vm1 = ground.guest("vm1", &port);
    let lease = vm1.udhcpc();
    assert_eq!(lease.address.to_string(), "10.6.0.11", "{lease:#?}");
    let tags = |ground: &Ground<'_>| {
        let rows = [
            "--columns=name,tag",
            "--format=csv",
            "--no-headings",
            "list",
            "Port",
        ];
        let all = ground.node.run(&[&["ovs-vsctl"][..], &rows].concat()).ok();
        let prefixes = ["tap", "qr-", "qg-"];
        let ours = |line: &&str| prefixes.iter().any(|prefix| line.starts_with(prefix));
        let mut ours: Vec<String> = all.lines().filter(ours).map(str::to_owned).collect();
        ours.sort();
        ours
    };
    ground.until("all ports to have a VLAN", || {
        let tags = tags(&ground);
        // DHCP, two legs and the instance.
        tags.len() == 4
            && tags
                .iter()
                .all(|line| !line.ends_with("4095") && !line.ends_with("[]"))
    });
    ground.until("a way out", || see(&vm1) == "198.18.0.50");

    // Looked at again, all is as it should be: nothing is written, so nothing goes dark.
    let written = |ground: &Ground<'_>| {
        ground
            .node
            .run(&["ovs-vsctl", "get", "Open_vSwitch", ".", "next_cfg"])
            .ok()
    };
    let (before, was) = (tags(&ground), written(&ground));
    let pinging = vm1.pinging("198.18.0.1").flowing();
    ground.warren.stop();
    ground.warren.start();
    ground.warren.says("full sync");
    let sent = pinging.answers();
    let goes_on = wait_until(SOON, || pinging.answers() >= sent + 50);
    let (now, is) = (tags(&ground), written(&ground));
    assert!(
        goes_on,
        "the ping does not go on: {was} {before:?} became {is} {now:?}\n{}",
        ground.tails()
    );
    let report = pinging.stop();
    assert_eq!(
        (report.lost(), now, is),
        (0, before, was),
        "{report:?}\n{}",
        ground.tails()
    );
    vm1.udhcpc();

    cloud.put(
        &add.replace("add_", "remove_"),
        &json!({"subnet_id": id(&subnet)}),
    );
    cloud.remove("router", id(&router));
    cloud.remove("port", id(&port));
    cloud.remove("network", id(&blue));
    ground.until("all of it to go", || {
        !ground.has(&qdhcp(&blue)) && !ground.has(&qrouter(&router))
    });
    drop(vm1);
    ground.until("the switch's ports to go, too", || {
        let left = tags(&ground);
        left.iter().all(|line| line.contains(&id(&port)[..11]))
    });
}
