//! The command line as people and scripts meet it: help, tables, the shapes of `--json`, exit statuses, and errors that
//! say what to do.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod ask;
mod cleanup;
#[path = "../common/mod.rs"]
mod common;
mod file;

use std::process::Command;

use common::{Daemon, Host, Output};
use serde_json::Value;

const CLOUD: &str = r#"
dns_domain = "test"

[[network]]
name = "blue"
bridge = "br-blue"
[[network.subnet]]
cidr = "10.0.1.0/24"

[[network]]
name = "outside"
bridge = "br-outside"
external = true
[[network.subnet]]
cidr = "203.0.113.0/24"

[[instance]]
name = "web"
[[instance.port]]
network = "blue"
addresses = ["10.0.1.11"]
mac = "fa:16:3e:00:01:01"

[[router]]
name = "r1"
interfaces = ["blue"]
gateway = { network = "outside", address = "203.0.113.5" }
routes = [{ to = "192.168.0.0/16", via = "10.0.1.11" }]
[[router.floating_ip]]
address = "203.0.113.20"
instance = "web"
[[router.port_forwarding]]
address = "203.0.113.5"
external_port = 8080
internal_port = 80
instance = "web"
"#;

const COMMANDS: [&str; 6] = ["run", "check", "plan", "status", "show", "cleanup"];

/// Without a host: nothing of it is needed, and nothing of it may be touched.
fn warren(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_warren"))
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// That it failed with status 1 and this code, and said all of these.
#[track_caller]
fn fails(output: &Output, code: &str, said: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{output}");
    let begin = format!("warren: error[{code}]: failed to ");
    assert!(output.stderr.contains(&begin), "{begin}: {output}");
    for word in said {
        assert!(output.stderr.contains(word), "{word:?} in {output}");
    }
    assert!(output.stdout.is_empty(), "{output}");
}

/// That a JSON object has these keys; it may have more: fields are added, never renamed.
#[track_caller]
fn has(value: &Value, keys: &str) {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("an object, not {value}"));
    for key in keys.split(' ') {
        assert!(object.contains_key(key), "{key} in {value:#}");
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let (status, help, _) = warren(&["--help"]);
    assert_eq!(status, Some(0));
    for command in COMMANDS {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} in\n{help}"
        );
        let (status, help, _) = warren(&[command, "--help"]);
        assert_eq!(status, Some(0), "{command}");
        let example = help
            .split_once("\nExample")
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        assert!(
            example.contains(&format!("  warren {command}")),
            "{command}:\n{help}"
        );
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let (status, version, _) = warren(&["--version"]);
    assert_eq!(
        (status, version.trim()),
        (Some(0), concat!("warren ", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn what_is_not_understood_is_status_2_and_a_hint() {
    for (args, hint) in [
        (&[][..], "Usage: warren <COMMAND>"),
        (&["sho"], "'show'"),
        (&["check", "file.toml"], "--help"),
        (&["check", "--topolgy", "x"], "--topology"),
        (&["check", "--topology"], "<FILE>"),
        (&["show"], "<KIND>"),
        (&["show", "networks", "blue"], "network, router, instance"),
        (&["show", "network", "blue", "green"], "green"),
        (&["status", "--json=yes"], "--json"),
        (&["cleanup", "everything"], "everything"),
    ] {
        let (status, _, error) = warren(args);
        assert_eq!(status, Some(2), "{args:?}: {error}");
        assert!(error.contains(hint), "{args:?}: {hint:?} in {error}");
    }
}

#[test]
fn without_rights_commands_say_so() {
    let Some(host) = Host::new("rights") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    let binary = env!("CARGO_BIN_EXE_warren");
    // Where nobody may go, there the program has to be.
    host.machine()
        .sh(&format!(
            "cp {binary} /run/warren/binary; chmod 755 /run/warren"
        ))
        .ok();
    let nobody = |args: &[&str]| {
        let setpriv = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/run/warren/binary",
        ];
        host.machine().run(&[&setpriv[..], args].concat())
    };
    fails(
        &nobody(&["status"]),
        "W1004",
        &["Permission denied", "root"],
    );
    let plan = nobody(&[
        "plan",
        "--topology",
        daemon.topology(),
        "--state-dir",
        "/run/warren/none",
    ]);
    fails(
        &plan,
        "W1301",
        &["Operation not permitted", "CAP_SYS_ADMIN"],
    );
    let run = nobody(&[
        "run",
        "--topology",
        daemon.topology(),
        "--state-dir",
        "/run/warren/none",
    ]);
    fails(
        &run,
        "W1101",
        &["Permission denied", "/run/warren/none", "--state-dir"],
    );
}

#[test]
fn a_daemon_that_can_not_start_says_why() {
    let Some(host) = Host::new("start") else {
        return;
    };
    let mut daemon = Daemon::new(&host, "brigde = 1\n");
    let status = daemon.try_start().unwrap_err();
    assert_eq!(status.code(), Some(1));
    let log = daemon.log();
    assert!(log.contains(":1:1: error[W0201]"), "{log}");
    assert!(
        log.contains("warren: error[W1205]: failed to start from /run/warren/topology.toml"),
        "{log}"
    );
    // Somebody's file is in the place of the socket.
    host.machine().write("/run/warren/precious", "still here");
    host.machine().write("/run/warren/topology.toml", CLOUD);
    let run = [
        "run",
        "--topology",
        daemon.topology(),
        "--state-dir",
        daemon.state_dir(),
    ];
    let taken = host.warren(&[&run[..], &["--socket", "/run/warren/precious"]].concat());
    fails(&taken, "W1203", &["/run/warren/precious", "in use"]);
    assert_eq!(
        host.machine().read("/run/warren/precious").as_deref(),
        Some("still here")
    );
}

#[test]
fn ready_means_that_instances_are_served() {
    let Some(host) = Host::new("ready") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    let status = daemon.json(&["status"]);
    let states: Vec<_> = status["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| &target["state"])
        .collect();
    assert_eq!(states, ["converged"; 3], "also at the first start");
}
