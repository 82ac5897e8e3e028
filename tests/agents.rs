//! One process per agent, without a broker: where each keeps its things, and what signals do. With a real cloud:
//! `tests/neutron/split.rs`.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use common::{Host, Output, PATIENCE, Running, WARREN, wait_until};

const FILES: &str = "\
[DEFAULT]
host = net1
state_path = /var/lib/neutron
transport_url = rabbit://user:secret@127.0.0.1:1/
interface_driver = linuxbridge
metadata_proxy_shared_secret = s3cr3t
";

struct Node(Host);

impl Node {
    fn new(name: &str) -> Option<Self> {
        let host = Host::new(name)?;
        let [.., program] = WARREN;
        let machine = host.machine();
        machine.write("/etc/warren-test/neutron.conf", FILES);
        let links = ["dhcp", "l3", "metadata"]
            .map(|role| format!("ln -s {program} /run/agents/neutron-{role}-agent; "));
        let script = format!("mkdir -p /run/agents /run/log; {}", links.concat());
        machine.sh(&script).ok();
        Some(Self(host))
    }

    fn argv(&self, role: &str, more: &str) -> Vec<String> {
        let start = format!(
            "/run/agents/neutron-{role}-agent --config-file /etc/warren-test/neutron.conf {more}"
        );
        start.split_whitespace().map(str::to_owned).collect()
    }

    fn start(&self, role: &str, more: &str) -> Running {
        let mut agent = self.0.machine().spawn(&self.argv(role, more));
        let socket = self.0.machine().path(&format!("/run/warren/{role}.sock"));
        let listens = wait_until(PATIENCE, || socket.exists() || !agent.is_alive());
        assert!(listens && agent.is_alive(), "{role}: {}", agent.log());
        agent
    }

    fn refused(&self, role: &str, more: &str, code: &str) -> Output {
        let output = self.0.machine().run(&self.argv(role, more));
        let told = &output.stderr;
        assert!(!output.succeeded() && told.contains(code), "{role}: {told}");
        output
    }

    fn exists(&self, path: &str) -> bool {
        self.0.machine().path(path).exists()
    }
}

fn end(agent: &mut Running) {
    let start = Instant::now();
    agent.signal(Signal::SIGTERM);
    let status = agent.ended();
    let took = start.elapsed();
    assert!(status.success(), "{status}: {}", agent.log());
    assert!(took < Duration::from_secs(3), "{took:?}: {}", agent.log());
}

#[test]
fn three_agents_have_places_of_their_own() {
    let Some(node) = Node::new("agents") else {
        return;
    };
    let roles = ["dhcp", "l3", "metadata"];
    let mut agents = roles.map(|role| node.start(role, ""));
    for role in roles {
        let kept = format!("/var/lib/neutron/warren-{role}/networks");
        assert!(node.exists(&kept), "{kept}");
    }
    assert!(node.exists("/var/lib/neutron/metadata_proxy"));
    assert!(!node.exists("/var/lib/warren"));

    let told = node.0.warren(&["status"]).ok();
    for role in roles {
        assert!(told.contains(&format!("== {role}\nwarren:")), "{told}");
    }
    let told: Value = serde_json::from_str(&node.0.warren(&["status", "--json"]).ok()).unwrap();
    let names: Vec<_> = told.as_object().unwrap().keys().collect();
    assert_eq!(names, roles);
    let one = ["status", "--json", "--socket", "/run/warren/l3.sock"];
    let told: Value = serde_json::from_str(&node.0.warren(&one).ok()).unwrap();
    assert_eq!(told["routers"], 0, "{told}");
    let unknown = node.0.warren(&["show", "network", "blue"]);
    assert!(unknown.stderr.contains("W1003"), "{unknown}");

    // A second one of a role, with the same places or others.
    node.refused("dhcp", "", "W1102");
    node.refused("dhcp", "--state-dir /run/other", "W1201");

    // One that was killed is missed; one that ended in good order is not.
    let [dhcp, l3, metadata] = &mut agents;
    end(dhcp);
    assert!(!node.exists("/run/warren/dhcp.sock"));
    assert!(node.0.warren(&["status"]).succeeded());
    l3.signal(Signal::SIGKILL);
    l3.ended();
    let output = node.0.warren(&["status"]);
    assert!(output.stdout.contains("== metadata\n"), "{output}");
    let missed = output.stderr.contains("/run/warren/l3.sock: ");
    assert!(!output.succeeded() && missed, "{output}");
    // Its end leaves nothing in the way of the next.
    let mut l3 = node.0.machine().spawn(&node.argv("l3", ""));
    let asked = || node.0.warren(&["status"]).succeeded();
    assert!(wait_until(PATIENCE, asked), "{}", l3.log());
    end(&mut l3);
    end(metadata);

    // Where no socket can be.
    node.0
        .machine()
        .sh("mount --bind /proc/sys /run/warren")
        .ok();
    let told = node.refused("l3", "", "W1203").stderr;
    assert!(
        told.contains("/run/warren/l3.sock") && told.contains("--socket"),
        "{told}"
    );
}

#[test]
fn signals_do_what_operators_expect() {
    let Some(node) = Node::new("signals") else {
        return;
    };
    let log = "/run/log/dhcp.log";
    let read = |path: &str| node.0.machine().read(path).unwrap_or_default();
    let mut agent = node.start("dhcp", &format!("--log-file {log} --debug"));
    let runs = || read(log).contains(" INFO warren::app: running");
    assert!(wait_until(PATIENCE, runs), "{}", read(log));
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        let told = read(log).matches("as `warren status` tells").count();
        agent.signal(signal);
        let again = || read(log).matches("as `warren status` tells").count() > told;
        assert!(wait_until(PATIENCE, again), "{signal}: {}", read(log));
    }

    // As logrotate does it without copytruncate.
    let old = "/run/log/dhcp.log.1";
    node.0.machine().sh(&format!("mv {log} {old}")).ok();
    agent.signal(Signal::SIGHUP);
    assert!(wait_until(PATIENCE, || node.exists(log)), "no new file");
    let length = read(old).len();
    agent.signal(Signal::SIGUSR1);
    assert!(
        wait_until(PATIENCE, || read(log).contains("tells in full")),
        "{}",
        read(log)
    );
    assert_eq!(read(old).len(), length, "the old file is still written to");
    assert!(agent.is_alive());
    end(&mut agent);
    assert!(
        read(log).contains("stopped; the data plane stays"),
        "{}",
        read(log)
    );
    assert_eq!(agent.log(), "", "all goes to the file");

    // The files' own words.
    let more = "[DEFAULT]\nlog_dir = /run/log\nuse_journal = false\n";
    node.0
        .machine()
        .write("/etc/warren-test/neutron.conf", &format!("{FILES}{more}"));
    let mut agent = node.start("l3", "");
    let log = "/run/log/neutron-l3-agent.log";
    let runs = || read(log).contains(" INFO warren::app: running");
    assert!(wait_until(PATIENCE, runs), "{}", read(log));
    end(&mut agent);
}
