//! Several DHCP agents of one network: warren on two nodes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, MessageType, OptionCode};
use serde_json::{Value, json};

use super::dhcp::discover;
use super::{Ground, fixed, ip, qdhcp};
use crate::cloud::{Cloud, id};
use crate::common::{Client, Dhcp, Wire, wait_until};

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn two_nodes_serve_one_network() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let first = Ground::prepared(cloud, "life4", |_| ());
    let mut second = Ground::prepared(cloud, "life5", |_| ());
    scheduled_to_both([&first, &second]);
    let blue = first.network("blue", json!({}));
    let pool = json!([{"start": "10.4.0.2", "end": "10.4.0.9"}]);
    let subnet = first.subnet(&blue, "10.4.0.0/24", json!({"allocation_pools": pool}));
    let port = cloud.instance_port(id(&blue), "life5", fixed("10.4.0.77"));
    let vm1 = second.guest("vm1", &port);
    let mut client = vm1.dhcp(Client::Udhcpc);
    let one = client.bound().server_id.unwrap();

    let agent = |node: &str| cloud.agent(node, "neutron-dhcp-agent").unwrap();
    let hosted = |node: &str| format!("/v2.0/agents/{}/dhcp-networks", id(&agent(node)));
    cloud.post(&hosted("life5"), &json!({"network_id": id(&blue)}));
    second.until("the network on the second node", || {
        second.has(&qdhcp(&blue))
    });
    second.renewed(&mut client, "both servers as name servers", |lease| {
        lease.dns.len() == 2
    });
    let wire = vm1.wire();
    let mut offers = BTreeMap::new();
    let agreed = wait_until(super::SOON, || {
        offers = all_offers(&wire);
        let resolvers: Vec<_> = offers.values().collect();
        resolvers.len() == 2 && resolvers[0].len() == 2 && resolvers[0] == resolvers[1]
    });
    assert!(
        agreed,
        "two servers, each naming both in one order: {offers:?}\n{}{}",
        first.tails(),
        second.tails()
    );
    let other = *offers.keys().find(|server| **server != one).unwrap();
    // A name is known to both.
    for server in [one, other] {
        let asked = [
            format!("@{server}"),
            "host-10-4-0-77.example.org".to_owned(),
        ];
        // DHCP is the first of its services.
        second.until(&format!("the name at {server}"), || {
            vm1.dig(&[&asked[0], &asked[1]]).answers == ["10.4.0.77"]
        });
    }

    // Away from the first.
    cloud.delete(&format!("{}/{}", hosted("life4"), id(&blue)));
    first.until("the network to leave its first node", || {
        !first.has(&qdhcp(&blue))
    });
    // The server keeps its port for another agent, and tells nobody of that.
    let own = || dhcp_ports(cloud, &blue);
    let reserved = own()
        .into_iter()
        .find(|port| port["device_id"] == "reserved_dhcp_port");
    let reserved = reserved.unwrap_or_else(|| panic!("no port was kept: {:#?}", own()));
    client.crash();
    let mut client = vm1.dhcp(Client::Udhcpc);
    let lease = client.bound();
    assert_eq!(
        (lease.address, lease.server_id),
        (ip("10.4.0.77"), Some(other))
    );
    cloud.update(
        "subnet",
        id(&subnet),
        &json!({"description": "looked at again"}),
    );
    second.renewed(&mut client, "one name server", |lease| lease.dns == [other]);

    // Whoever comes next takes it.
    cloud.post(&hosted("life4"), &json!({"network_id": id(&blue)}));
    first.until("the network on its first node again", || {
        first.has(&qdhcp(&blue))
    });
    first.until("the port that was kept to be adopted", || {
        let adopted = cloud.show("port", id(&reserved));
        adopted["device_id"]
            .as_str()
            .is_some_and(|device| device.starts_with("dhcp"))
    });
    assert_eq!(own().len(), 2, "{:#?}", own());
    first.until("both to be served from", || all_offers(&wire).len() == 2);

    // One dies; whoever boots is served by the other.
    second.warren.kill9();
    client.crash();
    let lease = vm1.udhcpc();
    assert_eq!(lease.server_id, Some(one), "{lease:#?}");
    second.warren.start();
    second.until("both to be served from", || all_offers(&wire).len() == 2);
    cloud.remove("port", id(&port));
    cloud.remove("network", id(&blue));
    for ground in [&first, &second] {
        ground.until("a deleted network to go from both", || {
            !ground.has(&qdhcp(&blue))
        });
    }
}

/// A network that may be on either node, of a server that gives each network two agents.
fn scheduled_to_both(nodes: [&Ground<'_>; 2]) {
    let [first, second] = nodes;
    let zones = nodes.map(|ground| ground.node.name());
    let green = first.network("green", json!({"availability_zone_hints": zones}));
    first.subnet(&green, "10.14.0.0/24", json!({}));
    for ground in nodes {
        ground.until("the network on both nodes", || ground.has(&qdhcp(&green)));
    }
    let port = first.cloud.instance_port(id(&green), "life5", json!({}));
    let vm2 = second.guest("vm2", &port);
    let wire = vm2.wire();
    second.until("both to be served from", || all_offers(&wire).len() == 2);
    assert_eq!(dhcp_ports(first.cloud, &green).len(), 2);
    drop(vm2);
    first.cloud.remove("port", id(&port));
    first.cloud.remove("network", id(&green));
    for ground in nodes {
        ground.until("a deleted network to go from both", || {
            !ground.has(&qdhcp(&green))
        });
    }
}

/// What each server offers: itself, and the resolvers.
fn all_offers(wire: &Wire) -> BTreeMap<Ipv4Addr, Vec<Ipv4Addr>> {
    wire.drain();
    wire.send(&discover(wire));
    let mut offers = BTreeMap::new();
    let _all_heard = wire.recv(Duration::from_millis(150), |frame| {
        let offer = Dhcp::of(MessageType::Offer)(frame)?;
        let resolvers = match offer.message.opts().get(OptionCode::DomainNameServer) {
            Some(DhcpOption::DomainNameServer(list)) => list.clone(),
            _ => Vec::new(),
        };
        offers.insert(offer.server_id()?, resolvers);
        (offers.len() == 2).then_some(())
    });
    offers
}

fn dhcp_ports(cloud: &Cloud, network: &Value) -> Vec<Value> {
    let path = format!(
        "/v2.0/ports?network_id={}&device_owner=network:dhcp",
        id(network)
    );
    cloud.get(&path)["ports"].as_array().unwrap().clone()
}
