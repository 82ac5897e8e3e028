//! `warren adopt`: what taking over a node from Neutron's agents would do, and the way back.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::agent::AgentFlags;
use super::places::{STATE_PATH, StateDir};
use super::{CliError, block_on, check, fail, print, print_json};
use crate::adopt::{self, Given, Processes, Prospect, Share};
use crate::app::{AloneError, be_alone};
use crate::config::{self, Asked};
use crate::model::Kinds;
use crate::neutron::Role;
use crate::plug::Plug;
use crate::store::{Store, StoreError};

/// The agents' files, as packages call them.
const FILES: [&str; 4] = [
    "/etc/neutron/neutron.conf",
    "/etc/neutron/dhcp_agent.ini",
    "/etc/neutron/l3_agent.ini",
    "/etc/neutron/metadata_agent.ini",
];

pub(super) fn run(arguments: super::Adopt) -> ExitCode {
    if arguments.undo {
        return undo(arguments);
    }
    match look(&arguments) {
        Ok(told) if arguments.json.json => print_json(&told),
        Ok(told) => print(&sentences(&told)),
        Err(error) => fail(&*error),
    }
}

#[derive(Debug, Serialize)]
struct Told {
    /// Agents that run: they have to be stopped first.
    agents: Vec<Process>,
    namespaces: Vec<Taken>,
}

#[derive(Debug, Serialize)]
struct Taken {
    name: String,
    /// To be kept as they are.
    devices: Vec<String>,
    /// To be ended.
    processes: Vec<Process>,
    /// Of iptables, to be removed.
    chains: usize,
    rules: usize,
}

#[derive(Debug, Serialize)]
struct Process {
    program: &'static str,
    pid: i32,
}

fn look(arguments: &super::Adopt) -> Result<Told, Box<dyn Error>> {
    let roles = arguments.roles();
    let processes = Processes::look()?;
    let prospects = block_on(adopt::prospects(&processes, &roles))??;
    let agents = processes
        .agents
        .iter()
        .filter(|agent| roles.contains(&agent.role));
    let agents = agents.map(|agent| Process {
        program: agent.program,
        pid: agent.pid,
    });
    Ok(Told {
        agents: agents.collect(),
        namespaces: prospects.into_iter().map(Taken::from).collect(),
    })
}

impl From<Prospect> for Taken {
    fn from(prospect: Prospect) -> Self {
        let processes = prospect.children.into_iter().map(|child| Process {
            program: child.program,
            pid: child.pid,
        });
        Self {
            name: prospect.name.to_string(),
            devices: prospect.devices,
            processes: processes.collect(),
            chains: prospect.rules.chains,
            rules: prospect.rules.rules,
        }
    }
}

fn sentences(told: &Told) -> String {
    let mut lines = Vec::new();
    for Process { program, pid } in &told.agents {
        lines.push(format!(
            "{program} runs (pid {pid}): stop it first, or `warren run` refuses to start"
        ));
    }
    for taken in &told.namespaces {
        lines.push(taken.name.clone());
        let devices = taken
            .devices
            .iter()
            .map(|device| format!("  would keep device {device}"));
        lines.extend(devices);
        let ended = taken.processes.iter();
        lines.extend(
            ended.map(|Process { program, pid }| format!("  would end {program} (pid {pid})")),
        );
        if taken.chains > 0 {
            lines.push(format!(
                "  would remove {} chains of iptables with {} rules",
                taken.chains, taken.rules
            ));
        }
    }
    if told.namespaces.is_empty() {
        lines.push("nothing of Neutron's agents to take over".into());
    } else {
        lines.push(
            "`warren run` does this for all of them that the server says are this host's".into(),
        );
    }
    lines.join("\n")
}

#[derive(Debug, Default, Serialize)]
struct GivenBack {
    namespaces: Vec<String>,
    /// Where another process answers for metadata now.
    metadata_proxy_socket: Option<PathBuf>,
    errors: Vec<String>,
}

fn undo(arguments: super::Adopt) -> ExitCode {
    let (json, roles) = (arguments.json.json, arguments.roles());
    let (patience, state) = (Duration::from_secs(arguments.wait), arguments.state);
    let Neutrons {
        plug,
        state_path,
        socket,
    } = match neutrons(arguments.flags, &roles) {
        Ok(neutrons) => neutrons,
        Err(status) => return status,
    };
    // A daemon in other roles goes on.
    let _alone = match be_alone(&roles) {
        Ok(alone) => alone,
        Err(AloneError::NotAlone { role }) => return fail(&CliError::StillServing { role }),
        Err(error) => return fail(&error),
    };
    let share = Share {
        kinds: Kinds::from(&roles),
        plug: &plug,
        socket: socket.filter(|_| roles.contains(&Role::Metadata)),
    };
    let mut back = GivenBack::default();
    let say = |given: &Given| back.note(given, json);
    let errors = match block_on(adopt::give_back(&share, patience, say)) {
        Ok(errors) => errors,
        Err(error) => return fail(&error),
    };
    let mut told: Vec<Box<dyn Error>> = errors.into_iter().map(Into::into).collect();
    let kept = forget(&state, &roles, &state_path);
    told.extend(kept.into_iter().map(Into::into));
    let status = told.iter().map(|error| fail(&**error)).next_back();
    back.errors = told.iter().map(|error| crate::chain(&**error)).collect();
    let printed = match (json, back.is_nothing()) {
        (true, _) => print_json(&back),
        (false, true) if status.is_none() => print("nothing of warren's to give back"),
        (false, _) => ExitCode::SUCCESS,
    };
    status.unwrap_or(printed)
}

impl GivenBack {
    fn note(&mut self, given: &Given, json: bool) {
        let sentence = match given {
            Given::Namespace { name, .. } => {
                self.namespaces.push(name.to_string());
                format!("gave back {name}")
            }
            Given::Metadata(path) => {
                self.metadata_proxy_socket = Some(path.clone());
                let path = path.display();
                format!("gave back metadata: another process answers at {path}")
            }
        };
        if !json {
            print(&sentence);
        }
    }

    fn is_nothing(&self) -> bool {
        self.namespaces.is_empty() && self.metadata_proxy_socket.is_none()
    }
}

/// What the agents change from now on, the state would undo at the next start.
fn forget(state: &StateDir, roles: &BTreeSet<Role>, state_path: &Path) -> Vec<StoreError> {
    let mut errors = Vec::new();
    for dir in state.kept(roles, state_path).dirs {
        match Store::open(&dir) {
            Ok(store) => errors.extend(store.forget(Kinds::from(roles))),
            // By a daemon in other roles, which forgot what was of these as it started.
            Err(StoreError::Taken { .. }) => {}
            Err(error) => errors.push(error),
        }
    }
    errors
}

/// What the agents' files say of the node.
struct Neutrons {
    /// Where ports are, so that they are given back as well.
    plug: Plug,
    state_path: PathBuf,
    /// Where the metadata role listens; `None`: the files were read for other roles.
    socket: Option<PathBuf>,
}

/// Those that were named; without, those that are where packages put them.
fn neutrons(flags: AgentFlags, roles: &BTreeSet<Role>) -> Result<Neutrons, ExitCode> {
    let is_told = !flags.is_empty();
    let given = if is_told {
        flags.into_given()
    } else {
        let there = FILES.into_iter().map(PathBuf::from);
        there
            .filter(|file| file.is_file())
            .map(config::Given::File)
            .collect()
    };
    let nothing = || Neutrons {
        plug: Plug::default(),
        state_path: STATE_PATH.into(),
        socket: Some(Path::new(STATE_PATH).join("metadata_proxy")),
    };
    if given.is_empty() {
        return Ok(nothing());
    }
    let loaded = config::load(&Asked::new(given, roles.clone(), "warren"));
    match loaded.configured {
        Some(configured) => Ok(Neutrons {
            plug: configured.driver.map(Plug::new).unwrap_or_default(),
            state_path: configured.state_path,
            socket: configured.proxies.map(|proxies| proxies.path),
        }),
        None if is_told => {
            check::tell_refused(&loaded.problems);
            Err(ExitCode::FAILURE)
        }
        None => {
            eprintln!(
                "warren: the files in /etc/neutron are refused (see `warren check`); with Open vSwitch name others with --config-file, or its ports keep warren's mark"
            );
            Ok(nothing())
        }
    }
}
