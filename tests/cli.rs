//! The command line as people and scripts meet it: help, tables, the shapes of `--json`, exit statuses, and errors that
//! say what to do.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use std::process::Command;

use common::{Daemon, Host, Output, PATIENCE, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
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

fn parent(pid: Pid) -> Pid {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, behind_name) = stat.rsplit_once(") ").unwrap();
    Pid::from_raw(behind_name.split(' ').nth(1).unwrap().parse().unwrap())
}

/// Rows of a table by its header, as words.
#[track_caller]
fn rows<'t>(text: &'t str, header: &str) -> Vec<Vec<&'t str>> {
    let words = |line: &'t str| line.split_whitespace().collect::<Vec<_>>();
    let header: Vec<_> = header.split(' ').collect();
    let lines = text.lines().skip_while(|line| words(line) != header);
    let rows: Vec<_> = lines
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(words)
        .collect();
    assert!(!rows.is_empty(), "{header:?} in\n{text}");
    rows
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
fn check_tells_every_mistake_at_once_with_its_place() {
    let dir = std::env::temp_dir().join(format!("warren-cli-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("broken.toml");
    let text = "[[network]]\nname = \"blue\"\nbrigde = \"x\"\n[[network.subnet]]\ncidr = \"10.0.0.0/33\"\n\
        [[instance]]\nname = \"web\"\n[[instance.port]]\nnetwork = \"bleu\"\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let (status, _, told) = warren(&["check", "--topology", path]);
    let (json_status, json, _) = warren(&["check", "--topology", path, "--json"]);
    std::fs::write(&file, CLOUD).unwrap();
    let good = warren(&["check", "--topology", path]);
    let (_, good_json, _) = warren(&["check", "--topology", path, "--json"]);
    std::fs::remove_dir_all(&dir).unwrap();

    assert_eq!((status, json_status), (Some(1), Some(1)), "{told}");
    for place in [
        ":3:1: error[W0201]: network \"blue\"",
        ":5:8: error[W0203]: ",
        ":9:11: error[W0303]: ",
    ] {
        assert!(
            told.contains(&format!("{path}{place}")),
            "{place} in\n{told}"
        );
    }
    assert!(told.contains("bridge"), "what would be right:\n{told}");
    assert!(told.ends_with("3 mistakes\n"), "{told}");
    let mistakes: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(mistakes.as_array().unwrap().len(), 3, "{json}");
    for mistake in mistakes.as_array().unwrap() {
        has(mistake, "path line column severity code object why fix");
    }
    assert_eq!(
        (good.0, good.1.as_str()),
        (Some(0), format!("{path}: no mistakes\n").as_str())
    );
    assert_eq!(good_json.trim(), "[]");

    let missing = warren(&["check", "--topology", path]);
    assert_eq!(missing.0, Some(1));
    assert!(
        missing.2.contains("error[W0101]") && missing.2.contains("--topology"),
        "{}",
        missing.2
    );
}

#[test]
fn plan_tells_what_would_be_and_touches_nothing() {
    let Some(host) = Host::new("plan") else {
        return;
    };
    let mut daemon = Daemon::new(&host, CLOUD);
    let (topology, state) = (daemon.topology().to_owned(), daemon.state_dir());
    let args = ["plan", "--topology", &topology, "--state-dir", state];
    let links = host.run(&["ip", "-o", "link"]).ok();
    let plan = host.warren(&args).ok();
    for line in [
        "(network blue)",
        "(router r1)",
        "  create namespace",
        "  add address 203.0.113.20/32 to qg-",
        "  load nftables table inet warren",
        "  create bridge br-blue",
    ] {
        assert!(plan.contains(line), "{line:?} in\n{plan}");
    }
    let json: Value =
        serde_json::from_str(&host.warren(&[&args[..], &["--json"]].concat()).ok()).unwrap();
    let places = json.as_array().unwrap();
    let changes: usize = places
        .iter()
        .map(|place| place["changes"].as_array().unwrap().len())
        .sum();
    places
        .iter()
        .for_each(|place| has(place, "place of changes"));
    assert!(
        plan.ends_with(&format!("\n{changes} changes in {} places\n", places.len())),
        "{plan}"
    );

    assert_eq!(host.namespaces(), [""; 0]);
    assert_eq!(host.run(&["ip", "-o", "link"]).ok(), links);
    assert!(!host.machine().path(state).exists(), "nothing is kept");

    daemon.start();
    daemon.converged();
    assert_eq!(host.warren(&args).ok(), "nothing to do\n");
    assert_eq!(host.warren(&[&args[..], &["--json"]].concat()).ok(), "[]\n");

    host.machine().write(&topology, "nonsense = [");
    let refused = host.warren(&args);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains(": error[W0102]"), "{refused}");
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
fn status_and_show_are_tables_for_people() {
    let Some(host) = Host::new("tables") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    daemon.converged();
    let told = |args: &[&str]| daemon.warren(args).ok();

    let status = told(&["status"]);
    assert!(
        status.contains("\nserving: 2 networks, 1 router, 1 instance\n"),
        "{status}"
    );
    let targets = rows(&status, "KIND NAME STATE NAMESPACE");
    let known: Vec<_> = targets.iter().map(|row| row[..3].join(" ")).collect();
    assert_eq!(
        known,
        [
            "network blue converged",
            "network outside converged",
            "router r1 converged"
        ]
    );

    let blue = told(&["show", "network", "blue"]);
    assert!(blue.contains("\nbridge:     br-blue\n"), "{blue}");
    assert!(
        blue.contains("\nno DHCP client seen since the daemon started\n"),
        "{blue}"
    );
    assert!(blue.contains("\ndns:  nothing yet"), "{blue}");
    assert_eq!(
        rows(&blue, "SUBNET GATEWAY DHCP")[0][..2],
        ["10.0.1.0/24", "10.0.1.1"]
    );
    let ports = rows(&blue, "PORT OF MAC ADDRESSES NAMES");
    assert_eq!(ports[0][..2], ["(router", "r1)"]);
    assert_eq!(
        ports[1],
        ["web", "fa:16:3e:00:01:01", "10.0.1.11", "web.test"]
    );
    assert_eq!(ports[2][..3], ["(DHCP", "and", "DNS)"]);

    let router = told(&["show", "router", "r1"]);
    assert!(
        router.contains("\nroutes:    192.168.0.0/16 via 10.0.1.11\n"),
        "{router}"
    );
    let devices = rows(&router, "DEVICE AS NETWORK MAC ADDRESSES");
    assert_eq!(devices[0][1..3], ["interface", "blue"]);
    assert_eq!(
        (devices[1][1], devices[1][4]),
        ("gateway", "203.0.113.5/24")
    );
    assert_eq!(
        rows(&router, "FLOATING IP FIXED IP"),
        [["203.0.113.20", "10.0.1.11"]]
    );
    assert_eq!(
        rows(&router, "FORWARDED PROTOCOL TO"),
        [["203.0.113.5:8080", "tcp", "10.0.1.11:80"]]
    );

    // What DHCP has seen is in it, too.
    let web = host.guest("web", "br-blue", "fa:16:3e:00:01:01");
    web.udhcpc();
    let instance = told(&["show", "instance", "web"]);
    assert!(
        instance.contains("\nfloating IPs: 203.0.113.20\n"),
        "{instance}"
    );
    let lease = rows(&instance, "DHCP CLIENT ADDRESS LEASE LAST SEEN");
    assert_eq!(lease[0][..3], ["fa:16:3e:00:01:01", "10.0.1.11", "bound"]);
    let blue = told(&["show", "network", "blue"]);
    assert!(
        blue.contains(" acks") && blue.contains(" received"),
        "{blue}"
    );

    assert_eq!(told(&["show", "network"]), "blue\noutside\n");
    let by_id = daemon.json(&["show", "network", "blue"])["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(told(&["show", "network", &by_id]).starts_with("network:    blue ("));
}

#[test]
fn json_keeps_its_shape() {
    let Some(host) = Host::new("json") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    daemon.converged();
    let status = daemon.json(&["status"]);
    has(
        &status,
        "version pid uptime_seconds source networks routers instances pending targets",
    );
    has(&status["source"], "name refused");
    has(&status["targets"][0], "kind id name namespace state");

    host.guest("web", "br-blue", "fa:16:3e:00:01:01").udhcpc();
    let network = daemon.json(&["show", "network", "blue"]);
    has(
        &network,
        "id name namespace bridge attachment mtu external dns_domain state subnets ports leases counters",
    );
    has(
        &network["subnets"][0],
        "name cidr gateway_ip dhcp dhcp_address",
    );
    has(&network["leases"][0], "mac address state seen_seconds_ago");
    has(&network["counters"], "dhcp dns metadata");
    let mut owners: Vec<_> = network["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| {
            has(port, "id name owner of network bridge mac addresses names");
            (port["owner"].as_str().unwrap(), port["of"].as_str())
        })
        .collect();
    owners.sort_unstable();
    assert_eq!(
        owners,
        [
            ("dhcp", None),
            ("instance", Some("web")),
            ("router", Some("r1"))
        ]
    );
    let outside = daemon.json(&["show", "network", "outside"]);
    assert_eq!(outside["ports"][0]["owner"], "gateway");

    let router = daemon.json(&["show", "router", "r1"]);
    has(
        &router,
        "id name namespace state interfaces gateway snat routes floating_ips port_forwardings counters",
    );
    has(&router["interfaces"][0], "device network mac addresses");
    has(&router["gateway"], "device network mac addresses");
    has(&router["routes"][0], "destination nexthop");
    has(&router["floating_ips"][0], "id floating_ip fixed_ip");
    has(
        &router["port_forwardings"][0],
        "floating_ip protocol internal_ip ports",
    );

    let instance = daemon.json(&["show", "instance", "web"]);
    has(&instance, "id name hostname ports floating_ips leases");
    assert_eq!(daemon.json(&["show", "router"]), serde_json::json!(["r1"]));
}

#[test]
fn a_name_that_nothing_has_lists_those_there_are() {
    let Some(host) = Host::new("unknown") else {
        return;
    };
    let daemon = host.warren_run(CLOUD);
    let long = "x".repeat(1000);
    for (args, code, said) in [
        (
            ["network", "bleu"],
            "W1003",
            &["network \"bleu\"", "there are: blue, outside"][..],
        ),
        (
            ["router", "blue"],
            "W1003",
            &["router \"blue\"", "there are: r1"],
        ),
        (
            ["instance", ""],
            "W1003",
            &["instance \"\"", "there are: web"],
        ),
        (
            ["instance", "we\u{1b}[2Jb\n\u{e4}"],
            "W1003",
            &["\\n\u{e4}"],
        ),
        (["network", long.as_str()], "W1003", &["there are: blue"]),
        // More than one line of the protocol holds.
        (["network", "x".repeat(5000).leak()], "W1004", &["so long"]),
    ] {
        fails(&daemon.warren(&[&["show"], &args[..]].concat()), code, said);
    }
    assert!(daemon.warren(&["status"]).succeeded());
}

#[test]
fn a_daemon_that_does_not_answer_is_told_so() {
    let Some(host) = Host::new("silent") else {
        return;
    };
    let none = host.warren(&["status", "--socket", "/run/warren/none.sock"]);
    fails(
        &none,
        "W1004",
        &["/run/warren/none.sock", "No such file", "--socket"],
    );
    let mut daemon = host.warren_run(CLOUD);
    let pid = daemon.pid().unwrap();
    kill(pid, Signal::SIGSTOP).unwrap();
    let late = daemon.warren(&["status"]);
    // Who waits for it (nsenter) has stopped with it, and wakes it when it wakes.
    kill(parent(pid), Signal::SIGCONT).unwrap();
    fails(&late, "W1005", &["no answer within"]);
    assert!(daemon.warren(&["status"]).succeeded());
    daemon.stop();
    fails(
        &daemon.warren(&["status"]),
        "W1004",
        &["no warren runs here"],
    );
}

#[test]
fn a_failed_target_is_shown_with_its_error_and_its_code() {
    let Some(host) = Host::new("failed") else {
        return;
    };
    // Somebody else has the name of the bridge.
    host.ip("link add br-blue type veth peer name other");
    let daemon = host.warren_run(CLOUD);
    wait_for("the failure", PATIENCE, || {
        let target = daemon.json(&["show", "network", "blue"]);
        (target["state"] == "failed").then_some(())
    });
    let status = daemon.warren(&["status"]).ok();
    let error = status
        .lines()
        .find(|line| line.starts_with("network blue: [W1304] "));
    assert!(
        error.is_some_and(|line| line.contains("br-blue")),
        "{status}"
    );
    let blue = daemon.warren(&["show", "network", "blue"]).ok();
    assert!(blue.contains("\nerror:      [W1304] "), "{blue}");
    assert!(daemon.log().contains("[W1304] "), "{}", daemon.log());
    host.ip("link del br-blue");
    daemon.converged();
    assert!(!daemon.warren(&["status"]).ok().contains("W1304"));
}

#[test]
fn cleanup_removes_leftovers_and_with_all_everything_of_ours() {
    let Some(host) = Host::new("cleanup") else {
        return;
    };
    let foreign = "link add br-other type bridge\nlink add tapother type veth peer name other\nnetns add qdhcp-other\n\
        netns add qrouter-00000000-0000-4000-8000-000000000000";
    let mut daemon = host.warren_run(CLOUD);
    daemon.converged();
    host.ip(foreign);
    let state = daemon.state_dir();
    let cleanup = |args: &[&str]| host.warren(&[&["cleanup", "--state-dir", state], args].concat());
    fails(&cleanup(&["--all"]), "W1102", &[state, "pid"]);
    // Nor by another directory: what is wanted by its word is nothing.
    let other = ["cleanup", "--state-dir", "/run/warren/other"];
    fails(
        &host.warren(&other),
        "W1008",
        &["/run/warren/other", "--state-dir", "--all"],
    );
    fails(
        &host.warren(&[&other[..], &["--all"]].concat()),
        "W1007",
        &["stop it first"],
    );
    assert!(!host.machine().path("/run/warren/other").exists());
    daemon.converged();
    assert_eq!(daemon.plan(), "nothing to do\n", "nothing was lost");
    daemon.stop();

    let made = host.namespaces();
    assert_eq!(cleanup(&[]).ok(), "nothing of warren's to remove\n");
    let network = made
        .iter()
        .find(|name| name.starts_with("qdhcp-") && !name.ends_with("other"))
        .unwrap();
    // What no stored network names is a leftover.
    let id = network.strip_prefix("qdhcp-").unwrap();
    host.machine()
        .sh(&format!("rm {}/networks/{id}.json", state))
        .ok();
    let told = cleanup(&["--dry-run"]).ok();
    assert!(
        told.contains(&format!("would remove namespace {network}\n")),
        "{told}"
    );
    assert!(!told.contains("qrouter"), "{told}");
    assert_eq!(host.namespaces(), made, "a dry run touches nothing");
    assert!(
        cleanup(&[])
            .ok()
            .contains(&format!("removed namespace {network}\n"))
    );

    let done: Value = serde_json::from_str(&cleanup(&["--all", "--json"]).ok()).unwrap();
    has(&done, "namespaces devices dry_run errors");
    assert_eq!(done["errors"], serde_json::json!([]));
    let left = [
        "qdhcp-other",
        "qrouter-00000000-0000-4000-8000-000000000000",
    ];
    assert_eq!(host.namespaces(), left);
    let links = host.run(&["ip", "-o", "link"]).ok();
    let names: Vec<_> = links
        .lines()
        .filter_map(|line| line.split(": ").nth(1))
        .collect();
    assert_eq!(
        names,
        ["lo", "br-other", "other@tapother", "tapother@other"],
        "{links}"
    );
    assert!(!host.machine().path(state).exists(), "nor is state left");
    assert_eq!(cleanup(&["--all"]).ok(), "nothing of warren's to remove\n");
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

#[test]
fn the_files_that_we_ship_have_no_mistakes() {
    for file in ["conf/demo.toml", "conf/example.toml"] {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let (status, told, mistakes) = warren(&["check", "--topology", &path]);
        assert_eq!(status, Some(0), "{mistakes}");
        assert_eq!(
            (told, mistakes.as_str()),
            (format!("{path}: no mistakes\n"), "")
        );
    }
}
