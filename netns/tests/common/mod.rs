//! A private world for each test, on the real kernel: the test runs itself again inside of new mount, network and
//! process namespaces, with an empty /run/netns. When it ends, everything in there ends with it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

pub(crate) mod specs;

use std::fs::File;
use std::future::Future;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use netns::{Applied, DevName, MacAddr, Namespace, NsName, Place, Spec};

const INSIDE: &str = "NETNS_TEST_INSIDE";

/// Runs `test` in a world of its own. `name` is that of the test function which calls this.
pub(crate) fn sandbox<F: Future<Output = ()>>(name: &str, test: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        prepare();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(test());
        return;
    }
    if !may_unshare() {
        eprintln!("skipped: needs namespaces");
        return;
    }
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name} failed in its sandbox:\n{printed}"
    );
    assert!(
        printed.contains("1 passed"),
        "there is no test {name}:\n{printed}"
    );
    if std::env::var_os("NETNS_TEST_VERBOSE").is_some() {
        eprintln!("{printed}");
    }
}

fn may_unshare() -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "true"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

fn prepare() {
    // In the peers' root file system and the like there may be no /run/netns, and none is to be left on the machine.
    run("mount -t tmpfs tmpfs /run");
    run("mkdir /run/netns");
    run("ip link set lo up");
}

/// Runs a command line (words are split at spaces) in the home namespace, and gives what it printed.
pub(crate) fn run(line: &str) -> String {
    let (ok, output) = try_run(line);
    assert!(ok, "{line}: {output}");
    output
}

pub(crate) fn try_run(line: &str) -> (bool, String) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

/// Feeds `rules` to nft inside of a namespace.
pub(crate) fn nft(namespace: &str, rules: &str) {
    let mut child = Command::new("ip")
        .args(["netns", "exec", namespace, "nft", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), rules.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "nft: {rules}");
}

/// Everything that tells of changes in a namespace, as an operator would watch it.
pub(crate) struct Monitor {
    children: Vec<Child>,
    files: Vec<String>,
    heard_before: usize,
}

impl Monitor {
    pub(crate) fn start(namespace: &str) -> Self {
        let lines = [
            format!("ip -n {namespace} monitor all"),
            format!("ip netns exec {namespace} nft monitor"),
        ];
        let mut monitor = Self {
            children: Vec::new(),
            files: Vec::new(),
            heard_before: 0,
        };
        for (number, line) in lines.iter().enumerate() {
            let file = format!("/run/monitor-{namespace}-{number}");
            let mut words = line.split_whitespace();
            let mut command = Command::new(words.next().unwrap());
            let output = File::create(&file).unwrap();
            monitor
                .children
                .push(command.args(words).stdout(output).spawn().unwrap());
            monitor.files.push(file);
        }
        // The kernel itself has afterthoughts (carriers, link-local addresses), a second late: wait for a longer silence.
        let mut quiet = 0;
        while quiet < 12 {
            std::thread::sleep(Duration::from_millis(100));
            let heard = monitor.heard().len();
            quiet = if heard == monitor.heard_before {
                quiet + 1
            } else {
                0
            };
            monitor.heard_before = heard;
        }
        monitor
    }

    fn heard(&self) -> String {
        let all: String = self
            .files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        // What multicast groups map to, the kernel notes and forgets by itself.
        let of_others = |line: &&str| line.starts_with("[NEIGH]") && line.contains("NOARP");
        all.split_inclusive('\n')
            .filter(|line| !of_others(line))
            .collect()
    }

    /// What they heard since the silence at the start.
    pub(crate) fn stop(mut self) -> String {
        std::thread::sleep(Duration::from_millis(200));
        for child in &mut self.children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        self.heard()[self.heard_before..].to_owned()
    }
}

/// Waits for something to be so.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within 5 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn converge(namespace: &Namespace, spec: &Spec) -> Applied {
    match netns::converge(namespace, spec).await {
        Ok(applied) => applied,
        Err(error) => panic!("failed to {}", chain(&error)),
    }
}

/// Converges, and again: the second time nothing is to be done.
pub(crate) async fn converge_twice(namespace: &Namespace, spec: &Spec) -> Applied {
    let first = converge(namespace, spec).await;
    assert_settled(namespace, spec).await;
    first
}

pub(crate) async fn assert_settled(namespace: &Namespace, spec: &Spec) {
    let again = converge(namespace, spec).await;
    let steps: Vec<String> = again.steps.iter().map(ToString::to_string).collect();
    assert_eq!((steps, again.writes), (Vec::new(), 0), "the second time");
}

/// An error with all its reasons.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Makes a namespace, or opens it.
pub(crate) fn namespace(name: &str) -> Namespace {
    Namespace::open_or_create(&ns(name)).unwrap().0
}

/// The kernel's parts differ: some have no VLANs, for example.
pub(crate) fn kernel_has(kind: &str) -> bool {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let line = match kind {
        "vlan" => format!("ip link add link lo name probe{number} type vlan id 1"),
        kind => format!("ip link add probe{number} type {kind}"),
    };
    let (made, why) = try_run(&line);
    if made {
        run(&format!("ip link del probe{number}"));
        return true;
    }
    let unknown = ["Unknown device type", "Operation not supported"]
        .iter()
        .any(|text| why.contains(text));
    if unknown {
        eprintln!("skipped: this kernel has no {kind}");
    }
    !unknown // refused for another reason: it knows the kind
}

pub(crate) fn home() -> Place {
    Place::Home
}

pub(crate) fn dev(name: &str) -> DevName {
    DevName::new(name).unwrap()
}

pub(crate) fn ns(name: &str) -> NsName {
    NsName::new(name).unwrap()
}

pub(crate) fn mac(text: &str) -> MacAddr {
    text.parse().unwrap()
}

pub(crate) fn net(text: &str) -> ipnet::IpNet {
    text.parse().unwrap()
}

pub(crate) fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

pub(crate) fn ipv4(text: &str) -> std::net::Ipv4Addr {
    text.parse().unwrap()
}
