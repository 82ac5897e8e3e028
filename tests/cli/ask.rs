//! `warren status` and `warren show`: what the running daemon says of itself.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::common::{Host, PATIENCE, wait_for};
use super::{CLOUD, fails, has};

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
