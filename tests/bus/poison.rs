//! The daemon itself, told of networks and routers that make no sense by a server that we are: each is named once, is
//! asked about alone, and holds up nobody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;
use warren::neutron::bus::{Bus, Listener, Notice};

use crate::common::{WARREN, wait_for, wait_until};
use crate::ground::{Ground, args, connected, settings};
use crate::{LONG, Service};

const CONFIG: &str = "\
[DEFAULT]
host = net1
transport_url = rabbit://openstack:openstack@127.0.0.1:5672/
state_path = /var/lib/neutron
interface_driver = linuxbridge
[AGENT]
report_interval = 2
[oslo_messaging_rabbit]
heartbeat_timeout_threshold = 2
";

/// Everything that the daemon asks a server.
const METHODS: &[&str] = &[
    "report_state",
    "get_active_networks_info",
    "get_network_info",
    "dhcp_ready_on_ports",
    "create_dhcp_port",
    "update_dhcp_port",
    "get_dhcp_port",
    "release_dhcp_port",
    "get_router_ids",
    "sync_routers",
    "update_floatingip_statuses",
    "bulk_pull",
];

fn id(kind: u128, n: usize) -> String {
    Uuid::from_u128(kind << 64 | n as u128).to_string()
}

/// The `n`-th network, with our port on it.
fn network(n: usize) -> Value {
    let (network, subnet) = (id(1, n), id(2, n));
    let host = Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"net1");
    let port = |kind, ip: &str, owner: &str, device: String| {
        json!({
            "id": id(kind, n), "network_id": network, "project_id": "p", "admin_state_up": true,
            "mac_address": format!("fa:16:3e:00:{kind:02x}:{n:02x}"), "device_owner": owner, "device_id": device,
            "fixed_ips": [{"subnet_id": subnet, "ip_address": format!("10.{n}.0.{ip}")}], "extra_dhcp_opts": [],
        })
    };
    json!({
        "id": network, "project_id": "p", "admin_state_up": true, "mtu": 1450,
        "subnets": [{"id": subnet, "cidr": format!("10.{n}.0.0/24"), "gateway_ip": null, "enable_dhcp": true}],
        "ports": [
            port(3, "2", "network:dhcp", format!("dhcp{host}-{network}")),
            port(4, "7", "compute:nova", id(5, n)),
        ],
    })
}

fn router(n: usize) -> Value {
    json!({
        "id": id(6, n), "name": "r", "project_id": "p", "admin_state_up": true, "ha": false, "distributed": false,
        "_interfaces": [{
            "id": id(7, n), "network_id": id(1, n), "mac_address": "fa:16:3e:00:00:01", "admin_state_up": true, "mtu": 1450,
            "fixed_ips": [{"subnet_id": id(2, n), "ip_address": format!("10.{n}.0.1"), "prefixlen": 24}],
            "subnets": [{"id": id(2, n), "cidr": format!("10.{n}.0.0/24"), "gateway_ip": null}],
        }],
        "gw_port": null, "routes": [],
    })
}

/// The dict with another value at a JSON pointer; without one the key goes.
fn with(mut dict: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = dict.pointer_mut(parent).unwrap();
    match value {
        Some(value) => parent[key] = value,
        None => drop(parent.as_object_mut().unwrap().remove(key)),
    }
    dict
}

/// What is refused as a whole, and where the mistake is.
fn bad_networks() -> Vec<(Value, &'static str)> {
    let subnet: Value = network(0)["subnets"][0].clone();
    let many = |n| Value::Array(vec![subnet.clone(); n]);
    [
        (
            "/subnets/0/cidr",
            Some(json!("10.0.0.0/0")),
            "subnets[0].cidr",
        ),
        (
            "/subnets/0/cidr",
            Some(json!("10.0.0.0/24\ndhcp-script=/bin/sh")),
            "subnets[0].cidr",
        ),
        (
            "/subnets/0/gateway_ip",
            Some(json!("fe80::1%eth0")),
            "subnets[0].gateway_ip",
        ),
        ("/subnets/0/enable_dhcp", None, "subnets[0].enable_dhcp"),
        ("/subnets", Some(many(2000)), "subnets"),
        ("/mtu", Some(json!(70_000)), "mtu"),
        ("/admin_state_up", Some(json!("yes")), "admin_state_up"),
        ("/ports", Some(json!({"0": 1})), "ports"),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (pointer, value, path))| (with(network(n + 10), pointer, value), path))
    .collect()
}

/// The same of routers.
fn bad_routers() -> Vec<(Value, &'static str)> {
    [
        (
            "/_interfaces/0/mac_address",
            Some(json!("fa:16\n")),
            "_interfaces[0].mac_address",
        ),
        ("/_interfaces/0/id", None, "_interfaces[0].id"),
        (
            "/_interfaces/0/fixed_ips/0/ip_address",
            Some(json!(7)),
            "_interfaces[0].fixed_ips[0].ip_address",
        ),
        ("/gw_port", Some(json!([])), "gw_port"),
        ("/admin_state_up", None, "admin_state_up"),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (pointer, value, path))| (with(router(n + 10), pointer, value), path))
    .collect()
}

/// What the server knows, by id, and how often each was asked about alone.
#[derive(Default)]
struct Known {
    networks: BTreeMap<String, Value>,
    routers: BTreeMap<String, Value>,
    asked: BTreeMap<String, usize>,
}

impl Known {
    fn answer(&mut self, notice: &Notice) -> Value {
        match notice.method.as_str() {
            "report_state" => json!("alive"),
            "get_active_networks_info" => self.networks.values().cloned().collect(),
            "get_network_info" => {
                let id = notice.args["network_id"].as_str().unwrap();
                *self.asked.entry(id.to_owned()).or_default() += 1;
                self.networks.get(id).cloned().unwrap_or_default()
            }
            "get_router_ids" => self.routers.keys().cloned().collect(),
            "sync_routers" => {
                let ids = notice.args["router_ids"].as_array().unwrap();
                let known = |id: &Value| self.routers.get(id.as_str()?).cloned();
                ids.iter().filter_map(known).collect()
            }
            _ => Value::Null,
        }
    }
}

async fn serve(mut notices: Receiver<Notice>, known: Arc<Mutex<Known>>) {
    while let Some(mut notice) = notices.recv().await {
        let answer = known.lock().unwrap().answer(&notice);
        if let Some(reply) = notice.reply.take() {
            reply.ok(answer);
        }
    }
}

#[test]
fn what_makes_no_sense_is_told_once_and_holds_up_nobody() {
    let Some(ground) = Ground::new("poison") else {
        return;
    };
    let (networks, routers) = (bad_networks(), bad_routers());
    let mut known = Known::default();
    let mut put = |dict: &Value, is_network: bool| {
        let of = if is_network {
            &mut known.networks
        } else {
            &mut known.routers
        };
        of.insert(dict["id"].as_str().unwrap().to_owned(), dict.clone());
    };
    networks.iter().for_each(|(dict, _)| put(dict, true));
    routers.iter().for_each(|(dict, _)| put(dict, false));
    put(&network(1), true);
    put(&network(2), true);
    put(&router(1), false);
    let known = Arc::new(Mutex::new(known));
    let listeners = ["q-plugin", "q-l3-plugin", "q-reports-plugin"].map(|topic| Listener {
        topic: topic.to_owned(),
        host: "ctl".to_owned(),
        version: (1, 20),
        methods: METHODS,
    });
    let started = Arc::clone(&known);
    let server = ground.runtime.block_on(ground.runtime.spawn(async move {
        let (server, asked) = Bus::start(settings(), listeners.into());
        connected(&server, 1).await;
        tokio::spawn(serve(asked, started));
        server
    }));
    let server = server.unwrap();
    let machine = ground.host.machine();
    machine.write("/etc/neutron/neutron.conf", CONFIG);
    let run = [
        "run",
        "--roles",
        "dhcp,l3",
        "--config-file",
        "/etc/neutron/neutron.conf",
    ];
    let mut warren = Service::new(&machine, "warren", &[&WARREN[..], &run].concat());
    warren.start();

    let good = [
        format!("qdhcp-{}", id(1, 1)),
        format!("qdhcp-{}", id(1, 2)),
        format!("qrouter-{}", id(6, 1)),
    ];
    wait_for("what is good", LONG, || {
        assert!(warren.is_alive(), "{}", warren.tail());
        (ground.host.namespaces() == good).then_some(())
    });
    let bad: Vec<(String, &str)> = (networks.iter().chain(&routers))
        .map(|(dict, path)| (dict["id"].as_str().unwrap().to_owned(), *path))
        .collect();
    let told = |warren: &Service, id: &str| -> Vec<String> {
        let log = warren.log();
        let lines = log.lines().filter(|line| line.contains(id));
        lines.map(str::to_owned).collect()
    };
    wait_for("each to be told", LONG, || {
        bad.iter()
            .all(|(id, _)| !told(&warren, id).is_empty())
            .then_some(())
    });

    // Said again by a full sync, and by a notice: told no more. And what comes meanwhile is served.
    let syncs = |warren: &Service| warren.log().matches("full sync").count();
    let before = syncs(&warren);
    ground.broker.close_all_connections();
    let again = wait_until(LONG, || syncs(&warren) >= before + 2);
    assert!(again, "{}", warren.tail());
    known.lock().unwrap().networks.insert(id(1, 3), network(3));
    ground.runtime.block_on(async {
        for id in [&bad[0].0, &id(1, 3)] {
            let payload = json!({"payload": {"network": {"id": id}, "priority": 0}});
            let telling = server.cast(
                "dhcp_agent.net1",
                "1.0",
                "network_create_end",
                args(payload),
            );
            telling.await.unwrap();
        }
    });
    let third = format!("qdhcp-{}", id(1, 3));
    wait_for(
        "a network that comes after them",
        Duration::from_secs(10),
        || ground.host.namespaces().contains(&third).then_some(()),
    );
    for (id, path) in &bad {
        let lines = told(&warren, id);
        let [line] = lines.as_slice() else {
            panic!("once each: {lines:#?}");
        };
        assert!(
            line.contains("W1604") && line.contains(path),
            "{path}: {line}"
        );
        let asked = known
            .lock()
            .unwrap()
            .asked
            .get(id)
            .copied()
            .unwrap_or_default();
        assert!(asked < 10, "{id} was asked about {asked} times");
    }
    assert!(
        !warren.log().contains("\ndhcp-script"),
        "nobody writes lines into our log"
    );
    warren.stop();
}
