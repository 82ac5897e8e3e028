//! A routed network: each node has one of its segments, and serves the subnets of that one.

use serde_json::json;

use super::outside::wires;
use super::{Ground, qdhcp};
use crate::cloud::{Cloud, id};

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn each_node_serves_its_own_segment() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    // Each node is at a wire of its own, and at no other's.
    let sides = [("life10", "out10"), ("life11", "out11")];
    let grounds =
        sides.map(|(name, wire)| Ground::prepared(cloud, name, |node| wires(cloud, node, &[wire])));
    served(&grounds, sides.map(|(_, wire)| wire));
}

/// A network with a segment on each of these wires, of which each node has one.
#[track_caller]
pub(super) fn served(grounds: &[Ground<'_>; 2], wires: [&str; 2]) {
    let cloud = grounds[0].cloud;
    let network = cloud.create(
        "network",
        json!({"name": "routed", "availability_zone_hints": [grounds[0].node.name(), grounds[1].node.name()],
            "provider:network_type": "flat", "provider:physical_network": wires[0]}),
    );
    let of_network = format!("/v2.0/segments?network_id={}", id(&network));
    let first = cloud.get(&of_network)["segments"][0].clone();
    let second =
        json!({"network_id": id(&network), "network_type": "flat", "physical_network": wires[1]});
    let second = cloud.post("/v2.0/segments", &json!({"segment": second}));
    for (segment, cidr) in [
        (&first, "10.10.0.0/24"),
        (&second["segment"], "10.11.0.0/24"),
    ] {
        cloud.create(
            "subnet",
            json!({"network_id": id(&network), "segment_id": id(segment), "ip_version": 4, "cidr": cidr}),
        );
    }
    let mut guests = Vec::new();
    for (ground, net) in grounds.iter().zip(["10.10.0.", "10.11.0."]) {
        ground.until("the network to be served", || ground.has(&qdhcp(&network)));
        let port = cloud.instance_port(id(&network), ground.node.name(), json!({}));
        let vm = ground.guest("vm", &port);
        let lease = vm.udhcpc();
        let tails = ground.tails();
        assert!(
            lease.address.to_string().starts_with(net),
            "{lease:#?}\n{tails}"
        );
        // What is on another segment is behind the gateway: there is no way to it on the link.
        let gateway = super::ip(&format!("{net}1"));
        assert_eq!(lease.routers, [gateway], "{lease:#?}\n{tails}");
        let on_link = lease.routes.iter().filter(|(_, via)| via.is_unspecified());
        assert_eq!(on_link.count(), 0, "{lease:#?}");
        let addresses = ground.ip_in(&qdhcp(&network), &["-4", "-o", "addr", "show"]);
        let own = addresses.lines().filter(|line| !line.contains(": lo "));
        let elsewhere = own.filter(|line| !line.contains(net) && !line.contains("169.254."));
        assert_eq!(elsewhere.count(), 0, "{addresses}");
        guests.push((vm, port, lease.server_id.unwrap()));
    }
    // A name is known on all segments.
    let address = |number: usize| guests[number].1["fixed_ips"][0]["ip_address"].as_str();
    let address = address(1).unwrap();
    let (vm, _, server) = &guests[0];
    let name = format!("host-{}.example.org", address.replace('.', "-"));
    grounds[0].until("a name of the other segment", || {
        vm.dig(&[&format!("@{server}"), &name]).answers == [address]
    });
    for (_, port, _) in &guests {
        cloud.remove("port", id(port));
    }
    cloud.remove("network", id(&network));
    for ground in grounds {
        ground.until("a deleted network to go from both", || {
            !ground.has(&qdhcp(&network))
        });
    }
}
