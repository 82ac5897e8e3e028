//! The newest release of Neutron, all of it: server, openvswitch agent, and what their transport can do only now. A shorter
//! life, in which none of what changed since Debian's release is seen by an instance.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::outside::Outside;
use super::router::Life;
use super::{Ground, dhcp, fixed, qdhcp, segments, switch, with};
use crate::cloud::{Cloud, id};
use crate::common::{Host, HttpAnswer, HttpStub};

#[test]
fn the_newest_release() {
    let Some(cloud) = Cloud::newest("") else {
        return;
    };
    let _nova = nova(&cloud);
    let ground = switch::ground(&cloud, "new1", "out8", "dns_domain = tenants.example");
    probed(&ground);
    stranger(&ground);
    let blue = ground.network("blue", json!({}));
    let subnet = ground.subnet(
        &blue,
        "10.1.0.0/24",
        json!({"dns_nameservers": ["10.1.0.53"], "allocation_pools": [{"start": "10.1.0.100", "end": "10.1.0.200"}]}),
    );
    let slaac = json!({"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"});
    ground.subnet(&blue, "fd00:1::/64", slaac);
    let port = cloud.instance_port(id(&blue), "new1", json!({}));
    let vm = ground.guest("vm", &port);
    dhcp::subnet_updates(&ground, &blue, &subnet, &vm, &port);
    dhcp::isolated_metadata(&ground, &vm, &port);
    dhcp::second_subnet(&ground, &blue);
    dhcp::dhcp_off_and_on(&ground, &blue, &subnet);
    dhcp::port_deleted(&ground, &blue);
    drop(vm);
    cloud.remove("port", id(&port));
    cloud.remove("network", id(&blue));
    ground.until("the namespace of a deleted network to go", || {
        !ground.has(&qdhcp(&blue))
    });

    let mut life = Life::begin(ground, Outside::new(&cloud, "out8"));
    life.on_one_node();
    life.vm1().udhcpc();
    let url = "http://169.254.169.254/latest/meta-data/instance-id";
    let answer = life.vm1().curl(url, &[]).unwrap();
    assert_eq!(answer.body, life.instance(), "{}", life.ground.tails());

    // Started again, it asks for everything, and finds it as it is.
    let pinging = life.vm1().pinging("198.18.0.1").flowing();
    life.ground.restart();
    life.ground.warren.says("full sync");
    let sent = pinging.answers();
    life.ground
        .until("the ping to go on", || pinging.answers() >= sent + 50);
    let report = pinging.stop();
    assert_eq!(report.lost(), 0, "{report:?}\n{}", life.ground.tails());
    let log = cloud.server.lock().unwrap().log();
    // Some drivers that stevedore looks for are not installed.
    let is_error = |line: &&str| line.contains(" ERROR neutron") || line.contains(" ERROR oslo");
    // The lines behind the first are its traceback.
    let is_first = |line: &&str| line.contains(" [");
    // Nor does it matter where two requests met at one subnet: the server refuses one of them, and is asked again.
    let met = |line: &&str| line.contains("is being modified by another concurrent operation");
    // Nor where a subnet went while the server bound our port on it: all that this request says is of that.
    let request = |line: &&str| line.split(['[', ']']).nth(1).map(str::to_owned);
    let lost_its_subnet =
        |line: &&str| line.contains("in bind_port") && line.contains("SubnetNotFound");
    let of_that: Vec<_> = log
        .lines()
        .filter(lost_its_subnet)
        .map(|line| request(&line))
        .collect();
    let errors = log.lines().filter(is_error).filter(is_first);
    let errors = errors.filter(|line| !met(line) && !of_that.contains(&request(line)));
    let errors: Vec<&str> = errors.collect();
    assert_eq!(errors, [] as [&str; 0], "the server takes offence");
}

/// As deployments in containers ask whether an agent lives: by a call that it can't know, and by a request to the metadata
/// socket of nobody's.
fn probed(ground: &Ground<'_>) {
    const PROBE: &str = "
import oslo_messaging
from oslo_config import cfg
from oslo_context import context
cfg.CONF([])
oslo_messaging.set_transport_defaults('neutron')
transport = oslo_messaging.get_rpc_transport(cfg.CONF, url='rabbit://openstack:openstack@10.254.0.1:5672/')
for topic in 'dhcp_agent', 'l3_agent':
    target = oslo_messaging.Target(topic=topic, server='new1')
    client = oslo_messaging.get_rpc_client(transport, target, timeout=20)
    try:
        client.call(context.RequestContext(), 'a_probe')
    except oslo_messaging.RemoteError as error:
        print(str(error).splitlines()[0])
";
    let place = ground.node.place();
    let said = place.run(&["/opt/neutron/bin/python", "-c", PROBE]).ok();
    let known = said.matches("Endpoint does not support RPC method a_probe");
    assert_eq!(known.count(), 2, "{said}");
    let asking = "curl --silent --output /dev/null --write-out %{http_code} \
                  --unix-socket /var/lib/neutron/metadata_proxy \
                  --header X-Forwarded-For:169.254.169.254 --header X-Neutron-Router-ID:probe http://169.254.169.254/";
    let status: u16 = place.sh(asking).ok().parse().unwrap();
    assert!((400..500).contains(&status), "{status}");
}

/// Metadata of an instance whose network is not served here: the server is asked whose the address is.
fn stranger(ground: &Ground<'_>) {
    let grey = ground.network("grey", json!({}));
    ground.subnet(&grey, "10.8.0.0/24", json!({"enable_dhcp": false}));
    let own = json!({"network_id": id(&grey), "device_id": "the-stranger"});
    let port = with(fixed("10.8.0.11"), own);
    let port = ground.cloud.create("port", port);
    let asking = format!(
        "curl --silent --unix-socket /var/lib/neutron/metadata_proxy \
         --header X-Forwarded-For:10.8.0.11 --header X-Neutron-Network-ID:{} http://169.254.169.254/",
        id(&grey)
    );
    let answer = ground.node.place().sh(&asking).ok();
    assert_eq!(answer, "the-stranger", "{}", ground.tails());
    ground.cloud.remove("port", id(&port));
    ground.cloud.remove("network", id(&grey));
}

/// Queues that Debian's release does not know, with the same options in everybody's files.
#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn quorum_queues_streams_and_names_that_last() {
    const QUEUES: &str = "\
[oslo_messaging_rabbit]
rabbit_quorum_queue = True
rabbit_transient_quorum_queue = True
rabbit_stream_fanout = True
rabbit_qos_prefetch_count = 1
use_queue_manager = True
";
    let Some(cloud) = Cloud::newest(QUEUES) else {
        return;
    };
    let _nova = nova(&cloud);
    // The reference agents declare these first; who declares them otherwise is refused by the broker.
    let reference = cloud.node("new3");
    reference.configure("neutron.conf", QUEUES);
    reference.reference_dhcp_agent();
    reference.stop("neutron-dhcp-agent");
    let mut ground = switch::ground_with(&cloud, "new2", "out9", "", |node| {
        node.configure("neutron.conf", QUEUES);
    });
    let blue = ground.network("blue", json!({}));
    ground.subnet(&blue, "10.1.0.0/24", json!({}));
    let lease = |ground: &Ground<'_>, address: &str| {
        let port = cloud.instance_port(id(&blue), "new2", fixed(address));
        let vm = ground.guest("vm", &port);
        assert_eq!(vm.udhcpc().address.to_string(), address);
        dhcp::isolated_metadata(ground, &vm, &port);
    };
    lease(&ground, "10.1.0.11");
    let before = queues(&cloud);
    for (name, kind) in [
        ("dhcp_agent", "quorum"),
        ("dhcp_agent.new2", "quorum"),
        ("dhcp_agent_fanout", "stream"),
        ("l3_agent", "quorum"),
        ("l3_agent.new2", "quorum"),
        ("l3_agent_fanout", "stream"),
    ] {
        assert_eq!(
            before.get(name).map(String::as_str),
            Some(kind),
            "{name}: {before:#?}"
        );
    }
    let ours = |queues: &BTreeMap<String, String>| -> Vec<String> {
        let ours = queues.keys().filter(|name| name.contains("new2:warren:"));
        ours.cloned().collect()
    };
    assert!(!ours(&before).is_empty(), "{before:#?}");
    ground.restart();
    ground.warren.says("full sync");
    lease(&ground, "10.1.0.12");
    assert_eq!(ours(&queues(&cloud)), ours(&before), "after a restart");
}

/// Only of a routed network does it still say which segments there are.
#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn a_routed_network_of_the_newest_release() {
    let Some(cloud) = Cloud::newest("") else {
        return;
    };
    let sides = [("new4", "out14"), ("new5", "out15")];
    let grounds = sides.map(|(name, wire)| switch::ground(&cloud, name, wire, ""));
    segments::served(&grounds, sides.map(|(_, wire)| wire));
}

/// What the newest agents' own sample of a configuration sets, each option to its default.
#[test]
fn no_option_of_the_newest_agents_is_unknown() {
    let Some(host) = Host::of_newest_cloud("options") else {
        return;
    };
    let place = host.place();
    let mut asked = vec!["check".to_owned(), "--json".to_owned()];
    for (file, namespaces) in [
        (
            "neutron.conf",
            "neutron neutron.agent oslo.log oslo.concurrency oslo.messaging oslo.service.wsgi",
        ),
        (
            "dhcp_agent.ini",
            "neutron.base.agent neutron.az.agent neutron.dhcp.agent oslo.log",
        ),
        (
            "l3_agent.ini",
            "neutron.base.agent neutron.az.agent neutron.l3.agent oslo.log",
        ),
        (
            "metadata_agent.ini",
            "neutron.metadata.agent oslo.log oslo.cache",
        ),
    ] {
        let mut argv = vec!["/opt/neutron/bin/oslo-config-generator"];
        for namespace in namespaces.split(' ') {
            argv.extend(["--namespace", namespace]);
        }
        let sample = place.run(&argv).ok();
        let lines: Vec<&str> = sample.lines().filter_map(set).collect();
        assert!(lines.len() > 10, "{file}: {sample}");
        let path = format!("/etc/neutron/{file}");
        host.machine().write(&path, &lines.join("\n"));
        asked.extend(["--config-file".to_owned(), path]);
    }
    let told = host.warren(&asked).ok();
    let told: Vec<Value> = serde_json::from_str(&told).unwrap();
    let doubtful: Vec<&Value> = told
        .iter()
        .filter(|one| one["severity"] != "ignored")
        .collect();
    let named: Vec<&Value> = doubtful.iter().map(|one| &one["option"]).collect();
    assert_eq!(
        named,
        ["[DEFAULT] metadata_proxy_shared_secret"],
        "{doubtful:#?}"
    );
}

/// A line of a sample, with what it sets in a comment taken for set.
fn set(line: &str) -> Option<&str> {
    if line.starts_with('[') {
        return Some(line);
    }
    let line = line.strip_prefix('#')?;
    let is_set = line.starts_with(|first: char| first.is_ascii_lowercase());
    (is_set && line.contains(" = ") && !line.ends_with("<None>")).then_some(line)
}

/// Tells each instance who it is.
fn nova(cloud: &Cloud) -> HttpStub {
    cloud.nova(|request| HttpAnswer::new(200, request.header("x-instance-id").unwrap_or("nobody")))
}

/// Names and kinds.
fn queues(cloud: &Cloud) -> BTreeMap<String, String> {
    let queues = cloud.broker.queues().into_iter();
    queues.map(|queue| (queue.name, queue.kind)).collect()
}
