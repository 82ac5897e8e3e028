//! The ground holds: what these tests stand on, with Neutron's own software only. Nothing of warren runs here.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;

use crate::cloud::{Broker, Cloud, LONG, id};
use crate::common::{Host, HttpAnswer, PATIENCE, tcp_stream, wait_until};

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
    let subnet = cloud.create("subnet", subnet);
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

    // The other agents: a router to the world, a floating IP, metadata.
    net1.reference_l3_agent();
    net1.reference_metadata_agent();
    let world = cloud.world("203.0.113.1/24");
    let outside = cloud.create(
        "network",
        json!({"name": "outside", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "external"}),
    );
    cloud.create("subnet", json!({"network_id": id(&outside), "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": false}));
    let gateway = json!({"network_id": id(&outside)});
    let router = cloud.create("router", json!({"external_gateway_info": gateway}));
    let interface = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    cloud.put(&interface, &json!({"subnet_id": id(&subnet)}));
    let floating = cloud.create(
        "floatingip",
        json!({"floating_network_id": id(&outside), "port_id": id(&port)}),
    );
    let floating = floating["floating_ip_address"].as_str().unwrap();
    vm1.udhcpc();
    assert!(
        wait_until(LONG, || world.ping(floating)),
        "{}",
        net1.tails()
    );
    assert!(vm1.ping("203.0.113.1"));
    let nova = cloud.nova(|_| HttpAnswer {
        // Neutron's agent answers with an error of its own where this is missing.
        headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
        ..HttpAnswer::new(200, "vm1's metadata")
    });
    let answer = vm1.curl("http://169.254.169.254/", &[]).unwrap();
    let told = format!("{answer:?}\n{}", net1.tails());
    assert_eq!(answer.body, "vm1's metadata", "{told}");
    assert_eq!(
        nova.seen()[0].header("x-instance-id"),
        port["device_id"].as_str()
    );
    drop((world, nova));

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
    assert!(
        wait_until(PATIENCE, || greeted(tls)),
        "{}",
        place.sh(&format!("true | {tls}"))
    );

    broker.freeze();
    assert!(!greeted(plain), "a frozen broker answers");
    broker.thaw();
    broker.wait();

    broker.eval(
        r#"{new, _} = rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"q">>), true, false, [{<<"x-expires">>, signedint, 600000}], none, <<"test">>), ok."#,
    );
    let queues = broker.queues();
    let [queue] = &queues[..] else {
        panic!("one queue: {queues:?}");
    };
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
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let switch1 = cloud.node("switch1");
    switch1.openvswitch();
    let network = cloud.create("network", json!({"name": "blue"}));
    let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.1.0.0/24", "enable_dhcp": false});
    cloud.create("subnet", subnet);
    let mut guests = Vec::new();
    for (name, address) in [("vm1", "10.1.0.11"), ("vm2", "10.1.0.12")] {
        let fixed = json!({"fixed_ips": [{"ip_address": address}]});
        let port = cloud.instance_port(id(&network), "switch1", fixed);
        let guest = switch1.guest(name, &port);
        cloud.port_active(id(&port));
        guest.ip(&format!("addr add {address}/24 dev eth0"));
        guests.push(guest);
    }
    assert!(guests[0].ping("10.1.0.12"), "{}", switch1.tails());
    let stream = tcp_stream(&guests[0], &guests[1], Ipv4Addr::new(10, 1, 0, 12), 7777);
    std::thread::sleep(Duration::from_millis(500)); // traffic, not a condition
    let report = stream.stop();
    assert!(report.broken.is_none() && report.echoed > 0, "{report:?}");
}
