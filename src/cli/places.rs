//! Where a daemon keeps its state and listens, unless the command line says so; and where those of this host listen.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::neutron::Role;
use crate::store::Store;

const STATE: &str = "/var/lib/warren";
/// Neutron's own directory, unless its files say another.
pub(super) const STATE_PATH: &str = "/var/lib/neutron";
const RUN: &str = "/run/warren";
const WARREN: &str = "warren";

#[derive(Debug, Args)]
pub(super) struct StateDir {
    /// Where the last known state and the chosen addresses are kept [default: /var/lib/warren; under an agent's name
    /// $state_path/warren-dhcp, warren-l3 or warren-metadata]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Socket {
    /// The daemon's socket [default: /run/warren/warren.sock; under an agent's name dhcp.sock, l3.sock or metadata.sock there]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// What daemons of this host keep, or kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) dirs: Vec<PathBuf>,
    /// Those whose daemons these are.
    pub(super) roles: BTreeSet<Role>,
}

/// A daemon to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// `dhcp` and the like, if it runs as an agent.
    pub(super) name: Option<String>,
    pub(super) path: PathBuf,
}

impl StateDir {
    pub(super) fn dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(|| STATE.into())
    }

    /// One per agent, below Neutron's own: three of them share that, also over their containers' ends.
    pub(super) fn of_agent(&self, role: Role, state_path: &Path) -> PathBuf {
        let own = || of_agent(role, state_path);
        self.state_dir.clone().unwrap_or_else(own)
    }

    /// Directories that daemons in these roles used: the one that is named, or all that are where they usually are.
    pub(super) fn kept(&self, roles: &BTreeSet<Role>, state_path: &Path) -> Kept {
        match &self.state_dir {
            Some(dir) => kept(dir, [], roles),
            None => {
                let agents = roles
                    .iter()
                    .map(|role| (*role, of_agent(*role, state_path)));
                kept(Path::new(STATE), agents, roles)
            }
        }
    }
}

fn of_agent(role: Role, state_path: &Path) -> PathBuf {
    state_path.join(format!("{WARREN}-{role}"))
}

/// Which role one daemon for all of them had is not to be seen: it may have had any.
fn kept(
    whole: &Path,
    agents: impl IntoIterator<Item = (Role, PathBuf)>,
    roles: &BTreeSet<Role>,
) -> Kept {
    let of_agents = agents.into_iter().filter(|(_, dir)| Store::is_there(dir));
    let (mut found, mut dirs): (BTreeSet<Role>, Vec<PathBuf>) = of_agents.unzip();
    if Store::is_there(whole) {
        found.clone_from(roles);
        dirs.insert(0, whole.to_owned());
    }
    Kept { dirs, roles: found }
}

impl Socket {
    pub(super) fn path(&self, agent: Option<Role>) -> PathBuf {
        let name = agent.map_or(WARREN.to_owned(), |role| role.to_string());
        self.socket
            .clone()
            .unwrap_or_else(|| socket(Path::new(RUN), &name))
    }

    /// The one that is named, or all of this host's daemons.
    pub(super) fn asked(&self) -> Vec<Asked> {
        match &self.socket {
            Some(path) => vec![Asked {
                name: None,
                path: path.clone(),
            }],
            None => all(Path::new(RUN)),
        }
    }
}

fn socket(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.sock"))
}

/// Those that have left a socket; where there is none, the one that should be there.
fn all(dir: &Path) -> Vec<Asked> {
    let agents = Role::ALL.map(|role| Some(role.to_string()));
    let asked = agents.into_iter().chain([None]).map(|name| Asked {
        path: socket(dir, name.as_deref().unwrap_or(WARREN)),
        name,
    });
    let (there, not): (Vec<_>, Vec<_>) = asked.partition(|asked| is_socket(&asked.path));
    if there.is_empty() {
        not.into_iter()
            .filter(|asked| asked.name.is_none())
            .collect()
    } else {
        there
    }
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}
