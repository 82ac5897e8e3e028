//! PID 1 of a set of namespaces. All in them ends when it ends, and it ends when this process does: it reads a pipe of
//! which only we hold the other end.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[derive(Debug)]
pub(super) struct Holder {
    child: Child,
    pid: Pid,
}

impl Holder {
    /// Starts `command`, whose `depth`-th only descendant is PID 1 of the new namespaces and says `up` when they are furnished.
    pub(super) fn start(mut command: Command, depth: usize) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut said)
            .unwrap();
        if said != "up\n" {
            let mut complaint = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut complaint)
                .unwrap();
            panic!("namespaces of {command:?} did not come up: {complaint}");
        }
        let mut pid = Pid::from_raw(child.id().try_into().unwrap());
        for _ in 0..depth {
            pid = only_child(pid).expect("the holder said that it is up");
        }
        Self { child, pid }
    }

    /// As seen from the test's process.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(5) {
                // Its own parent waits for it, so the id cannot belong to another process yet.
                let _already_gone = kill(self.pid, Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The one child of a process that has no more than one, like `nsenter` and `unshare --fork`.
pub(super) fn only_child(parent: Pid) -> Option<Pid> {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.trim().parse().ok().map(Pid::from_raw)
}

/// Whether this process may make namespaces. `WARREN_REQUIRE_NAMESPACES`, which `make test` sets, turns "no" into a failure.
pub(super) fn may_make_namespaces() -> bool {
    static MAY: OnceLock<bool> = OnceLock::new();
    let may = *MAY.get_or_init(|| {
        nix::unistd::geteuid().is_root()
            && Command::new("unshare")
                .args(["--mount", "--net", "--pid", "--uts", "--fork", "true"])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    });
    assert!(
        may || std::env::var_os("WARREN_REQUIRE_NAMESPACES").is_none(),
        "this process may not make namespaces, and the tests were told that it must: run as root"
    );
    if !may {
        println!("skipped: needs namespaces (run as root)");
    }
    may
}

/// The root file systems that `tests/peers/rootfs.sh` builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    /// DHCP clients, dnsmasq, cloud-init, and what operators look with.
    Peers,
    /// A real Neutron, its broker, database and agents.
    Cloud,
    /// The same with the newest Neutron.
    NewestCloud,
}

impl Files {
    /// Where it is on this machine; a layer over another: both, joined by a colon, as overlayfs takes them.
    pub(super) fn path(self) -> PathBuf {
        static PEERS: OnceLock<PathBuf> = OnceLock::new();
        static CLOUD: OnceLock<PathBuf> = OnceLock::new();
        static NEWEST: OnceLock<PathBuf> = OnceLock::new();
        let (found, list) = match self {
            Self::Peers => (&PEERS, "peers"),
            Self::Cloud => (&CLOUD, "cloud"),
            Self::NewestCloud => (&NEWEST, "newest"),
        };
        found.get_or_init(|| built(list)).clone()
    }
}

fn built(list: &str) -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/rootfs.sh");
    let output = Command::new(script)
        .args(["--path", list])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().into()
}
