//! The host: what a machine that runs warren is, in namespaces of its own.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::holder::{Files, Holder, may_make_namespaces};
use super::wait::{PATIENCE, wait_for};
use super::{Daemon, Guest, Output, Place, Process, Running};

/// The daemon under test, in the project's directory: paths may be relative to it.
pub const WARREN: [&str; 4] = [
    "env",
    "--chdir",
    env!("CARGO_MANIFEST_DIR"),
    env!("CARGO_BIN_EXE_warren"),
];

/// A sandboxed host. Dropping it ends every process, mount and namespace in it.
#[derive(Debug)]
pub struct Host {
    holder: Holder,
    name: String,
}

impl Host {
    /// `None`, with a word about it, where this process may not make namespaces.
    pub fn new(name: &str) -> Option<Self> {
        if !may_make_namespaces() {
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Some(Self::boot(unique, Files::Peers))
    }

    /// A machine of a cloud's: all of Neutron is in its file system (and started by nobody yet), and its hostname is `name`.
    /// `None` as above.
    pub fn of_cloud(name: &str) -> Option<Self> {
        may_make_namespaces().then(|| Self::boot(name.to_owned(), Files::Cloud))
    }

    /// The same with the newest Neutron: its programs come first in PATH.
    pub fn of_newest_cloud(name: &str) -> Option<Self> {
        may_make_namespaces().then(|| Self::boot(name.to_owned(), Files::NewestCloud))
    }

    fn boot(name: String, files: Files) -> Self {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--net",
                "--pid",
                "--uts",
                "--fork",
                "--kill-child",
            ])
            .args(["--mount-proc", "--propagation=private", "--"])
            .args(["bash", "-c", include_str!("host.sh"), "host", &name])
            .arg(files.path())
            .current_dir("/");
        Self {
            holder: Holder::start(command, 1),
            name,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host with the machine's own files: where the daemon runs.
    pub fn machine(&self) -> Place {
        Place {
            pid: self.holder.pid(),
            root: "/",
        }
    }

    /// The host as an operator with all tools sees it: the same namespaces (and /run/netns), the peers' files.
    pub fn place(&self) -> Place {
        Place {
            pid: self.holder.pid(),
            root: "/run/peers",
        }
    }

    /// Runs one of the peers' tools (ip, nft, conntrack, ss ...) on the host.
    pub fn run<S: AsRef<OsStr>>(&self, argv: &[S]) -> Output {
        self.place().run(argv)
    }

    /// The same in one of the host's named namespaces, say `qrouter-...`.
    pub fn run_in<S: AsRef<OsStr>>(&self, namespace: &str, argv: &[S]) -> Output {
        let entered: Vec<&OsStr> = ["ip", "netns", "exec", namespace]
            .into_iter()
            .map(OsStr::new)
            .chain(argv.iter().map(AsRef::as_ref))
            .collect();
        self.place().run(&entered)
    }

    /// Starts one of the peers' daemons (dnsmasq, kea, haproxy ...) on the host.
    pub fn spawn<S: AsRef<OsStr>>(&self, argv: &[S]) -> Running {
        self.place().spawn(argv)
    }

    #[track_caller]
    pub fn ip(&self, lines: &str) {
        self.place().ip(lines);
    }

    /// Named namespaces on this host, sorted.
    pub fn namespaces(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.machine().path("/run/netns"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// All that runs on this host itself, not in its instances.
    pub fn processes(&self) -> Vec<Process> {
        Process::beside(self.holder.pid())
    }

    /// Runs `warren` with these arguments, in the project's directory.
    pub fn warren<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        let argv: Vec<&OsStr> = WARREN
            .iter()
            .map(OsStr::new)
            .chain(args.iter().map(AsRef::as_ref))
            .collect();
        self.machine().run(&argv)
    }

    /// Starts the daemon on this topology and waits until it is ready.
    #[track_caller]
    pub fn warren_run(&self, topology: &str) -> Daemon {
        let mut daemon = Daemon::new(self, topology);
        daemon.start();
        daemon
    }

    /// A bridge that nobody but the test made.
    pub fn bridge(&self, name: &str) {
        self.ip(&format!(
            "link add {name} type bridge forward_delay 0\nlink set {name} up"
        ));
    }

    /// An instance: a namespace with its own files, and its `eth0` with this MAC on the network's bridge.
    #[track_caller]
    pub fn guest(&self, name: &str, bridge: &str, mac: &str) -> Guest {
        let guest = Guest::boot(self, name);
        self.plug(&guest, "eth0", bridge, mac);
        guest
    }

    /// Someone on the external network with a fixed address: the world outside.
    #[track_caller]
    pub fn world(&self, bridge: &str, cidr: &str) -> Guest {
        let world = self.guest("world", bridge, "02:00:00:00:ff:01");
        world.ip(&format!("addr add {cidr} dev eth0"));
        world
    }

    /// An instance that has no interface yet.
    pub fn unplugged(&self, name: &str) -> Guest {
        Guest::boot(self, name)
    }

    /// One more interface for a guest. On the host its other end is called `<guest>.<device>`.
    #[track_caller]
    pub fn plug(&self, guest: &Guest, device: &str, bridge: &str, mac: &str) {
        let tap = tap(guest.name(), device);
        wait_for(&format!("bridge {bridge}"), PATIENCE, || {
            self.machine()
                .path(&format!("/sys/class/net/{bridge}/bridge"))
                .exists()
                .then_some(())
        });
        self.plug_tap(guest, device, &tap, mac);
        self.ip(&format!("link set {tap} master {bridge}"));
    }

    /// The same on no bridge: who finds `tap` on the host will know where it belongs.
    #[track_caller]
    pub fn plug_tap(&self, guest: &Guest, device: &str, tap: &str, mac: &str) {
        self.ip(&format!(
            "link add {tap} type veth peer name {device} address {mac} netns {}\n\
             link set {tap} up",
            guest.pid_on_host()
        ));
        guest.plugged(device, tap);
        guest.ip(&format!("link set {device} up"));
    }

    /// What is in a bridge, by name; nothing where there is no such bridge.
    pub fn ports(&self, bridge: &str) -> Vec<String> {
        let argv = ["ip", "-o", "link", "show", "master", bridge];
        let links = self.run(&argv).stdout;
        let names = links.lines().filter_map(|line| {
            let name = line.split_whitespace().nth(1)?;
            Some(name.split(['@', ':']).next()?.to_owned())
        });
        names.collect()
    }

    /// A cable to another host: `device` at both ends, with these addresses.
    #[track_caller]
    pub fn link(&self, other: &Self, device: &str, here: &str, there: &str) {
        self.cable(device, other, device);
        self.ip(&format!("addr add {here} dev {device}"));
        other.ip(&format!("addr add {there} dev {device}"));
    }

    /// A cable from `here` to device `there` of another host. Both ends are up.
    #[track_caller]
    pub fn cable(&self, here: &str, other: &Self, there: &str) {
        // From the test's own PID namespace, where both hosts' holders have a number.
        let output = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", self.holder.pid()))
            .arg("chroot")
            .arg(Files::Peers.path())
            .args([
                "ip", "link", "add", here, "type", "veth", "peer", "name", there,
            ])
            .args(["netns", &other.holder.pid().to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "link hosts: {output:?}");
        self.ip(&format!("link set {here} up"));
        other.ip(&format!("link set {there} up"));
    }
}

/// The name of the host's end of a guest's interface.
pub(super) fn tap(guest: &str, device: &str) -> String {
    let name = format!("{guest}.{device}");
    assert!(
        name.len() <= 15,
        "interface names have 15 letters, {name} has more: call the guest something shorter"
    );
    name
}
