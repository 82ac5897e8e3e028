//! The daemon under test, on a sandboxed host: started, stopped, killed, and what it said.

use std::os::unix::net::UnixDatagram;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::host::WARREN;
use super::wait::{PATIENCE, wait_for};
use super::{Host, Output, Place, Running};

const TOPOLOGY: &str = "/run/warren/topology.toml";
const STATE: &str = "/run/warren/state";
const SOCKET: &str = "/run/warren/warren.sock";
const NOTIFY: &str = "/run/warren/notify.sock";

#[derive(Debug)]
pub struct Daemon {
    machine: Place,
    topology: String,
    /// Where it says that it is ready, as to systemd.
    notify: UnixDatagram,
    running: Option<Running>,
    /// What earlier starts said.
    past: String,
}

impl Daemon {
    /// Writes the topology, and starts nothing yet.
    pub fn new(host: &Host, topology: &str) -> Self {
        host.machine().write(TOPOLOGY, topology);
        Self::on_file(host, TOPOLOGY)
    }

    /// On a topology file of the machine's.
    pub fn on_file(host: &Host, topology: &str) -> Self {
        let machine = host.machine();
        // A second daemon on the same host takes the socket's name over; the first has said its word by then.
        let _first = std::fs::remove_file(machine.path(NOTIFY));
        let notify = UnixDatagram::bind(machine.path(NOTIFY)).unwrap();
        notify
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        Self {
            machine,
            topology: topology.to_owned(),
            notify,
            running: None,
            past: String::new(),
        }
    }

    /// Starts it and waits until it says that it is ready. How long that took.
    #[track_caller]
    pub fn start(&mut self) -> Duration {
        self.try_start()
            .unwrap_or_else(|status| panic!("warren ended with {status}:\n{}", self.log()))
    }

    /// The same, where the daemon may also refuse: how it ended then.
    #[track_caller]
    pub fn try_start(&mut self) -> Result<Duration, ExitStatus> {
        let begin = Instant::now();
        let run = [
            "run",
            "--topology",
            &self.topology,
            "--state-dir",
            STATE,
            "--socket",
            SOCKET,
        ];
        let mut command = self.machine.command(&[&WARREN[..], &run].concat());
        command.env("NOTIFY_SOCKET", NOTIFY);
        if let Ok(filter) = std::env::var("RUST_LOG") {
            command.env("RUST_LOG", filter);
        }
        let mut running = Running::start(command, "warren run".to_owned());
        let mut word = [0; 4096];
        loop {
            let read = self.notify.recv(&mut word).unwrap_or(0);
            if String::from_utf8_lossy(&word[..read])
                .lines()
                .any(|line| line == "READY=1")
            {
                self.running = Some(running);
                return Ok(begin.elapsed());
            }
            if !running.is_alive() {
                let status = running.ended();
                self.past.push_str(&running.log());
                return Err(status);
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "warren does not become ready:\n{}",
                running.log()
            );
        }
    }

    /// Changes the topology file, whole; the daemon watches it.
    pub fn rewrite(&self, topology: &str) {
        self.machine.write(&self.topology, topology);
    }

    /// SIGHUP.
    pub fn reload(&mut self) {
        self.signal(Signal::SIGHUP);
    }

    pub fn signal(&mut self, signal: Signal) {
        if let Some(running) = &mut self.running {
            running.signal(signal);
        }
    }

    /// SIGTERM, and how it ended.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.end(Signal::SIGTERM)
    }

    /// SIGKILL: nothing is tidied up.
    #[track_caller]
    pub fn kill9(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Its process, as seen from the test.
    pub fn pid(&mut self) -> Option<Pid> {
        self.running.as_mut()?.pid()
    }

    pub fn is_alive(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::is_alive)
    }

    /// All that it has said since the first start.
    pub fn log(&self) -> String {
        let now = self.running.as_ref().map(Running::log);
        format!("{}{}", self.past, now.unwrap_or_default())
    }

    /// Asks the running daemon: `warren <args> --socket ..`.
    pub fn warren(&self, args: &[&str]) -> Output {
        let argv = [&WARREN[..], args, &["--socket", SOCKET]].concat();
        self.machine.run(&argv)
    }

    /// What `warren plan` says of the daemon's topology now.
    #[track_caller]
    pub fn plan(&self) -> String {
        let plan = ["plan", "--topology", &self.topology, "--state-dir", STATE];
        self.machine.run(&[&WARREN[..], &plan].concat()).ok()
    }

    /// The answer of one of its `--json` commands: `["status"]`, `["show", "network", "blue"]`.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let text = self.warren(&[args, &["--json"]].concat()).ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}\n{text}"))
    }

    /// The bridge on which a network's instances are plugged.
    #[track_caller]
    pub fn bridge(&self, network: &str) -> String {
        let view = self.json(&["show", "network", network]);
        let bridge = view["bridge"].as_str();
        bridge
            .unwrap_or_else(|| panic!("network {network} has no bridge: {view:#}"))
            .to_owned()
    }

    /// Waits until the kernel is what the daemon wants everywhere.
    #[track_caller]
    pub fn converged(&self) {
        wait_for("all targets to converge", PATIENCE, || {
            let status = self.json(&["status"]);
            let targets = status["targets"].as_array()?;
            let all = targets.iter().all(|target| target["state"] == "converged");
            (all && status["pending"] == 0).then_some(())
        });
    }

    /// The path of its topology file on the host, for `warren check` and `warren plan`.
    pub fn topology(&self) -> &str {
        &self.topology
    }

    /// The path of its state directory on the host.
    pub fn state_dir(&self) -> &'static str {
        STATE
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut running = self.running.take().expect("the daemon is running");
        running.signal(signal);
        let status = running.ended();
        self.past.push_str(&running.log());
        status
    }
}
