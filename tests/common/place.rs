//! A set of namespaces seen from the test: run a command there, read and write files there, open sockets there.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::holder::only_child;
use super::wait::{PATIENCE, wait_for, wait_until};

/// No command of a test needs longer; one that hangs becomes a failure that names it.
const COMMAND_SECONDS: &str = "60";

/// Where things run: the namespaces of process `pid`, and the root directory `root` in them.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) pid: Pid,
    pub(super) root: &'static str,
}

impl Place {
    /// A command to be run here, with nothing of the test's environment.
    pub fn command<S: AsRef<OsStr>>(&self, argv: &[S]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.pid))
            .args(["--mount", "--net", "--uts", "--pid", "--"]);
        if self.root != "/" {
            command.args(["chroot", self.root]);
        }
        command
            .args(argv)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("RUST_BACKTRACE", "1");
        command
    }

    /// Runs to its end, within a minute.
    pub fn run<S: AsRef<OsStr>>(&self, argv: &[S]) -> Output {
        self.run_with(argv, "")
    }

    /// The same, with something to read.
    pub fn run_with<S: AsRef<OsStr>>(&self, argv: &[S], stdin: &str) -> Output {
        let bounded: Vec<&OsStr> = ["timeout", "--kill-after=1", COMMAND_SECONDS]
            .iter()
            .map(OsStr::new)
            .chain(argv.iter().map(AsRef::as_ref))
            .collect();
        let mut child = self
            .command(&bounded)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read what it was given says so by its status, not here.
        let _broken_pipe = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Output {
            line: spelled(argv),
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Lines for the shell.
    pub fn sh(&self, script: &str) -> Output {
        self.run(&["bash", "-ec", script])
    }

    /// Commands for `ip`, one a line, in one go.
    #[track_caller]
    pub fn ip(&self, lines: &str) {
        let output = self.run_with(&["ip", "-batch", "-"], lines);
        assert!(output.status.success(), "{lines}\n{output}");
    }

    /// Starts a command that goes on; it ends when the returned value is dropped.
    pub fn spawn<S: AsRef<OsStr>>(&self, argv: &[S]) -> Running {
        Running::start(self.command(argv), spelled(argv))
    }

    /// Runs `work` on a thread in this network namespace. A socket opened there stays there; the thread ends.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.pid)).unwrap();
        std::thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// This place's file `path`, as the test can open it.
    pub fn path(&self, path: &str) -> PathBuf {
        format!(
            "/proc/{}/root{}{path}",
            self.pid,
            self.root.trim_end_matches('/')
        )
        .into()
    }

    /// Writes a file whole: a reader sees the old text or the new.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let aside = self.path(&format!("{path}.aside"));
        std::fs::create_dir_all(aside.parent().unwrap()).unwrap();
        std::fs::write(&aside, text).unwrap_or_else(|e| panic!("write {path}: {e}"));
        std::fs::rename(&aside, self.path(path)).unwrap();
    }

    /// The text of a file, `None` while it is not there.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Output {
    line: String,
    /// 124: it was ended because it did not end itself.
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// What it printed; panics with all of it unless it succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success(), "{self}");
        self.stdout
    }

    pub fn succeeded(&self) -> bool {
        self.status.success()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            line,
            status,
            stdout,
            stderr,
        } = self;
        write!(f, "`{line}` ended with {status}\n{stdout}{stderr}")
    }
}

/// A command that goes on in the background. What it says, on both channels, is kept.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    said: Arc<Mutex<String>>,
    listeners: Vec<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(mut command: Command, line: String) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Else one that is stopped would outlive a test that is killed: the kernel wakes and ends orphaned groups.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {line}: {e}"));
        let said = Arc::default();
        let listeners = vec![
            listen(child.stdout.take().unwrap(), Arc::clone(&said)),
            listen(child.stderr.take().unwrap(), Arc::clone(&said)),
        ];
        Self {
            line,
            child,
            said,
            listeners,
        }
    }

    /// All that it has said so far.
    pub fn log(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said `text`.
    #[track_caller]
    pub fn says(&mut self, text: &str) {
        let start = std::time::Instant::now();
        while !self.log().contains(text) {
            assert!(
                start.elapsed() < PATIENCE && self.is_alive(),
                "`{}` did not say {text:?}:\n{}",
                self.line,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The process itself (not `nsenter`, which stays outside and waits for it), as seen from the test.
    /// `None` once it has ended.
    pub fn pid(&mut self) -> Option<Pid> {
        let outside = self.outside();
        let mut found = None;
        wait_for("nsenter to enter", PATIENCE, || {
            found = only_child(outside);
            (found.is_some() || !self.is_alive()).then_some(())
        });
        found
    }

    /// Sends a signal to the process itself; nothing happens if it has ended.
    pub fn signal(&mut self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        let _ended_just_now = kill(pid, signal);
        // nsenter stops when its child does, and wakes it when it goes on itself.
        let nsenter = self.outside();
        match signal {
            Signal::SIGSTOP => wait_for("nsenter to stop", PATIENCE, || {
                (is_stopped(nsenter) || !self.is_alive()).then_some(())
            }),
            Signal::SIGCONT | Signal::SIGKILL => {
                let _ended_just_now = kill(nsenter, Signal::SIGCONT);
            }
            _ => {}
        }
    }

    fn outside(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Waits for its end. The log is complete then, unless it left children that still hold its output.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let start = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let _complete = wait_until(Duration::from_secs(1), || {
                    self.listeners.iter().all(JoinHandle::is_finished)
                });
                return status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "`{}` does not end:\n{}",
                self.line,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let _gone = self.child.wait();
    }
}

fn is_stopped(process: Pid) -> bool {
    // "17 (name) T .."
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.starts_with(" T"))
    })
}

/// Keeps what comes out of a pipe, line by line, until it is closed.
fn listen(pipe: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            said.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

fn spelled<S: AsRef<OsStr>>(argv: &[S]) -> String {
    argv.iter()
        .map(|word| word.as_ref().to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
