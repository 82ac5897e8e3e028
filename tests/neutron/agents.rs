//! The three agents as the server and its operators see them: listed, switched off and on, forgotten, asked nonsense.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cloud::{Cloud, LONG, Node, id};
use crate::common::{wait_for, wait_until};
use crate::scene::{self, BINARIES, Warren, dhcp_answers, is_named};

/// Asks what it is told with oslo.messaging, and prints what became of it.
const ASK: &str = r#"
import json, sys, time
import kombu
import oslo_messaging
from oslo_config import cfg

conf = cfg.CONF
conf([], project="ask")
oslo_messaging.set_transport_defaults("neutron")
url = "rabbit://openstack:openstack@10.254.0.1:5672/"
transport = oslo_messaging.get_rpc_transport(conf, url=url)
connection = kombu.Connection(url.replace("rabbit://", "amqp://"))

def ask(how, topic, server, version, method, args):
    if how == "raw":
        body = method.encode() * args["times"]
        exchange = kombu.Exchange("neutron", "topic", durable=False, auto_delete=False)
        kombu.Producer(connection.channel(), exchange).publish(
            body, routing_key=topic + "." + server, content_type="application/json", content_encoding="utf-8")
        return ["ok", None]
    target = oslo_messaging.Target(topic=topic, server=server, version=version)
    client = oslo_messaging.RPCClient(transport, target, timeout=20)
    try:
        return ["ok", getattr(client, how)({}, method, **args)]
    except oslo_messaging.RemoteError as error:
        return ["failed", error.exc_type]
    except Exception as error:  # known here, so made again as what it was there
        return ["failed", type(error).__name__]

print(json.dumps([ask(*one) for one in json.load(sys.stdin)]))
"#;

/// Each: how (`call`, `cast`, `raw`), topic, version, method, arguments.
#[track_caller]
fn ask(cloud: &Cloud, node: &Node, asks: &[(&str, &str, &str, &str, Value)]) -> Vec<Value> {
    let place = cloud.place();
    let script = format!("/run/ask-{}.py", node.name());
    place.write(&script, ASK);
    let asks = asks.iter();
    let asks: Vec<Value> = asks
        .map(|(how, topic, version, method, args)| {
            json!([how, topic, node.name(), version, method, args])
        })
        .collect();
    let answered = place
        .run_with(&["python3", &script], &json!(asks).to_string())
        .ok();
    serde_json::from_str(&answered).unwrap()
}

#[test]
fn agents_are_what_operators_know() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let node = cloud.node("agents1");
    node.configure("neutron.conf", "[agent]\nreport_interval = 2\n");
    node.linuxbridge_agent();
    let mut warren = Warren::start(cloud, &node);
    listed(cloud, &node);
    let (network, subnet) = scene::network(cloud, &node, "10.7.0.0/24");
    let router = cloud.create("router", json!({"availability_zone_hints": [node.name()]}));
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    cloud.put(&add, &json!({"subnet_id": id(&subnet)}));
    let (_, vm) = scene::guest(cloud, &node, &network, "10.7.0.77");
    let namespaces = [
        format!("qdhcp-{}", id(&network)),
        format!("qrouter-{}", id(&router)),
    ];
    wait_for("both namespaces", LONG, || {
        (node.namespaces() == namespaces).then_some(())
    });
    wait_for("the counters", LONG, || {
        let [dhcp, l3] = ["neutron-dhcp-agent", "neutron-l3-agent"]
            .map(|binary| cloud.agent(node.name(), binary).unwrap()["configurations"].clone());
        // The guest's, the router's, our own.
        let dhcp = [&dhcp["networks"], &dhcp["subnets"], &dhcp["ports"]] == [1, 1, 3];
        let l3 = [
            &l3["routers"],
            &l3["interfaces"],
            &l3["ex_gw_ports"],
            &l3["floating_ips"],
        ] == [1, 1, 0, 0];
        (dhcp && l3).then_some(())
    });

    asked_nonsense(cloud, &node, &warren);
    assert!(dhcp_answers(&vm));
    poisoned(cloud, &node, &mut warren, &network, &vm);

    // Switched off and on.
    for binary in &BINARIES[..2] {
        let agent = cloud.agent(node.name(), binary).unwrap();
        let switch = |up: bool| {
            let path = format!("/v2.0/agents/{}", id(&agent));
            cloud.put(&path, &json!({"agent": {"admin_state_up": up}}));
        };
        switch(false);
        let kind = if binary.contains("dhcp") { 0 } else { 1 };
        wait_for(
            &format!("{binary}: nothing of it\n{}", warren.service.tail()),
            LONG,
            || (node.namespaces() == [namespaces[1 - kind].as_str()]).then_some(()),
        );
        switch(true);
        wait_for(&format!("{binary}: all of it again"), LONG, || {
            (node.namespaces() == namespaces).then_some(())
        });
    }
    wait_for("DHCP", LONG, || dhcp_answers(&vm).then_some(()));

    // Forgotten: then everything is asked for, and what was unscheduled is ours again.
    let syncs = warren.syncs();
    for binary in BINARIES {
        let agent = cloud.agent(node.name(), binary).unwrap();
        cloud.delete(&format!("/v2.0/agents/{}", id(&agent)));
    }
    warren.known(cloud, &node);
    wait_for(
        &format!("full syncs\n{}", warren.service.tail()),
        LONG,
        || {
            let now = warren.syncs();
            (now[0] > syncs[0] && now[1] > syncs[1]).then_some(())
        },
    );
    let hosted = format!("/v2.0/networks/{}/dhcp-agents", id(&network));
    wait_for("the network to be ours", LONG, || {
        (cloud.get(&hosted)["agents"][0]["host"] == node.name()).then_some(())
    });
    wait_for("DHCP", LONG, || dhcp_answers(&vm).then_some(()));
    assert_eq!(node.namespaces(), namespaces, "{}", warren.service.tail());

    warren.service.stop();
    assert_eq!(node.namespaces(), namespaces, "what it made stays");
}

fn listed(cloud: &Cloud, node: &Node) {
    for (binary, kind, topic, zone) in [
        (
            "neutron-dhcp-agent",
            "DHCP agent",
            "dhcp_agent",
            json!(node.name()),
        ),
        (
            "neutron-l3-agent",
            "L3 agent",
            "l3_agent",
            json!(node.name()),
        ),
        (
            "neutron-metadata-agent",
            "Metadata agent",
            "N/A",
            Value::Null,
        ),
    ] {
        let agent = cloud.agent(node.name(), binary).unwrap();
        let found = [
            &agent["agent_type"],
            &agent["topic"],
            &agent["availability_zone"],
        ];
        assert_eq!(found, [&json!(kind), &json!(topic), &zone], "{agent:#}");
        assert_eq!(
            [&agent["alive"], &agent["admin_state_up"]],
            [true, true],
            "{agent:#}"
        );
    }
    let agent = cloud.agent(node.name(), "neutron-l3-agent").unwrap();
    assert_eq!(agent["configurations"]["agent_mode"], "legacy", "{agent:#}");
}

fn asked_nonsense(cloud: &Cloud, node: &Node, warren: &Warren) {
    let begin = Instant::now();
    let router = json!({"payload": []});
    let answers = ask(
        cloud,
        node,
        &[
            ("call", "dhcp_agent", "1.0", "nothing", json!({})),
            ("call", "l3_agent", "1.0", "nothing", json!({})),
            ("call", "dhcp_agent", "1.0", "network_create_end", json!({})),
            (
                "call",
                "dhcp_agent",
                "1.0",
                "network_create_end",
                json!({"payload": [1]}),
            ),
            (
                "call",
                "l3_agent",
                "1.0",
                "router_deleted",
                json!({"router_id": 7}),
            ),
            ("call", "dhcp_agent", "1.7", "network_create_end", json!({})),
            ("call", "l3_agent", "2.0", "router_deleted", json!({})),
            ("call", "l3_agent", "1.1", "router_added_to_agent", router),
        ],
    );
    let failed = |class: &str| json!(["failed", class]);
    assert_eq!(
        answers,
        [
            failed("NoSuchMethod"),
            failed("NoSuchMethod"),
            failed("TypeError"),
            failed("TypeError"),
            failed("TypeError"),
            failed("UnsupportedVersion"),
            failed("UnsupportedVersion"),
            json!(["ok", null]),
        ],
        "{}",
        warren.service.tail()
    );
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "answered at once"
    );
}

/// Messages and objects that make no sense, and then one that does: it is not held up.
fn poisoned(
    cloud: &Cloud,
    node: &Node,
    warren: &mut Warren,
    network: &Value,
    vm: &crate::common::Guest,
) {
    let bad = uuid::Uuid::new_v4().to_string();
    let port = |more: Value| {
        let mut port = json!({"id": bad, "network_id": id(network), "project_id": "p",
            "mac_address": "fa:16:3e:00:00:99", "device_owner": "compute:nova", "device_id": "x\ny"});
        port.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"payload": {"port": port, "priority": 6}})
    };
    let huge: Vec<Value> = (0..2000)
        .map(|_| json!({"subnet_id": id(network), "ip_address": "10.7.0.9"}))
        .collect();
    let wrong = port(json!({"mac_address": ["a\nb"]}));
    let cast = |method: &'static str, args: Value| ("cast", "dhcp_agent", "1.0", method, args);
    let router = uuid::Uuid::new_v4();
    let raw = |text: &'static str, times: usize| {
        ("raw", "dhcp_agent", "1.0", text, json!({"times": times}))
    };
    ask(
        cloud,
        node,
        &[
            raw("no JSON", 1),
            raw(" ", 50_000_000),
            raw(r#"{"oslo.version": "9.0", "oslo.message": "{}"}"#, 1),
            cast("port_create_end", wrong.clone()),
            cast("port_update_end", wrong.clone()),
            cast("port_update_end", wrong),
            cast("port_update_end", port(json!({"fixed_ips": huge}))),
            cast(
                "network_create_end",
                json!({"payload": {"network": {"id": "a\nb"}}}),
            ),
            (
                "cast",
                "l3_agent",
                "1.1",
                "routers_updated",
                json!({"routers": [router]}),
            ),
            (
                "cast",
                "l3_agent",
                "1.1",
                "routers_updated",
                json!({"routers": {"a": 1}}),
            ),
        ],
    );
    let made = Instant::now();
    let fixed = json!({"fixed_ips": [{"ip_address": "10.7.0.100"}]});
    cloud.instance_port(id(network), node.name(), fixed);
    let resolver = scene::resolver(cloud, network);
    wait_for("a good port", LONG, || {
        is_named(vm, resolver, "10.7.0.100").then_some(())
    });
    println!("a good port after poisoned ones: {:?}", made.elapsed());
    let told = wait_until(LONG, || warren.says("a message can't be read") == 1);
    assert!(
        told && warren.service.is_alive(),
        "{}",
        warren.service.tail()
    );
    let log = warren.service.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&bad)).collect();
    assert_eq!(
        lines.len(),
        2,
        "once for each thing that is wrong with it: {lines:#?}"
    );
    assert!(!log.contains("\nb"), "nobody writes lines into our log");
}
