//! A node where Neutron's own agents ran is taken over, and given back, with traffic that goes on.

mod leftovers;
mod life;
mod roles;
mod traffic;

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::json;

use crate::cloud::{Cloud, LONG, Node, Service, id};
use crate::common::{Unit, WARREN, wait_for};
use crate::drop_in::FILES;
use crate::split;
use leftovers::{Legacy, Monitored, Strangers};
use life::Life;
use traffic::Traffic;

const AGENTS: [&str; 3] = [
    "neutron-dhcp-agent",
    "neutron-l3-agent",
    "neutron-metadata-agent",
];

const NOTIFY: &str = "/run/notify.sock";

/// As systemd starts it by the unit beside Neutron, with its rights and no others; when it says that it is ready.
fn by_its_unit(node: &Node) -> Service {
    let (machine, unit) = (node.machine(), Unit::beside_neutron());
    let mode = unit.get("StateDirectoryMode");
    machine
        .sh(&format!("mkdir -p -m {mode} /var/lib/warren"))
        .ok();
    let socket = UnixDatagram::bind(machine.path(NOTIFY)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let [.., warren] = WARREN;
    let notify = format!("NOTIFY_SOCKET={NOTIFY}");
    let argv = ["env", &notify, "bash", "-c", &unit.command(warren)];
    let mut service = Service::new(&machine, "warren", &argv);
    service.start();
    wait_for("warren to be ready", LONG, || {
        assert!(service.is_alive(), "{}", service.tail());
        let mut said = [0; 4096];
        let length = socket.recv(&mut said).ok()?;
        let said = String::from_utf8_lossy(&said[..length]).into_owned();
        said.lines().any(|line| line == "READY=1").then_some(())
    });
    // Nor are any missing.
    let log = service.log();
    let refused = ["not permitted", "denied", "CAP_"];
    assert!(!refused.iter().any(|word| log.contains(word)), "{log}");
    let socket = ["stat", "--format=%U %a", "/var/lib/neutron/metadata_proxy"];
    assert_eq!(node.place().run(&socket).ok(), "neutron 644\n");
    service
}

/// As on Debian: all of it belongs to the user whose agents they are.
fn owned_by_neutron(node: &Node) {
    node.place()
        .sh("chown -R neutron:neutron /etc/neutron /var/lib/neutron; chmod 640 /etc/neutron/*.*")
        .ok();
}

/// What others may not have lost meanwhile, for a failure's message: packets that the agent's rules dropped.
fn dropped(life: &Life<'_>) -> String {
    let script = "iptables-save -c; ip6tables-save -c; conntrack -L";
    let told = life.net1.run_in(&life.router, &["sh", "-c", script]);
    format!("{told}\n{}", life.net1.tails())
}

#[track_caller]
fn taken(life: &Life<'_>, takers: &[&Service]) {
    let tails = || takers.iter().map(|taker| taker.tail()).collect::<String>();
    wait_for("the agents' rules to go", LONG, || {
        let left = [&life.dhcp, &life.router].map(|ns| life.rules(ns)[0].contains("neutron-"));
        (left == [false; 2]).then_some(())
    });
    for namespace in [&life.dhcp, &life.router] {
        assert_eq!(life.programs_in(namespace), [""; 0], "{}", tails());
    }
}

/// Until all is given back; what was told.
#[track_caller]
fn give_back(life: &Life<'_>) -> String {
    let told = give_back_roles(life, &[]);
    for namespace in [&life.dhcp, &life.router] {
        let [_, nft] = life.rules(namespace);
        assert_eq!(nft, "", "{namespace}");
        let links = life
            .net1
            .run_in(namespace, &["ip", "-details", "link"])
            .ok();
        assert!(!links.contains("alias"), "{links}");
    }
    assert_eq!(kept_state(life.net1), "", "state that is old by now");
    told
}

#[track_caller]
fn give_back_roles(life: &Life<'_>, roles: &[&str]) -> String {
    let mut told = String::new();
    wait_for("all to be given back", LONG, || {
        let undo = ["adopt", "--undo", "--wait", "40"];
        let output = life.net1.warren(&[&undo[..], roles].concat());
        told += &output.stdout;
        output.succeeded().then_some(())
    });
    told
}

/// Which takes it half a minute on a busy machine: longer than a client asks.
#[track_caller]
fn agent_serves_dhcp(life: &Life<'_>) {
    wait_for("the DHCP agent's dnsmasq", LONG, || {
        let programs = life.programs_in(&life.dhcp);
        programs.contains(&"dnsmasq".to_owned()).then_some(())
    });
}

/// What daemons of warren's keep: directories, and objects in them.
fn kept_state(node: &Node) -> String {
    let list = "cd /var/lib; find warren neutron/warren-* -name '*.json' 2>/dev/null || true; ls -d warren neutron/warren-* 2>/dev/null || true";
    node.machine().sh(list).ok()
}

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn a_node_is_taken_over_without_loss_and_given_back() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let net1 = cloud.node("net1");
    net1.linuxbridge_agent();
    net1.reference_agents();
    let life = Life::begin(&cloud, &net1);
    let strangers = Strangers::begin(&life);
    life.works();
    owned_by_neutron(&net1);

    // Beside the agents it does not start, and says why.
    let refused = net1.warren(&[&["run"], &FILES[..]].concat());
    assert!(!refused.succeeded(), "{refused}");
    let why = "W1211]: failed to take the place of neutron-";
    assert!(refused.stderr.contains(why), "{refused}");

    let legacy = Legacy::leave(&life);
    let monitored = Monitored::leave(&life);
    let traffic = Traffic::begin(&life, 7001);
    AGENTS.iter().for_each(|agent| net1.stop(agent));
    strangers.leave(&life);
    let told = net1.warren(&["adopt", "--dry-run"]).ok();
    for word in [
        life.dhcp.as_str(),
        &life.router,
        "would keep device qg-",
        "would keep device ns-",
        "would end dnsmasq",
        "would end haproxy",
        "would end radvd",
        "would end keepalived",
        "chains of iptables",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    println!("{told}");
    let [before, _] = life.rules(&life.router);
    assert!(before.contains("neutron-l3-agent-"), "{before}");
    let mut taker = by_its_unit(&net1);
    taken(&life, &[&taker]);
    println!("{}", taker.log());
    legacy.are_gone(&life);
    monitored.are_ended(&life);
    strangers.are_gone(&life);
    life.works();
    traffic.end(|| format!("{}{}", taker.tail(), dropped(&life)));

    let traffic = Traffic::begin(&life, 7011);
    taker.stop();
    net1.reference_agents();
    let told = give_back(&life);
    assert!(told.contains(&life.router), "{told}");
    agent_serves_dhcp(&life);
    life.works();
    traffic.end(|| dropped(&life));
    // Nothing is ours here.
    let nothing = net1.warren(&["cleanup", "--all", "--dry-run"]).ok();
    assert!(nothing.contains("nothing of warren's"), "{nothing}");
}

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn a_node_with_open_vswitch_is_taken_over_by_three_processes_and_given_back() {
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let net1 = cloud.node("net1");
    for file in ["dhcp_agent.ini", "l3_agent.ini"] {
        net1.configure(file, "[DEFAULT]\ninterface_driver = openvswitch");
    }
    net1.openvswitch();
    net1.reference_agents();
    let life = Life::begin(&cloud, &net1);
    life.works();
    let vsctl = |words: &str| net1.place().sh(&format!("ovs-vsctl {words}")).ok();
    let ports = "--columns=_uuid,name,tag --format=csv list Port";
    let before = vsctl(ports);

    let traffic = Traffic::begin(&life, 7001);
    AGENTS.iter().for_each(|agent| net1.stop(agent));
    let takers = ["dhcp", "l3", "metadata"].map(|role| split::agent(&cloud, &net1, role));
    let [dhcp, l3, metadata] = &takers;
    taken(&life, &[dhcp, l3, metadata]);
    life.works();
    // Ports that are there stay as they are, and so they are never dark.
    assert_eq!(vsctl(ports), before, "{}{}", dhcp.tail(), l3.tail());
    traffic.end(|| format!("{}{}{}", dhcp.tail(), l3.tail(), dropped(&life)));

    // One more leg, which is ours.
    let green = cloud.create("network", json!({"name": "green"}));
    let subnet = json!({"network_id": id(&green), "ip_version": 4, "cidr": "10.2.0.0/24"});
    let subnet = cloud.create("subnet", subnet);
    let router = life.router.trim_start_matches("qrouter-");
    let leg = format!("/v2.0/routers/{router}/add_router_interface");
    cloud.put(&leg, &json!({"subnet_id": id(&subnet)}));
    let ours = || vsctl("--bare --columns=name find Port external_ids:owner=warren");
    wait_for("a port of ours", LONG, || {
        ours().contains("qr-").then_some(())
    });

    let traffic = Traffic::begin(&life, 7011);
    takers.into_iter().for_each(|mut taker| taker.stop());
    net1.reference_agents();
    let told = give_back(&life);
    assert!(told.contains(&life.router), "{told}");
    assert_eq!(ours().trim(), "");
    agent_serves_dhcp(&life);
    life.works();
    traffic.end(|| dropped(&life));
    let nothing = net1.warren(&[&["cleanup", "--all", "--dry-run"], &FILES[..]].concat());
    assert!(nothing.ok().contains("nothing of warren's"));
}
