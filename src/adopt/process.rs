//! Processes of Neutron's agents: the agents themselves, and those that they start inside of namespaces and leave there.
//!
//! What counts is where a process lives and which program it runs, both as the kernel says it; then for which object it was
//! started, as its arguments say. A name alone is nobody's.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use super::AdoptError;
use crate::config;
use crate::model::{NsName, Target};
use crate::neutron::Role;

/// Programs that the agents start in their namespaces (`dhcp.py`, `keepalived.py`, `metadata/driver.py`, `pd.py`, `ra.py`). radvd
/// has no time to say that it is no router any more: instances keep their way out, which we advertise from now on.
const CHILDREN: [&str; 5] = [
    "dnsmasq",
    "haproxy",
    "keepalived",
    "dibbler-client",
    "radvd",
];
/// A script that they start there.
const MONITOR: &str = "neutron-keepalived-state-change";

/// A process that was killed is gone in milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two looks whether it is: nobody answers instances meanwhile.
const PAUSE: Duration = Duration::from_millis(1);

/// A process that an agent started inside of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    pub pid: i32,
    pub program: &'static str,
    /// The inode of its network namespace.
    pub namespace: u64,
    words: Vec<String>,
}

/// One of the agents whose place we take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    pub pid: i32,
    pub program: &'static str,
    pub role: Role,
}

/// Who runs.
#[derive(Debug, Default)]
pub struct Processes {
    pub children: Vec<Child>,
    pub agents: Vec<Agent>,
    /// Those that look like one of these, and that we may not look at.
    pub hidden: usize,
}

impl Child {
    /// Its arguments name the object: files of such a process are called after it.
    pub fn is_for(&self, target: Target) -> bool {
        let id = match target {
            Target::Network(id) => id.to_string(),
            Target::Router(id) => id.to_string(),
        };
        self.words.iter().any(|word| word.contains(&id))
    }
}

impl Processes {
    /// # Errors
    /// There is no /proc to look at.
    pub fn look() -> Result<Self, AdoptError> {
        Self::read().map_err(AdoptError::Processes)
    }

    fn read() -> io::Result<Self> {
        let home = fs::metadata("/proc/self/ns/net")?.ino();
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let mut found = Self::default();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            if pid != own {
                found.add(pid, home);
            }
        }
        Ok(found)
    }

    /// One that ends meanwhile is none.
    fn add(&mut self, pid: i32, home: u64) {
        let Some(words) = words(pid) else { return };
        if may_be_child(&words).is_none() && may_be_agent(&words).is_none() {
            return;
        }
        let (executable, namespace) = match (executable(pid), namespace(pid)) {
            (Ok(executable), Ok(namespace)) => (executable, namespace),
            (Err(error), _) | (_, Err(error)) => {
                self.hidden += usize::from(error.kind() == io::ErrorKind::PermissionDenied);
                return;
            }
        };
        if namespace == home {
            self.agents.extend(agent(pid, &executable, &words));
        } else if let Some(program) = child(&executable, &words) {
            self.children.push(Child {
                pid,
                program,
                namespace,
                words,
            });
        }
    }
}

/// A guess, before the kernel is asked about the process.
fn may_be_child(words: &[String]) -> Option<&'static str> {
    let named = |program: &str| words.iter().take(3).any(|word| base(word) == program);
    CHILDREN
        .into_iter()
        .chain([MONITOR])
        .find(|program| named(program))
}

fn may_be_agent(words: &[String]) -> Option<Role> {
    // Behind the interpreter and a flag of it; or in front, where the title was changed.
    let named = |program: &str| words.iter().take(3).any(|word| base(word) == program);
    Role::ALL
        .into_iter()
        .find(|role| named(config::program(*role)))
}

fn child(executable: &str, words: &[String]) -> Option<&'static str> {
    let native = CHILDREN.into_iter().find(|program| *program == executable);
    let script =
        is_interpreter(executable).then(|| may_be_child(words).filter(|found| *found == MONITOR));
    native.or(script.flatten())
}

/// Under the same name, but no script: that is we ourselves, and `alone` has to do with it.
fn agent(pid: i32, executable: &str, words: &[String]) -> Option<Agent> {
    let role = may_be_agent(words).filter(|_| is_interpreter(executable))?;
    let program = config::program(role);
    Some(Agent { pid, program, role })
}

fn is_interpreter(executable: &str) -> bool {
    executable.starts_with("python") || executable.starts_with("pypy")
}

/// Arguments; a title that was set holds all of them in one.
fn words(pid: i32) -> Option<Vec<String>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line);
    let words = line.split(|letter: char| letter == '\0' || letter.is_whitespace());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    (!words.is_empty()).then_some(words)
}

/// The name of the program's file, also where that was replaced by an upgrade.
fn executable(pid: i32) -> io::Result<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe"))?;
    let path = path.to_string_lossy();
    Ok(base(path.trim_end_matches(" (deleted)")).to_owned())
}

fn namespace(pid: i32) -> io::Result<u64> {
    Ok(fs::metadata(format!("/proc/{pid}/ns/net"))?.ino())
}

fn base(path: &str) -> &str {
    Path::new(path)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(path)
}

/// Ends them, and waits until they are gone. All are stopped before the first ends, so that none acts on another's end:
/// keepalived's worker would take the addresses away when its parent goes.
pub(super) async fn end(children: &[Child], ns: &NsName) -> Result<(), AdoptError> {
    let failed = |child: &Child, source: io::Error| AdoptError::End {
        program: child.program,
        pid: child.pid,
        ns: ns.clone(),
        source,
    };
    let mut held = Vec::new();
    for child in children {
        let opened = hold(child).map_err(|source| failed(child, source))?;
        held.extend(opened.map(|handle| (child, handle)));
    }
    for signal in [Signal::STOP, Signal::KILL] {
        for (child, handle) in &held {
            match pidfd_send_signal(handle, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(errno) => return Err(failed(child, errno.into())),
            }
        }
    }
    let deadline = Instant::now() + PATIENCE;
    for (child, handle) in held {
        while !is_gone(&handle).map_err(|source| failed(child, source))? {
            if Instant::now() > deadline {
                return Err(AdoptError::GoesOn {
                    program: child.program,
                    pid: child.pid,
                    ns: ns.clone(),
                });
            }
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// The handle of a process can be read when it has ended.
fn is_gone(handle: &OwnedFd) -> io::Result<bool> {
    let mut asked = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut asked, PollTimeout::ZERO)? > 0)
}

/// A handle of the process, if it is still the one that was found: its number may be another's by now.
fn hold(child: &Child) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(child.pid) else {
        return Ok(None);
    };
    let handle = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let same = words(child.pid).as_ref() == Some(&child.words)
        && namespace(child.pid).ok() == Some(child.namespace);
    Ok(same.then_some(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_the_agents_start_is_known_by_program_and_script() {
        const ID: &str = "0a1b2c3d-0000-4000-8000-000000000001";
        let rows = [
            (
                "dnsmasq",
                "dnsmasq --no-hosts --pid-file=/var/lib/neutron/dhcp/x/pid",
                Some("dnsmasq"),
            ),
            (
                "haproxy",
                "haproxy -f /var/lib/neutron/ns-metadata-proxy/x.conf",
                Some("haproxy"),
            ),
            (
                "python3.11",
                "/usr/bin/python3 /usr/bin/neutron-keepalived-state-change --router_id=x",
                Some(MONITOR),
            ),
            (
                "python3.11",
                "neutron-keepalived-state-change (/usr/bin/python3 ... --router_id=x)",
                Some(MONITOR),
            ),
            // Named so, but another program.
            ("tail", "tail -f dnsmasq", None),
            ("python3.11", "/usr/bin/python3 dnsmasq", None),
            ("bash", "bash", None),
        ];
        for (executable, line, expected) in rows {
            assert_eq!(
                child(executable, &split(line)),
                expected,
                "{executable}: {line}"
            );
        }
        let target = Target::Network(crate::model::NetworkId(ID.parse().expect("a uuid")));
        for (line, expected) in [
            (format!("-f /x/{ID}.conf"), true),
            ("-f /x/another.conf".into(), false),
        ] {
            let child = Child {
                pid: 1,
                program: "haproxy",
                namespace: 2,
                words: split(&line),
            };
            assert_eq!(child.is_for(target), expected, "{line}");
        }
    }

    #[test]
    fn an_agent_is_a_script_of_that_name_and_not_we_under_it() {
        let rows = [
            (
                "python3.11",
                "/usr/bin/python3 /usr/bin/neutron-dhcp-agent --config-file x",
                Some(Role::Dhcp),
            ),
            (
                "python3",
                "/usr/bin/python3 -s /usr/bin/neutron-l3-agent",
                Some(Role::L3),
            ),
            (
                "python3.9",
                "neutron-metadata-agent (/usr/bin/python3 /usr/bin/neutron-metadata-agent)",
                Some(Role::Metadata),
            ),
            (
                "warren",
                "/usr/bin/neutron-dhcp-agent --config-file x",
                None,
            ),
            ("vim", "vim /usr/bin/neutron-dhcp-agent", None),
            (
                "python3",
                "/usr/bin/python3 a.py --about x neutron-dhcp-agent",
                None,
            ),
            (
                "python3",
                "/usr/bin/python3 /usr/bin/neutron-linuxbridge-agent",
                None,
            ),
        ];
        for (executable, line, expected) in rows {
            let found = agent(7, executable, &split(line)).map(|agent| agent.role);
            assert_eq!(found, expected, "{executable}: {line}");
        }
    }
}
