//! warren in the place of the three agents, with their configuration files, driven by a real neutron-server.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::cloud::{Cloud, LONG, Node, Service, id};
use crate::common::{HttpAnswer, wait_for};
use crate::scene::known;

pub(crate) const FILES: [&str; 8] = [
    "--config-file",
    "/etc/neutron/neutron.conf",
    "--config-file",
    "/etc/neutron/dhcp_agent.ini",
    "--config-file",
    "/etc/neutron/l3_agent.ini",
    "--config-file",
    "/etc/neutron/metadata_agent.ini",
];

/// As soon as the server has heard of all three of its agents.
pub(crate) fn warren(cloud: &Cloud, node: &Node) -> Service {
    let mut warren = node.warren_start(&[&["run"], &FILES[..]].concat());
    known(cloud, node, &mut warren);
    warren
}

#[test]
fn one_life_of_a_cloud() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let net1 = cloud.node("net1");
    net1.linuxbridge_agent();
    let warren = warren(&cloud, &net1);

    let network = cloud.create("network", json!({"name": "blue"}));
    let subnet = cloud.create(
        "subnet",
        json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.1.0.0/24"}),
    );
    let fixed = json!({"fixed_ips": [{"ip_address": "10.1.0.77"}]});
    let port = cloud.instance_port(id(&network), "net1", fixed);
    let vm1 = net1.guest("vm1", &port);
    cloud.port_active(id(&port));
    let lease = vm1.udhcpc();
    assert_eq!(
        lease.address,
        Ipv4Addr::new(10, 1, 0, 77),
        "{}\n{}",
        warren.tail(),
        net1.tails()
    );

    let external = cloud.create(
        "network",
        json!({"name": "outside", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "external"}),
    );
    cloud.create(
        "subnet",
        json!({"network_id": id(&external), "ip_version": 4, "cidr": "203.0.113.0/24", "gateway_ip": "203.0.113.1", "enable_dhcp": false}),
    );
    let world = cloud.world("203.0.113.1/24");
    let router = cloud.create(
        "router",
        json!({"name": "r1", "external_gateway_info": {"network_id": id(&external)}}),
    );
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    cloud.put(&add, &json!({"subnet_id": id(&subnet)}));
    let floating = cloud.create(
        "floatingip",
        json!({"floating_network_id": id(&external), "port_id": id(&port)}),
    );
    let address = floating["floating_ip_address"].as_str().unwrap();
    wait_for("the floating IP to become active", LONG, || {
        let shown = cloud.show("floatingip", id(&floating));
        (shown["status"] == "ACTIVE").then_some(())
    });
    wait_for("a way out", Duration::from_secs(30), || {
        vm1.ping("203.0.113.1").then_some(())
    });
    wait_for("a way in", Duration::from_secs(30), || {
        world.ping(address).then_some(())
    });

    let _nova = cloud.nova(|request| {
        let who = request.header("x-instance-id").unwrap_or("nobody");
        HttpAnswer::new(200, format!("you are {who}"))
    });
    // The subnet is not isolated any more: from now on the router has the way to it.
    vm1.udhcpc();
    let answer = vm1.get("http://169.254.169.254/latest/meta-data/instance-id");
    assert!(answer.starts_with("you are "), "{answer:?}");
}
