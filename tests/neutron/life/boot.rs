//! Machines that boot over the network, as Neutron knows them: options of ports, and what the operator says of all.

use std::path::Path;

use serde_json::{Value, json};

use super::{Ground, qdhcp};
use crate::cloud::{Cloud, id};
use crate::common::Host;

#[path = "../../boot/questions.rs"]
mod questions;

use questions::{BESIDE, CONFIG, MACHINES, options, questions, table};

#[test]
#[ignore = "a minute long: make test-neutron runs it"]
fn machines_boot_as_from_a_topology() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let ground = Ground::prepared(cloud, "life14", |node| {
        node.place().write("/etc/neutron/boot.conf", CONFIG);
        let line = "[DEFAULT]\ndnsmasq_config_file = /etc/neutron/boot.conf";
        node.configure("dhcp_agent.ini", line);
    });
    let lan = ground.network("lab", json!({}));
    // Nobody but the DHCP port is given an address that it did not ask for.
    for net in ["10.0.0", "10.2.0"] {
        let own = format!("{net}.2");
        let pools = json!({"allocation_pools": [{"start": own, "end": own}]});
        ground.subnet(&lan, &format!("{net}.0/24"), pools);
    }
    ground.until("the network to be served", || ground.has(&qdhcp(&lan)));
    for (mac, name, addresses) in MACHINES {
        let mac = format!("fa:16:3e:00:00:{mac:02x}");
        let options = options().into_iter().filter(|(of, ..)| *of == name);
        let options: Vec<Value> = options
            .map(|(_, name, value)| json!({"opt_name": name, "opt_value": value}))
            .collect();
        port(cloud, &lan, &mac, addresses, options);
    }
    port(cloud, &lan, "fa:16:3e:77:77:77", &["10.0.0.99"], vec![]);
    let tester = ground.node.unplugged("tester");
    let bridge = format!("brq{}", &id(&lan)[..11]);
    let host: &Host = &ground.node;
    // Nobody's tap: the L2 agent lets it alone.
    host.plug(&tester, "eth0", &bridge, "fa:16:3e:00:00:99");
    let said = table(tester);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join(BESIDE);
    let beside = std::fs::read_to_string(beside).unwrap();
    let of_topology = beside
        .lines()
        .filter_map(|line| line.strip_prefix("  warren  "));
    let rows = questions();
    for (((name, _), said), want) in rows.iter().zip(&said).zip(of_topology) {
        assert_eq!(said, want, "{name}\n{}", ground.tails());
    }
    assert_eq!(said.len(), rows.len());
}

fn port(cloud: &Cloud, network: &Value, mac: &str, addresses: &[&str], options: Vec<Value>) {
    let addresses: Vec<Value> = addresses
        .iter()
        .map(|ip| json!({"ip_address": ip}))
        .collect();
    let port = json!({"network_id": id(network), "mac_address": mac, "fixed_ips": addresses, "extra_dhcp_opts": options});
    cloud.create("port", port);
}
