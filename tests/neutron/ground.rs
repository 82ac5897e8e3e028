//! The ground holds: what these tests stand on, with Neutron's own software only. Nothing of warren runs here.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::cloud::{Broker, Cloud, id};
use crate::common::{Host, PATIENCE, tcp_stream, wait_until};

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

#[test]
fn a_broker_can_be_broken_in_every_way() {
    let Some(host) = Host::of_cloud("ctl") else {
        return;
    };
    let place = host.place();
    let broker = Broker::new(&place);
    broker.start();
    broker.wait();
    let greeting = "printf 'AMQP\\0\\0\\011\\1' | timeout 3";
    let greeted = |how: &str| {
        let output = place.sh(&format!("{greeting} {how} | head -c 1 | wc -c"));
        output.stdout.trim() == "1"
    };
    let plain = "nc 127.0.0.1 5672";
    assert!(greeted(plain));
    assert!(broker.authority().starts_with("-----BEGIN CERTIFICATE"));
    let tls = "openssl s_client -quiet -verify_return_error -CAfile /run/broker/ca.pem -verify_ip 127.0.0.1 -connect 127.0.0.1:5671";
    assert!(greeted(tls), "{}", place.sh(&format!("true | {tls}")));

    broker.freeze();
    assert!(!greeted(plain), "a frozen broker answers");
    broker.thaw();
    broker.wait();

    broker.eval(
        r#"{new, _} = rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"q">>), true, false, [{<<"x-expires">>, signedint, 600000}], none, <<"test">>), ok."#,
    );
    assert_eq!(broker.queues().len(), 1, "{:?}", broker.queues());
    let queue = &broker.queues()[0];
    assert_eq!((queue.name.as_str(), queue.durable), ("q", true));
    assert!(
        queue.arguments.to_string().contains("x-expires"),
        "{queue:?}"
    );
    broker.purge_queue("q");
    broker.delete_queue("q");
    assert!(broker.queues().is_empty());
    assert!(broker.exchanges().contains(&"amq.topic".to_owned()));
    broker.delete_exchange("amq.topic");
    assert!(!broker.exchanges().contains(&"amq.topic".to_owned()));
    broker.change_password("another");
    let login = |password| broker.control(&["authenticate_user", "openstack", password]);
    assert!(login("another").succeeded() && !login("openstack").succeeded());
    broker.delete_vhost("/");
    broker.add_vhost("/");
    broker.close_all_connections();

    broker.stop();
    assert!(!greeted(plain));
    broker.start();
    broker.wait();
    broker.kill9();
    broker.start();
    broker.wait();
    assert!(login("another").succeeded(), "it forgot its users");
}

#[test]
fn open_vswitch_in_userspace_carries_two_guests() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let net1 = cloud.node("net1");
    net1.openvswitch();
    let network = cloud.create("network", json!({"name": "blue"}));
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.1.0.0/24", "enable_dhcp": false});
    cloud.create("subnet", subnet);
    let mut guests = Vec::new();
    for (name, address) in [("vm1", "10.1.0.11"), ("vm2", "10.1.0.12")] {
        let fixed = json!({"fixed_ips": [{"ip_address": address}]});
        let port = cloud.instance_port(id(&network), "net1", fixed);
        let guest = net1.guest(name, &port);
        cloud.port_active(id(&port));
        guest.ip(&format!("addr add {address}/24 dev eth0"));
        guests.push(guest);
    }
    assert!(guests[0].ping("10.1.0.12"), "{}", net1.tails());
    let stream = tcp_stream(&guests[0], &guests[1], Ipv4Addr::new(10, 1, 0, 12), 7777);
    std::thread::sleep(Duration::from_millis(500)); // traffic, not a condition
    let report = stream.stop();
    assert!(report.broken.is_none() && report.echoed > 0, "{report:?}");
}
