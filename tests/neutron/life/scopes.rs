//! Address scopes: within one there is no NAT, between two there is no way but by NAT.

use serde_json::json;

use super::outside::{Outside, see, wires};
use super::{Ground, fixed, here, qrouter};
use crate::cloud::{Cloud, id};

const WIRE: &str = "out12";

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn addresses_of_one_scope_are_routed() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let ground = Ground::prepared(cloud, "life12", |node| wires(cloud, node, &[WIRE]));
    let scope = cloud.create("address_scope", json!({"name": "known", "ip_version": 4}));
    let pool = cloud.create(
        "subnetpool",
        json!({"name": "known", "address_scope_id": id(&scope), "prefixes": ["198.18.0.0/24", "10.12.0.0/16"]}),
    );
    let known = json!({"subnetpool_id": id(&pool)});
    let outside = Outside::with(cloud, WIRE, known.clone());
    let router = cloud.create(
        "router",
        here(
            &ground.node,
            "r12",
            json!({"external_gateway_info": outside.gateway("198.18.0.50")}),
        ),
    );
    let path = |verb: &str| format!("/v2.0/routers/{}/{verb}_router_interface", id(&router));
    let mut guests = Vec::new();
    let mut subnets = Vec::new();
    for (name, cidr, address, more) in [
        ("blue", "10.12.0.0/24", "10.12.0.11", known),
        ("green", "10.13.0.0/24", "10.13.0.12", json!({})),
    ] {
        let network = ground.network(name, json!({}));
        let subnet = ground.subnet(&network, cidr, more);
        cloud.put(&path("add"), &json!({"subnet_id": id(&subnet)}));
        subnets.push(subnet);
        let port = cloud.instance_port(id(&network), ground.node.name(), fixed(address));
        let vm = ground.guest(name, &port);
        vm.udhcpc();
        guests.push((vm, port));
    }
    let (blue, green) = (&guests[0].0, &guests[1].0);
    let world = &outside.world;
    world.ip("route add 10.12.0.0/16 via 198.18.0.50\nroute add 10.13.0.0/24 via 198.18.0.50");
    ground.until("the way out of the outside's scope", || {
        see(blue) == "10.12.0.11"
    });
    ground.until("the way out of another scope", || {
        see(green) == "198.18.0.50"
    });
    assert!(world.ping("10.12.0.11"), "routed\n{}", ground.tails());
    assert!(!world.ping("10.13.0.12"), "another scope's, without NAT");
    assert!(!blue.ping("10.13.0.12"), "from one scope to another");
    assert!(!green.ping("10.12.0.11"), "from one scope to another");

    let floating = cloud.create(
        "floatingip",
        json!({"floating_network_id": id(&outside.network), "floating_ip_address": "198.18.0.60", "port_id": id(&guests[1].1)}),
    );
    ground.until("a floating IP between two scopes", || {
        see(green) == "198.18.0.60" && world.ping("198.18.0.60")
    });
    cloud.remove("floatingip", id(&floating));
    for subnet in &subnets {
        cloud.put(&path("remove"), &json!({"subnet_id": id(subnet)}));
    }
    cloud.remove("router", id(&router));
    ground.until("a deleted router to go", || !ground.has(&qrouter(&router)));
}
