//! The ground holds: what these tests stand on, with Neutron's own software only. Nothing of warren runs here.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::json;

use crate::cloud::{Cloud, id};
use crate::common::{PATIENCE, wait_until};

#[test]
fn a_cloud_of_reference_software_gives_a_lease_and_leaves_nothing() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let net1 = cloud.node("net1");
    net1.linuxbridge_agent();
    net1.reference_dhcp_agent();
    let agent = cloud.agent("net1", "neutron-dhcp-agent").unwrap();
    assert_eq!(agent["agent_type"], "DHCP agent", "{agent:#}");

    let network = cloud.create("network", json!({"name": "blue"}));
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.1.0.0/24"});
    cloud.create("subnet", subnet);
    let fixed = json!({"fixed_ips": [{"ip_address": "10.1.0.77"}]});
    let port = cloud.instance_port(id(&network), "net1", fixed);
    let vm1 = net1.guest("vm1", &port);
    cloud.port_active(id(&port));
    let lease = vm1.udhcpc();
    assert_eq!(lease.address, Ipv4Addr::new(10, 1, 0, 77), "{lease:#?}");
    let namespace = format!("qdhcp-{}", id(&network));
    assert_eq!(net1.namespaces(), [namespace.as_str()]);
    let queues = cloud.broker.queues();
    let own = queues.iter().find(|queue| queue.name == "dhcp_agent.net1");
    assert_eq!(own.map(|queue| queue.consumers), Some(1), "{queues:#?}");

    let refused = cloud.call("DELETE", "/v2.0/networks/none", None).unwrap();
    assert_eq!(refused.0, 404, "{}", refused.1);

    let ran = [cloud.host().processes(), net1.processes()].concat();
    let programs: BTreeSet<&str> = ran.iter().map(|process| process.name.as_str()).collect();
    for expected in ["beam.smp", "mariadbd", "dnsmasq", "neutron-server"] {
        assert!(
            programs.iter().any(|name| name.starts_with(expected)),
            "no {expected}: {programs:?}"
        );
    }
    drop((vm1, net1, cloud));
    let mut left = Vec::new();
    let nothing = wait_until(PATIENCE, || {
        left = ran.iter().filter(|process| process.is_alive()).collect();
        left.is_empty()
    });
    assert!(nothing, "left running: {left:?}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&namespace), "left mounted: {mounts}");
}
