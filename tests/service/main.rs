//! `conf/warren.service`: the daemon works with what the unit leaves it, and asks for no more.
//!
//! What takes no systemd is done for real: capabilities, umask, directories, notifications. What systemd does by system
//! call filters is held against every call that the daemon makes while it does all of its work.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../common/mod.rs"]
mod common;
mod trace;
mod unit;

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use common::{Host, PATIENCE, Running, Unit, wait_for, wait_until};
use nix::sys::signal::Signal;
use trace::{Sets, calls, forbidden};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");
const NOTIFY: &str = "/run/notify.sock";

const CLOUD: &str = r#"
dns_domain = "test"
dns_resolvers = ["127.0.0.1"]

[[network]]
name = "blue"
bridge = "br-blue"
[[network.subnet]]
cidr = "10.0.1.0/24"

[[network]]
name = "far"
type = "vxlan"
vni = 7
remotes = ["192.0.2.7"]
[[network.subnet]]
cidr = "10.0.2.0/24"

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
interfaces = ["blue", "far"]
gateway = { network = "outside", address = "203.0.113.5" }
[[router.floating_ip]]
address = "203.0.113.20"
instance = "web"
"#;

/// What stands in for systemd: it prepares what systemd prepares, and hears what systemd hears.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn prepare(host: &Host, unit: &Unit) -> Self {
        let machine = host.machine();
        let (run, state) = (
            unit.get("RuntimeDirectoryMode"),
            unit.get("StateDirectoryMode"),
        );
        // The real /var/lib is not ours to write to.
        let lines = format!(
            "mount -t tmpfs lib /var/lib; mkdir -p -m {state} /var/lib/warren; chmod {run} /run/warren"
        );
        machine.sh(&lines).ok();
        machine.write("/etc/warren/topology.toml", CLOUD);
        let socket = UnixDatagram::bind(machine.path(NOTIFY)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        Self { socket }
    }

    /// Starts the daemon; `first` is done by the shell before it becomes the daemon.
    fn start(&self, host: &Host, unit: &Unit, first: &str) -> Running {
        let notify_socket = format!("NOTIFY_SOCKET={NOTIFY}");
        let line = format!("{first}{}", unit.command(WARREN));
        host.machine().spawn(&[
            "env",
            &notify_socket,
            "WATCHDOG_USEC=300000",
            "JOURNAL_STREAM=8:1",
            "bash",
            "-c",
            &line,
        ])
    }

    /// Waits until the daemon has said `word`.
    #[track_caller]
    fn hears(&self, word: &str, from: &mut Running) {
        let begin = Instant::now();
        let mut message = [0; 4096];
        loop {
            let length = self.socket.recv(&mut message).unwrap_or(0);
            let text = String::from_utf8_lossy(&message[..length]);
            if text.lines().any(|line| line == word) {
                return;
            }
            let on = from.is_alive() && begin.elapsed() < PATIENCE;
            assert!(on, "{word} was not said:\n{}", from.log());
        }
    }
}

/// Its id, inside of the host.
fn pid(host: &Host) -> String {
    host.run(&["pidof", "warren"]).ok().trim().to_owned()
}

/// SIGTERM, as systemd stops it; all that it said.
#[track_caller]
fn stop(mut daemon: Running) -> String {
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success(), "{}", daemon.log());
    daemon.log()
}

/// All kinds of work once: DHCP, DNS, metadata, routing, an operator's questions.
#[track_caller]
fn work(host: &Host) {
    let web = host.guest("web", "br-blue", "fa:16:3e:00:01:01");
    let world = host.world("br-outside", "203.0.113.1/24");
    let lease = web.udhcpc();
    assert_eq!(lease.address.to_string(), "10.0.1.11");
    assert_eq!(web.resolve("web.test"), [lease.address]);
    let document = web.get("http://169.254.169.254/openstack/latest/meta_data.json");
    assert!(document.contains("\"web\""), "{document}");
    assert!(web.ping("203.0.113.1"), "out by SNAT");
    assert!(world.ping("203.0.113.20"), "in by the floating IP");
    let status = host.warren(&["status"]).ok();
    assert!(status.contains("router   r1"), "{status}");
}

#[test]
fn it_works_with_the_units_capabilities_and_tells_systemd() {
    let Some(host) = Host::new("unit") else {
        return;
    };
    let unit = Unit::read();
    assert_eq!(unit.get("Type"), "notify");
    let manager = Manager::prepare(&host, &unit);
    let mut daemon = manager.start(&host, &unit, "");
    manager.hears("READY=1", &mut daemon);
    manager.hears("WATCHDOG=1", &mut daemon);
    // Nobody listens to the signs of life now: a busy systemd must not stop the work.
    work(&host);

    let pid = pid(&host);
    let status = host.machine().read(&format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:\t")));
        line.unwrap_or_else(|| panic!("{name} in {status}"))
            .to_owned()
    };
    let bits = unit
        .capabilities()
        .iter()
        .map(|name| 1_u64 << number(name))
        .sum::<u64>();
    let allowed = format!("{bits:016x}");
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(field(set), allowed, "{set}");
    }
    assert_eq!(field("CapAmb"), format!("{:016x}", 0));
    assert_eq!(field("NoNewPrivs"), "1");
    let threads: u32 = field("Threads").parse().unwrap();
    assert!(threads < unit.get("TasksMax").parse().unwrap(), "{threads}");

    // What it made can be seen by those who may: everyone the namespaces, nobody else the state.
    for (path, mode) in [
        ("/run/netns", "755"),
        (
            "/run/warren",
            unit.get("RuntimeDirectoryMode").trim_start_matches('0'),
        ),
        ("/run/warren/warren.sock", "660"),
        (
            "/var/lib/warren",
            unit.get("StateDirectoryMode").trim_start_matches('0'),
        ),
    ] {
        let found = host.machine().run(&["stat", "--format=%a", path]).ok();
        assert_eq!(found.trim(), mode, "{path}");
    }
    let open = host
        .machine()
        .run(&["find", "/var/lib/warren", "-type", "f", "-perm", "/077"]);
    assert_eq!(open.ok(), "", "files of the state that others may read");

    // ExecReload, as confined as the daemon.
    let reload = unit.get("ExecReload").replace("$MAINPID", &pid);
    host.machine()
        .sh(&format!("{} {reload}", unit.confined()))
        .ok();
    daemon.says("SIGHUP");

    let namespaces = host.namespaces();
    let log = stop(daemon);
    assert!(!log.contains('\u{1b}'), "no colours in the journal: {log}");
    assert!(
        !log.contains("denied") && !log.contains("not permitted"),
        "{log}"
    );
    assert_eq!(
        host.namespaces(),
        namespaces,
        "stopping leaves the data plane"
    );
}

#[test]
fn it_asks_the_kernel_for_nothing_that_the_unit_forbids() {
    let Some(host) = Host::new("calls") else {
        return;
    };
    let unit = Unit::read();
    let manager = Manager::prepare(&host, &unit);
    host.machine().sh("mkfifo /run/warren/go").ok();
    let first = "echo $$ >/run/warren/pid; read -r _ </run/warren/go; ";
    let mut daemon = manager.start(&host, &unit, first);
    let pid = wait_for("the shell before the daemon", PATIENCE, || {
        host.machine()
            .read("/run/warren/pid")
            .filter(|pid| pid.ends_with('\n'))
    });
    let trace = ["strace", "-f", "-o", "/run/warren/trace", "-p", pid.trim()];
    let mut strace = host.spawn(&trace);
    strace.says("attached");
    host.machine().sh("echo >/run/warren/go").ok();
    manager.hears("READY=1", &mut daemon);
    work(&host);
    host.machine().write(
        "/etc/warren/topology.toml",
        &CLOUD.replace("203.0.113.20", "203.0.113.21"),
    );
    wait_for("the change", PATIENCE, || {
        let router = host.warren(&["show", "router", "r1"]).ok();
        router.contains("203.0.113.21").then_some(())
    });
    // Drift: a namespace that is deleted comes back.
    let gone = host
        .namespaces()
        .into_iter()
        .find(|name| name.starts_with("qdhcp-"))
        .unwrap();
    host.run(&["ip", "netns", "del", &gone]).ok();
    assert!(wait_until(PATIENCE, || host.namespaces().contains(&gone)));
    stop(daemon);
    wait_for("strace to end", PATIENCE, || {
        (!strace.is_alive()).then_some(())
    });

    let text = host.machine().read("/run/warren/trace").unwrap();
    let made = calls(&text, WARREN);
    assert!(
        made.iter().any(|call| call.name == "setns"),
        "nothing was traced"
    );
    assert!(
        made.iter()
            .any(|call| call.name == "execve" && call.arguments.contains("nft"))
    );
    let sets = host.run(&["systemd-analyze", "syscall-filter"]).ok();
    // What a program needs to run at all is always allowed (systemd.exec(5)).
    let words = [unit.words("SystemCallFilter"), vec!["@default"]].concat();
    let allowed = Sets::parse(&sets).resolve(&words);
    let names: BTreeSet<_> = made.iter().map(|call| call.name).collect();
    let refused: Vec<_> = names
        .iter()
        .filter(|name| !allowed.contains(**name))
        .collect();
    assert!(
        refused.is_empty(),
        "SystemCallFilter would refuse {refused:?}"
    );
    for call in &made {
        let setting = forbidden(&unit, call);
        assert!(
            setting.is_none(),
            "{setting:?} would refuse {}({}",
            call.name,
            call.arguments
        );
    }
}

#[test]
fn systemd_understands_the_unit() {
    let Some(host) = Host::new("verify") else {
        return;
    };
    let place = host.place();
    place.write(
        "/etc/systemd/system/warren.service",
        include_str!("../../conf/warren.service"),
    );
    // The unit's program has to be there; which one does not matter here.
    place.sh("cp /bin/true /usr/bin/warren").ok();
    let verified = place.run(&[
        "systemd-analyze",
        "verify",
        "/etc/systemd/system/warren.service",
    ]);
    assert!(
        verified.succeeded() && verified.stderr.is_empty(),
        "{verified}"
    );
    // 10 is a daemon that may do everything; routers need half of it.
    let exposed = place.run(&[
        "systemd-analyze",
        "security",
        "--offline=true",
        "--threshold=50",
        "/etc/systemd/system/warren.service",
    ]);
    assert!(exposed.succeeded(), "{exposed}");
}

/// linux/capability.h
fn number(capability: &str) -> u32 {
    match capability {
        "net_bind_service" => 10,
        "net_admin" => 12,
        "net_raw" => 13,
        "sys_admin" => 21,
        other => panic!("the unit has a capability more: {other}"),
    }
}
