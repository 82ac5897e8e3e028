//! The daemon's own life: what its stop, death and return do to others, which is nothing.
#![allow(clippy::unwrap_used)] // in a test a panic is the report

mod common;

use std::net::Ipv4Addr;
use std::time::Duration;

use common::{Daemon, Guest, Host, PATIENCE, tcp_stream, wait_for};

const CLOUD: &str = common::ROUTED;

const FLOATING: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 20);

fn cloud(name: &str) -> Option<(Host, Daemon, Guest, Guest)> {
    let host = Host::new(name)?;
    let daemon = host.warren_run(CLOUD);
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    let world = host.world("br-outside", "203.0.113.1/24");
    blue.udhcpc();
    Some((host, daemon, blue, world))
}

/// What `disturb` does to the daemon is not felt by a ping and a TCP stream through SNAT and the floating IP.
fn undisturbed(name: &str, disturb: impl FnOnce(&mut Daemon)) {
    let Some((_host, mut daemon, blue, world)) = cloud(name) else {
        return;
    };
    let out = blue.pinging("203.0.113.1").flowing();
    let stream = tcp_stream(&world, &blue, FLOATING, 7000);
    disturb(&mut daemon);
    out.goes_on(50);
    let (pings, stream) = (out.stop(), stream.stop());
    assert_eq!(pings.lost(), 0, "{pings:?}");
    assert_eq!(stream.broken, None, "{stream:?}");
    assert!(
        stream.longest_stall < Duration::from_secs(1),
        "not even a retransmission: {stream:?}"
    );
    assert_eq!(
        blue.resolve("blue1.test"),
        [Ipv4Addr::new(10, 0, 1, 11)],
        "and it answers"
    );
}

#[test]
fn kill_and_start_again_is_not_felt() {
    undisturbed("kill9", |daemon| {
        daemon.kill9();
        daemon.start();
    });
}

#[test]
fn stop_and_start_again_is_not_felt() {
    undisturbed("stop", |daemon| {
        assert!(daemon.stop().success(), "SIGTERM is a clean end");
        daemon.start();
    });
}

#[test]
fn reload_is_not_felt() {
    undisturbed("reload", |daemon| {
        daemon.rewrite(&format!(
            "{CLOUD}\n[[network]]\nname = \"new\"\n[[network.subnet]]\ncidr = \"10.0.9.0/24\"\n"
        ));
        wait_for("the new network", PATIENCE, || {
            daemon
                .warren(&["show", "network", "new"])
                .succeeded()
                .then_some(())
        });
        daemon.converged();
    });
}

#[test]
fn one_service_that_cannot_start_keeps_no_other_from_serving() {
    let Some((host, mut daemon, blue, _world)) = cloud("taken") else {
        return;
    };
    let namespace = daemon.json(&["show", "network", "blue"])["namespace"].clone();
    let namespace = namespace.as_str().unwrap().to_owned();
    daemon.stop();
    let taker = ["ip", "netns", "exec", &namespace, "nc", "-l", "-k", "53"];
    let taken = host.spawn(&taker);
    wait_for("the port to be taken", PATIENCE, || {
        let listening = host.run_in(&namespace, &["ss", "-Hltn", "sport", "=", ":53"]);
        (!listening.stdout.is_empty()).then_some(())
    });
    daemon.start();
    let state = |daemon: &Daemon| daemon.json(&["show", "network", "blue"]);
    let view = state(&daemon);
    assert_eq!(view["state"], "failed");
    assert!(view["error"].as_str().unwrap().contains("DNS"), "{view:#}");
    blue.dhclient();
    drop(taken);
    wait_for("DNS", PATIENCE, || {
        (state(&daemon)["state"] == "converged").then_some(())
    });
    assert_eq!(blue.resolve("blue1.test"), [Ipv4Addr::new(10, 0, 1, 11)]);
}

#[test]
fn sighup_loads_the_file_again() {
    let Some((_host, mut daemon, ..)) = cloud("hangup") else {
        return;
    };
    let loaded = |daemon: &Daemon| daemon.log().matches("topology loaded").count();
    assert_eq!(loaded(&daemon), 1);
    daemon.reload();
    wait_for("a second loading", PATIENCE, || {
        (loaded(&daemon) == 2).then_some(())
    });
    assert!(daemon.is_alive());
}

#[test]
fn a_stopped_daemon_leaves_everything_and_a_started_one_changes_nothing() {
    let Some((host, mut daemon, ..)) = cloud("leaves") else {
        return;
    };
    let before = host.namespaces();
    daemon.stop();
    assert_eq!(host.namespaces(), before);
    assert_eq!(daemon.plan().trim(), "nothing to do");
    daemon.start();
    daemon.converged();
    assert_eq!(host.namespaces(), before);
}

#[test]
fn it_is_one_process() {
    let Some((host, mut daemon, ..)) = cloud("process") else {
        return;
    };
    let pid = daemon.pid().unwrap();
    let mut processes: Vec<_> = ["dnsmasq", "haproxy", "radvd", "keepalived", "nft"]
        .into_iter()
        .filter(|name| host.run(&["pgrep", "-x", name]).succeeded())
        .collect();
    let children =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    processes.extend((!children.trim().is_empty()).then_some("a child"));
    assert!(processes.is_empty(), "{processes:?}");
    // Nor has a namespace a thread: as many with 20 more.
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.count()
    };
    let few = threads();
    let more: String = (0..20)
        .map(|n| {
            format!("[[network]]\nname = \"n{n}\"\n[[network.subnet]]\ncidr = \"10.9.{n}.0/24\"\n")
        })
        .collect();
    daemon.rewrite(&format!("{CLOUD}{more}"));
    wait_for("20 more networks", PATIENCE, || {
        (host.namespaces().len() > 20).then_some(())
    });
    daemon.converged();
    assert!(
        threads() < few + 20,
        "{few} threads, and {} with 20 networks more",
        threads()
    );
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let Some((host, daemon, ..)) = cloud("second") else {
        return;
    };
    let args = [
        "run",
        "--topology",
        daemon.topology(),
        "--state-dir",
        daemon.state_dir(),
        "--socket",
        "/run/warren/other.sock",
    ];
    let refused = host.warren(&args);
    assert!(!refused.succeeded());
    assert!(
        refused.stderr.contains(daemon.state_dir()),
        "which directory: {}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("--state-dir"),
        "what to do: {}",
        refused.stderr
    );
    assert!(daemon.warren(&["status"]).succeeded(), "the first goes on");
}

#[test]
fn a_broken_file_is_refused_and_the_old_state_goes_on() {
    let Some((_host, mut daemon, blue, _world)) = cloud("broken") else {
        return;
    };
    daemon.rewrite("[[network]]\nname = \"blue\"\nbrigde = \"x\"\n");
    let refused = wait_for("the refusal", PATIENCE, || {
        daemon.json(&["status"])["source"]["refused"]
            .as_str()
            .map(ToOwned::to_owned)
    });
    assert!(refused.contains("brigde"), "{refused}");
    assert_eq!(blue.resolve("blue1.test"), [Ipv4Addr::new(10, 0, 1, 11)]);
    // Also over a restart: what was known is served until the file is right again.
    daemon.kill9();
    daemon.start();
    assert_eq!(blue.resolve("blue1.test"), [Ipv4Addr::new(10, 0, 1, 11)]);
    daemon.rewrite(CLOUD);
    wait_for("the cure", PATIENCE, || {
        daemon.json(&["status"])["source"]["refused"]
            .is_null()
            .then_some(())
    });
}

#[test]
fn a_corrupt_state_file_costs_that_object_only() {
    let Some((host, mut daemon, blue, _world)) = cloud("corrupt") else {
        return;
    };
    let router = daemon.json(&["show", "router", "r1"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let file = format!("{}/routers/{router}.json", daemon.state_dir());
    wait_for("the state to be kept", PATIENCE, || {
        host.machine().read(&file)
    });
    daemon.kill9();
    host.machine().write(&file, "{ this is no JSON");
    // The topology is broken too, so that only the store speaks.
    daemon.rewrite("nonsense = [");
    let pings = blue.pinging("203.0.113.1").flowing();
    daemon.start();
    assert!(
        daemon.log().contains(&router),
        "the broken file is named:\n{}",
        daemon.log()
    );
    assert_eq!(
        blue.resolve("blue1.test"),
        [Ipv4Addr::new(10, 0, 1, 11)],
        "the network is served"
    );
    daemon.rewrite(CLOUD);
    daemon.converged();
    wait_for("the router again", PATIENCE, || {
        daemon
            .warren(&["show", "router", "r1"])
            .succeeded()
            .then_some(())
    });
    let pings = pings.stop();
    assert_eq!(pings.lost(), 0, "the router's flows went on: {pings:?}");
}

/// The disk is slow (a pipe that nobody reads yet takes nothing), and what is to be written changes meanwhile.
#[test]
fn one_state_is_written_after_the_other() {
    let Some((host, daemon, ..)) = cloud("slow-disk") else {
        return;
    };
    let network = daemon.json(&["show", "network", "blue"])["id"].clone();
    let file = format!(
        "{}/networks/{}",
        daemon.state_dir(),
        network.as_str().unwrap()
    );
    let (kept, aside) = (format!("{file}.json"), format!("{file}.new"));
    let machine = host.machine();
    wait_for("the state to be kept", PATIENCE, || machine.read(&kept));
    machine.run(&["mkfifo", "-m", "600", &aside]).ok();
    for mtu in [1400, 1300] {
        let network = format!("name = \"blue\"\nmtu = {mtu}\n");
        daemon.rewrite(&CLOUD.replace("name = \"blue\"\n", &network));
        wait_for("the new MTU", PATIENCE, || {
            let shown = daemon.json(&["show", "network", "blue"]);
            (shown["mtu"] == mtu).then_some(())
        });
        // Long after it would be written.
        std::thread::sleep(Duration::from_secs(1));
    }
    let mtu = |text: &str| -> Option<u64> {
        let network: serde_json::Value = serde_json::from_str(text).ok()?;
        network["mtu"].as_u64()
    };
    let written = machine.run(&["cat", &aside]).ok();
    assert_eq!(mtu(&written), Some(1400), "alone: {written}");
    wait_for("what came last to be kept", PATIENCE, || {
        // For a moment it is the pipe.
        let there = std::fs::metadata(machine.path(&kept)).ok()?;
        let text = there.is_file().then(|| machine.read(&kept))??;
        (mtu(&text) == Some(1300)).then_some(())
    });
}

/// By hand, in a place that is ours: it is told, and costs what it is about.
#[test]
fn a_route_of_another_that_is_in_the_way_keeps_nobody_from_being_served() {
    let Some((host, mut daemon, blue, _world)) = cloud("way") else {
        return;
    };
    let view = |daemon: &Daemon| daemon.json(&["show", "network", "blue"]);
    let namespace = view(&daemon)["namespace"].as_str().unwrap().to_owned();
    daemon.stop();
    let ip = |args: &str| {
        let argv: Vec<&str> = ["ip"].into_iter().chain(args.split(' ')).collect();
        host.run_in(&namespace, &argv).ok()
    };
    ip("route replace default via 10.0.1.99");
    daemon.start();
    assert_eq!(view(&daemon)["state"], "failed");
    let error = view(&daemon)["error"].to_string();
    assert!(error.contains("0.0.0.0/0"), "{error}");
    blue.dhclient();
    assert_eq!(blue.resolve("blue1.test"), [Ipv4Addr::new(10, 0, 1, 11)]);
    ip("route del default");
    wait_for("the cure", PATIENCE, || {
        (view(&daemon)["state"] == "converged").then_some(())
    });
}

/// A network with one instance, and no router.
const ALONE: &str = r#"
[[network]]
name = "alone"
bridge = "br-alone"
[[network.subnet]]
cidr = "10.0.4.0/24"
dhcp_address = "10.0.4.2"

[[instance]]
name = "one"
[[instance.port]]
network = "alone"
mac = "fa:16:3e:00:04:01"
addresses = ["10.0.4.11"]
"#;

fn alone(name: &str) -> Option<(Host, Daemon, Guest)> {
    let host = Host::new(name)?;
    let daemon = host.warren_run(ALONE);
    let one = host.guest("one", "br-alone", "fa:16:3e:00:04:01");
    one.udhcpc();
    Some((host, daemon, one))
}

/// By another name it is another network, and has the bridge from the one that goes.
#[test]
fn a_network_that_is_named_anew_keeps_its_bridge() {
    let Some((host, daemon, one)) = alone("anew") else {
        return;
    };
    let before = host.namespaces();
    daemon.rewrite(&ALONE.replace("\"alone\"", "\"together\""));
    wait_for("the other network alone", PATIENCE, || {
        let now = host.namespaces();
        (now.len() == 1 && now != before).then_some(())
    });
    daemon.converged();
    let ports = host.ports("br-alone");
    assert!(ports.contains(&one.tap()), "{ports:?}");
    assert!(one.ping("10.0.4.2"), "it is served as before");
    one.dhclient();
}

#[test]
fn without_dhcp_nobody_answers_at_its_address() {
    let Some((host, daemon, one)) = alone("silent") else {
        return;
    };
    assert!(one.ping("10.0.4.2"));
    // It goes with the namespace, not with its name.
    let namespace = &host.namespaces()[0];
    host.ip(&format!(
        "link add witness type veth peer name inside netns {namespace}"
    ));
    daemon.rewrite(&ALONE.replace("dhcp_address = \"10.0.4.2\"", "dhcp = false"));
    wait_for("the namespace to go", PATIENCE, || {
        host.namespaces().is_empty().then_some(())
    });
    daemon.converged();
    assert_eq!(host.ports("br-alone"), [one.tap()]);
    one.ip("neigh flush dev eth0");
    assert!(!one.ping("10.0.4.2"));
    let witness = ["ip", "link", "show", "witness"];
    wait_for("the namespace itself to go", PATIENCE, || {
        (!host.run(&witness).succeeded()).then_some(())
    });
}

#[test]
fn secrets_and_user_data_are_not_in_the_log() {
    let Some(host) = Host::new("secrets") else {
        return;
    };
    let with_data = CLOUD.replace(
        "[[instance.port]]",
        "user_data = \"#!/bin/sh\\n# hunter2\\n\"\n[[instance.port]]",
    );
    let mut daemon = Daemon::new(&host, &with_data);
    daemon.start();
    daemon.rewrite(&with_data.replace("10.0.1.11", "10.0.1.12"));
    daemon.converged();
    assert!(
        daemon
            .json(&["show", "instance", "blue1"])
            .to_string()
            .find("hunter2")
            .is_none()
    );
    daemon.stop();
    assert!(!daemon.log().contains("hunter2"));
}
