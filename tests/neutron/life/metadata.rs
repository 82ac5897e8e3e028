//! A network made for metadata: instances of other networks reach it through a router that is not Neutron's own, which
//! routes no metadata onwards.

use serde_json::json;

use super::{Ground, fixed, ip};
use crate::cloud::{Cloud, id};
use crate::common::{Client, Host, HttpAnswer, HttpStub};

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn a_network_for_metadata() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let _nova = HttpStub::start(&cloud.place(), "10.254.0.1:8782", |request| {
        HttpAnswer::new(200, request.header("x-instance-id").unwrap_or("nobody"))
    });
    let ground = Ground::prepared(cloud, "life13", |node| {
        node.configure(
            "dhcp_agent.ini",
            "[DEFAULT]\nenable_metadata_network = True",
        );
        node.configure("metadata_agent.ini", "[DEFAULT]\nnova_metadata_port = 8782");
    });
    let router = ground.node.unplugged("router");
    router.sh("sysctl -w net.ipv4.ip_forward=1").ok();
    let identity = uuid::Uuid::new_v4().to_string();
    let mut networks = Vec::new();
    for (device, name, cidr, address) in [
        ("eth0", "blue", "10.14.0.0/24", "10.14.0.1"),
        ("eth1", "metadata", "169.254.169.252/30", "169.254.169.253"),
    ] {
        let network = ground.network(name, json!({}));
        ground.subnet(&network, cidr, json!({}));
        let port = cloud.create(
            "port",
            json!({"network_id": id(&network), "device_owner": "network:router_interface", "device_id": identity,
                "fixed_ips": [{"ip_address": address}]}),
        );
        let bridge = format!("brq{}", &id(&network)[..11]);
        // Nobody's tap: the L2 agent would take a port that is not bound here off the bridge.
        let host: &Host = &ground.node;
        host.plug(
            &router,
            device,
            &bridge,
            port["mac_address"].as_str().unwrap(),
        );
        let prefix = cidr.split_once('/').unwrap().1;
        router.ip(&format!("addr add {address}/{prefix} dev {device}"));
        networks.push(network);
    }
    let port = cloud.instance_port(id(&networks[0]), ground.node.name(), fixed("10.14.0.11"));
    let vm = ground.guest("vm", &port);
    let mut client = vm.dhcp(Client::Udhcpc);
    client.bound();
    let through = ("169.254.169.254/32".parse().unwrap(), ip("10.14.0.1"));
    ground.renewed(&mut client, "the way through the router", |lease| {
        lease.routes.contains(&through)
    });
    ground.until("who is behind the router to be told who it is", || {
        let quickly = ["--connect-timeout", "1"];
        let answer = vm.curl_with("http://169.254.169.254/", &[], &quickly);
        answer.is_ok_and(|answer| port["device_id"] == answer.body.as_str())
    });
}
